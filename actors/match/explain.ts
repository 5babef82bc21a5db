/**
 * Says why a rule matches an event or does not: each criterion in order, held, not held, or about a field that the event
 * does not have; of a text that is not contained, the longest part of it that is.
 *
 * Pure, and for people: nothing of it is on the way of an event. Bounded, since both texts are strangers'.
 */
import { codeOf } from '../../runtime/errors.ts';
import type { NormalizedEvent } from '../event.ts';
import type { RuleRow } from '../ports.ts';
import { criteriaOf, Subject } from './criteria.ts';
import type { Criterion, CriterionField } from './criteria.ts';
import { foldText } from './fold.ts';

export interface CriterionOutcome {
  /** Of the rule: `match_string`, `host`, `active_from`, and so on. */
  field: CriterionField;
  /** `absent`: the event does not have what it compares with. */
  outcome: 'held' | 'not_held' | 'absent';
  /** For a person: `contains "link down"`, `<= 3`. */
  wanted: string;
  /** What the event has there, cut short; null when it has nothing. */
  found: string | null;
  /** Of a text or an expression that the message does not hold: the longest part of it that it does hold. */
  near: string | null;
}

export interface RuleExplanation {
  row: RuleRow;
  /** It is active, and every criterion holds. */
  matched: boolean;
  why: 'matched' | 'criteria' | 'inactive' | 'not_compiled';
  /** Empty when the rule does not compile. */
  criteria: CriterionOutcome[];
}

const FOUND_CHARS_MAX = 200;
const WANTED_CHARS_MAX = 200;
/** Of a message, how much is searched for parts of a text: what takes is the product of the two lengths. */
const NEAR_CHARS_MAX = 8_192;
/** A shorter part says nothing. */
const NEAR_CHARS_MIN = 3;
const WORD = /[\p{L}\p{N}_]{2,64}/gu;
/** How many more than asked for are looked at closely. */
const CLOSE_LOOKS = 4;

/** What does not compile is so for every event; what does is compiled once for a row. */
const compiled = new WeakMap<RuleRow, readonly Criterion[] | null>();
const wordsOfRow = new WeakMap<RuleRow, readonly string[]>();

/** Never throws. */
export function explainRule(row: RuleRow, event: NormalizedEvent): RuleExplanation {
  return explained(row, new Subject(event));
}

/**
 * Of the active rules that do not match, the ones of which most holds, nearest first; none of which nothing holds.
 * Every rule costs a glance, `limit` of them (a few more) a close look. Never throws.
 */
