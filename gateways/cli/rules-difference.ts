/**
 * What applying a rules file would change, judged from the file and from what the node has.
 */
import { isRecord, RULE_FIELDS } from './rules-file.ts';
import type { RulesDocument } from './rules-file.ts';
import { cut, printable } from './terminal-text.ts';

export interface FieldChange {
  field: string;
  /** Null where there is nothing. */
  old: unknown;
  new: unknown;
}

export interface RuleDifference {
  /** `rule link-down`, `team of fw-01`, … */
  what: string;
  outcome: 'created' | 'updated' | 'unchanged';
  /** Names of the fields that differ; only of updated rules, teams and destinations. */
  fields: string[];
  /** The same with their values. */
  changes: FieldChange[];
  /** Of a rule that would change and has not the version that the file expects: somebody has changed it since. */
  conflict?: { version: number; present: number | null };
}

const VALUE_COLUMNS_MAX = 120;

/**
 * `current` is the document of GET /api/v2/rule-set; sections that it lacks are not compared. The rules come first, in
 * the order of the file.
 */
export function rulesDifference(wanted: RulesDocument, current: Record<string, unknown>): RuleDifference[] {
  const find = ruleFinder(recordsOf(current['rules']));
  const differences = wanted.rules.map((rule) => ruleDifference(rule, find(rule)));
  if (wanted.development_hosts !== undefined && Array.isArray(current['development_hosts'])) {
    const known = new Set(current['development_hosts'].map(folded));
    for (const host of new Set(wanted.development_hosts.map(folded))) {
      differences.push(plain(`development host ${host}`, known.has(host) ? 'unchanged' : 'created'));
    }
  }
  if (wanted.teams !== undefined && isRecord(current['teams'])) {
    const known = new Map(Object.entries(current['teams']).map(([host, team]) => [folded(host), team]));
    for (const [host, team] of Object.entries(wanted.teams)) {
      const before = known.get(folded(host));
      differences.push(
        compare(`team of ${folded(host)}`, { team }, before === undefined ? undefined : { team: before }),
      );
    }
  }
  if (wanted.destinations !== undefined && Array.isArray(current['destinations'])) {
    const known = recordsOf(current['destinations']);
    for (const destination of recordsOf(wanted.destinations)) {
      const before = known.find(({ name }) => name === destination['name']);
      differences.push(compare(`destination ${nameOf(destination)}`, destination, before));
    }
  }
  return differences;
}

/** Finds the rule of the node that one of a file is about: by its id, else by its name. */
export function ruleFinder(
  rules: readonly Record<string, unknown>[],
): (rule: Record<string, unknown>) => Record<string, unknown> | undefined {
  const byId = new Map(rules.map((rule) => [rule['id'], rule]));
  const byName = new Map(rules.map((rule) => [rule['name'], rule]));
  return ({ id, name }) => {
    if (id !== undefined && id !== null) return byId.get(id);
    return typeof name === 'string' ? byName.get(name) : undefined;
  };
}

/** What differs between two states of one rule; fields that are left out have their defaults. */
export function ruleChanges(before: Record<string, unknown>, after: Record<string, unknown>): FieldChange[] {
  return changesOf(whole(after), whole(before));
}

/** `priority: 20 -> 100`. Harmless, and cut short. */
export function changeText({ field, old, new: now }: FieldChange): string {
  return `${printable(field)}: ${valueText(old)} -> ${valueText(now)}`;
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return cut(printable(typeof value === 'string' ? value : JSON.stringify(value)), VALUE_COLUMNS_MAX);
}

function ruleDifference(
  rule: Record<string, unknown>,
  before: Record<string, unknown> | undefined,
): RuleDifference {
  const difference = compare(
    `rule ${nameOf(rule)}`,
    whole(rule),
    before === undefined ? undefined : whole(before),
  );
  const { expected_version: version } = rule;
  const present = typeof before?.['version'] === 'number' ? before['version'] : null;
  if (typeof version !== 'number' || version === present || difference.outcome === 'unchanged') {
    return difference;
  }
  return { ...difference, conflict: { version, present } };
}

/** The rule with its defaults, without what the node adds. */
function whole(rule: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [field, byDefault] of Object.entries(RULE_FIELDS)) {
    if (field === 'id' || field.endsWith('version')) continue;
    result[field] = rule[field] ?? byDefault ?? null;
  }
  return result;
}

function compare(
  what: string,
  wanted: Record<string, unknown>,
  before: Record<string, unknown> | undefined,
): RuleDifference {
  if (before === undefined) return plain(what, 'created');
  const changes = changesOf(wanted, before);
  const fields = changes.map(({ field }) => field);
  return { what, outcome: fields.length === 0 ? 'unchanged' : 'updated', fields, changes };
}

function changesOf(wanted: Record<string, unknown>, before: Record<string, unknown>): FieldChange[] {
  return Object.keys(wanted)
    .filter((field) => comparable(field, wanted[field]) !== comparable(field, before[field]))
    .map((field) => ({ field, old: before[field] ?? null, new: wanted[field] ?? null }));
}

function plain(what: string, outcome: RuleDifference['outcome']): RuleDifference {
  return { what, outcome, fields: [], changes: [] };
}

/** One text for what means the same: times by their moment, mappings whatever their order. */
function comparable(field: string, value: unknown): string {
  if ((field === 'active_from' || field === 'active_until') && typeof value === 'string') {
    const atMs = Date.parse(value);
    return Number.isNaN(atMs) ? canonical(value) : String(atMs);
  }
  return canonical(value ?? null);
}

/** JSON with sorted names, so that order does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

export function recordsOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as unknown[]).filter(isRecord) : [];
}

/** As people call it: by its name, else by its number. */
export function nameOf(record: Record<string, unknown>): string {
  const { name, id } = record;
  if (typeof name === 'string') return name;
  return typeof id === 'number' ? `#${id}` : '(without a name)';
}

function folded(value: unknown): string {
  return String(value).toLowerCase();
}
