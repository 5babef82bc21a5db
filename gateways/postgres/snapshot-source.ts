/**
 * Reads everything a match actor decides by, at one version. Invariant: no snapshot mixes two versions, since all of it
 * is read in one repeatable-read transaction and every change raises the version in its own.
 */
import type { Destination, RuleRow, Snapshot } from '../../actors/ports.ts';
import type { Connection } from './connection.ts';

interface DestinationRow {
  name: string;
  kind: Destination['kind'];
  url: string;
  secret_ref: string | null;
  routes: Destination['routes'];
  rate_per_second: number;
  concurrency: number;
  timeout_ms: number;
}

export class PostgresSnapshotSource {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The version of everything; one row, for polling. Errors: those of Connection. */
  async currentVersion(): Promise<number> {
    const row = await this.#connection.row<{ snapshot_version: number }>('read_config_version');
    return row.snapshot_version;
  }

  /** Rules are in the order they are tried, inactive ones included. Errors: those of Connection. */
  load(): Promise<Snapshot> {
    return this.#connection.transaction(
      async (transaction) => {
        const { snapshot_version } = await transaction.row<{ snapshot_version: number }>(
          'read_config_version',
        );
        const rules = await transaction.rows<RuleRow>('list_rules');
        const hosts = await transaction.rows<{ hostname: string }>('list_development_hosts');
        const teams = await transaction.rows<{ hostname: string; team: string }>('list_device_teams');
        const destinations = await transaction.rows<DestinationRow>('list_destinations');
        return {
          version: snapshot_version,
          rules,
          developmentHosts: hosts.map((host) => host.hostname),
          teams: Object.fromEntries(teams.map(({ hostname, team }) => [hostname, team])),
          destinations: destinations.map(toDestination),
        };
      },
      { isSnapshot: true },
    );
  }
}

function toDestination(row: DestinationRow): Destination {
  return {
    name: row.name,
    kind: row.kind,
    url: row.url,
    secretRef: row.secret_ref,
    routes: row.routes,
    ratePerSecond: row.rate_per_second,
    concurrency: row.concurrency,
    timeoutMs: row.timeout_ms,
  };
}