export function nearestRules(
  rows: readonly RuleRow[],
  event: NormalizedEvent,
  limit: number,
): RuleExplanation[] {
  if (limit <= 0) return [];
  const subject = new Subject(event);
  const words = new Set(wordsIn(event.message.slice(0, NEAR_CHARS_MAX)));
  const glanced = rows
    .filter((row) => row.is_active)
    .map((row) => ({ row, share: glance(row, subject, words) }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || inOrder(a.row, b.row));
  return glanced
    .slice(0, limit * CLOSE_LOOKS + CLOSE_LOOKS)
    .map(({ row }) => explained(row, subject))
    .filter(({ matched }) => !matched)
    .map((explanation) => ({ explanation, share: shareHeld(explanation) }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || inOrder(a.explanation.row, b.explanation.row))
    .slice(0, limit)
    .map(({ explanation }) => explanation);
}

/** What did not hold, as a sentence for a person; empty when everything did. */
export function shortcomings({ why, criteria }: RuleExplanation): string {
  if (why === 'not_compiled') return 'the rule does not compile';
  return criteria
    .filter(({ outcome }) => outcome !== 'held')
    .map(({ field, outcome, wanted, found, near }) => {
      if (outcome === 'absent') return `${field} (${wanted}) compares with what the event does not have`;
      const part = near === null ? '' : `, of which it has ${JSON.stringify(near)}`;
      return `${field} (${wanted}) does not hold for ${JSON.stringify(found)}${part}`;
    })
    .join('; ');
}

/** As rules are tried. */
export function inOrder(a: RuleRow, b: RuleRow): number {
  return a.priority - b.priority || a.id - b.id;
}

function explained(row: RuleRow, subject: Subject): RuleExplanation {
  const criteria = criteriaFor(row);
  if (criteria === null) return { row, matched: false, why: 'not_compiled', criteria: [] };
  const outcomes = criteria.map((criterion) => outcomeOf(row, criterion, subject));
  const holds = outcomes.every(({ outcome }) => outcome === 'held');
  if (!holds) return { row, matched: false, why: 'criteria', criteria: outcomes };
  return { row, matched: row.is_active, why: row.is_active ? 'matched' : 'inactive', criteria: outcomes };
}

function criteriaFor(row: RuleRow): readonly Criterion[] | null {
  let criteria = compiled.get(row);
  if (criteria === undefined) {
    try {
      criteria = criteriaOf(row);
    } catch {
      criteria = null;
    }
    compiled.set(row, criteria);
  }
  return criteria;
}

function outcomeOf(row: RuleRow, criterion: Criterion, subject: Subject): CriterionOutcome {
  const { field } = criterion;
  const found = foundIn(subject.event, row, field);
  const holds = isHeld(criterion, subject);
  return {
    field,
    outcome: holds ? 'held' : found === null ? 'absent' : 'not_held',
    wanted: wantedBy(row, field).slice(0, WANTED_CHARS_MAX).toWellFormed(),
    found: found === null ? null : found.slice(0, FOUND_CHARS_MAX).toWellFormed(),
    near: holds || !isOfMessage(row, field) ? null : nearestPart(row, subject),
  };
}

/** One that goes over its budget does not hold, as in the matcher. */
function isHeld(criterion: Criterion, subject: Subject): boolean {
  try {
    return criterion.holds(subject);
  } catch (thrown) {
    if (codeOf(thrown).startsWith('E_RULE_')) return false;
    throw thrown;
  }
}

function isOfMessage(row: RuleRow, field: CriterionField): boolean {
  return field === 'match_string' && row.match_type !== 'oid_prefix';
}

function foundIn(event: NormalizedEvent, row: RuleRow, field: CriterionField): string | null {
  switch (field) {
    case 'active_from':
    case 'active_until':
      return new Date(event.receivedAtMs).toISOString();
    case 'syslog_severity':
      return event.severity === undefined ? null : String(event.severity);
    case 'facility':
      return event.facility === undefined ? null : String(event.facility);
    case 'host':
      return event.hostname;
    case 'program':
      return event.program ?? null;
    case 'trap_oid':
      return event.trapOid ?? null;
    case 'network':
      return event.sourceIp ?? null;
    case 'match_string':
      return row.match_type === 'oid_prefix' ? (event.trapOid ?? null) : event.message;
  }
}

function wantedBy(row: RuleRow, field: CriterionField): string {
  const value = String(row[field]);
  switch (field) {
    case 'active_from':
      return `received at ${value} or later`;
    case 'active_until':
      return `received before ${value}`;
    case 'syslog_severity':
      return `${row.severity_op} ${value}`;
    case 'trap_oid':
      return row.match_type === 'oid_prefix' ? `${value} or under it` : value;
    case 'match_string':
      if (row.match_type === 'oid_prefix') return `${value} or under it`;
      return `${row.match_type === 'regex' ? 'matches' : 'contains'} ${JSON.stringify(value)}`;
    default:
      return value;
  }
}

/** How much of a rule an explanation found to hold, 0 to 1: a message that is near counts for its part. */
function shareHeld({ row, criteria }: RuleExplanation): number {
  if (criteria.length === 0) return 0;
  const length = row.match_string?.length ?? 1;
  const held = criteria.map(({ outcome, near }) =>
    outcome === 'held' ? 1 : near === null ? 0 : Math.min(0.99, near.length / length),
  );
  return held.reduce((sum, share) => sum + share, 0) / criteria.length;
}

/** An estimate of that for little: no expression is run, and the message is looked at by its words. */
function glance(row: RuleRow, subject: Subject, words: ReadonlySet<string>): number {
  const criteria = criteriaFor(row);
  if (criteria === null) return 0;
  let held = 0;
  for (const criterion of criteria) {
    if (!isOfMessage(row, criterion.field)) {
      if (isHeld(criterion, subject)) held += 1;
      continue;
    }
    const wanted = wordsOf(row);
    const common = wanted.filter((word) => words.has(word)).length;
    held += wanted.length === 0 ? 0 : common / wanted.length;
  }
  return held / criteria.length;
}

function wordsOf(row: RuleRow): readonly string[] {
  let words = wordsOfRow.get(row);
  if (words === undefined) {
    words = wordsIn(literalsOf(row).join(' '));
    wordsOfRow.set(row, words);
  }
  return words;
}

function wordsIn(text: string): string[] {
  return [...new Set(foldText(text).match(WORD) ?? [])];
}

/** The longest part of what the rule wants in the message that is there; null when that is next to nothing. */
function nearestPart(row: RuleRow, subject: Subject): string | null {
  const message = row.case_sensitive ? subject.event.message : subject.foldedMessage;
  const searched = message.slice(0, NEAR_CHARS_MAX);
  let longest = '';
  for (const literal of literalsOf(row)) {
    const [start, end] = longestCommonPart(row.case_sensitive ? literal : foldText(literal), searched);
    if (end - start > longest.length) longest = literal.slice(start, end);
  }
  return longest.length < NEAR_CHARS_MIN ? null : longest.toWellFormed();
}

/** The texts that stand in a rule's match_string as they are to be found in a message. */
function literalsOf({ match_string: text, match_type: type }: RuleRow): string[] {
  if (text === null || type === 'oid_prefix') return [];
  return type === 'contains' ? [text] : runsOf(text);
}

/** The runs of characters in an expression that stand for themselves. What may be absent ends one. */
function runsOf(expression: string): string[] {
  const runs: string[] = [];
  let run = '';
  const end = (dropped = 0): void => {
    const kept = run.slice(0, run.length - dropped);
    if (kept.length >= NEAR_CHARS_MIN) runs.push(kept);
    run = '';
  };
  for (let at = 0; at < expression.length; at++) {
    const char = expression[at]!;
    const skipTo = (close: string): void => {
      while (at < expression.length && expression[at] !== close) at += expression[at] === '\\' ? 2 : 1;
    };
    if (char === '\\') {
      const escaped = expression[++at] ?? '';
      if (!/[a-z0-9]/i.test(escaped)) run += escaped;
      else {
        end();
        if (expression[at + 1] === '{') skipTo('}');
      }
    } else if (char === '[') {
      end();
      skipTo(']');
    } else if (char === '{') {
      end(1);
      skipTo('}');
    } else if (char === '(' && expression[at + 1] === '?') {
      end();
      at += 2;
      if (expression[at] === '<') skipTo('>');
    } else if ('*?'.includes(char)) end(1);
    else if ('()|^$.+'.includes(char)) end();
    else run += char;
  }
  end();
  return runs;
}

/** Where in `text` its longest part lies that `message` holds; [0, 0] for none. */
function longestCommonPart(text: string, message: string): [start: number, end: number] {
  // The lengths of common parts that end at each unit of `text`, for one unit of `message` after the other.
  const lengths = new Uint16Array(text.length + 1);
  let longest = 0;
  let end = 0;
  for (let at = 0; at < message.length && longest < text.length; at++) {
    const unit = message.charCodeAt(at);
    for (let index = text.length; index > 0; index--) {
      const length = text.charCodeAt(index - 1) === unit ? lengths[index - 1]! + 1 : 0;
      lengths[index] = length;
      if (length > longest) [longest, end] = [length, index];
    }
  }
  return [end - longest, end];
}
