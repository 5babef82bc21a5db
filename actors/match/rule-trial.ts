/**
 * A changed set of rules that is tried and never in force: which rules it is made of, and what it decides.
 *
 * A rule is told from those in force as it is when a document is applied: by its id, else by its name; what is none of
 * them is new. Pure but for the compiled set, which counts.
 */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../../runtime/errors.ts';
import type { AuditRow, NormalizedEvent } from '../event.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import { RULE_DEFAULTS } from '../ports.ts';
import type { RuleRow } from '../ports.ts';
import type { NamedRule } from './configuration.ts';
import { decide, decisionBasis } from './decide.ts';
import type { DecisionBasis, DecisionParts } from './decide.ts';
import { explainRule, nearestRules } from './explain.ts';
import type { RuleExplanation } from './explain.ts';
import type { NormalizedRecord } from './normalize.ts';
import { buildRuleSet, RuleSet } from './rule-set/rule-set.ts';

export type NamedRow = RuleRow & { name: string | null };

/** As judged (configuration.ts). */
export interface CandidateChange {
  base: 'in_force' | 'none';
  rules: readonly NamedRule[];
  remove: readonly number[];
}

/** How a rule of a trial is called in an answer. */
export interface RuleReference {
  /** Null for a new rule, whose id is given when it is saved. */
  rule_id: number | null;
  rule_version: number | null;
  name: string | null;
  /** Its place among the candidates; null for a rule in force. */
  candidate: number | null;
}

export interface TrialRules {
  rows: NamedRow[];
  /** By the id that the row has here. */
  references: ReadonlyMap<number, RuleReference>;
  added: number;
  changed: number;
  removed: number;
}

export const NO_CHANGE: CandidateChange = { base: 'in_force', rules: [], remove: [] };

/** @throws CodedError E_CONFIG_INVALID (permanent) with `details.faults`. */
export function trialRules(inForce: readonly NamedRow[], change: CandidateChange): TrialRules {
  const find = finder(inForce);
  const faults = linkFaults(inForce, change, find);
  if (faults.length > 0) {
    const lines = faults.map(({ field, why, mend }) => `${field} ${why}. ${mend}`);
    throw new CodedError('E_CONFIG_INVALID', lines.join('\n'), { details: { faults } });
  }
  const removed = new Set(change.remove);
  const base = change.base === 'none' ? [] : inForce.filter(({ id }) => !removed.has(id));
  const rows = new Map(base.map((row) => [row.id, row]));
  const references = new Map(base.map((row) => [row.id, inForceReference(row)]));
  const ids = [...inForce, ...change.rules].map(({ id }) => id ?? 0);
  let nextId = ids.reduce((highest, id) => Math.max(highest, id), 0) + 1;
  let added = 0;
  let changed = 0;
  for (const [candidate, rule] of change.rules.entries()) {
    const known = find(rule);
    const current = known === undefined ? undefined : rows.get(known.id);
    const id = known?.id ?? rule.id ?? nextId++;
    const isSame = current !== undefined && isSameRule(current, rule);
    const version = current === undefined ? 1 : isSame ? current.version : current.version + 1;
    if (current === undefined) added += 1;
    else if (!isSame) changed += 1;
    const isKnown = known !== undefined || rule.id !== undefined;
    rows.set(id, { ...rule, id, version });
    references.set(id, {
      rule_id: isKnown ? id : null,
      rule_version: isKnown ? version : null,
      name: rule.name,
      candidate,
    });
  }
  return { rows: [...rows.values()], references, added, changed, removed: removed.size };
}

/** Decides as the set would if it were in force. */
export class RuleTrial {
  readonly rules: TrialRules;
  /** How many of them take part. */
  readonly active: number;
  readonly #set: RuleSet;
  readonly #rows: readonly NamedRow[];
  readonly #basis: DecisionBasis;

