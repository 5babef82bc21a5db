/**
 * The criteria of a rule, one by one and by the name of their field: what confirms a candidate, what a plain loop over
 * the rules tests, and what says why a rule did not match. All of them must hold for the rule to match.
 */
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type { NormalizedEvent } from '../event.ts';
import { canonicalHostname } from '../hostname.ts';
import { parseTimestamp } from '../ingest/timestamp.ts';
import type { RuleRow } from '../ports.ts';
import { foldName, foldText } from './fold.ts';
import { compileGlob } from './glob.ts';
import { isInNetwork, parseAddress, parseNetwork } from './ip-network.ts';
import { canonicalOid, isUnderOid } from './oid.ts';
import { compileExpression } from './regex/expression.ts';

/** The fields of a rule that narrow it down. The window does so too, but is no criterion on its own. */
export type CriterionField =
  | 'active_from'
  | 'active_until'
  | 'syslog_severity'
  | 'facility'
  | 'host'
  | 'program'
  | 'trap_oid'
  | 'network'
  | 'match_string';

export interface Criterion {
  field: CriterionField;
  /** Whether the event fulfils it. @throws CodedError E_RULE_OVER_BUDGET when an expression takes too long on its text. */
  holds: (subject: Subject) => boolean;
}

/** How the expression of a rule is compiled. @throws CodedError E_RULE_REGEX_INVALID or E_RULE_REGEX_UNSAFE. */
export type CompileExpression = (
  source: string,
  caseSensitive: boolean,
) => { test: (text: string) => boolean };

/** An event with what several criteria ask of it, worked out once and only when asked. */
export class Subject {
  readonly event: NormalizedEvent;
  #foldedMessage: string | undefined;
  #foldedHostname: string | undefined;
  #foldedProgram: string | undefined;
  #address: readonly number[] | null | undefined;

  constructor(event: NormalizedEvent) {
    this.event = event;
  }

