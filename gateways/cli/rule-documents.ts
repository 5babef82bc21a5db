/**
 * The documents of rules as software, as far as the commands use them. As admin-documents.ts, of which this is a part;
 * a spec compares them with what the API says of itself.
 */

/** Of a rule of a file that is new, `rule_id` is null and `candidate` its place in the file. */
export interface RuleReference {
  rule_id: number | null;
  rule_version?: number | null;
  name: string | null;
  candidate?: number | null;
}

export interface CriterionOutcome {
  field: string;
  /** `held`, `not_held` or `absent`. */
  outcome: string;
  wanted: string;
  found?: string | null;
  near?: string | null;
}

export interface ExplainedRule extends RuleReference {
  /** `matched`, `not_reached`, `criteria`, `inactive`, `suspended` or `not_compiled`. */
  why: string;
  criteria: CriterionOutcome[];
}

export interface TestedMatch extends RuleReference {
  handling: string;
  alerts: { destination: string; signature: string; severity?: number | null; status: string }[];
}

export interface TestedEvent {
  event_id?: string | null;
  error?: { code: string; message: string } | null;
  event: { hostname: string; message: string; received_at: string } | null;
  environment: string | null;
  team: string | null;
  decision: string | null;
  matches: TestedMatch[];
  explained: ExplainedRule[];
}

export interface RuleTestReply {
  rule_set: { rules: number };
  items: TestedEvent[];
}

export const DIFFERENCES = ['gained', 'lost', 'changed'] as const;
export type Difference = (typeof DIFFERENCES)[number];

export interface BacktestSide {
  decision: string;
  rules: RuleReference[];
  alerts: number;
}
export interface BacktestSample {
  event_id: string;
  received_at: string;
  hostname: string;
  message: string;
  before: BacktestSide;
  after: BacktestSide;
}
export interface BacktestedRule extends RuleReference, Record<Difference, number> {
  before: number;
  after: number;
}

export interface BacktestReply {
  rule_set: { rules: number; added: number; changed: number; removed: number };
  window: {
    from: string;
    to: string;
    oldest_received_at: string | null;
    newest_received_at: string | null;
    /** `window`, `events_max` or `time_limit`. */
    ended_by: string;
  };
  events: {
    looked_at: number;
    unreadable: number;
    decided_otherwise_when_stored: number;
    stored_unmatched: number;
  };
  caveat: string | null;
  counts: Record<Difference | 'unchanged', number>;
  alerts: {
    before: number;
    after: number;
    destinations: { destination: string; before: number; after: number }[];
  };
  rules: BacktestedRule[];
  rules_different: number;
  samples: Record<Difference, BacktestSample[]>;
}

export interface CoveredRule {
  rule_id: number;
  rule_version: number;
  name: string | null;
}
export interface CoverageFinding extends CoveredRule {
  /** `never_fired`, `shadowed` or `overlapping`. */
  kind: string;
  other: CoveredRule | null;
  events: number | null;
}
export interface Coverage {
  items: CoverageFinding[];
  next: string | null;
  rules: number;
  totals: { never_fired: number; shadowed: number; overlapping: number };
  all_pairs_compared: boolean;
  sample: { events: number; oldest_received_at: string | null };
}

export interface RuleVersion {
  version: number;
  changed_at: string;
  changed_by: string;
  operation: string;
  reason: string | null;
  audit_id: number;
  /** As it then was; null when it was removed. */
  rule: Record<string, unknown> | null;
}

/** `#7 link-down`; of a new rule its place in the file. Not made harmless. */
export function ruleText({ rule_id: id, name, candidate }: RuleReference): string {
  const number = id === null ? `rules[${candidate ?? '?'}]` : `#${id}`;
  return name === null ? number : `${number} ${name}`;
}
