/**
 * Judges the compiled rule set by the plain loop, on random rules and events; a pair that they disagree on is made as
 * small as it gets and said in the form of a conformance vector (docs/reference/rule-vectors.json).
 *
 * Every pair of a rule and an event is judged by itself, in a set whose rules all say `continue`; then the same rules
 * as they are, for what comes of the order.
 */
import type { NormalizedEvent } from '../../../actors/event.ts';
import { parseRule } from '../../../actors/match/rule.ts';
import type { RuleFault } from '../../../actors/match/rule.ts';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../actors/ports.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { inOrder, plainCriteria, plainLoop } from './plain-loop.ts';
import { RulesThatMeet } from './rules-that-meet.ts';
import type { RandomRule } from './rules-that-meet.ts';

// prettier-ignore
const CRITERIA = [
  'host', 'program', 'syslog_severity', 'facility', 'network', 'active_from', 'active_until', 'trap_oid', 'match_string',
] as const;

export interface JudgeOptions {
  seed: number;
  sets: number;
  rulesPerSet: number;
  eventsPerSet: number;
  /** Messages of 64 KiB, and rules whose judge is quick on such. */
  isLong?: boolean;
  /** Who is judged; the compiled rule set where nobody else is named. */
  build?: Build;
}

/** Makes of rules what gives the ids of those that match an event. */
export type Build = (rows: readonly RuleRow[]) => (event: NormalizedEvent) => number[];

export interface Verdict {
  /** Judged one by one. */
  pairs: number;
  matching: number;
  /** Events whose whole list of matches was judged, and those that matched several rules in a row. */
  events: number;
  chains: number;
  /** Rules whose expression is not allowed, of all that were made. */
  unsafe: number;
  rules: number;
}

/** @throws Error with the smallest disagreement that was found. */
export function judge(options: JudgeOptions): Verdict {
  const verdict: Verdict = { pairs: 0, matching: 0, events: 0, chains: 0, unsafe: 0, rules: 0 };
  const { isLong = false, build = compiled } = options;
  const random = new RulesThatMeet(options.seed);
  for (let set = 0; set < options.sets; set++) {
    const events = Array.from({ length: options.eventsPerSet }, () =>
      isLong ? random.longEvent() : random.event(),
    );
    const rows: RuleRow[] = [];
    while (rows.length < options.rulesPerSet) {
      const rule = random.rule(events, !isLong);
      verdict.rules++;
      const row = saved(rule, rows.length + 1);
      if (row !== undefined) rows.push(row);
      else verdict.unsafe++;
    }
    judgeSet(build, rows, events, verdict);
  }
  return verdict;
}

/** As the product keeps it, with an id that says nothing about its place; undefined when its expression is unsafe. */
function saved(rule: RandomRule, number: number): RuleRow | undefined {
  let isExpression = true;
  try {
    if (rule.match_type === 'regex') new RegExp(rule.match_string!, 'u');
  } catch {
    isExpression = false;
  }
  try {
    const row = { ...parseRule(rule), id: (number * 7_919) % 100_003, version: 1 };
    if (!isExpression)
      throw new Error(`A rule was saved that the engine takes for none: ${rule.match_string}`);
    return row;
  } catch (error) {
    const faults = error instanceof CodedError ? (error.details?.['faults'] as RuleFault[]) : [];
    const isRight =
      faults.length === 1 &&
      faults[0]!.code === (isExpression ? 'E_RULE_REGEX_UNSAFE' : 'E_RULE_REGEX_INVALID');
    if (isRight) return undefined;
    throw new Error(`A sound rule was refused: ${JSON.stringify(rule)}`, { cause: error });
  }
}

function judgeSet(
  build: Build,
  rows: readonly RuleRow[],
  events: readonly NormalizedEvent[],
  verdict: Verdict,
): void {
  const ordered = inOrder(rows);
  const criteria = new Map(ordered.map((row) => [row.id, plainCriteria(row)]));
  const single = build(rows.map((row) => ({ ...row, continue: true })));
  const whole = build(rows);
  for (const event of events) {
    const holding = new Set(ordered.filter(({ id }) => criteria.get(id)!(event)).map(({ id }) => id));
    const found = single(event);
    const expected = ordered.map(({ id }) => id).filter((id) => holding.has(id));
    const wrong = firstDifference(expected, found);
    if (wrong !== undefined)
      throw disagreement(
        build,
        rows.filter(({ id }) => id === wrong),
        event,
      );
    const chain = plainLoop(ordered, ({ id }) => holding.has(id));
    if (firstDifference(chain, whole(event)) !== undefined) throw disagreement(build, rows, event);
    verdict.pairs += ordered.length;
    verdict.matching += holding.size;
    verdict.events++;
    if (chain.length > 1) verdict.chains++;
  }
}

