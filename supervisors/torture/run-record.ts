/** All that is known of a run when it is over: what the verdict is given about. */
import type { AuditBooks, LetterBooks } from './audit-books.ts';
import type { EventSet } from './event-set.ts';
import type { Examples } from './examples.ts';
import type { ReceivedAlerts } from './received-alerts.ts';

export interface DestinationRecord {
  name: string;
  received: ReceivedAlerts;
  /** What no node should ever send. */
  oddities: Examples;
  /** Its alerts may end without being sent: it collapses backlogs, or was muted. */
  mayEndUnsent: boolean;
  /** Requests that it refused for good: so many alerts at most may be dead letters. */
  refused: number;
}

export interface RunRecord {
  sent: EventSet;
  /** Answered with 2xx, or acknowledged. */
  answered: EventSet;
  audit: AuditBooks;
  /** Events that broke their handler. */
  quarantined: EventSet;
  letters: LetterBooks;
  destinations: readonly DestinationRecord[];
  nodes: readonly NodeLedgers[];
  witness: readonly WitnessRow[];
  /** Of each part of the nodes, by its name, when the traffic began and when everything had settled. */
  growth: { begin: ReadonlyMap<string, GrowthFigures>; end: ReadonlyMap<string, GrowthFigures> };
  /** After everything was stopped, one line for each. */
  leftovers: { processes: readonly string[]; files: readonly string[] };
  /** Whether the events of a host were sent one after another, to one node. All, when it is left out. */
  isOrdered?: (host: string) => boolean;
}

/** As `/api/v2/ledger` has it, as far as it is judged. */
export interface LedgerFigures {
  accepted: number;
  replayed: number;
  terminal: Readonly<Record<string, number>>;
  in_flight: number;
  balanced: boolean;
  lost: number;
  alerts: { superseded?: number; suppressed?: number };
  partitions: readonly { partition: number; balanced: boolean; problems?: readonly string[] }[];
}

/** When the traffic began, and when everything had settled. */
export interface NodeLedgers {
  name: string;
  before: LedgerFigures;
  after: LedgerFigures;
}

/** What PostgreSQL remembers of a partition of a node, and what its Redis has. */
export interface WitnessRow {
  node: string;
  partition: number;
  /** The highest number that was answered. */
  acknowledged: number;
  /** The number of what was ever accepted. */
  accepted: number;
}

/** Of one part: a process, or a thread as far as it can be asked. */
export interface GrowthFigures {
  memoryBytes?: number;
  threads?: number;
  openFiles?: number;
  connections?: number;
}
