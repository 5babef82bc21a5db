/**
 * A configuration document as an operator applies it: rules, development hosts, teams, destinations. Checked whole,
 * with every fault named by its place in the document, before anything is applied.
 */
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { nearestWord } from '../../runtime/nearest-word.ts';
import type { Environment, Handling } from '../event.ts';
import { HANDLINGS } from '../event.ts';
import type { Destination, DestinationRoute } from '../ports.ts';
import { parseRule } from './rule.ts';
import type { RuleFault, RuleInput } from './rule.ts';

export type NamedRule = RuleInput & { name: string | null };

export interface ConfigurationDocument {
  rules: NamedRule[];
  development_hosts: string[];
  teams: Record<string, string>;
  destinations: Destination[];
  reason: string | null;
}

interface Fault {
  field: string;
  value?: string;
  why: string;
  mend: string;
}

const SECTIONS = ['rules', 'development_hosts', 'teams', 'destinations', 'reason'] as const;
const DESTINATION_FIELDS = [
  'name',
  'kind',
  'url',
  'secret_ref',
  'routes',
  'rate_per_second',
  'concurrency',
  'timeout_ms',
] as const;
const RULES_MAX = 50_000;
const INT4_MAX = 2_147_483_647;
const DESTINATIONS_MAX = 64;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const HOST_CHARS_MAX = 255;
const REASON_CHARS_MAX = 1_000;
const URL_CHARS_MAX = 2_048;
/** Query parameters by which services take credentials. An address ends in logs, a credential must not. */
const CREDENTIAL_PARAMETER =
  /^(.*[-_.])?(api|app|auth|access|secret)?[-_.]?(key|token|secret|password|passwd|pwd|signature|sig)$/i;
const DEFAULT_RATE_PER_SECOND = 50;
const DEFAULT_CONCURRENCY = 4;
const DEFAULT_TIMEOUT_MS = 10_000;

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
      (host, at) => text(host, `development_hosts[${at}]`, HOST_CHARS_MAX, faults),
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
  const { name, ...rule } = asObject(input) ?? { name: undefined };
  if (name !== undefined && name !== null && text(name, `${prefix}.name`, 100, faults).length === 0)
    return [];
  try {
    return [{ ...parseRule(asObject(input) === undefined ? input : rule), name: (name as string) ?? null }];
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
      text(team, `teams.${host}`, 100, faults).map((name) => [host, name]),
    ),
  );
}

function parseDestination(input: unknown, prefix: string, faults: Fault[]): Destination[] {
  const given = asObject(input);
  if (given === undefined) {
    // Its value is not shown: it may be an address with a password in it.
    faults.push({ field: prefix, why: 'is not an object', mend: 'Write name, kind and url.' });
    return [];
  }
  const before = faults.length;
  for (const key of Object.keys(given)) unknownField(prefix, key, DESTINATION_FIELDS, faults);
  const { name, kind, url, secret_ref: secretRef, routes } = given;
  if (typeof name !== 'string' || !NAME.test(name)) {
    const mend = 'Use 1 to 63 letters, digits, dots, hyphens and underscores.';
    faults.push({ field: `${prefix}.name`, value: shown(name), why: 'is not a usable name', mend });
  }
  if (kind !== 'moogsoft' && kind !== 'webhook') {
    const why = 'is no kind of destination';
    faults.push({ field: `${prefix}.kind`, value: shown(kind), why, mend: 'Use moogsoft or webhook.' });
  }
  if (!isWebAddress(url)) {
    const mend = 'Give an http or https address without credentials in it; use secret_ref for them.';
    faults.push({ field: `${prefix}.url`, why: 'is not a usable address', mend });
  }
  if (secretRef !== undefined && secretRef !== null && !isSecretReference(secretRef)) {
    const mend = 'Use env:NAME or file:/path; never the credential itself.';
    faults.push({ field: `${prefix}.secret_ref`, why: 'is not a reference to a secret', mend });
  }
  const destination: Destination = {
    // Only a sound one is given back; of the others not even a text can be made safely.
    name: typeof name === 'string' ? name : '',
    kind: kind === 'moogsoft' ? 'moogsoft' : 'webhook',
    url: typeof url === 'string' ? url : '',
    secretRef: typeof secretRef === 'string' ? secretRef : null,
    routes: list(routes, `${prefix}.routes`, 100, faults).flatMap((route, at) =>
      parseRoute(route, `${prefix}.routes[${at}]`, faults),
    ),
    ratePerSecond: number(
      given,
      prefix,
      'rate_per_second',
      [0.01, 1_000_000],
      DEFAULT_RATE_PER_SECOND,
      faults,
    ),
    concurrency: integer(given, prefix, 'concurrency', [1, 256], DEFAULT_CONCURRENCY, faults),
    timeoutMs: integer(given, prefix, 'timeout_ms', [100, 120_000], DEFAULT_TIMEOUT_MS, faults),
  };
  return faults.length === before ? [destination] : [];
}