function compiled(rows: readonly RuleRow[]): ReturnType<Build> {
  const { image, refused } = buildRuleSet(rows, 1);
  if (refused.length > 0) throw new Error(`Rules were saved and then refused: ${JSON.stringify(refused)}`);
  const ruleSet = new RuleSet(image, {
    onFault: (ruleId, cause) => {
      const rule = rows.find(({ id }) => id === ruleId);
      throw new Error(`A rule failed on an event: ${JSON.stringify(rule)}`, { cause });
    },
  });
  return (event) => ruleSet.match(event).map(({ id }) => id);
}

/** An id that only one of the two has, or has first. */
function firstDifference(expected: readonly number[], found: readonly number[]): number | undefined {
  const at = Math.max(expected.length, found.length);
  for (let index = 0; index < at; index++) {
    const [a, b] = [expected[index], found[index]];
    if (a === b) continue;
    return a === undefined || (b !== undefined && !expected.includes(b)) ? b : a;
  }
  return undefined;
}

function isDisagreed(build: Build, rows: readonly RuleRow[], event: NormalizedEvent): boolean {
  return firstDifference(expectedOf(rows, event), build(rows)(event)) !== undefined;
}

function expectedOf(rows: readonly RuleRow[], event: NormalizedEvent): number[] {
  return plainLoop(inOrder(rows), (row) => plainCriteria(row)(event));
}

function disagreement(build: Build, rows: readonly RuleRow[], event: NormalizedEvent): Error {
  const small = smallest(build, rows, event);
  const found = build(small.rows)(small.event);
  return new Error(
    `The rule set disagrees with the plain loop: it gave ${JSON.stringify(found)} for\n` +
      JSON.stringify(vectorOf(small.rows, small.event), null, 2),
  );
}

/** Leaves out rules, criteria, fields and text for as long as the two disagree. Alone, a rule may do no wrong. */
function smallest(
  build: Build,
  rows: readonly RuleRow[],
  event: NormalizedEvent,
): { rows: readonly RuleRow[]; event: NormalizedEvent } {
  let now = { rows, event };
  const take = (next: typeof now): boolean => {
    try {
      if (!isDisagreed(build, next.rows, next.event)) return false;
    } catch {
      return false;
    }
    now = next;
    return true;
  };
  for (let size = Math.ceil(rows.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < now.rows.length && now.rows.length > 1;) {
      if (!take({ ...now, rows: now.rows.toSpliced(at, size) })) at += size;
    }
  }
  for (const id of now.rows.map((row) => row.id)) {
    for (const name of CRITERIA) {
      take({ ...now, rows: now.rows.map((row) => (row.id === id ? { ...row, [name]: null } : row)) });
    }
  }
  for (const name of ['severity', 'facility', 'program', 'trapOid', 'sourceIp'] as const) {
    const { [name]: _, ...rest } = now.event;
    take({ ...now, event: rest });
  }
  for (let size = [...now.event.message].length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < [...now.event.message].length;) {
      const message = [...now.event.message].toSpliced(at, size).join('');
      if (!take({ ...now, event: { ...now.event, message } })) at += size;
    }
  }
  return now;
}

/** As in docs/reference/rule-vectors.json. */
export function vectorOf(rows: readonly RuleRow[], event: NormalizedEvent): object {
  const { severity, facility, program, trapOid, sourceIp } = event;
  const unset: Record<string, unknown> = {
    match_type: 'contains',
    case_sensitive: false,
    severity_op: '=',
    continue: false,
    is_active: true,
    priority: 100,
  };
  const rules = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).filter(
        ([name, value]) =>
          value !== null &&
          unset[name] !== value &&
          !['version', 'prod_handling', 'dev_handling', 'team_assignment', 'tests'].includes(name),
      ),
    ),
  );
  return {
    name: '',
    cites: '',
    rules,
    event: {
      hostname: event.hostname,
      message: event.message,
      ...(severity !== undefined && { syslog_severity: severity }),
      ...(facility !== undefined && { syslog_facility: facility }),
      ...(program !== undefined && { program }),
      ...(trapOid !== undefined && { trap_oid: trapOid }),
      ...(sourceIp !== undefined && { source_ip: sourceIp }),
    },
    received_at: new Date(event.receivedAtMs).toISOString(),
    expect: expectedOf(rows, event),
  };
}
