/**
 * The ledger of all partitions as one document (architecture, "The ledger").
 */
import { TERMINAL_STATES } from '../../actors/event.ts';
import type { LedgerDocument } from '../../gateways/admin/documents.ts';
import type { DurableStore, Ledger } from '../../runtime/durable/durable-store.ts';

/** What only PostgreSQL knows. */
export interface OutsideFigures {
  rejected: number;
  /** By partition. */
  lost: ReadonlyMap<number, number>;
}

export async function ledgerDocument(
  store: DurableStore,
  partitions: number,
  outside: OutsideFigures,
): Promise<LedgerDocument> {
  const question = { terminal: TERMINAL_STATES, inputLanes: ['ingest'] };
  const ledgers = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => store.ledger(partition, question)),
  );
  const sum = (pick: (ledger: Ledger) => number): number =>
    ledgers.reduce((total, ledger) => total + pick(ledger), 0);
  const counter = (name: string): number => sum(({ counters }) => counters[name] ?? 0);
  return {
    accepted: sum(({ accepted }) => accepted),
    replayed: sum(({ replayed }) => replayed),
    terminal: Object.fromEntries(TERMINAL_STATES.map((name) => [name, counter(name)])),
    in_flight: sum(({ inFlight }) => inFlight),
    rejected: outside.rejected,
    balanced: ledgers.every(({ balanced }) => balanced),
    lost: [...outside.lost.values()].reduce((total, lost) => total + lost, 0),
    alerts: {
      opened: counter('alerts'),
      delivered: counter('alerts_delivered'),
      dead: counter('alerts_dead'),
    },
    partitions: ledgers.map((ledger, partition) => ({
      partition,
      accepted: ledger.accepted,
      in_flight: ledger.inFlight,
      balanced: ledger.balanced,
      lost: outside.lost.get(partition) ?? 0,
      problems: ledger.problems,
      lanes: ledger.measured.lanes,
      delayed: ledger.measured.delayed,
    })),
  };
}
