/**
 * How many rules one installation may have: what every node can build and hold. Checked in the transaction that would
 * exceed it.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { Transaction } from './connection.ts';

export const RULES_MAX = 50_000;

/** Errors: E_RULE_SET_TOO_LARGE, those of Connection. */
export async function requireRoomForRules(transaction: Transaction, rulesMax = RULES_MAX): Promise<void> {
  const { rules } = await transaction.row<{ rules: number }>('count_rules');
  if (rules <= rulesMax) return;
  throw new CodedError('E_RULE_SET_TOO_LARGE', `there would be ${rules} rules, more than ${rulesMax}`, {
    mend: 'Remove rules that are no longer needed; nothing was changed.',
    details: { rules, max: rulesMax },
  });
}
