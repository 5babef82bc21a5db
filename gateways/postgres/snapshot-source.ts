/**
 * Reads everything people configure, at one version; of rules only those that changed since the last time (RuleReader).
 * Invariant: no snapshot mixes two versions, since all of it is read in one repeatable-read transaction and every change
 * raises the version in its own.
 */
import type { Snapshot } from '../../actors/ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Connection } from './connection.ts';
import { readDestinations } from './destination-store.ts';
import { readKeyRecords } from './key-store.ts';
import { RuleReader } from './rule-reader.ts';
import { readSettingValues } from './settings-store.ts';

/** So long after its end a key is still known as one that has expired. */
const EXPIRED_KEYS_KEPT_MS = 24 * 3_600_000;

export class PostgresSnapshotSource {
  readonly #connection: Connection;
  readonly #rules = new RuleReader();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The version of everything; one row, for polling. Errors: those of Connection. */
  async currentVersion(): Promise<number> {
    const row = await this.#connection.row<{ snapshot_version: number }>('read_config_version');
    return row.snapshot_version;
  }

  renew(): void {
    this.#connection.renew();
  }

  /** Rules are in the order they are tried, inactive ones included. Errors: those of Connection. */
  load(): Promise<Snapshot> {
    return this.#connection.transaction(
      async (transaction) => {
        const { snapshot_version } = await transaction.row<{ snapshot_version: number }>(
          'read_config_version',
        );
        const rules = await this.#rules.read(transaction);
        const hosts = await transaction.rows<{ hostname: string }>('list_development_hosts');
        const teams = await transaction.rows<{ hostname: string; team: string }>('list_device_teams');
        const keptFromMs = systemClock.wallMs() - EXPIRED_KEYS_KEPT_MS;
        return {
          version: snapshot_version,
          rules,
          developmentHosts: hosts.map((host) => host.hostname),
          teams: Object.fromEntries(teams.map(({ hostname, team }) => [hostname, team])),
          destinations: await readDestinations(transaction),
          settings: await readSettingValues(transaction),
          keys: await readKeyRecords(transaction, keptFromMs),
        };
      },
      { isSnapshot: true },
    );
  }
}
