/**
 * How often rules have matched, over all nodes and since they were made. Roughly: a node that is killed has not stored its
 * last seconds.
 */
import type { Connection } from './connection.ts';

/** More of one rule; each rule once. */
export interface AddedHits {
  ruleId: number;
  hits: number;
  lastReceivedAtMs: number;
}

export interface RuleActivity {
  ruleId: number;
  hits: number;
  firstReceivedAtMs: number;
  lastReceivedAtMs: number;
}

interface ActivityRow {
  rule_id: number;
  hits: number;
  first_received_ms: number;
  last_received_ms: number;
}

export class PostgresRuleActivityStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Not idempotent. Errors: those of Connection. */
  async add(added: readonly AddedHits[]): Promise<void> {
    await this.#connection.rows('add_rule_activity', [
      added.map(({ ruleId }) => ruleId),
      added.map(({ hits }) => hits),
      added.map(({ lastReceivedAtMs }) => Math.trunc(lastReceivedAtMs)),
    ]);
  }

  /** Of the rules that have matched and were not removed. Errors: those of Connection. */
  async list(): Promise<RuleActivity[]> {
    const rows = await this.#connection.rows<ActivityRow>('list_rule_activity');
    return rows.map((row) => ({
      ruleId: row.rule_id,
      hits: row.hits,
      firstReceivedAtMs: row.first_received_ms,
      lastReceivedAtMs: row.last_received_ms,
    }));
  }
}
