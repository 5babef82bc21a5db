/**
 * The regular expressions of rules. V8 only checks their syntax; they are run by an engine of our own, whose time is
 * linear in the text, so that no message can hang a thread.
 *
 * An expression is small until it is tested; its automaton is made then, and kept as long as the pool of the thread has
 * room for it.
 */
import { CodedError, messageOf } from '../../../runtime/errors.ts';
import { AutomatonPool } from './automaton-pool.ts';
import type { AutomatonHolder } from './automaton-pool.ts';
import { Automaton } from './automaton.ts';
import { requiredLiterals } from './literals.ts';
import { Positions } from './positions.ts';
import { Program } from './program.ts';
import { parseRegex } from './syntax.ts';
import type { RegexTree } from './syntax.ts';

export interface Expression {
  /**
   * Every text that matches holds at least one of them; of two UTF-16 units or more each; folded by `foldText` unless the
   * case counts. Empty when none are known.
   */
  readonly requiredLiterals: readonly string[];
  /**
   * Whether the text holds a match.
   * @throws CodedError E_RULE_OVER_BUDGET (permanent) when it takes too many steps to tell.
   */
  test(text: string): boolean;
}

export const REGEX_CHARS_MAX = 1024;
/** What the automata of all expressions of a thread may take. */
export const AUTOMATA_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Compiles the expression of a rule. It means what JavaScript says under the flag `u`, and `i` unless the case counts.
 * @throws CodedError E_RULE_REGEX_INVALID when V8 does not take it; E_RULE_REGEX_UNSAFE when it is refused (both permanent).
 */
export function compileExpression(source: string, caseSensitive: boolean): Expression {
  if (source.length > REGEX_CHARS_MAX) {
    throw new CodedError(
      'E_RULE_REGEX_UNSAFE',
      `The expression is refused: it has ${source.length} characters, and at most ${REGEX_CHARS_MAX} are taken.`,
      { mend: 'Shorten it or split the rule.' },
    );
  }
  try {
    new RegExp(source, caseSensitive ? 'u' : 'iu');
  } catch (error) {
    throw new CodedError('E_RULE_REGEX_INVALID', messageOf(error), {
      mend: 'Correct the expression; characters with a meaning of their own, such as { [ ( ) * + ? . |, need a backslash.',
    });
  }
  return new CompiledExpression(source, !caseSensitive);
}

/** How many automata this thread keeps, what they take, and how many it has dropped for want of room. */
export function automataFigures(): { automata: number; bytes: number; dropped: number } {
  return pool.figures;
}

const pool = new AutomatonPool(AUTOMATA_BYTES_MAX);

class CompiledExpression implements Expression, AutomatonHolder {
  automaton: Automaton | undefined;
  isUsed = false;
  countedBytes = 0;
  private readonly source: string;
  private readonly ignoreCase: boolean;
  private literals: readonly string[] | undefined;

  constructor(source: string, ignoreCase: boolean) {
    this.source = source;
    this.ignoreCase = ignoreCase;
    // Only to see whether it is taken: most expressions of a rule set are never tested in this thread.
    new Positions(this.parsed().root);
  }

  get requiredLiterals(): readonly string[] {
    return (this.literals ??= requiredLiterals(this.parsed().root, this.ignoreCase));
  }

  test(text: string): boolean {
    const automaton = (this.automaton ??= new Automaton(new Program(this.parsed(), this.ignoreCase)));
    this.isUsed = true;
    try {
      return automaton.run(text);
    } finally {
      if (automaton.bytes !== this.countedBytes) pool.count(this);
    }
  }

  private parsed(): RegexTree {
    return parseRegex(this.source, this.ignoreCase);
  }
}
