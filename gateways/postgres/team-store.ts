/** Which team answers for which host, as people configure it. Host names are case-folded. */
import { checkedHostname, checkedText } from './checked-input.ts';
import { textArray } from './array-literal.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, RecordChange } from './configuration-change.ts';
import type { Connection, Statements, Transaction } from './connection.ts';
import { requireVersion } from './item-version.ts';
import type { Precondition } from './item-version.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { removeRecords } from './remove-records.ts';

export interface StoredTeam {
  hostname: string;
  team: string;
  /** Rises with each change, also when it is removed and made again. */
  version: number;
  updatedAtMs: number;
}

interface TeamRow {
  hostname: string;
  team: string;
  version: number;
  updated_ms: number;
}

export class PostgresTeamStore {
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
  }): Promise<Page<StoredTeam, string>> {
    const from = after === undefined ? null : checkedHostname(after);
    const rows = await this.#connection.rows<TeamRow>('page_device_teams', [null, from, rowsFor(limit)]);
    return pageOf(rows.map(toTeam), limit, ({ hostname }) => hostname);
  }

  /** Undefined when no team is named for this host. Errors: E_ROW_INVALID, those of Connection. */
  async get(hostname: string): Promise<StoredTeam | undefined> {
    return find(this.#connection, checkedHostname(hostname));
  }

  /** Saying what is said already changes nothing. Errors: E_VERSION_STALE, E_ROW_INVALID, those of Connection. */
  async put(
    hostname: string,
    team: string,
    precondition: Precondition,
    author: ChangeAuthor,
  ): Promise<StoredTeam> {
    const host = checkedHostname(hostname);
    checkedText(team, 'team');
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const current = await find(transaction, host);
      requireVersion(`the team of ${host}`, current?.version ?? null, precondition);
      await putTeams(transaction, new Map([[host, team]]), record);
      return transaction.row<TeamRow>('page_device_teams', [host, null, 1]);
    });
    return toTeam(result);
  }

  /** False when there was none. Errors: E_VERSION_STALE, E_ROW_INVALID, those of Connection. */
  async remove(hostname: string, precondition: Precondition, author: ChangeAuthor): Promise<boolean> {
    const host = checkedHostname(hostname);
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const current = await find(transaction, host);
      requireVersion(`the team of ${host}`, current?.version ?? null, precondition);
      return (await removeRecords(transaction, 'device_teams', [host], record)) > 0;
    });
    return result;
  }
}

/** Host (case-folded) to team; one that is said already is left alone. */
export async function putTeams(
  transaction: Transaction,
  teams: ReadonlyMap<string, string>,
  record: RecordChange,
): Promise<void> {
  if (teams.size === 0) return;
  const changed = await transaction.rows<{ record_key: string; old_values: unknown; new_values: unknown }>(
    'upsert_device_teams',
    [textArray([...teams.keys()]), textArray([...teams.values()])],
  );
  for (const { record_key, old_values, new_values } of changed) {
    record({
      operation: old_values === null ? 'CREATE' : 'UPDATE',
      resource: 'device_teams',
      recordKey: record_key,
      oldValues: old_values,
      newValues: new_values,
    });
  }
}

async function find(statements: Statements, hostname: string): Promise<StoredTeam | undefined> {
  const [row] = await statements.rows<TeamRow>('page_device_teams', [hostname, null, 1]);
  return row === undefined ? undefined : toTeam(row);
}

function toTeam({ hostname, team, version, updated_ms }: TeamRow): StoredTeam {
  return { hostname, team, version, updatedAtMs: updated_ms };
}
