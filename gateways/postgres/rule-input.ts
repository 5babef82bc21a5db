/**
 * A rule as people write it, and as the statements take it. Fills defaults and refuses what the database could not
 * name as clearly; every other demand is a constraint of the table, so that there is one place that says what a rule is.
 */
import type { Handling } from '../../actors/event.ts';
import { RULE_DEFAULTS } from '../../actors/ports.ts';
import type { RuleRow } from '../../actors/ports.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { storableText } from './storable-text.ts';

/** A rule to apply. Found by `id`, else by `name`, else created. What is left out has its default: this is the whole rule. */
export type RuleInput = Partial<Omit<RuleRow, 'version' | 'suspended'>> & {
  name?: string | null;
  prod_handling: Handling;
  dev_handling: Handling;
  team_assignment: string;
  /** The version the writer saw; another one stored means that somebody was faster. */
  expected_version?: number;
};

const TEXT_FIELDS = [
  ...([
    'name',
    'match_string',
    'match_type',
    'trap_oid',
    'severity_op',
    'host',
    'program',
    'network',
  ] as const),
  ...(['prod_handling', 'dev_handling', 'team_assignment', 'signature'] as const),
];
/** $3 to $23 of the statements. */
const VALUES = [
  ...([
    'match_string',
    'match_type',
    'case_sensitive',
    'trap_oid',
    'syslog_severity',
    'severity_op',
  ] as const),
  ...(['host', 'program', 'facility', 'network', 'priority', 'continue'] as const),
  ...(['prod_handling', 'dev_handling', 'team_assignment', 'severity', 'signature', 'clears'] as const),
  ...(['active_from', 'active_until', 'is_active'] as const),
];
/** Far above what a rule needs (actors/match/rule.ts); what is kept out is what no index and no page could hold. */
const TEXT_CHARS_MAX = 4_096;
const TESTS_CHARS_MAX = 1_000_000;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** The values $2 to $24 of insert_rule and update_rule. Errors: E_RULE_INVALID. */
export function ruleValues(rule: RuleInput, index: number): unknown[] {
  for (const field of ['active_from', 'active_until'] as const) {
    const time = rule[field] ?? null;
    if (time !== null && !RFC_3339.test(time)) {
      throw invalidRule(rule, index, `${field} is not a time in RFC 3339 with its offset`, { field });
    }
  }
  for (const field of TEXT_FIELDS) {
    const text: unknown = rule[field] ?? null;
    if (text !== null && !(typeof text === 'string' && isStorable(text))) {
      throw invalidRule(
        rule,
        index,
        `${field} is no text of up to ${TEXT_CHARS_MAX} characters that can be stored`,
        { field },
      );
    }
  }
  const tests = JSON.stringify(rule.tests ?? []);
  if (tests.length > TESTS_CHARS_MAX) {
    throw invalidRule(rule, index, `tests has more than ${TESTS_CHARS_MAX} characters`, { field: 'tests' });
  }
  return [rule.name ?? null, ...VALUES.map((field) => rule[field] ?? RULE_DEFAULTS[field] ?? null), tests];
}

function isStorable(text: string): boolean {
  return text.length <= TEXT_CHARS_MAX && storableText(text) === text;
}

/** What the database refused, with the rule it is about; anything else passes unchanged. */
export function refusedRule(error: unknown, rule: RuleInput, index: number): unknown {
  if (!(error instanceof CodedError) || codeOf(error) !== 'E_ROW_INVALID') return error;
  const { constraint, column } = error.details;
  const why =
    typeof constraint === 'string' ? constraint : typeof column === 'string' ? `${column} is missing` : '';
  return invalidRule(rule, index, why === '' ? error.message : why, error.details);
}

export function invalidRule(
  rule: RuleInput,
  index: number,
  why: string,
  details: Record<string, unknown> = {},
): CodedError {
  const name = rule.name ?? (rule.id === undefined ? '' : String(rule.id));
  return new CodedError('E_RULE_INVALID', `rule ${index + 1}${name === '' ? '' : ` (${name})`}: ${why}`, {
    mend: 'Correct this rule and apply again; nothing was changed.',
    details: { ...details, index, name },
  });
}
