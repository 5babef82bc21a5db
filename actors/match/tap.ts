/**
 * Shows decisions to whoever taps, without ever holding up the work: what is over the rate is counted and left out.
 *
 * The rate of a thread is shared out equally among its taps, so that one that takes everything leaves room for one that
 * waits for a single host. Invariants: closed, it costs its caller one look at `isOpen`; open, what it keeps is bounded by
 * the rate, and the time it takes by a share of each second, whatever the filters are.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { AuditRow, NormalizedEvent } from '../event.ts';
import { canonicalHostname } from '../hostname.ts';
import { compileGlob, isGlob } from './glob.ts';
import type { OpenTap, TapFilter, Tapped, TappedEvent } from './messages.ts';

/** Of all taps of one thread together. */
export const TAP_EVENTS_PER_SECOND_MAX = 100;
/** Time spent on taps in each second; after it nothing is looked at until the next one. */
export const TAP_BUSY_MS_MAX = 100;
export const TAP_MESSAGE_CHARS_MAX = 500;
/** Without word from whoever opened them for so long, taps are closed. */
export const TAPS_EXPIRE_MS = 3_000;
const FLUSH_MS = 100;
const WINDOW_MS = 1_000;

type Test = (event: NormalizedEvent, row: AuditRow) => boolean;

interface Tap {
  id: string;
  passes: Test;
  /** In the present second. */
  taken: number;
  /** Since the last report. */
  dropped: number;
}

export interface EventTapOptions {
  clock: Clock;
  report: (tapped: Tapped) => void;
}

export class EventTap {
  readonly #clock: Clock;
  readonly #report: (tapped: Tapped) => void;
  #taps: Tap[] = [];
  #events: Tapped['events'] = [];
  #windowBeganMs = 0;
  /** In the present second. */
  #busyMs = 0;
  /** Decisions that were not looked at, since the last report. */
  #unseen = 0;
  #cancelFlush: (() => void) | undefined;
  #cancelExpiry: (() => void) | undefined;
  /** Whether anybody taps: look at it before `offer`. */
  isOpen = false;

  constructor({ clock, report }: EventTapOptions) {
    this.#clock = clock;
    this.#report = report;
  }

  /** From now on these taps are open and no others, until they are said again or expire. */
  set(taps: readonly OpenTap[]): void {
    const known = new Map(this.#taps.map((tap) => [tap.id, tap]));
    this.#taps = taps.map(
      ({ id, filter }) => known.get(id) ?? { id, passes: compileFilter(filter), taken: 0, dropped: 0 },
    );
    this.isOpen = taps.length > 0;
    this.#cancelExpiry?.();
    this.#cancelExpiry = this.isOpen
      ? this.#clock.after(TAPS_EXPIRE_MS, () => this.close(), { ref: false })
      : undefined;
  }

  /** Nothing is shown any more; what was not reported yet is forgotten. Idempotent. */
  close(): void {
    this.set([]);
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#events = [];
    this.#unseen = 0;
  }

  /** Shows a decision to the taps whose filters it passes. */
  offer(event: NormalizedEvent, row: AuditRow): void {
    const beganMs = this.#clock.monotonicMs();
    if (beganMs - this.#windowBeganMs >= WINDOW_MS) {
      this.#windowBeganMs = beganMs;
      this.#busyMs = 0;
      for (const tap of this.#taps) tap.taken = 0;
    }
    if (this.#busyMs >= TAP_BUSY_MS_MAX) {
      this.#unseen += 1;
      this.#flushLater();
      return;
    }
    const passed = this.#taps.filter((tap) => tap.passes(event, row));
    if (passed.length > 0) this.#take(passed, event, row);
    this.#busyMs += this.#clock.monotonicMs() - beganMs;
  }

  #take(passed: readonly Tap[], event: NormalizedEvent, row: AuditRow): void {
    const share = Math.max(1, Math.floor(TAP_EVENTS_PER_SECOND_MAX / this.#taps.length));
    const taking = passed.filter((tap) => {
      if (tap.taken < share) return true;
      tap.dropped += 1;
      return false;
    });
    for (const tap of taking) tap.taken += 1;
    if (taking.length > 0) this.#events.push({ taps: taking.map(({ id }) => id), event: shown(event, row) });
    this.#flushLater();
  }

  #flushLater(): void {
    this.#cancelFlush ??= this.#clock.after(FLUSH_MS, () => this.#flush(), { ref: false });
  }

  #flush(): void {
    this.#cancelFlush = undefined;
    const unseen = this.#unseen;
    const dropped = this.#taps
      .map((tap) => ({ tap: tap.id, count: tap.dropped + unseen }))
      .filter(({ count }) => count > 0);
    this.#unseen = 0;
    const events = this.#events;
    this.#events = [];
    for (const tap of this.#taps) tap.dropped = 0;
    if (events.length + dropped.length > 0) this.#report({ type: 'tapped', events, dropped });
  }
}

function compileFilter({ host, program, rule, decision }: TapFilter): Test {
  const tests: Test[] = [];
  if (decision !== undefined) tests.push((_, row) => row.decision === decision);
  if (rule !== undefined) tests.push((_, { matches }) => matches.some(({ rule_id }) => rule_id === rule));
  if (host !== undefined) {
    const isHost = compileGlob(isGlob(host) ? host.toLowerCase() : canonicalHostname(host));
    tests.push((_, { hostname }) => isHost(hostname));
  }
  if (program !== undefined) {
    const isProgram = compileGlob(program.toLowerCase());
    tests.push((event) => event.program !== undefined && isProgram(event.program.toLowerCase()));
  }
  return (event, row) => tests.every((test) => test(event, row));
}

function shown(event: NormalizedEvent, row: AuditRow): TappedEvent {
  return {
    received_at: new Date(row.receivedAtMs).toISOString(),
    hostname: row.hostname,
    program: event.program ?? null,
    severity: row.severity,
    // Cutting may leave half of a surrogate pair.
    message: event.message.slice(0, TAP_MESSAGE_CHARS_MAX).toWellFormed(),
    decision: row.decision,
    rule_id: row.ruleId,
    rule_version: row.ruleVersion,
    team: row.team,
    correlation_id: row.correlationId,
    event_id: row.eventId,
  };
}
