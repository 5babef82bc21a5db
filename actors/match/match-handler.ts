/**
 * What a match actor does with a batch of frames: read, normalise, match, decide, store the decisions, and say what
 * follows from them.
 *
 * The audit row is stored first, and the first row for an event stands: alerts are taken from the decision that stands,
 * also when an earlier attempt stored it under an older rule set. So repeating this work is harmless, and audit and
 * alerts never disagree.
 */
import type { Batch, Offence } from '../../runtime/durable/consumer.ts';
import type { Bounds, CommitPlan, Output } from '../../runtime/durable/durable-store.ts';
import { CodedError, messageOf } from '../../runtime/errors.ts';
import type { Alert, AuditRow } from '../event.ts';
import { alertLane, encodeStoredAlert } from '../forward/messages.ts';
import { decodeFrame } from '../ingest/frame.ts';
import type { Frame } from '../ingest/frame.ts';
import { OVERFLOW_LANE } from '../ingest/ingest-actor.ts';
import type { AuditStore, QuarantineStore, StandingDecision } from '../ports.ts';
import { UnmatchedAudit } from './audit-policy.ts';
import type { AuditPolicy } from './audit-policy.ts';
import { decide, decisionBasis } from './decide.ts';
import type { DecisionBasis, DecisionParts } from './decide.ts';
import { normalizeEvent } from './normalize.ts';
import { RuleSet } from './rule-set/rule-set.ts';
import type { Offender } from './rule-set/rule-set.ts';
import { worthOf } from './shedding.ts';
import type { EventTap } from './tap.ts';
import type { UnmatchedTurn, UnmatchedWatch } from './unmatched.ts';

export interface MatchOptions {
  audit: AuditStore;
  quarantine: QuarantineStore;
  /** Asked for each event. */
  auditUnmatched: () => AuditPolicy;
  /** Counts what no rule matches, and raises alerts about it. */
  unmatched: Pick<UnmatchedWatch, 'open'>;
  /** Of the lane of one destination. May change: every attempt to commit reads it, also that of a batch which waits. */
  alertBounds: Bounds;
  count: (
    what:
      | 'handled'
      | 'unmatched'
      | 'unmatchedKept'
      | 'unmatchedLeftOut'
      | 'quarantined'
      | 'alerts'
      | 'auditRows'
      | 'ruleFaults',
    n: number,
  ) => void;
  /** The part that may hang or exhaust memory is over: what follows is waiting. */
  onDecided: (partition: number) => void;
  /** Between two events of a batch that takes long: settles when whoever else waits for the thread has had it. */
  pause?: () => Promise<void>;
  /** A rule was over its budget and is suspended in the image; the event goes on to the other rules. */
  onOffender?: (offender: Offender) => void;
  /** Shown every decision while it is open. */
  tap?: Pick<EventTap, 'isOpen' | 'offer'>;
}

/** What decides, at one version: the rules as their image, and the rest of the snapshot as it is. */
export interface DecisionsInForce extends DecisionParts {
  image: SharedArrayBuffer;
  /** Names the image: with the same number it is the same one. */
  build: number;
}

/** So long a batch may keep the thread to itself, and one event more. */
const TURN_MS = 100;
const NO_TAP = { isOpen: false, offer: () => undefined };

export class MatchHandler {
  readonly #options: MatchOptions;
  readonly #tap: Pick<EventTap, 'isOpen' | 'offer'>;
  readonly #unmatchedAudit: UnmatchedAudit;
  #build: number;
  #rules: RuleSet;
  #basis: DecisionBasis;

  constructor(options: MatchOptions, inForce: DecisionsInForce) {
    this.#options = options;
    this.#tap = options.tap ?? NO_TAP;
    this.#unmatchedAudit = new UnmatchedAudit(options.auditUnmatched);
    this.#build = inForce.build;
    this.#rules = this.#view(inForce.image);
    this.#basis = basisOf(inForce, this.#rules);
  }

  /** Of all that decides. */
  get version(): number {
    return this.#basis.version;
  }

