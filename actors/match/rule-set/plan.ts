/**
 * Where each rule is filed: under what narrows it most, so that an event meets only the rules that may match it.
 */
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { canonicalHostname } from '../../hostname.ts';
import type { RuleRow } from '../../ports.ts';
import { criteriaOf, oidOf } from '../criteria.ts';
import { foldName, foldText } from '../fold.ts';
import { isGlob } from '../glob.ts';
import type { Expression } from '../regex/expression.ts';
import { DENSE_BYTES_MAX, UNIT_BYTES_MAX } from './automaton.ts';
import { judgedExpression } from './expressions.ts';
import { refuseTooLarge } from './limits.ts';
import type { RuleSetCost } from './limits.ts';

export interface RefusedRule {
  ruleId: number;
  code: string;
  message: string;
}

/** `literal`: an event that matches holds one of the keys. The others: it has the key in that field. */
export interface Filing {
  by: 'literal' | 'oid' | 'host' | 'program' | 'nothing';
  keys: readonly string[];
}

export interface PlannedRule {
  row: RuleRow;
  filing: Filing;
  /** Filed under a literal that is all of its criterion on the message: where it was found, the criterion holds. */
  isLiteralEnough: boolean;
}

export interface RuleSetPlan {
  /** Active ones that compile, in (priority, id) order. */
  rules: PlannedRule[];
  /** Active ones that do not. */
  refused: RefusedRule[];
  /** All other rows. */
  idle: RuleRow[];
  /** Of all rows, in the order rules, then others: as JSON. */
  texts: Buffer[];
  cost: RuleSetCost;
}

/** What the image takes for each rule besides its row and its literals, at most. */
const RULE_BYTES_MAX = 128;
/** The table of units, and everything of a fixed size. */
const FIXED_BYTES_MAX = 1024 * 1024;

/** What one rule adds to the cost of a set, whatever the others are. Plain data: it can be sent to another thread. */
export interface RuleCost {
  /** Every way to file it; null when it is not in use, or does not compile. */
  filings: readonly Filing[] | null;
  /** Of its row. */
  bytes: number;
}

/** Never throws. */
export function ruleCost(row: RuleRow): RuleCost {
  const bytes = Buffer.byteLength(JSON.stringify(row));
  try {
    return { filings: row.is_active ? filingsOf(row) : null, bytes };
  } catch {
    return { filings: null, bytes };
  }
}

/**
 * What a set of rules costs that are judged by themselves; exactly what `planRuleSet` says of them.
 * @throws CodedError E_RULE_SET_TOO_LARGE (permanent).
 */
export function setCost(rules: readonly RuleCost[]): RuleSetCost {
  refuseTooLarge({ rules: rules.length, alwaysRules: 0, literalUnits: 0, imageBytes: 0 });
  const ways = rules.flatMap(({ filings }) => (filings === null ? [] : [filings]));
  return checkedCost(
    narrowest(ways),
    rules.map(({ bytes }) => bytes),
  );
}

/** @throws CodedError E_RULE_SET_TOO_LARGE (permanent). */
export function planRuleSet(rows: readonly RuleRow[]): RuleSetPlan {
  refuseTooLarge({ rules: rows.length, alwaysRules: 0, literalUnits: 0, imageBytes: 0 });
  const refused: RefusedRule[] = [];
  const idle: RuleRow[] = [];
  const ways: { row: RuleRow; filings: Filing[] }[] = [];
  for (const row of [...rows].sort((a, b) => a.priority - b.priority || a.id - b.id)) {
    try {
      if (row.is_active) ways.push({ row, filings: filingsOf(row) });
      else idle.push(row);
    } catch (error) {
      refused.push({ ruleId: row.id, code: codeOf(error), message: messageOf(error) });
      idle.push(row);
    }
  }
  const filed = narrowest(ways.map(({ filings }) => filings));
  const rules = ways.map(({ row }, at) => plannedRule(row, filed[at]!));
  const texts = [...rules.map(({ row }) => row), ...idle].map((row) => Buffer.from(JSON.stringify(row)));
  const cost = checkedCost(
    filed,
    texts.map(({ length }) => length),
  );
  return { rules, refused, idle, texts, cost };
}

