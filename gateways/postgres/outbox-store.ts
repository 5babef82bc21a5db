/**
 * The notices that configuration changes leave behind, for whoever publishes them. A change and its notice are one
 * transaction, so no change goes unnoticed when the publisher was away. Invariant: at most the newest 1000 are kept.
 */
import type { Connection } from './connection.ts';

export interface OutboxNotice {
  id: number;
  snapshotVersion: number;
}

export class PostgresOutboxStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The oldest first. Errors: those of Connection. */
  async unpublished(limit: number): Promise<OutboxNotice[]> {
    const rows = await this.#connection.rows<{ id: number; snapshot_version: number }>(
      'find_unpublished_notices',
      [limit],
    );
    return rows.map((row) => ({ id: row.id, snapshotVersion: row.snapshot_version }));
  }

  /** Settles this notice and all before it: a newer version says all that an older one said. */
  async markPublished(lastId: number): Promise<void> {
    await this.#connection.rows('mark_notices_published', [lastId]);
  }
}
