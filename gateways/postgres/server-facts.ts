/**
 * What a PostgreSQL server says of itself.
 */
import type { Connection } from './connection.ts';

/** 14, as `serverVersion` gives it. */
export const POSTGRES_VERSION_MIN = 140_000;

/** As one number: 140005 is 14.5. Errors: those of Connection. */
export async function serverVersion(connection: Connection): Promise<number> {
  return (await connection.row<{ version: number }>('read_server_version')).version;
}

/** The server's time in ms since 1970 UTC. Errors: those of Connection. */
export async function serverClockMs(connection: Connection): Promise<number> {
  return (await connection.row<{ now_ms: number }>('read_clock')).now_ms;
}
