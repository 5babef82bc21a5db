/**
 * Compiles a rule set into a matcher: every rule becomes a list of tests on fields, the cheapest first, and is filed
 * under the field that narrows it down most, so that rules about other hosts, programs or traps cost an event nothing.
 *
 * A rule that cannot be compiled is left out and reported; the others stand. Invariant: the result is what testing
 * every rule in (priority, id) order would give.
 */
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { NormalizedEvent } from '../event.ts';
import { canonicalHostname } from '../hostname.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import type { RuleRow } from '../ports.ts';
import { compileGlob, isGlob } from './glob.ts';
import { isInNetwork, parseAddress, parseNetwork } from './ip-network.ts';
import { compileSafeRegex } from './lint-regex.ts';
import type { Matcher } from './matcher.ts';
import { canonicalOid, isUnderOid, oidsAbove } from './oid.ts';

export interface CompiledRules {
  matcher: Matcher;
  /** Active rules that are not in the matcher, and why. */
  refused: { ruleId: number; error: CodedError }[];
}

/** Told when a rule throws on an event. The rule counts as not matching; the others go on. */
export type OnRuleFault = (ruleId: number, error: unknown) => void;

/**
 * Compiles the active rules among `rows` (in any order). Never throws; what it refuses carries E_RULE_REGEX_INVALID,
 * E_RULE_REGEX_UNSAFE or E_RULE_INVALID.
 */
export function compileRules(
  rows: readonly RuleRow[],
  version: number,
  onFault: OnRuleFault = () => undefined,
): CompiledRules {
  const compiled: CompiledRule[] = [];
  const refused: CompiledRules['refused'] = [];
  const ordered = rows.filter((row) => row.is_active).sort((a, b) => a.priority - b.priority || a.id - b.id);
  for (const row of ordered) {
    try {
      compiled.push(compileRule(row, compiled.length));
    } catch (error) {
      refused.push({ ruleId: row.id, error: asCoded(error, row.id) });
    }
  }
  return { matcher: new BucketedMatcher(version, compiled, onFault), refused };
}

/** An event with what several rules ask of it, worked out once and only when asked. */
class Subject {
  readonly event: NormalizedEvent;
  private lower: string | undefined;
  private ascii: boolean | undefined;
  private groups: readonly number[] | null | undefined;

  constructor(event: NormalizedEvent) {
    this.event = event;
  }

  get lowerMessage(): string {
    return (this.lower ??= this.event.message.toLowerCase());
  }

  get isAscii(): boolean {
    return (this.ascii ??= isAscii(this.event.message));
  }

  get address(): readonly number[] | null {
    const { sourceIp } = this.event;
    return (this.groups ??= (sourceIp === undefined ? undefined : parseAddress(sourceIp)) ?? null);
  }
}

type Test = (subject: Subject) => boolean;

/** Where a rule is filed: only events with exactly this value of the field can match it. */
type Filing = { by: 'host' | 'program' | 'oid'; key: string } | { by: 'nothing' };

interface CompiledRule {
  row: RuleRow;
  /** Position in (priority, id) order. */
  rank: number;
  filing: Filing;
  tests: readonly Test[];
}

class BucketedMatcher implements Matcher {
  readonly version: number;
  private readonly byHost = new Map<string, CompiledRule[]>();
  private readonly byProgram = new Map<string, CompiledRule[]>();
  private readonly byOid = new Map<string, CompiledRule[]>();
  private readonly unfiled: CompiledRule[] = [];
  private readonly onFault: OnRuleFault;

  constructor(version: number, rules: readonly CompiledRule[], onFault: OnRuleFault) {
    this.version = version;
    this.onFault = onFault;
    for (const rule of rules) {
      const { filing } = rule;
      if (filing.by === 'host') fileUnder(this.byHost, filing.key, rule);
      else if (filing.by === 'program') fileUnder(this.byProgram, filing.key, rule);
      else if (filing.by === 'oid') fileUnder(this.byOid, filing.key, rule);
      else this.unfiled.push(rule);
    }
  }

  match(event: NormalizedEvent): RuleRow[] {
    const matches: RuleRow[] = [];
    const subject = new Subject(event);
    const filed = this.filed(event);
    const { unfiled } = this;
    // Both lists are in order of rank; walking them side by side visits every candidate in order.
    let filedAt = 0;
    let unfiledAt = 0;
    for (;;) {
      const next = filed[filedAt];
      const other = unfiled[unfiledAt];
      const rule = other === undefined || (next !== undefined && next.rank < other.rank) ? next : other;
      if (rule === undefined) return matches;
      if (rule === next) filedAt++;
      else unfiledAt++;
      if (!this.holds(rule, subject)) continue;
      matches.push(rule.row);
      if (!rule.row.continue) return matches;
    }
  }

  private holds(rule: CompiledRule, subject: Subject): boolean {
    try {
      for (const test of rule.tests) if (!test(subject)) return false;
      return true;
    } catch (error) {
      this.onFault(rule.row.id, error);
      return false;
    }
  }

  /** The filed rules that may match the event, in order of rank. */
  private filed(event: NormalizedEvent): readonly CompiledRule[] {
    const found: CompiledRule[] = [];
    let buckets = 0;
    const take = (bucket: readonly CompiledRule[] | undefined): void => {
      if (bucket === undefined) return;
      buckets++;
      for (const rule of bucket) found.push(rule);
    };
    if (this.byHost.size > 0) take(this.byHost.get(event.hostname));
    if (this.byProgram.size > 0 && event.program !== undefined) {
      take(this.byProgram.get(event.program.toLowerCase()));
    }
    if (this.byOid.size > 0 && event.trapOid !== undefined) {
      for (const oid of oidsAbove(event.trapOid)) take(this.byOid.get(oid));
    }
    return buckets > 1 ? found.sort((a, b) => a.rank - b.rank) : found;
  }
}

