/** Rules as they once were, from the record of configuration changes. */
import { checkedId } from './checked-input.ts';
import type { Connection } from './connection.ts';

export interface StoredRuleVersion {
  version: number;
  /** All columns that the rule's table then had. */
  values: Record<string, unknown>;
}

export class PostgresRuleVersionStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * That version, or without one the last before the present. Undefined when there is none, or it is not kept. Errors:
   * E_ROW_INVALID, those of Connection.
   */
  async find(id: number, version: number | undefined): Promise<StoredRuleVersion | undefined> {
    const wanted = version === undefined ? null : checkedId(version, 'version');
    const [found] = await this.#connection.rows<StoredRuleVersion>('get_rule_version', [
      checkedId(id),
      wanted,
    ]);
    return found;
  }
}
