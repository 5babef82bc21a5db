/**
 * What applying a rules file would change, judged from the file and from what the node has: the dry run.
 */
import { isRecord, RULE_FIELDS } from './rules-file.ts';
import type { RulesDocument } from './rules-file.ts';

export interface RuleDifference {
  /** `rule link-down`, `team fw-01`, … */
  what: string;
  outcome: 'created' | 'updated' | 'unchanged';
  /** Names of the fields that differ; only of updated rules and destinations. */
  fields: string[];
}

/** `current` is the document of GET /api/v2/rule-set; sections that it lacks are not compared. */
export function rulesDifference(wanted: RulesDocument, current: Record<string, unknown>): RuleDifference[] {
  const currentRules = recordsOf(current['rules']);
  const differences = wanted.rules.map((rule) => ruleDifference(rule, currentRules));
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
        plain(
          `team of ${folded(host)}`,
          before === undefined ? 'created' : before === team ? 'unchanged' : 'updated',
        ),
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

function ruleDifference(rule: Record<string, unknown>, current: Record<string, unknown>[]): RuleDifference {
  const before =
    rule['id'] !== undefined
      ? current.find(({ id }) => id === rule['id'])
      : current.find(({ name }) => typeof name === 'string' && name === rule['name']);
  return compare(`rule ${nameOf(rule)}`, whole(rule), before === undefined ? undefined : whole(before));
}

/** The rule with its defaults, without what the node adds. */
function whole(rule: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [field, byDefault] of Object.entries(RULE_FIELDS)) {
    if (field === 'id' || field === 'version') continue;
    result[field] = normal(field, rule[field] ?? byDefault ?? null);
  }
  return result;
}

function normal(field: string, value: unknown): unknown {
  if ((field === 'active_from' || field === 'active_until') && typeof value === 'string') {
    const atMs = Date.parse(value);
    return Number.isNaN(atMs) ? value : atMs;
  }
  return value;
}

function compare(
  what: string,
  wanted: Record<string, unknown>,
  before: Record<string, unknown> | undefined,
): RuleDifference {
  if (before === undefined) return plain(what, 'created');
  const fields = Object.keys(wanted).filter(
    (field) => canonical(wanted[field] ?? null) !== canonical(before[field] ?? null),
  );
  return { what, outcome: fields.length === 0 ? 'unchanged' : 'updated', fields };
}

function plain(what: string, outcome: RuleDifference['outcome']): RuleDifference {
  return { what, outcome, fields: [] };
}

/** JSON with sorted names, so that order does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

function recordsOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as unknown[]).filter(isRecord) : [];
}

function nameOf(record: Record<string, unknown>): string {
  const { name, id } = record;
  if (typeof name === 'string') return name;
  return typeof id === 'number' ? `#${id}` : '(without a name)';
}

function folded(value: unknown): string {
  return String(value).toLowerCase();
}
