/**
 * What operators are told about destinations: a line in the log at a change of state, and the list of those that are
 * not well.
 *
 * Looked at regularly and not told from within: the first change is told at the next look, further ones of the same
 * destination at most every `TELL_EVERY_MS`, and the last one always. Never says what a destination answered, which may
 * echo what it was sent; only its status, or the error of the connection.
 */
import type { LogLevel } from '../../runtime/actor.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { PaceAnswer } from '../../runtime/durable/pace.ts';
import type { DeliveryFailure, DeliveryOutcome } from '../ports.ts';
import { isOfThisNode, lastFailure, openTrouble, readWhy } from './lane-trouble.ts';
import type { Failure, LaneTrouble, LastFailure } from './lane-trouble.ts';
import type { BreakerState } from './lane.ts';

export interface LaneReport extends LastFailure {
  name: string;
  state: LaneTrouble;
  /** RFC 3339. */
  since: string;
}

export interface LaneWatchOptions {
  clock: Clock;
  log: (level: LogLevel, text: string, fields: Record<string, unknown>) => void;
  /** All that are not well, whenever that has changed. */
  onChange: (reports: readonly LaneReport[]) => void;
}

interface Watched {
  report: LaneReport | undefined;
  /** What the log says. */
  told: LaneTrouble | undefined;
  toldAtMs: number;
  dead: number;
  /** Of the last dead letter. */
  lastDead: { reason: DeliveryFailure; last_error: string } | undefined;
  deadToldAtMs: number;
}

/** Failures in a row that are told. */
const FAILURES_TO_TELL = 3;
const TELL_EVERY_MS = 30_000;

export class LaneWatch {
  readonly #options: LaneWatchOptions;
  readonly #lanes = new Map<string, Watched>();
  #isChanged = true;

  constructor(options: LaneWatchOptions) {
    this.#options = options;
  }

  /** A delivery has settled; `lane` is how it left the lane. */
  note(name: string, outcome: DeliveryOutcome, lane: { breaker: BreakerState; failuresInRow: number }): void {
    if (outcome.kind === 'superseded') return;
    if (outcome.kind === 'refused') {
      this.noteDead(name, outcome.reason, lastFailure(outcome).last_error);
      // Nothing was sent.
      if (outcome.reason === 'template') return;
    }
    if (outcome.kind === 'delivered' || outcome.kind === 'refused') {
      this.#clear(name);
      return;
    }
    const state = troubleOf(outcome, lane);
    if (state === undefined) return;
    const { report } = this.#watched(name);
    const last = lastFailure(outcome);
    if (report?.state === state && report.last_error === last.last_error) return;
    const sinceMs = this.#options.clock.wallMs();
    this.#put(name, { state, ...last, since: report?.state === state ? report.since : rfc3339(sinceMs) });
  }

  /** What all who send to it know, whoever has found it out. */
  noteShared(name: string, { isOpen, failures, openSinceMs, why }: PaceAnswer): void {
    // A trouble of this node is no affair of others, and their success does not end it.
    if (this.#lanes.get(name)?.report?.state === 'secret_unreadable') return;
    if (failures === 0) this.#clear(name);
    const last = isOpen ? readWhy(why) : undefined;
    if (last === undefined) return;
    const report = { name, state: openTrouble(last), ...last, since: rfc3339(openSinceMs) };
    const { report: known } = this.#watched(name);
    const isKnown = (Object.keys(report) as (keyof LaneReport)[]).every(
      (key) => known?.[key] === report[key],
    );
    if (!isKnown) this.#put(name, report);
  }

  #clear(name: string): void {
    const watched = this.#lanes.get(name);
    if (watched?.report === undefined) return;
    watched.report = undefined;
    this.#isChanged = true;
  }

  #put(name: string, report: Omit<LaneReport, 'name'>): void {
    this.#watched(name).report = { name, ...report };
    this.#isChanged = true;
  }

  /** An alert became a dead letter. */
  noteDead(name: string, reason: DeliveryFailure, error: string): void {
    const watched = this.#watched(name);
    watched.dead += 1;
    watched.lastDead = { reason, last_error: error };
  }

  /** Tells what there is to tell. To be called several times a minute, with the destinations that there are. */
  look(destinations: { has: (name: string) => boolean }): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [name, watched] of this.#lanes) {
      if (!destinations.has(name)) {
        this.#lanes.delete(name);
        this.#isChanged = true;
        continue;
      }
      this.#tellState(name, watched, nowMs);
      this.#tellDead(name, watched, nowMs);
    }
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#options.onChange([...this.#lanes.values()].flatMap(({ report }) => report ?? []));
  }

  #tellState(name: string, watched: Watched, nowMs: number): void {
    const { report, told } = watched;
    if (report?.state === told || nowMs - watched.toldAtMs < TELL_EVERY_MS) return;
    watched.told = report?.state;
    watched.toldAtMs = nowMs;
    const { log } = this.#options;
    if (report === undefined) {
      log('info', 'destination takes alerts again', { destination: name, was: told });
      return;
    }
    const { state, reason, last_error, since } = report;
    log('warn', `destination is ${state.replace('_', ' ')}`, {
      destination: name,
      state,
      reason,
      last_error,
      since,
    });
  }

  #tellDead(name: string, watched: Watched, nowMs: number): void {
    if (watched.dead === 0 || nowMs - watched.deadToldAtMs < TELL_EVERY_MS) return;
    const { dead: count, lastDead } = watched;
    this.#options.log('warn', 'alerts became dead letters', { destination: name, count, ...lastDead });
    watched.dead = 0;
    watched.deadToldAtMs = nowMs;
  }

  #watched(name: string): Watched {
    let watched = this.#lanes.get(name);
    if (watched === undefined) {
      watched = {
        report: undefined,
        told: undefined,
        toldAtMs: -Infinity,
        dead: 0,
        lastDead: undefined,
        deadToldAtMs: -Infinity,
      };
      this.#lanes.set(name, watched);
    }
    return watched;
  }
}

function troubleOf(
  outcome: Exclude<Failure, { kind: 'refused' }>,
  { breaker, failuresInRow }: { breaker: BreakerState; failuresInRow: number },
): LaneTrouble | undefined {
  if (isOfThisNode(outcome)) return 'secret_unreadable';
  if (breaker !== 'closed') return outcome.kind === 'unauthorized' ? 'unauthorized' : 'down';
  return failuresInRow >= FAILURES_TO_TELL ? 'failing' : undefined;
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
