/** Threads and their actors, through the API as an operator would. */
import { between, lasting, persistently, present } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';

const THREADS = ['match-0', 'forward-0', 'remediation-0', 'own-alerts'] as const;
const SUSPEND_MS = { min: 500, max: 4_000 };

async function restart({ node, signal }: Harm, id: string, how: 'kill' | 'drain'): Promise<void> {
  await persistently(async () => {
    const { status } = await node.admin(`/api/v2/actors/${id}/restart`, { method: 'POST', body: { how } });
    if (status !== 200) throw new Error(`the restart of ${id} is answered with ${status}`);
  }, signal);
}

async function suspend(harm: Harm, thread: string): Promise<void> {
  const { node, random, signal } = harm;
  const actor = await present(
    `the actor of ${thread}`,
    () => node.tree.find(({ id }) => id === thread)?.children?.[0]?.id,
    signal,
  );
  const operate = async (operation: string): Promise<number> =>
    (
      await node.admin(`/api/v2/actors/${encodeURIComponent(`${thread}/${actor}`)}/${operation}`, {
        method: 'POST',
      })
    ).status;
  await persistently(async () => {
    const status = await operate('suspend');
    if (status !== 200) throw new Error(`the suspension of ${actor} is answered with ${status}`);
  }, signal);
  await lasting(between(random, SUSPEND_MS.min, SUSPEND_MS.max), signal);
  await persistently(async () => {
    const status = await operate('resume');
    // One that was started again meanwhile is not suspended.
    if (status >= 500) throw new Error(`the resumption of ${actor} is answered with ${status}`);
  }, signal);
}

export const ACTOR_FAULTS: readonly FaultKind[] = [
  ...THREADS.map((id): FaultKind => {
    const role = id.replace(/-0$/, '');
    return {
      name: `${role}-kill`,
      what: `the ${role} thread is killed in the middle of its work`,
      takes: ['node'],
      inject: (harm) => restart(harm, id, 'kill'),
    };
  }),
  {
    name: 'gateway-drain',
    what: 'a gateway is restarted by an operator: what it has taken is answered first',
    takes: ['node'],
    inject: (harm) => restart(harm, 'gateway-0', 'drain'),
  },
  {
    name: 'match-drain',
    what: 'the match thread is restarted by an operator',
    takes: ['node'],
    inject: (harm) => restart(harm, 'match-0', 'drain'),
  },
  ...(['match-0', 'forward-0'] as const).map((id): FaultKind => {
    const role = id.replace(/-0$/, '');
    return {
      name: `${role}-suspend`,
      what: `the ${role} actor is suspended by an operator, and resumed`,
      takes: ['node'],
      inject: (harm) => suspend(harm, id),
    };
  }),
];
