/**
 * What PostgreSQL has of a run: its audit rows, its dead letters and what is quarantined, taken in row by row as they are
 * read, and kept as sets and tables of events.
 */
import { EventSet } from './event-set.ts';
import { Column, EventTable, digestOf } from './event-table.ts';
import { Examples } from './examples.ts';
import { isAlertText, knownEventIn, nameOf } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';

/** As `event_audit_log` has it. */
export interface AuditedEvent {
  raw: string;
  /** `handling_decision`. */
  decision: string;
  alerts: readonly { id: string; destination: string }[];
  /** When its event was received, ms since 1970. */
  receivedMs: number;
}

export class AuditBooks {
  /** Every known event that has a row. */
  readonly stored = new EventSet();
  /** Those with a second one. */
  readonly doubled = new EventSet();
  /** Rows of no known event. */
  readonly strange = new Examples();
  /** Rows that say something else than the rules say of that text. */
  readonly misjudged = new Examples();
  /** Rows with two alerts for one destination. */
  readonly twoAlerts = new Examples();
  rows = 0;
  /** Rows by what follows from them. */
  readonly unmatched = new EventSet();
  readonly alerting = new EventSet();
  handled = 0;
  readonly #expected = new Map<string, ExpectedAlerts>();
  readonly #isAlertRuleConstant: boolean;

  /** `isAlertRuleConstant`: all the time a rule found every text with `ALERT_TEXT`, and no other. */
  constructor({ isAlertRuleConstant = true } = {}) {
    this.#isAlertRuleConstant = isAlertRuleConstant;
  }

  add({ raw, decision, alerts, receivedMs }: AuditedEvent): void {
    this.rows += 1;
    const isUnmatched = decision === 'Unmatched';
    const event = knownEventIn(raw);
    if (event === undefined) {
      this.strange.add(() => raw.slice(0, 200));
      return;
    }
    if (!this.stored.add(event)) {
      this.doubled.add(event);
      return;
    }
    if (isUnmatched) this.unmatched.add(event);
    else if (alerts.length === 0) this.handled += 1;
    else this.alerting.add(event);
    if (this.#isAlertRuleConstant && (isAlertText(raw) ? alerts.length === 0 : !isUnmatched))
      this.misjudged.add(() => `${nameOf(event)}: ${decision} with ${alerts.length} alerts`);
    for (const { id, destination } of alerts) {
      if (!this.expectedAt(destination).add(event, id, receivedMs))
        this.twoAlerts.add(() => `${nameOf(event)} at ${destination}, also ${id}`);
    }
  }

  /** The alerts that the rows have for a destination. */
  expectedAt(destination: string): ExpectedAlerts {
    let expected = this.#expected.get(destination);
    if (expected === undefined) this.#expected.set(destination, (expected = new ExpectedAlerts()));
    return expected;
  }

  /** All that any row names. */
  get destinations(): string[] {
    return [...this.#expected.keys()];
  }
}

export class ExpectedAlerts {
  readonly #table = new EventTable();
  readonly #ids = new Column();
  readonly #receivedMs = new Column();

  get size(): number {
    return this.#table.size;
  }

  /** False when there is one for the event already. */
  add(event: KnownEvent, alertId: string, receivedMs: number): boolean {
    if (this.#table.rowOf(event) !== undefined) return false;
    const row = this.#table.add(event);
    this.#ids.set(row, digestOf(alertId));
    this.#receivedMs.set(row, receivedMs);
    return true;
  }

  has(event: KnownEvent): boolean {
    return this.#table.rowOf(event) !== undefined;
  }

  /** Of one that there is. */
  receivedMs(event: KnownEvent): number {
    return this.#receivedMs.at(this.#table.rowOf(event) ?? -1);
  }

  /** Of each host the one with the highest number. */
  latest(): KnownEvent[] {
    const latest = new Map<string, KnownEvent>();
    for (const [event] of this) {
      const { host, sequence } = event;
      if (sequence >= (latest.get(host)?.sequence ?? 0)) latest.set(host, event);
    }
    return [...latest.values()];
  }

  /** With the digest of the alert's id. */
  *[Symbol.iterator](): Generator<[KnownEvent, number], void> {
    for (let row = 0; row < this.#table.size; row++) yield [this.#table.at(row), this.#ids.at(row)];
  }
}

/** As `dead_letters` has it. */
export interface KeptLetter {
  destination: string;
  /** Of its alert: the text of the event is in it. */
  description: string;
  state: string;
}

/** Letters that have ended. All others wait for somebody or something, and their events are in flight. */
const ENDED_UNSENT: readonly string[] = ['superseded', 'discarded'];
const DELIVERED = 'delivered';

export class LetterBooks {
  readonly #byDestination = new Map<string, DestinationLetters>();
  /** Events of letters that wait, at any destination. */
  readonly inFlight = new EventSet();
  /** Letters of no known event. */
  readonly strange = new Examples();

  add({ destination, description, state }: KeptLetter): void {
    const event = knownEventIn(description);
    if (event === undefined) {
      this.strange.add(() => `at ${destination}, ${state}: ${description.slice(0, 200)}`);
      return;
    }
    const letters = this.at(destination);
    letters.all.add(event);
    if (ENDED_UNSENT.includes(state)) letters.endedUnsent.add(event);
    else if (state !== DELIVERED) {
      letters.waiting.add(event);
      this.inFlight.add(event);
    }
  }

  at(destination: string): DestinationLetters {
    let letters = this.#byDestination.get(destination);
    if (letters === undefined) {
      letters = { all: new EventSet(), waiting: new EventSet(), endedUnsent: new EventSet() };
      this.#byDestination.set(destination, letters);
    }
    return letters;
  }
}

export interface DestinationLetters {
  all: EventSet;
  waiting: EventSet;
  /** Superseded or discarded: never to be sent. */
  endedUnsent: EventSet;
}
