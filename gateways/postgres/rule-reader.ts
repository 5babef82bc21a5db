/**
 * Reads all rules, but asks only for those that changed since the last time: of ten thousand a change concerns one.
 *
 * Invariants: a rule that did not change is the same object as before; when none did, the list is. What is read in a
 * transaction that is not committed does no harm: every later one has other marks.
 */
import type { RuleRow } from '../../actors/ports.ts';
import type { Transaction } from './connection.ts';

export class RuleReader {
  #rules: RuleRow[] | undefined;
  /** By id: what tells whether it is still the same. */
  #marks: ReadonlyMap<number, string> = new Map();

  /** In the order they are tried, inactive ones included. Errors: those of Connection. */
  async read(transaction: Transaction): Promise<RuleRow[]> {
    const { marks: text } = await transaction.row<{ marks: string }>('list_rule_marks');
    const marks = new Map(text === '' ? [] : text.split(' ').map(parseMark));
    const [before, known] = [this.#marks, this.#rules];
    const rules =
      known === undefined
        ? await transaction.rows<RuleRow>('list_rules')
        : await changed(transaction, known, before, marks);
    this.#rules = rules;
    this.#marks = marks;
    return rules;
  }
}

async function changed(
  transaction: Transaction,
  known: RuleRow[],
  before: ReadonlyMap<number, string>,
  marks: ReadonlyMap<number, string>,
): Promise<RuleRow[]> {
  const ids = [...marks].filter(([id, mark]) => before.get(id) !== mark).map(([id]) => id);
  if (ids.length === 0 && marks.size === before.size) return known;
  const news = ids.length === 0 ? [] : await transaction.rows<RuleRow>('list_rules_of', [ids]);
  const replaced = new Set(ids);
  const kept = known.filter(({ id }) => marks.has(id) && !replaced.has(id));
  return [...kept, ...news].sort((a, b) => a.priority - b.priority || a.id - b.id);
}

function parseMark(text: string): [id: number, mark: string] {
  const colon = text.indexOf(':');
  return [Number(text.slice(0, colon)), text.slice(colon + 1)];
}
