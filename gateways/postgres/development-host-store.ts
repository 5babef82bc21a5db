/** The hosts whose events are handled as development, as people configure them. Host names are case-folded. */
import { textArray } from './array-literal.ts';
import { checkedHostname } from './checked-input.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, RecordChange } from './configuration-change.ts';
import type { Connection, Transaction } from './connection.ts';
import { alreadyExists } from './item-version.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { removeRecords } from './remove-records.ts';

export interface StoredDevelopmentHost {
  hostname: string;
  createdAtMs: number;
}

interface AddedHost {
  hostname: string;
  created_ms: number;
  new_values: unknown;
}

export class PostgresDevelopmentHostStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** By host name. Errors: E_ROW_INVALID, those of Connection. */
  async page({
    after,
    limit,
  }: {
    after?: string | undefined;
    limit: number;
  }): Promise<Page<StoredDevelopmentHost, string>> {
    const from = after === undefined ? null : checkedHostname(after);
    const rows = await this.#connection.rows<AddedHost>('page_development_hosts', [from, rowsFor(limit)]);
    return pageOf(rows.map(toHost), limit, ({ hostname }) => hostname);
  }

  /** Errors: E_EXISTS, E_ROW_INVALID, those of Connection. */
  async add(hostname: string, author: ChangeAuthor): Promise<StoredDevelopmentHost> {
    const host = checkedHostname(hostname);
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [added] = await addDevelopmentHosts(transaction, [host], record);
      if (added === undefined) throw alreadyExists(`the development host ${host}`, 'hostname');
      return added;
    });
    return toHost(result);
  }

  /** False when it was none. Errors: E_ROW_INVALID, those of Connection. */
  async remove(hostname: string, author: ChangeAuthor): Promise<boolean> {
    const host = checkedHostname(hostname);
    const { result } = await changeConfiguration(
      this.#connection,
      author,
      async (transaction, record) =>
        (await removeRecords(transaction, 'development_hosts', [host], record)) > 0,
    );
    return result;
  }
}

/** Case-folded host names; gives back those that are new. */
export async function addDevelopmentHosts(
  transaction: Transaction,
  hostnames: readonly string[],
  record: RecordChange,
): Promise<AddedHost[]> {
  if (hostnames.length === 0) return [];
  const added = await transaction.rows<AddedHost>('insert_development_hosts', [textArray(hostnames)]);
  for (const { hostname, new_values } of added) {
    record({
      operation: 'CREATE',
      resource: 'development_hosts',
      recordKey: hostname,
      oldValues: null,
      newValues: new_values,
    });
  }
  return added;
}

function toHost({ hostname, created_ms }: AddedHost): StoredDevelopmentHost {
  return { hostname, createdAtMs: created_ms };
}
