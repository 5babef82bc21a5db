/** Compares random expressions with V8 on random texts: whether they match, and whether a required literal is in what matches. */
import { foldText } from '../../../../actors/match/fold.ts';
import { compileExpression } from '../../../../actors/match/regex/expression.ts';
import { codeOf } from '../../../../runtime/errors.ts';
import { pick, randomOf, randomSource, randomText } from './random-expressions.ts';

export interface Comparison {
  pairs: number;
  matches: number;
  /** Expressions with required literals. */
  withLiterals: number;
  differences: string[];
}

const PARTS_MAX = 7;
/** V8 goes back and forth: on longer texts some of these expressions keep it busy for minutes. */
const CHARACTERS_MAX = 9;
const TEXTS_EACH = 20;

export function compareWithV8(seed: number, pairs: number): Comparison {
  const random = randomOf(seed);
  const found: Comparison = { pairs: 0, matches: 0, withLiterals: 0, differences: [] };
  while (found.pairs < pairs && found.differences.length < 10) {
    const source = randomSource(random, 1 + Math.floor(random() * PARTS_MAX));
    const caseSensitive = random() < 0.4;
    compareOne(source, caseSensitive, random, found);
  }
  return found;
}

function compareOne(source: string, caseSensitive: boolean, random: () => number, found: Comparison): void {
  let oracle: RegExp;
  try {
    oracle = new RegExp(source, caseSensitive ? 'u' : 'iu');
  } catch {
    let code = 'taken';
    try {
      compileExpression(source, caseSensitive);
    } catch (error) {
      code = codeOf(error);
    }
    if (code !== 'E_RULE_REGEX_INVALID')
      found.differences.push(`${source}: V8 refuses it, ours says ${code}`);
    return;
  }
  const expression = compileExpression(source, caseSensitive);
  const literals = expression.requiredLiterals;
  if (literals.length > 0) found.withLiterals++;
  for (let count = 0; count < TEXTS_EACH; count++) {
    let text = randomText(random, CHARACTERS_MAX);
    if (literals.length > 0 && count % 2 === 0)
      text = text.slice(0, 3) + pick(random, literals) + text.slice(3);
    const expected = oracle.test(text);
    const where = `${JSON.stringify(source)} (${caseSensitive ? 'u' : 'iu'}) on ${JSON.stringify(text)}`;
    found.pairs++;
    if (expected) found.matches++;
    if (expression.test(text) !== expected) found.differences.push(`${where}: V8 says ${expected}`);
    const searched = caseSensitive ? text : foldText(text);
    if (expected && literals.length > 0 && !literals.some((literal) => searched.includes(literal))) {
      found.differences.push(`${where}: it matches without any of ${JSON.stringify(literals)}`);
    }
  }
}
