/**
 * A configuration document as an operator applies it: rules, development hosts, teams, destinations. Checked whole,
 * with every fault named by its place in the document, before anything is applied.
 */
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { canonicalHostname } from '../hostname.ts';
import type { Destination } from '../ports.ts';
import { parseDestination } from './destination-document.ts';
import { asObject, join, list, shown, text, unknownField } from './document-fields.ts';
import type { Fault } from './document-fields.ts';
import { parseRule } from './rule.ts';
import type { RuleFault, RuleInput } from './rule.ts';

export type NamedRule = RuleInput & {
  name: string | null;
  /** The version its writer saw. */
  expected_version?: number;
};

export interface ConfigurationDocument {
  rules: NamedRule[];
  development_hosts: string[];
  teams: Record<string, string>;
  destinations: Destination[];
  reason: string | null;
}

const SECTIONS = ['rules', 'development_hosts', 'teams', 'destinations', 'reason'] as const;
export const RULES_MAX = 50_000;
const INT4_MAX = 2_147_483_647;
export const DESTINATIONS_MAX = 64;
export const HOST_CHARS_MAX = 255;
export const REASON_CHARS_MAX = 1_000;

/** The rules that rules of the document clear and that are not in it: ids for `parseConfiguration` to be asked about. */
export function clearedElsewhere(input: unknown): number[] {
  const rules = asObject(input)?.rules;
  const fields = (Array.isArray(rules) ? (rules as unknown[]) : []).map((rule) => asObject(rule) ?? {});
  const own = new Set(fields.map(({ id }) => id));
  const cleared = new Set(fields.map(({ clears }) => clears).filter((id) => !own.has(id)));
  return [...cleared].filter((id): id is number => Number.isInteger(id) && (id as number) <= INT4_MAX);
}

/**
 * Everything that is wrong, at once. `missing`: of the ids of `clearedElsewhere`, those of no stored rule.
 * @throws CodedError E_CONFIG_INVALID with `details.faults`: field, value, why, mend.
 */
export function parseConfiguration(
  input: unknown,
  missing: ReadonlySet<number> = new Set(),
): ConfigurationDocument {
  const faults: Fault[] = [];
  const document = asObject(input);
  if (document === undefined) {
    throw invalid([{ field: '', why: 'is not an object', mend: 'Send {"rules": [...]}.' }]);
  }
  for (const key of Object.keys(document)) unknownField('', key, SECTIONS, faults);
  const configuration: ConfigurationDocument = {
    rules: list(document.rules, 'rules', RULES_MAX, faults).flatMap((rule, at) =>
      parseNamedRule(rule, at, faults),
    ),
    development_hosts: list(document.development_hosts, 'development_hosts', RULES_MAX, faults).flatMap(
      (host, at) => text(host, `development_hosts[${at}]`, HOST_CHARS_MAX, faults).map(canonicalHostname),
    ),
    teams: parseTeams(document.teams, faults),
    destinations: list(document.destinations, 'destinations', DESTINATIONS_MAX, faults).flatMap(
      (destination, at) => parseDestination(destination, `destinations[${at}]`, faults),
    ),
    reason: parseReason(document.reason, faults),
  };
  repeated(configuration.destinations, 'destinations', faults);
  faults.push(...ruleLinkFaults(document.rules, missing));
  if (faults.length > 0) throw invalid(faults);
  return configuration;
}

/** Names tell destinations apart everywhere: in lanes, ids of alerts and metrics. */
function repeated(named: readonly { name: string }[], field: string, faults: Fault[]): void {
  const seen = new Set<string>();
  for (const { name } of named) {
    if (seen.has(name))
      faults.push({ field, value: shown(name), why: 'has two of this name', mend: 'Rename one.' });
    seen.add(name);
  }
}

/** What is wrong between rules: two of one name or id, and what is cleared and is nowhere. Judged also of faulty ones. */
function ruleLinkFaults(rules: unknown, missing: ReadonlySet<number>): Fault[] {
  const faults: Fault[] = [];
  const seen = new Map<string, number>();
  for (const [at, rule] of (Array.isArray(rules) ? (rules as unknown[]) : []).entries()) {
    const fields = asObject(rule);
    if (fields === undefined) continue;
    for (const key of ['name', 'id'] as const) {
      const value = fields[key];
      if (value === undefined || value === null) continue;
      const earlier = seen.get(`${key} ${shown(value)}`);
      if (earlier === undefined) seen.set(`${key} ${shown(value)}`, at);
      else {
        const why = `is the ${key} of rules[${earlier}] too`;
        faults.push({
          field: `rules[${at}].${key}`,
          value: shown(value),
          why,
          mend: `Each ${key} is of one rule.`,
        });
      }
    }
    const { clears } = fields;
    if (typeof clears !== 'number' || !missing.has(clears)) continue;
    const mend = 'Give the id of a rule; `mutt rules list` shows them.';
    faults.push({ field: `rules[${at}].clears`, value: shown(clears), why: 'is the id of no rule', mend });
  }
  return faults;
}

function parseNamedRule(input: unknown, at: number, faults: Fault[]): NamedRule[] {
  const prefix = `rules[${at}]`;
  // What is only shown may come back with what is written.
  const { name, expected_version: expected, suspended: _, ...rule } = asObject(input) ?? { name: undefined };
  if (name !== undefined && name !== null && text(name, `${prefix}.name`, 100, faults).length === 0)
    return [];
  if (expected !== undefined && !(Number.isSafeInteger(expected) && (expected as number) > 0)) {
    const mend = 'Give the version of the rule as it was read, or leave it out.';
    faults.push({
      field: `${prefix}.expected_version`,
      value: shown(expected),
      why: 'is no version of a rule',
      mend,
    });
    return [];
  }
  try {
    const parsed = parseRule(asObject(input) === undefined ? input : rule);
    const seen = expected === undefined ? {} : { expected_version: expected as number };
    return [{ ...parsed, name: (name as string) ?? null, ...seen }];
  } catch (thrown) {
    if (codeOf(thrown) !== 'E_RULE_INVALID') throw thrown;
    const found = (thrown as CodedError).details.faults as RuleFault[];
    faults.push(...found.map((fault) => ({ ...fault, field: join(prefix, fault.field) })));
    return [];
  }
}

function parseReason(reason: unknown, faults: Fault[]): string | null {
  if (reason === undefined || reason === null) return null;
  return text(reason, 'reason', REASON_CHARS_MAX, faults)[0] ?? null;
}

function parseTeams(input: unknown, faults: Fault[]): Record<string, string> {
  if (input === undefined || input === null) return {};
  const teams = asObject(input);
  if (teams === undefined) {
    faults.push({ field: 'teams', value: shown(input), why: 'is not an object', mend: 'Write host: team.' });
    return {};
  }
  // From entries, since a host may be called like a property that every object has.
  return Object.fromEntries(
    Object.entries(teams).flatMap(([host, team]) =>
      text(team, `teams.${host}`, 100, faults).map((name) => [canonicalHostname(host), name]),
    ),
  );
}

function invalid(faults: Fault[]): CodedError {
  const lines = faults.map(({ field, why, mend }) => `${field} ${why}. ${mend}`.trim());
  return new CodedError('E_CONFIG_INVALID', lines.join('\n'), { details: { faults } });
}
