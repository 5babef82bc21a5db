/**
 * Compares what two sets of rules decide about the same events, and keeps the sums and a few examples. Bounded: by the
 * number of rules and of examples, not of events.
 */
import type { Alert, AuditRow, Handling } from '../event.ts';
import type { NormalizedRecord } from './normalize.ts';
import type { RuleReference, RuleTrial } from './rule-trial.ts';

export const DIFFERENCES = ['gained', 'lost', 'changed'] as const;
/** `gained`: a rule matches where none did; `lost`: none where one did; `changed`: otherwise decided, or other alerts. */
export type Difference = (typeof DIFFERENCES)[number];

/** What was decided when the event came. */
export interface StoredDecision {
  decision: Handling | 'Unmatched';
  ruleId: number | null;
}

export interface BacktestSide {
  decision: Handling | 'Unmatched';
  rules: (RuleReference & { handling: Handling })[];
  alerts: number;
}

export interface BacktestExample {
  event_id: string;
  received_at: string;
  hostname: string;
  message: string;
  before: BacktestSide;
  after: BacktestSide;
}

export interface RuleDifference {
  /** Events that it matches. */
  before: number;
  after: number;
  /** Events that it matches now and did not, the other way round, and with another handling. */
  gained: number;
  lost: number;
  changed: number;
}

const MESSAGE_CHARS_MAX = 500;

export class Backtest {
  readonly counts = { gained: 0, lost: 0, changed: 0, unchanged: 0 };
  readonly alerts = { before: 0, after: 0 };
  /** By destination. */
  readonly destinations = new Map<string, { before: number; after: number }>();
  readonly samples: Record<Difference, BacktestExample[]> = { gained: [], lost: [], changed: [] };
  decidedOtherwiseWhenStored = 0;
  storedUnmatched = 0;
  readonly #rules = new Map<number, RuleDifference>();
  readonly #before: RuleTrial;
  readonly #after: RuleTrial;
  readonly #samplesMax: number;

  constructor(before: RuleTrial, after: RuleTrial, samplesMax: number) {
    this.#before = before;
    this.#after = after;
    this.#samplesMax = samplesMax;
  }

  /** Takes one event into account. Errors: none but defects. */
  look(record: NormalizedRecord, stored: StoredDecision): void {
    const { event } = record;
    const before = this.#before.match(event);
    const after = this.#after.match(event);
    if (stored.decision === 'Unmatched') this.storedUnmatched += 1;
    if (before.length === 0 && after.length === 0) {
      if (stored.decision !== 'Unmatched') this.decidedOtherwiseWhenStored += 1;
      this.counts.unchanged += 1;
      return;
    }
    const rows: [AuditRow, AuditRow] = [
      this.#before.decide(record, before),
      this.#after.decide(record, after),
    ];
    const [was, is] = rows;
    if (was.decision !== stored.decision || was.ruleId !== stored.ruleId)
      this.decidedOtherwiseWhenStored += 1;
    this.#countAlerts(was.alerts, 'before');
    this.#countAlerts(is.alerts, 'after');
    this.#countRules(was, is);
    const difference = differenceOf(was, is);
    this.counts[difference ?? 'unchanged'] += 1;
    if (difference === undefined || this.samples[difference].length >= this.#samplesMax) return;
    this.samples[difference].push({
      event_id: event.id,
      received_at: new Date(event.receivedAtMs).toISOString(),
      hostname: event.hostname,
      message: event.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed(),
      before: sideOf(was, this.#before),
      after: sideOf(is, this.#after),
    });
  }

  /** Rules that match other events than before, or with another handling; the most different first. */
  differentRules(): (RuleReference & RuleDifference)[] {
    const weight = ({ gained, lost, changed }: RuleDifference): number => gained + lost + changed;
    return [...this.#rules]
      .filter(([, difference]) => weight(difference) > 0)
      .sort(([idA, a], [idB, b]) => weight(b) - weight(a) || idA - idB)
      .map(([id, difference]) => {
        const after = this.#after.rules.references.get(id);
        return { ...(after ?? this.#before.reference(id)), ...difference };
      });
  }

  #countAlerts(alerts: readonly Alert[], side: 'before' | 'after'): void {
    this.alerts[side] += alerts.length;
    for (const { destination } of alerts) {
      let counts = this.destinations.get(destination);
      if (counts === undefined) this.destinations.set(destination, (counts = { before: 0, after: 0 }));
      counts[side] += 1;
    }
  }

  #countRules(was: AuditRow, is: AuditRow): void {
    const after = new Map(is.matches.map(({ rule_id, handling }) => [rule_id, handling]));
    for (const { rule_id, handling } of was.matches) {
      const counts = this.#ruleCounts(rule_id);
      const handlingNow = after.get(rule_id);
      counts.before += 1;
      after.delete(rule_id);
      if (handlingNow === undefined) counts.lost += 1;
      else {
        counts.after += 1;
        if (handlingNow !== handling) counts.changed += 1;
      }
    }
    for (const id of after.keys()) {
      const counts = this.#ruleCounts(id);
      counts.after += 1;
      counts.gained += 1;
    }
  }

  #ruleCounts(id: number): RuleDifference {
    let counts = this.#rules.get(id);
    if (counts === undefined) {
      counts = { before: 0, after: 0, gained: 0, lost: 0, changed: 0 };
      this.#rules.set(id, counts);
    }
    return counts;
  }
}

function differenceOf(was: AuditRow, is: AuditRow): Difference | undefined {
  if (was.ruleId === null) return 'gained';
  if (is.ruleId === null) return 'lost';
  const same = was.decision === is.decision && was.team === is.team && fingerprint(was) === fingerprint(is);
  return same ? undefined : 'changed';
}

/** What of a decision people would notice: which rules with which handling, and the alerts but for their versions. */
function fingerprint({ matches, alerts }: AuditRow): string {
  return JSON.stringify([
    matches.map(({ rule_id, handling }) => [rule_id, handling]),
    alerts.map(({ destination, signature, severity, status, team }) => [
      destination,
      signature,
      severity,
      status,
      team,
    ]),
  ]);
}

function sideOf({ decision, matches, alerts }: AuditRow, trial: RuleTrial): BacktestSide {
  const rules = matches.map(({ rule_id, handling }) => ({ ...trial.reference(rule_id), handling }));
  return { decision, rules, alerts: alerts.length };
}
