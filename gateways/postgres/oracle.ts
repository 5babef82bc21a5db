/**
 * A look at the books from outside: what PostgreSQL holds, read without the nodes that wrote it, and what can be done to its
 * connections. For the torture, which proves nothing by what a node says of itself.
 */
import type { Connection } from './connection.ts';

export interface OracleDecision {
  /** Ms since 1970, with its fraction. */
  received_ms: number;
  event_id: string;
  handling_decision: string;
  /** As received. */
  raw_message: string;
  alerts: { id: string; destination: string; signature?: string }[];
}

export interface OracleLetter {
  alert_id: string;
  destination: string;
  state: string;
  reason: string;
  rule_id: number;
  description: string;
}

export interface OracleQuarantine {
  event_id: string;
  body: Buffer;
  reason: string;
  state: string;
}

export interface OracleLoss {
  store: string;
  partition: number;
  from_sequence: number;
  to_sequence: number;
}

const PAGE_ROWS = 20_000;
const LIST_MAX = 10_000;

export class Oracle {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Every row of the audit log. Errors: those of the connection. */
  async *decisions(): AsyncGenerator<OracleDecision, void> {
    let after: [receivedMs: number, eventId: string] = [0, ''];
    for (;;) {
      const rows = await this.#connection.rows<OracleDecision>('page_oracle_decisions', [
        ...after,
        PAGE_ROWS,
      ]);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return;
      after = [last.received_ms, last.event_id];
    }
  }

  async *letters(): AsyncGenerator<OracleLetter, void> {
    let after = '';
    for (;;) {
      const rows = await this.#connection.rows<OracleLetter>('page_oracle_letters', [after, PAGE_ROWS]);
      yield* rows;
      if (rows.length < PAGE_ROWS) return;
      after = rows.at(-1)?.alert_id ?? '';
    }
  }

  quarantined(): Promise<OracleQuarantine[]> {
    return this.#connection.rows<OracleQuarantine>('list_oracle_quarantine', [LIST_MAX]);
  }

  losses(): Promise<OracleLoss[]> {
    return this.#connection.rows<OracleLoss>('list_oracle_losses', [LIST_MAX]);
  }

  /** Gives how many. */
  async endOtherConnections(): Promise<number> {
    return (await this.#connection.row<{ ended: number }>('end_other_connections')).ended;
  }

  async otherBackends(): Promise<number[]> {
    return (await this.#connection.rows<{ pid: number }>('list_other_backends')).map(({ pid }) => pid);
  }

  /** Runs a script in a transaction that lasts until `whenOver` resolves. */
  async hold(script: string, name: string, whenOver: () => Promise<void>): Promise<void> {
    await this.#connection.transaction(async (transaction) => {
      await transaction.script(script, name);
      await whenOver();
    });
  }
}
