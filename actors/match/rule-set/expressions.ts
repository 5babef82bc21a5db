/** Expressions that were judged before: after a change of one rule, one expression is judged. */
import { compileExpression } from '../regex/expression.ts';
import type { Expression } from '../regex/expression.ts';
import { RULES_MAX } from './limits.ts';

type Judged = { requiredLiterals: readonly string[] } | { error: unknown };
const judged = new Map<string, Judged>();

/** As compileExpression; what it tests with is compiled when it is first asked. @throws CodedError as it does. */
export function judgedExpression(source: string, caseSensitive: boolean): Expression {
  const key = `${caseSensitive ? 's' : 'i'}${source}`;
  let known = judged.get(key);
  if (known === undefined) {
    known = judge(source, caseSensitive);
    // As many as a rule set can have: those that are in no set any more make room for all.
    if (judged.size >= RULES_MAX) judged.clear();
    judged.set(key, known);
  }
  if ('error' in known) throw known.error;
  let expression: Expression | undefined;
  const test = (text: string): boolean =>
    (expression ??= compileExpression(source, caseSensitive)).test(text);
  return { requiredLiterals: known.requiredLiterals, test };
}

function judge(source: string, caseSensitive: boolean): Judged {
  try {
    return { requiredLiterals: compileExpression(source, caseSensitive).requiredLiterals };
  } catch (error) {
    return { error };
  }
}