  /** See foldName. */
  get foldedHostname(): string {
    return (this.#foldedHostname ??= foldName(this.event.hostname));
  }

  get foldedProgram(): string | undefined {
    const { program } = this.event;
    return (this.#foldedProgram ??= program === undefined ? undefined : foldName(program));
  }

  /** See foldText. */
  get foldedMessage(): string {
    return (this.#foldedMessage ??= foldText(this.event.message));
  }

  /** Null when the event names none. */
  get address(): readonly number[] | null {
    const { sourceIp } = this.event;
    return (this.#address ??= (sourceIp === undefined ? undefined : parseAddress(sourceIp)) ?? null);
  }
}

/**
 * The criteria of `row`, the cheapest first; at least one besides its window.
 * @throws CodedError E_RULE_REGEX_INVALID, E_RULE_REGEX_UNSAFE or E_RULE_INVALID (all permanent) when it has none or one
 * that means nothing.
 */
export function criteriaOf(row: RuleRow, compile: CompileExpression = compileExpression): Criterion[] {
  try {
    const criteria = [
      ...numberCriteria(row),
      ...nameCriteria(row),
      ...oidCriteria(row),
      ...networkCriteria(row),
      ...messageCriteria(row, compile),
    ];
    if (criteria.length === 0) throw invalid(row, 'it has no criterion');
    return [...windowCriteria(row), ...criteria];
  } catch (error) {
    if (codeOf(error).startsWith('E_RULE_')) throw error;
    throw new CodedError('E_RULE_INVALID', `Rule ${row.id} cannot be compiled.`, { cause: error });
  }
}

/** The OID under which a trap must lie, or which it must be, to match; canonical. Undefined when the rule names none. */
export function oidOf(row: RuleRow): string | undefined {
  const text = row.trap_oid ?? (row.match_type === 'oid_prefix' ? row.match_string : null);
  return text === null ? undefined : canonicalOid(text);
}

function numberCriteria(row: RuleRow): Criterion[] {
  const criteria: Criterion[] = [];
  const { facility } = row;
  if (row.syslog_severity !== null) {
    criteria.push({ field: 'syslog_severity', holds: ({ event }) => holdsSeverity(row, event.severity) });
  }
  if (facility !== null) {
    criteria.push({ field: 'facility', holds: ({ event }) => event.facility === facility });
  }
  return criteria;
}

/** Whether an event of that severity fulfils the rule's criterion on it; undefined where the event names none. */
export function holdsSeverity(row: RuleRow, severity: number | undefined): boolean {
  const { syslog_severity: wanted, severity_op: operator } = row;
  if (wanted === null) return true;
  if (severity === undefined) return false;
  if (operator === '<=') return severity <= wanted;
  return operator === '>=' ? severity >= wanted : severity === wanted;
}

function nameCriteria(row: RuleRow): Criterion[] {
  const criteria: Criterion[] = [];
  if (row.program !== null) {
    const program = foldName(row.program);
    criteria.push({ field: 'program', holds: (subject) => subject.foldedProgram === program });
  }
  if (row.host !== null) {
    const matchesHost = compileGlob(foldName(canonicalHostname(row.host)));
    criteria.push({ field: 'host', holds: (subject) => matchesHost(subject.foldedHostname) });
  }
  return criteria;
}

function oidCriteria(row: RuleRow): Criterion[] {
  const isPrefix = row.match_type === 'oid_prefix';
  const criteria: Criterion[] = [];
  for (const field of isPrefix ? (['trap_oid', 'match_string'] as const) : (['trap_oid'] as const)) {
    const text = row[field];
    if (text === null) continue;
    const oid = canonicalOid(text);
    if (oid === undefined) throw invalid(row, `${text} is no OID`);
    criteria.push({
      field,
      holds: isPrefix
        ? ({ event }) => event.trapOid !== undefined && isUnderOid(event.trapOid, oid)
        : ({ event }) => event.trapOid === oid,
    });
  }
  return criteria;
}

function networkCriteria(row: RuleRow): Criterion[] {
  if (row.network === null) return [];
  const network = parseNetwork(row.network);
  if (network === undefined) throw invalid(row, `${row.network} is no network`);
  return [{ field: 'network', holds: ({ address }) => address !== null && isInNetwork(address, network) }];
}

function windowCriteria(row: RuleRow): Criterion[] {
  const fromMs = row.active_from === null ? -Infinity : parseTimestamp(row.active_from);
  const untilMs = row.active_until === null ? Infinity : parseTimestamp(row.active_until);
  if (fromMs === undefined || untilMs === undefined) {
    throw invalid(row, 'its active window is no pair of times');
  }
  const criteria: Criterion[] = [];
  if (fromMs !== -Infinity) {
    criteria.push({ field: 'active_from', holds: ({ event }) => event.receivedAtMs >= fromMs });
  }
  if (untilMs !== Infinity) {
    criteria.push({ field: 'active_until', holds: ({ event }) => event.receivedAtMs < untilMs });
  }
  return criteria;
}

function messageCriteria(row: RuleRow, compile: CompileExpression): Criterion[] {
  const { match_string: text, match_type: type } = row;
  if (text === null || type === 'oid_prefix') return [];
  if (text === '') throw invalid(row, 'its match_string is empty');
  return [{ field: 'match_string', holds: messageTest(row, text, compile) }];
}

function messageTest(row: RuleRow, text: string, compile: CompileExpression): Criterion['holds'] {
  if (row.match_type === 'regex') {
    const expression = compile(text, row.case_sensitive);
    return ({ event }) => expression.test(event.message);
  }
  if (row.case_sensitive) return ({ event }) => containsText(event.message, text);
  if (/[\ud800-\udfff]/.test(text)) {
    // Characters beyond the basic plane are not folded by unit; Deseret and Adlam have cases.
    const folding = compile(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), false);
    return ({ event }) => folding.test(event.message);
  }
  const folded = foldText(text);
  return (subject) => containsText(subject.foldedMessage, folded);
}

/** Comparisons that a search by the engine may take: past this its worst case (text times message) would be felt. */
const COMPARISONS_MAX = 2_000_000;

/** `message.includes(text)`, in time linear in both also where texts are made of the same few characters. */
function containsText(message: string, text: string): boolean {
  if (message.length * text.length <= COMPARISONS_MAX) return message.includes(text);
  // Knuth, Morris and Pratt: borders[i] is the longest proper border of the first i + 1 units.
  const borders = new Uint16Array(text.length);
  for (let at = 1, border = 0; at < text.length; at++) {
    while (border > 0 && text.charCodeAt(at) !== text.charCodeAt(border)) border = borders[border - 1]!;
    if (text.charCodeAt(at) === text.charCodeAt(border)) border++;
    borders[at] = border;
  }
  for (let at = 0, found = 0; at < message.length; at++) {
    const unit = message.charCodeAt(at);
    while (found > 0 && unit !== text.charCodeAt(found)) found = borders[found - 1]!;
    if (unit === text.charCodeAt(found) && ++found === text.length) return true;
  }
  return false;
}

function invalid(row: RuleRow, why: string): CodedError {
  return new CodedError('E_RULE_INVALID', `Rule ${row.id} cannot be compiled: ${why}.`, {
    details: { ruleId: row.id },
    mend: 'Correct the rule and save it again.',
  });
}