/** @param rowBytes of all rows, used or not. @throws CodedError E_RULE_SET_TOO_LARGE (permanent). */
function checkedCost(filed: readonly Filing[], rowBytes: readonly number[]): RuleSetCost {
  const literals = new Set<string>();
  let [alwaysRules, literalUnits] = [0, 0];
  for (const { by, keys } of filed) {
    if (by === 'nothing') alwaysRules++;
    else if (by === 'literal') for (const key of keys) literals.add(key);
  }
  for (const literal of literals) literalUnits += literal.length;
  let imageBytes = FIXED_BYTES_MAX + DENSE_BYTES_MAX + rowBytes.length * RULE_BYTES_MAX;
  imageBytes += literalUnits * UNIT_BYTES_MAX;
  for (const bytes of rowBytes) imageBytes += bytes;
  const cost = { rules: rowBytes.length, alwaysRules, literalUnits, imageBytes };
  refuseTooLarge(cost);
  return cost;
}

/** Every way to file the rule, the most telling first. @throws CodedError as criteriaOf. */
function filingsOf(row: RuleRow): Filing[] {
  const literals = checkedLiteralsOf(row);
  const filings: Filing[] = [];
  const oid = oidOf(row);
  if (oid !== undefined) filings.push({ by: 'oid', keys: [oid] });
  if (literals.length > 0) filings.push({ by: 'literal', keys: literals });
  if (row.host !== null && !isGlob(row.host)) {
    filings.push({ by: 'host', keys: [foldName(canonicalHostname(row.host))] });
  }
  if (row.program !== null) filings.push({ by: 'program', keys: [foldName(row.program)] });
  return filings;
}

/** How much more often an event is thought to have the key of another kind than to hold a literal. */
const FREQUENCIES = { literal: 1, oid: 1, host: 2, program: 8, nothing: Infinity };
/** Literals shorter than this are in much text by chance: each unit less makes them eight times as frequent. */
const LITERAL_UNITS_GOOD = 4;

/** Chooses for each rule the key that the fewest rules share, weighed by how often events are thought to have it. */
function narrowest(ways: readonly (readonly Filing[])[]): Filing[] {
  const claims = { literal: new Map(), oid: new Map(), host: new Map(), program: new Map() } as Record<
    Filing['by'],
    Map<string, number>
  >;
  for (const filings of ways) {
    // A rule with one way to be filed has no choice; its claim counts for the others.
    for (const { by, keys } of filings) {
      for (const key of keys) claims[by].set(key, (claims[by].get(key) ?? 0) + 1);
    }
  }
  const weightOf = ({ by, keys }: Filing): number => {
    let weight = 0;
    for (const key of keys) {
      const missing = by === 'literal' ? Math.max(0, LITERAL_UNITS_GOOD - key.length) : 0;
      weight += claims[by].get(key)! * FREQUENCIES[by] * 8 ** missing;
    }
    return weight;
  };
  return ways.map((filings) => {
    if (filings.length < 2) return filings[0] ?? { by: 'nothing', keys: [] };
    const weights = filings.map(weightOf);
    return filings[weights.indexOf(Math.min(...weights))]!;
  });
}

function plannedRule(row: RuleRow, filing: Filing): PlannedRule {
  const isLiteralEnough =
    filing.by === 'literal' &&
    row.match_type === 'contains' &&
    !row.case_sensitive &&
    row.match_string!.length === filing.keys[0]!.length;
  return { row, filing, isLiteralEnough };
}

/** A text that every message which matches holds, folded; or several, of which it holds one. Empty: none is known. */
function checkedLiteralsOf(row: RuleRow): readonly string[] {
  const judged: Expression[] = [];
  criteriaOf(row, (source, caseSensitive) => {
    const expression = judgedExpression(source, caseSensitive);
    judged.push(expression);
    return expression;
  });
  const { match_string: text, match_type: type } = row;
  if (text === null || type === 'oid_prefix') return [];
  const literals = type === 'regex' ? judged[0]!.requiredLiterals : [text];
  const parts = literals.map((literal) =>
    foldText(row.case_sensitive ? literal : partWithoutCasedPairs(literal)),
  );
  return parts.includes('') ? [] : [...new Set(parts)];
}

/**
 * The longest part of `text` without characters that are two units and have another case: units are folded one by one,
 * so the automaton cannot find those in both.
 */
function partWithoutCasedPairs(text: string): string {
  if (!/[\ud800-\udfff]/.test(text)) return text;
  const parts = [''];
  for (const character of text) {
    const isCased = character.length > 1 && character.toLowerCase() !== character.toUpperCase();
    if (isCased) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.reduce((longest, part) => (part.length > longest.length ? part : longest), '');
}
