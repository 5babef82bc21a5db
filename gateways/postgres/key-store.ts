/**
 * API keys in PostgreSQL: names, scopes and HMACs. The keys themselves are nowhere.
 *
 * Making and revoking a key is a change of the configuration, with its audit and its version. Invariant: no HMAC is in
 * the audit, and a name is never used for a second key.
 */
import { CodedError } from '../../runtime/errors.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor } from './configuration-change.ts';
import type { Connection } from './connection.ts';

export type KeyScope = 'ingest' | 'read' | 'operate' | 'admin';

export interface NewApiKey {
  name: string;
  scopes: readonly KeyScope[];
  /** HMAC-SHA-256 of the key, 32 bytes. */
  hmac: Uint8Array;
  /** Milliseconds since 1970; null is never. */
  expiresAtMs: number | null;
}

export interface ActiveApiKey {
  name: string;
  scopes: KeyScope[];
  hmac: Buffer;
  expiresAtMs: number | null;
}

export class PostgresKeyStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Errors: E_KEY_EXISTS (also for the name of a revoked key), E_ROW_INVALID, those of Connection. */
  async insert(key: NewApiKey, author: ChangeAuthor): Promise<void> {
    await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [inserted] = await transaction.rows<{ new_values: unknown }>('insert_api_key', [
        key.name,
        [...key.scopes],
        Buffer.from(key.hmac),
        key.expiresAtMs,
      ]);
      if (inserted === undefined) {
        throw new CodedError('E_KEY_EXISTS', `there is a key with the name ${key.name} or with this value`, {
          mend: 'Choose another name; names of revoked keys are not used again.',
          details: { name: key.name },
        });
      }
      const { new_values } = inserted;
      record({
        operation: 'CREATE',
        resource: 'api_keys',
        recordKey: key.name,
        oldValues: null,
        newValues: new_values,
      });
    });
  }

  /** Ends a key at once. Says false when there is no such key or it was revoked before. Errors: those of Connection. */
  async revoke(name: string, author: ChangeAuthor): Promise<boolean> {
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [revoked] = await transaction.rows<{ old_values: unknown; new_values: unknown }>(
        'revoke_api_key',
        [name],
      );
      if (revoked === undefined) return false;
      record({
        operation: 'UPDATE',
        resource: 'api_keys',
        recordKey: name,
        oldValues: revoked.old_values,
        newValues: revoked.new_values,
      });
      return true;
    });
    return result;
  }

  /** Keys that are neither revoked nor expired at `nowMs` (since 1970). Errors: those of Connection. */
  async listActive(nowMs: number): Promise<ActiveApiKey[]> {
    const rows = await this.#connection.rows<{
      name: string;
      scopes: KeyScope[];
      hmac: Buffer;
      expires_ms: number | null;
    }>('list_active_api_keys', [nowMs]);
    return rows.map(({ name, scopes, hmac, expires_ms }) => ({
      name,
      scopes,
      hmac,
      expiresAtMs: expires_ms,
    }));
  }
}
