/**
 * The ledger of all partitions as one document (architecture, "The ledger").
 */
import { TERMINAL_STATES } from '../../actors/event.ts';
import type { LedgerDocument } from '../../gateways/admin/documents.ts';
import type { Ledger } from '../../runtime/durable/durable-store.ts';

/** Rejects of the whole installation, since ever. */
export interface RejectFigures {
  kept: number;
  keptBytes: number;
  evicted: number;
  resubmitted: number;
  discarded: number;
}

/** What only PostgreSQL knows. */
export interface OutsideFigures {
  rejects: RejectFigures;
  /** By partition. */
  lost: ReadonlyMap<number, number>;
}

/** `ledgers` by partition. */
export function ledgerDocument(ledgers: readonly Ledger[], outside: OutsideFigures): LedgerDocument {
  const sum = (pick: (ledger: Ledger) => number): number =>
    ledgers.reduce((total, ledger) => total + pick(ledger), 0);
  const counter = (name: string): number => sum(({ counters }) => counters[name] ?? 0);
  const { kept, evicted, discarded } = outside.rejects;
  return {
    accepted: sum(({ accepted }) => accepted),
    replayed: sum(({ replayed }) => replayed),
    terminal: Object.fromEntries(TERMINAL_STATES.map((name) => [name, counter(name)])),
    in_flight: sum(({ inFlight }) => inFlight),
    rejected: kept + evicted + discarded,
    balanced: ledgers.every(({ balanced }) => balanced),
    lost: [...outside.lost.values()].reduce((total, lost) => total + lost, 0),
    alerts: {
      opened: counter('alerts'),
      delivered: counter('alerts_delivered'),
      dead: counter('alerts_dead'),
      shed: counter('alerts_shed'),
      deferred: counter('alerts_deferred'),
      suppressed: counter('alerts_suppressed'),
      superseded: counter('alerts_superseded'),
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
      outbox: outboxDocument(ledger.spilled),
      diverted_hosts: ledger.measured.divertedKeys,
      resend_keys: ledger.measured.marks,
    })),
  };
}

/** Without those that hold nothing now. */
export function outboxDocument(spilled: Ledger['spilled']): LedgerDocument['partitions'][number]['outbox'] {
  const waiting = Object.entries(spilled).filter(([, { messages }]) => messages > 0);
  return Object.fromEntries(
    waiting.map(([lane, { messages, bytes }]) => [lane, { alerts: messages, bytes }]),
  );
}
