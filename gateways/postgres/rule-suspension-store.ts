/**
 * Rules that every node leaves out, since one of them found that a message took the rule over its budget.
 */
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor } from './configuration-change.ts';
import type { Connection } from './connection.ts';
import { storableText } from './storable-text.ts';

export interface SuspendedRule {
  ruleId: number;
  /** Only this version is suspended. */
  ruleVersion: number;
  /** What took the rule over its budget. */
  eventId: string;
  message: string;
}

const REASON_CHARS_MAX = 1_000;

export class PostgresRuleSuspensionStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * One transaction with its audit entry and the next version. False when the rule is suspended already, is at another
   * version, or gone: then nothing has changed. Errors: those of Connection.
   */
  async suspend(
    { ruleId, ruleVersion, eventId, message }: SuspendedRule,
    { changedBy }: ChangeAuthor,
  ): Promise<boolean> {
    const reason = storableText(message).slice(0, REASON_CHARS_MAX);
    const author = { changedBy, reason: `over its budget: ${reason}`, correlationId: null };
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [suspended] = await transaction.rows<{ old_values: unknown; new_values: unknown }>(
        'insert_rule_suspension',
        [ruleId, ruleVersion, storableText(changedBy), reason, storableText(eventId)],
      );
      if (suspended === undefined) return false;
      record({
        operation: suspended.old_values === null ? 'CREATE' : 'UPDATE',
        resource: 'rule_suspensions',
        recordKey: String(ruleId),
        oldValues: suspended.old_values,
        newValues: suspended.new_values,
      });
      return true;
    });
    return result;
  }
}
