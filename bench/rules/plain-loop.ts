/** What a rule set costs without an automaton: every rule, one after the other, with V8's own searches. */
import type { NormalizedEvent } from '../../actors/event.ts';
import type { RuleRow } from '../../actors/ports.ts';

export interface PlainRule {
  row: RuleRow;
  holds: (event: NormalizedEvent, lowerMessage: string) => boolean;
}

/** In (priority, id) order. For the benchmark's rules only, which are in ASCII and have one criterion each. */
export function plainRules(rows: readonly RuleRow[]): PlainRule[] {
  const ordered = rows.toSorted((a, b) => a.priority - b.priority || a.id - b.id);
  return ordered.map((row) => ({ row, holds: testOf(row) }));
}

/** The first rule that matches. */
export function plainMatch(rules: readonly PlainRule[], event: NormalizedEvent): RuleRow | undefined {
  const lower = event.message.toLowerCase();
  for (const { row, holds } of rules) if (holds(event, lower)) return row;
  return undefined;
}

function testOf(row: RuleRow): PlainRule['holds'] {
  const { match_string: text, trap_oid: oid } = row;
  if (row.match_type === 'oid_prefix') return ({ trapOid }) => `${trapOid ?? ''}.`.startsWith(`${oid}.`);
  if (row.match_type === 'regex') {
    const expression = new RegExp(text!, 'i');
    return ({ message }) => expression.test(message);
  }
  const literal = text!.toLowerCase();
  return (_, lower) => lower.includes(literal);
}