/** A destination in the form that `parseConfiguration` takes: what is shown can be applied again. */
export function writtenDestination(destination: Destination): Record<string, unknown> {
  const { name, kind, url, secretRef, routes, ratePerSecond, concurrency, timeoutMs } = destination;
  return {
    name,
    kind,
    url,
    secret_ref: secretRef,
    routes: routes.map(({ severityAtMost, ...route }) => ({
      ...route,
      ...(severityAtMost === undefined ? {} : { severity_at_most: severityAtMost }),
    })),
    rate_per_second: ratePerSecond,
    concurrency,
    timeout_ms: timeoutMs,
  };
}

function parseRoute(input: unknown, prefix: string, faults: Fault[]): DestinationRoute[] {
  const given = asObject(input);
  if (given === undefined) {
    faults.push({
      field: prefix,
      value: shown(input),
      why: 'is not an object',
      mend: 'Write its criteria by name.',
    });
    return [];
  }
  const before = faults.length;
  for (const key of Object.keys(given)) {
    unknownField(prefix, key, ['team', 'severity_at_most', 'environment', 'handling'], faults);
  }
  const { team, environment, handling } = given;
  const route: DestinationRoute = {};
  if (team !== undefined) [route.team = ''] = text(team, `${prefix}.team`, 100, faults);
  if (given.severity_at_most !== undefined) {
    route.severityAtMost = integer(given, prefix, 'severity_at_most', [0, 7], 7, faults);
  }
  if (environment === 'prod' || environment === 'dev') route.environment = environment satisfies Environment;
  else if (environment !== undefined) {
    const why = 'is no environment';
    faults.push({ field: `${prefix}.environment`, value: shown(environment), why, mend: 'Use prod or dev.' });
  }
  if (HANDLINGS.includes(handling as Handling)) route.handling = handling as Handling;
  else if (handling !== undefined) {
    const mend = `Use one of ${HANDLINGS.join(', ')}.`;
    faults.push({ field: `${prefix}.handling`, value: shown(handling), why: 'is no handling', mend });
  }
  return faults.length === before ? [route] : [];
}

function number(
  given: Record<string, unknown>,
  prefix: string,
  name: string,
  [min, max]: [number, number],
  fallback: number,
  faults: Fault[],
): number {
  const value = given[name] ?? fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  const mend = `Use a number from ${min} to ${max}.`;
  faults.push({ field: `${prefix}.${name}`, value: shown(value), why: 'is out of range', mend });
  return fallback;
}

function integer(...[given, prefix, name, [min, max], fallback, faults]: Parameters<typeof number>): number {
  const value = given[name] ?? fallback;
  if (typeof value !== 'number' || Number.isInteger(value))
    return number(given, prefix, name, [min, max], fallback, faults);
  const mend = `Use a whole number from ${min} to ${max}.`;
  faults.push({ field: `${prefix}.${name}`, value: shown(value), why: 'is not a whole number', mend });
  return fallback;
}

function text(value: unknown, field: string, charsMax: number, faults: Fault[]): string[] {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= charsMax) return [value];
  if (typeof value === 'number' || typeof value === 'boolean') {
    const mend = `Put it in quotes: "${value}".`;
    faults.push({ field, value: shown(value), why: `is a ${typeof value}, not a text`, mend });
    return [];
  }
  const mend = `Use a text of 1 to ${charsMax} characters.`;
  faults.push({ field, value: shown(value), why: 'is not a usable text', mend });
  return [];
}

function list(value: unknown, field: string, lengthMax: number, faults: Fault[]): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  faults.push({
    field,
    value: shown(value),
    why: Array.isArray(value) ? 'is too long' : 'is not a list',
    mend: `Give a list of at most ${lengthMax}.`,
  });
  return [];
}

function unknownField(prefix: string, key: string, known: readonly string[], faults: Fault[]): void {
  if (known.includes(key)) return;
  const nearest = nearestWord(key, known);
  const mend = nearest === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${nearest}?`;
  faults.push({ field: join(prefix, key), why: 'is no known field', mend });
}

function isWebAddress(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > URL_CHARS_MAX || !URL.canParse(value)) return false;
  const url = new URL(value);
  if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return false;
  return [...url.searchParams.keys()].every((name) => !CREDENTIAL_PARAMETER.test(name));
}

function isSecretReference(value: unknown): boolean {
  return typeof value === 'string' && /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/.test(value);
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}

function join(prefix: string, field: string): string {
  return prefix === '' || field === '' ? prefix + field : `${prefix}.${field}`;
}

const SHOWN_CHARS_MAX = 80;
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, SHOWN_CHARS_MAX);
}

function invalid(faults: Fault[]): CodedError {
  const lines = faults.map(({ field, why, mend }) => `${field} ${why}. ${mend}`.trim());
  return new CodedError('E_CONFIG_INVALID', lines.join('\n'), { details: { faults } });
}