  /** @throws CodedError E_RULE_SET_TOO_LARGE. */
  constructor(rules: TrialRules, parts: DecisionParts) {
    this.rules = rules;
    this.#rows = rules.rows.map(asInForce);
    const built = buildRuleSet(this.#rows, parts.version);
    this.active = built.rules;
    this.#set = new RuleSet(built.image);
    const byId = new Map(rules.rows.map((row) => [row.id, row]));
    this.#basis = decisionBasis(parts, (id) => byId.get(id));
  }

  match(event: NormalizedEvent): RuleRow[] {
    return this.#set.match(event);
  }

  decide(record: NormalizedRecord, matches: readonly RuleRow[]): AuditRow {
    return decide(record, matches, this.#basis);
  }

  reference(id: number): RuleReference {
    return this.rules.references.get(id) ?? { rule_id: id, rule_version: null, name: null, candidate: null };
  }

  /** Undefined when there is no such rule in the trial. */
  explain(id: number, event: NormalizedEvent): RuleExplanation | undefined {
    const row = this.rules.rows.find((each) => each.id === id);
    return row === undefined ? undefined : explainRule(row, event);
  }

  nearest(event: NormalizedEvent, limit: number): RuleExplanation[] {
    return nearestRules(this.#rows, event, limit);
  }
}

/** Whether the node has taken the rule out of use for the time it takes. */
export function isSuspended(row: RuleRow): boolean {
  return (row.suspended ?? null) !== null;
}

/** A suspended rule matches nothing; saving it again lifts that, as a candidate does. */
function asInForce(row: NamedRow): NamedRow {
  return isSuspended(row) ? { ...row, is_active: false } : row;
}

function inForceReference({ id, version, name }: NamedRow): RuleReference {
  return { rule_id: id, rule_version: version, name, candidate: null };
}

type FindRule = (rule: NamedRule) => NamedRow | undefined;

/** Finds the rule in force that a given one is about. */
function finder(inForce: readonly NamedRow[]): FindRule {
  const byId = new Map(inForce.map((row) => [row.id, row]));
  const byName = new Map(inForce.map((row) => [row.name, row]));
  return ({ id, name }) => {
    if (id !== undefined) return byId.get(id);
    return name === null ? undefined : byName.get(name);
  };
}

const TIMES: readonly string[] = ['active_from', 'active_until'];

function isSameRule(row: NamedRow, rule: NamedRule): boolean {
  const fields = Object.keys(RULE_DEFAULTS) as (keyof typeof RULE_DEFAULTS)[];
  return (
    row.name === rule.name &&
    fields.every((field) => {
      const [stored, given] = [row[field], rule[field]];
      const isTimes = TIMES.includes(field) && typeof stored === 'string' && typeof given === 'string';
      return isTimes ? parseTimestamp(stored) === parseTimestamp(given) : isDeepStrictEqual(stored, given);
    })
  );
}

interface LinkFault {
  field: string;
  value: string;
  why: string;
  mend: string;
}

/** What only shows beside the rules in force. */
function linkFaults(
  inForce: readonly NamedRow[],
  { base, rules, remove }: CandidateChange,
  find: FindRule,
): LinkFault[] {
  const faults: LinkFault[] = [];
  const ids = new Set(inForce.map(({ id }) => id));
  for (const [at, id] of remove.entries()) {
    const field = `remove[${at}]`;
    const value = String(id);
    if (base === 'none') {
      const mend = 'Leave remove out, or leave base out.';
      faults.push({ field, value, why: 'removes from a set that is only what is given', mend });
    } else if (!ids.has(id)) {
      const mend = 'Give the id of a rule; `mutt rules list` shows them.';
      faults.push({ field, value, why: 'is the id of no rule', mend });
    }
  }
  const seen = new Map<number, number>();
  for (const [at, rule] of rules.entries()) {
    const known = find(rule);
    if (known === undefined) continue;
    const earlier = seen.get(known.id);
    if (earlier === undefined) seen.set(known.id, at);
    else {
      const why = `is rule ${known.id}, as rules[${earlier}] is`;
      faults.push({ field: `rules[${at}]`, value: String(known.id), why, mend: 'Give each rule once.' });
    }
  }
  return faults;
}
