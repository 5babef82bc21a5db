import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ReplyTo } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { SupervisorSpec } from '../../../runtime/supervision/child-spec.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { supervisorChild } from '../../../runtime/supervision/supervisor-child.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { thrownBy } from '../../support/rejection.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

const NEVER_AGAIN = { restartsMax: 0, windowMs: 1_000 };
const ONCE = { restartsMax: 1, windowMs: 1_000 };

function tree(inner: Pick<SupervisorSpec, 'intensity'>, outer: Pick<SupervisorSpec, 'intensity'>) {
  const clock = new FakeClock();
  const trace: string[] = [];
  const events: TreeEvent[] = [];
  const worker = new ScriptedChild('worker', trace, clock);
  const neighbour = new ScriptedChild('neighbour', trace, clock);
  const options = { clock, onEvent: (event: TreeEvent): void => void events.push(event) };
  const innerSpec: SupervisorSpec = {
    id: 'inner',
    strategy: 'oneForOne',
    ...inner,
    children: [{ id: 'worker', start: worker.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
  };
  const supervisor = new Supervisor(
    {
      id: 'root',
      strategy: 'oneForOne',
      ...outer,
      children: [
        { id: 'neighbour', start: neighbour.start, restart: 'permanent', shutdownDeadlineMs: 100 },
        {
          id: 'inner',
          start: supervisorChild(innerSpec, { clock }),
          restart: 'permanent',
          shutdownDeadlineMs: 1_000,
        },
      ],
    },
    options,
  );
  return { clock, trace, events, worker, neighbour, supervisor };
}

describe('supervisorChild', () => {
  it('escalates: a supervisor that gives up is restarted by its parent, with higher epochs below [S-27] [S-35]', async () => {
    const { supervisor, worker, neighbour, events } = tree({ intensity: NEVER_AGAIN }, { intensity: ONCE });
    await supervisor.start();
    worker.exit();
    await settle();
    expect(worker.isRunning).to.equal(true);
    expect(worker.epochs).to.deep.equal([1, 2]);
    expect(worker.abandoned).to.equal(0);
    expect(neighbour.epochs.length).to.equal(1);
    expect(
      events.filter(({ type }) => type === 'childGaveUp').map(({ supervisor: path }) => path),
    ).to.deep.equal(['root/inner']);
  });

  it('escalates through two levels, to the exit of the root, and then abandons what was kept [S-35]', async () => {
    const { supervisor, worker, neighbour } = tree({ intensity: NEVER_AGAIN }, { intensity: ONCE });
    await supervisor.start();
    worker.exit();
    await settle();
    worker.exit();
    const reason = await supervisor.exited;
    expect(reason.kind === 'failed' ? reason.error.code : undefined).to.equal('E_RESTART_INTENSITY');
    expect(reason.kind === 'failed' ? reason.error.cause?.code : undefined).to.equal('E_RESTART_INTENSITY');
    expect([worker.isRunning, neighbour.isRunning]).to.deep.equal([false, false]);
    expect(worker.abandoned).to.equal(1);
  });

  it('shows the whole tree in one view', async () => {
    const { supervisor } = tree({ intensity: NEVER_AGAIN }, { intensity: ONCE });
    await supervisor.start();
    const [, inner] = supervisor.describe().children;
    expect(inner?.detail).to.deep.include({ id: 'inner', status: 'running' });
    expect((inner?.detail?.['children'] as { id: string }[]).map(({ id }) => id)).to.deep.equal(['worker']);
    await supervisor.stop(100);
  });

  it('refuses a wrong spec when the tree is written, not when it is started', () => {
    expect(
      thrownBy(() => supervisorChild({ id: '', strategy: 'oneForOne', intensity: ONCE, children: [] })).code,
    ).to.equal('E_CHILD_SPEC_INVALID');
  });

  it('keeps ref and mailbox of a local actor over an escalation [S-35]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    type Message = { type: 'fail' } | { type: 'hello'; replyTo: ReplyTo<number> };
    const actor = localChild<Message>(system, 'actor', (context) => ({
      handle(message) {
        if (message.type === 'fail') throw new Error('planted');
        message.replyTo.tell(context.epoch);
      },
    }));
    const inner: SupervisorSpec = {
      id: 'inner',
      strategy: 'oneForOne',
      intensity: NEVER_AGAIN,
      children: [{ id: 'actor', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
    };
    const supervisor = new Supervisor({
      id: 'root',
      strategy: 'oneForOne',
      intensity: ONCE,
      children: [
        { id: 'inner', start: supervisorChild(inner), restart: 'permanent', shutdownDeadlineMs: 100 },
      ],
    });
    await supervisor.start();
    const { ref } = actor;
    ref.tell({ type: 'fail' });
    const answer = ref.ask<number>((replyTo) => ({ type: 'hello', replyTo }), { timeoutMs: 1_000 });
    expect(await answer).to.equal(2);
    expect(actor.ref).to.equal(ref);
    await supervisor.stop(100);
    expect(ref.tell({ type: 'fail' })).to.deep.include({ refused: 'E_ACTOR_STOPPED' });
  });
});