  /** Swaps all that decides between two batches; nothing of what was before is kept. */
  apply(inForce: DecisionsInForce): void {
    if (inForce.build !== this.#build) this.#rules = this.#view(inForce.image);
    this.#build = inForce.build;
    this.#basis = basisOf(inForce, this.#rules);
  }

  /** Idempotent. */
  async handle(batch: Batch): Promise<CommitPlan> {
    const { unmatched: watch, pause } = this.#options;
    const turn = watch.open(batch);
    // The whole batch is decided by what holds now, also when something else is applied in a pause.
    const inForce = { rules: this.#rules, basis: this.#basis };
    const rows: AuditRow[] = [];
    let unmatched = 0;
    let turnFromMs = performance.now();
    for (const { entry, lo, hi } of batch.pieces) {
      const frame = decodeFrame(entry.payload);
      turn.enter(entry, frame.id, lo);
      for (let index = lo; index < hi; index++) {
        if (pause !== undefined && performance.now() - turnFromMs > TURN_MS) {
          await pause();
          turnFromMs = performance.now();
        }
        const row = this.#decideOne(frame, index, turn, inForce);
        if (row === undefined) unmatched += 1;
        else rows.push(row);
      }
    }
    this.#options.onDecided(batch.partition);
    const standing = rows.length === 0 ? [] : await this.#options.audit.insert(rows);
    this.#options.count('auditRows', rows.length);
    return this.#planOf(batch.lane, standing, unmatched, await turn.alerts(inForce.basis));
  }

  /** Keeps an event that breaks its handler, with its bytes where they can be had. */
  async setAside(offence: Offence): Promise<CommitPlan> {
    const { entry, index, history } = offence;
    const last = history.latest.at(-1);
    await this.#options.quarantine.quarantine([
      {
        ...identify(entry.payload, entry.id, index),
        receivedAtMs: receiptOf(entry.payload) ?? entry.storedAtMs,
        partition: entry.partition,
        attempts: history.total,
        reason: last?.reason ?? 'E_UNKNOWN',
        history: history.latest.map(
          ({ atMs, reason, message }) => `${new Date(atMs).toISOString()} ${reason}: ${message}`,
        ),
      },
    ]);
    this.#options.count('quarantined', 1);
    return { counters: { quarantined: 1 } };
  }

  #view(image: SharedArrayBuffer): RuleSet {
    return new RuleSet(image, {
      onFault: () => this.#options.count('ruleFaults', 1),
      onOffender: (offender) => this.#options.onOffender?.(offender),
    });
  }

  /** Undefined for an unmatched event that the audit policy does not keep. */
  #decideOne(
    frame: Frame,
    index: number,
    turn: UnmatchedTurn,
    { rules, basis }: { rules: RuleSet; basis: DecisionBasis },
  ): AuditRow | undefined {
    const record = frame.records[index];
    if (record === undefined)
      throw new CodedError('E_FRAME_DAMAGED', 'the frame holds fewer records than it says');
    try {
      const id = `${frame.id}-${index}`;
      const normalized = normalizeEvent({ ...record, id, receivedAtMs: frame.receivedAtMs });
      const { event } = normalized;
      const matches = rules.match(event);
      const isKept = matches.length > 0 || this.#unmatchedAudit.keeps(event, turn.take(event, index));
      if (!isKept && !this.#tap.isOpen) return undefined;
      const row = decide(normalized, matches, basis);
      if (this.#tap.isOpen) this.#tap.offer(event, row);
      return isKept ? row : undefined;
    } catch (thrown) {
      throw new CodedError('E_EVENT_BREAKS_HANDLER', messageOf(thrown), {
        kind: 'defect',
        details: { index },
        cause: thrown,
      });
    }
  }

  #planOf(
    lane: string,
    standing: readonly StandingDecision[],
    unaudited: number,
    metaAlerts: readonly Alert[],
  ): CommitPlan {
    const outputs: Output[] = [];
    const { alertBounds: bounds } = this.#options;
    const send = (alert: Alert): void => {
      const payload = encodeStoredAlert({ alert, attempts: 0 });
      const worth = worthOf(alert, lane === OVERFLOW_LANE);
      outputs.push({ lane: alertLane(alert.destination), payload, bounds, worth });
    };
    const openGroups: { id: string; parts: number }[] = [];
    let unmatched = unaudited;
    let handled = 0;
    for (const { eventId, decision, alerts } of standing) {
      if (decision === 'Unmatched') unmatched += 1;
      else if (alerts.length === 0) handled += 1;
      else openGroups.push({ id: eventId, parts: alerts.length });
      alerts.forEach(send);
    }
    // Of no events: they open no group.
    metaAlerts.forEach(send);
    this.#options.count('unmatched', unmatched);
    this.#options.count('unmatchedKept', unmatched - unaudited);
    this.#options.count('unmatchedLeftOut', unaudited);
    this.#options.count('handled', handled + openGroups.length);
    this.#options.count('alerts', outputs.length);
    return { outputs, openGroups, counters: { unmatched, handled, alerts: outputs.length } };
  }
}

function basisOf(inForce: DecisionsInForce, rules: RuleSet): DecisionBasis {
  return decisionBasis(inForce, (id) => rules.rule(id));
}

/**
 * The event's id and bytes. When the frame itself cannot be read, every event of it is set aside under the entry's id,
 * and the first of them holds the whole frame: once is enough.
 */
function identify(payload: Buffer, entryId: string, index: number): { eventId: string; body: Buffer } {
  try {
    const frame = decodeFrame(payload);
    const record = frame.records[index];
    if (record !== undefined) return { eventId: `${frame.id}-${index}`, body: Buffer.from(record.bytes) };
  } catch {
    // A damaged frame: its bytes are all there is.
  }
  return { eventId: `entry-${entryId}-${index}`, body: index === 0 ? payload : Buffer.alloc(0) };
}

function receiptOf(payload: Buffer): number | undefined {
  try {
    return decodeFrame(payload).receivedAtMs;
  } catch {
    return undefined;
  }
}
