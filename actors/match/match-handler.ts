/**
 * What a match actor does with a batch of frames: read, normalise, match, decide, store the decisions, and say what
 * follows from them.
 *
 * The audit row is stored first, and the first row for an event stands: alerts are taken from the decision that stands,
 * also when an earlier attempt stored it under an older rule set. So repeating this work is harmless, and audit and
 * alerts never disagree.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Batch, Offence } from '../../runtime/durable/consumer.ts';
import type { Bounds, CommitPlan, Output } from '../../runtime/durable/durable-store.ts';
import { CodedError, messageOf } from '../../runtime/errors.ts';
import type { AuditRow } from '../event.ts';
import { alertLane, encodeStoredAlert } from '../forward/messages.ts';
import { decodeFrame } from '../ingest/frame.ts';
import type { Frame } from '../ingest/frame.ts';
import type { AuditStore, QuarantineStore, Snapshot, StandingDecision } from '../ports.ts';
import { UnmatchedAudit } from './audit-policy.ts';
import type { AuditPolicy } from './audit-policy.ts';
import { compileRules } from './compile-rules.ts';
import { decide, decisionBasis } from './decide.ts';
import type { DecisionBasis } from './decide.ts';
import type { Matcher } from './matcher.ts';
import { normalizeEvent } from './normalize.ts';
import type { EventTap } from './tap.ts';

export interface MatchOptions {
  audit: AuditStore;
  quarantine: QuarantineStore;
  /** Asked for each event. */
  auditUnmatched: () => AuditPolicy;
  /** Of the lane of one destination. May change: every attempt to commit reads it, also that of a batch which waits. */
  alertBounds: Bounds;
  count: (
    what: 'handled' | 'unmatched' | 'quarantined' | 'alerts' | 'auditRows' | 'ruleFaults',
    n: number,
  ) => void;
  /** The part that may hang or exhaust memory is over: what follows is waiting. */
  onDecided: () => void;
  /** Shown every decision while it is open. */
  tap?: Pick<EventTap, 'isOpen' | 'offer'>;
}

export interface AppliedSnapshot {
  version: number;
  /** Active ones that compile. */
  rules: number;
  refused: { ruleId: number; code: string; message: string }[];
}

const NO_TAP = { isOpen: false, offer: () => undefined };

export class MatchHandler {
  readonly #options: MatchOptions;
  readonly #tap: Pick<EventTap, 'isOpen' | 'offer'>;
  readonly #unmatched: UnmatchedAudit;
  #snapshot: Snapshot;
  #matcher: Matcher;
  #applied: AppliedSnapshot;
  #basis: DecisionBasis;

  constructor(options: MatchOptions, snapshot: Snapshot) {
    this.#options = options;
    this.#tap = options.tap ?? NO_TAP;
    this.#unmatched = new UnmatchedAudit(options.auditUnmatched);
    this.#snapshot = snapshot;
    ({ matcher: this.#matcher, basis: this.#basis, applied: this.#applied } = this.#compile(snapshot));
  }

  /** The rule set in force. */
  get applied(): AppliedSnapshot {
    return this.#applied;
  }

  /**
   * Swaps the rule set between two batches. A rule that does not compile is left out and named. What was compiled stays
   * when no rule has changed: a large rule set takes seconds.
   */
  apply(snapshot: Snapshot): AppliedSnapshot {
    const { rules } = this.#snapshot;
    this.#snapshot = snapshot;
    if (isDeepStrictEqual(rules, snapshot.rules)) {
      this.#basis = decisionBasis(snapshot);
      this.#applied = { ...this.#applied, version: snapshot.version };
      return this.#applied;
    }
    ({ matcher: this.#matcher, basis: this.#basis, applied: this.#applied } = this.#compile(snapshot));
    return this.#applied;
  }

  /** Idempotent. */
  async handle(batch: Batch): Promise<CommitPlan> {
    const rows: AuditRow[] = [];
    let unmatched = 0;
    for (const { entry, lo, hi } of batch.pieces) {
      const frame = decodeFrame(entry.payload);
      for (let index = lo; index < hi; index++) {
        const row = this.#decideOne(frame, index);
        if (row === undefined) unmatched += 1;
        else rows.push(row);
      }
    }
    this.#options.onDecided();
    const standing = rows.length === 0 ? [] : await this.#options.audit.insert(rows);
    this.#options.count('auditRows', rows.length);
    return this.#planOf(standing, unmatched);
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

  #compile(snapshot: Snapshot): { matcher: Matcher; basis: DecisionBasis; applied: AppliedSnapshot } {
    const { version, rules } = snapshot;
    const onFault = (): void => this.#options.count('ruleFaults', 1);
    const { matcher, refused } = compileRules(rules, version, onFault);
    const applied = {
      version,
      rules: rules.filter((rule) => rule.is_active).length - refused.length,
      refused: refused.map(({ ruleId, error }) => ({ ruleId, code: error.code, message: error.message })),
    };
    return { matcher, basis: decisionBasis(snapshot), applied };
  }

  /** Undefined for an unmatched event that the audit policy does not keep. */
  #decideOne(frame: Frame, index: number): AuditRow | undefined {
    const record = frame.records[index];
    if (record === undefined)
      throw new CodedError('E_FRAME_DAMAGED', 'the frame holds fewer records than it says');
    try {
      const id = `${frame.id}-${index}`;
      const normalized = normalizeEvent({ ...record, id, receivedAtMs: frame.receivedAtMs });
      const { event } = normalized;
      const matches = this.#matcher.match(event);
      const isKept = matches.length > 0 || this.#unmatched.keeps(event);
      if (!isKept && !this.#tap.isOpen) return undefined;
      const row = decide(normalized, matches, this.#basis);
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

  #planOf(standing: readonly StandingDecision[], unaudited: number): CommitPlan {
    const outputs: Output[] = [];
    const { alertBounds: bounds } = this.#options;
    const openGroups: { id: string; parts: number }[] = [];
    let unmatched = unaudited;
    let handled = 0;
    for (const { eventId, decision, alerts } of standing) {
      if (decision === 'Unmatched') unmatched += 1;
      else if (alerts.length === 0) handled += 1;
      else openGroups.push({ id: eventId, parts: alerts.length });
      for (const alert of alerts) {
        outputs.push({
          lane: alertLane(alert.destination),
          payload: encodeStoredAlert({ alert, attempts: 0 }),
          bounds,
        });
      }
    }
    this.#options.count('unmatched', unmatched);
    this.#options.count('handled', handled + openGroups.length);
    this.#options.count('alerts', outputs.length);
    return { outputs, openGroups, counters: { unmatched, handled, alerts: outputs.length } };
  }
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