function fileUnder(bucket: Map<string, CompiledRule[]>, key: string, rule: CompiledRule): void {
  const filed = bucket.get(key);
  if (filed === undefined) bucket.set(key, [rule]);
  else filed.push(rule);
}

function compileRule(row: RuleRow, rank: number): CompiledRule {
  const tests: Test[] = [];
  addNumberTests(row, tests);
  addNameTests(row, tests);
  const oid = addOidTests(row, tests);
  addNetworkTest(row, tests);
  if (row.match_string !== null && row.match_type !== 'oid_prefix')
    tests.push(messageTest(row, row.match_string));
  if (tests.length === 0) throw invalid(row, 'it has no criterion');
  // The window narrows a rule but is no criterion of its own.
  addWindowTest(row, tests);
  return { row, rank, filing: filingOf(row, oid), tests };
}

function filingOf(row: RuleRow, oid: string | undefined): Filing {
  if (oid !== undefined) return { by: 'oid', key: oid };
  if (row.host !== null && !isGlob(row.host)) return { by: 'host', key: canonicalHostname(row.host) };
  if (row.program !== null) return { by: 'program', key: row.program.toLowerCase() };
  return { by: 'nothing' };
}

function addNumberTests(row: RuleRow, tests: Test[]): void {
  const { syslog_severity: severity, severity_op: operator, facility } = row;
  if (severity !== null) {
    if (operator === '<=')
      tests.push(({ event }) => event.severity !== undefined && event.severity <= severity);
    else if (operator === '>=')
      tests.push(({ event }) => event.severity !== undefined && event.severity >= severity);
    else tests.push(({ event }) => event.severity === severity);
  }
  if (facility !== null) tests.push(({ event }) => event.facility === facility);
}

function addNameTests(row: RuleRow, tests: Test[]): void {
  if (row.host !== null) {
    const matchesHost = compileGlob(isGlob(row.host) ? row.host.toLowerCase() : canonicalHostname(row.host));
    tests.push(({ event }) => matchesHost(event.hostname));
  }
  if (row.program !== null) {
    const program = row.program.toLowerCase();
    tests.push(({ event }) => event.program?.toLowerCase() === program);
  }
}

/** The OID under which the trap must lie, or which it must be; the most telling one is given back for filing. */
function addOidTests(row: RuleRow, tests: Test[]): string | undefined {
  let filedUnder: string | undefined;
  const isPrefix = row.match_type === 'oid_prefix';
  for (const text of isPrefix ? [row.trap_oid, row.match_string] : [row.trap_oid]) {
    if (text === null) continue;
    const oid = canonicalOid(text);
    if (oid === undefined) throw invalid(row, `${text} is no OID`);
    filedUnder ??= oid;
    tests.push(
      isPrefix
        ? ({ event }) => event.trapOid !== undefined && isUnderOid(event.trapOid, oid)
        : ({ event }) => event.trapOid === oid,
    );
  }
  return filedUnder;
}

function addNetworkTest(row: RuleRow, tests: Test[]): void {
  if (row.network === null) return;
  const network = parseNetwork(row.network);
  if (network === undefined) throw invalid(row, `${row.network} is no network`);
  tests.push(({ address }) => address !== null && isInNetwork(address, network));
}

function addWindowTest(row: RuleRow, tests: Test[]): void {
  const fromMs = row.active_from === null ? -Infinity : parseTimestamp(row.active_from);
  const untilMs = row.active_until === null ? Infinity : parseTimestamp(row.active_until);
  if (fromMs === undefined || untilMs === undefined)
    throw invalid(row, 'its active window is no pair of times');
  if (fromMs === -Infinity && untilMs === Infinity) return;
  tests.unshift(({ event }) => event.receivedAtMs >= fromMs && event.receivedAtMs < untilMs);
}

function messageTest(row: RuleRow, text: string): Test {
  if (text === '') throw invalid(row, 'its match_string is empty');
  if (row.match_type === 'regex') {
    const expression = compileSafeRegex(text, row.case_sensitive);
    return ({ event }) => expression.test(event.message);
  }
  if (row.case_sensitive) return ({ event }) => event.message.includes(text);
  // Lower-casing is not Unicode's simple folding (K is the Kelvin sign too), so only ASCII takes the short way.
  const folding = new RegExp(escaped(text), 'iu');
  if (!isAscii(text)) return ({ event }) => folding.test(event.message);
  const lower = text.toLowerCase();
  return (subject) =>
    subject.isAscii ? subject.lowerMessage.includes(lower) : folding.test(subject.event.message);
}

/** `text` as an expression that matches it and nothing else. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text);
}

function asCoded(error: unknown, ruleId: number): CodedError {
  if (codeOf(error).startsWith('E_RULE_')) return error as CodedError;
  return new CodedError('E_RULE_INVALID', `Rule ${ruleId} cannot be compiled.`, { cause: error });
}

function invalid(row: RuleRow, why: string): CodedError {
  return new CodedError('E_RULE_INVALID', `Rule ${row.id} cannot be compiled: ${why}.`, {
    details: { ruleId: row.id },
    mend: 'Correct the rule and save it again.',
  });
}
