/**
 * Which nodes see a trouble of the installation, so that one tells it. What a node that has vanished had noted ends by
 * itself. Invariant: of nodes that see the same thing at the same time exactly one is the first.
 */
import type { Connection } from './connection.ts';
import { storableText } from './storable-text.ts';

/** So long a note counts; nodes renew theirs every 20 s. */
export const OBSERVED_MS = 60_000;
const FORGET_AFTER_MS = 86_400_000;

export class PostgresOwnAlertStore {
  readonly #connection: Connection;
  /** Of this node. */
  readonly #node: string;

  constructor(connection: Connection, node: string) {
    this.#connection = connection;
    this.#node = storableText(node);
  }

  /** Whether nobody saw it before, this node in an earlier life included. Errors: those of Connection. */
  async observe(signature: string): Promise<boolean> {
    const { is_first: isFirst } = await this.#connection.row<{ is_first: boolean }>('observe_own_alert', [
      storableText(signature),
      this.#node,
      OBSERVED_MS,
    ]);
    return isFirst;
  }

  /** Whether nobody else sees it. Errors: those of Connection. */
  async withdraw(signature: string): Promise<boolean> {
    const [withdrawn] = await this.#connection.rows<{ is_last: boolean }>('withdraw_own_alert', [
      storableText(signature),
      this.#node,
      OBSERVED_MS,
    ]);
    await this.#connection.rows('forget_own_alerts', [FORGET_AFTER_MS]);
    return withdrawn?.is_last ?? true;
  }
}
