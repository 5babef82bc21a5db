/**
 * The end of a run: everything is made well, pauses are taken back, and then nobody sends and nothing is in flight any more,
 * without a hand.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DESTINATION_MODE_NAMES } from './destination-modes.ts';
import type { Ledger } from './node-process.ts';
import { SETTINGS } from './rig.ts';
import type { Rig } from './rig.ts';
import { continueProcesses } from './signals.ts';

export interface Settled {
  /** The last ledger of each node, by its name; undefined of one that gave none. */
  ledgers: Map<string, Ledger>;
  /** Nothing is in flight, everywhere. */
  isSettled: boolean;
  settledMs: number;
}

const READY_MS = 120_000;
const LOOK_EVERY_MS = 500;
/** What faults may have left changed, had they been broken off. */
const CHANGED = [
  'pool.match.size',
  'pool.forward.size',
  'pool.ingest.size',
  'pool.gateway.size',
  'match.batch.eventsMax',
  'ingest.frame.eventsMax',
  'mailbox.ingest.fairEvents',
  'remediation.isEnabled',
  'log.level',
];

/** Ends every fault that may last. Rejects when a node is not ready after that. */
export async function heal(rig: Rig): Promise<void> {
  continueProcesses();
  for (const node of rig.nodes) {
    node.setClock(0);
    node.release();
  }
  await Promise.all(Object.values(rig.destinations).map((destination) => destination.heal()));
  await Promise.all(rig.nodes.map((node) => whenReady(rig, node.name)));
  for (const key of [...CHANGED, ...Object.keys(SETTINGS)]) await rig.unset(key);
  for (const name of ['strict', 'latest']) {
    const { hold } = await rig.change<{ hold: unknown }>('GET', `/api/v2/destinations/${name}`);
    if (hold !== null) await rig.change('POST', `/api/v2/destinations/${name}/resume`, { reason: 'torture' });
  }
}

/** Waits until nothing is in flight. Nobody replays dead letters: those that were made have to heal by themselves. */
export async function settle(rig: Rig, timeoutMs: number, signal: AbortSignal): Promise<Settled> {
  const startedMs = performance.now();
  const ledgers = new Map<string, Ledger>();
  for (;;) {
    for (const node of rig.nodes) {
      const ledger = await node.ledger().catch(() => undefined);
      if (ledger !== undefined) ledgers.set(node.name, ledger);
    }
    const isSettled =
      ledgers.size === rig.nodes.length &&
      [...ledgers.values()].every(({ balanced, in_flight: inFlight }) => balanced && inFlight === 0);
    const settledMs = performance.now() - startedMs;
    if (isSettled || settledMs > timeoutMs || signal.aborted) return { ledgers, isSettled, settledMs };
    await sleep(LOOK_EVERY_MS);
  }
}

async function whenReady(rig: Rig, name: string): Promise<void> {
  const node = rig.node(name);
  const deadlineMs = performance.now() + READY_MS;
  while (!(await node.isReady())) {
    if (performance.now() > deadlineMs)
      throw new Error(`${name} is not ready ${READY_MS} ms after everything was made well: ${node.lastLine}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Requests that a destination has refused for good, in any way that makes a dead letter. */
export function refusedBy(rig: Rig, name: 'strict' | 'latest' | 'calm'): number {
  const { requests } = rig.destinations[name];
  return DESTINATION_MODE_NAMES.filter((mode) => mode === 'status-400').reduce(
    (sum, mode) => sum + (requests.get(mode) ?? 0),
    0,
  );
}
