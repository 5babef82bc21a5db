/**
 * API keys in PostgreSQL: names, scopes and HMACs. The keys themselves are nowhere.
 *
 * Making, rotating and revoking a key is a change of the configuration, with its audit and its version. Invariants: no
 * HMAC is in the audit, a name is never used for a second key, and at most KEYS_MAX keys work at a time.
 */
import type { ApiKeyRecord, KeyScope } from '../../actors/ports.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { checkedText, checkedTimeOrNull, invalidInput } from './checked-input.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, ConfigurationChange } from './configuration-change.ts';
import type { Connection, Statements } from './connection.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';

export type { KeyScope } from '../../actors/ports.ts';

/** Every gateway holds all of them and compares a key that it does not know with each. */
export const KEYS_MAX = 1_000;

export interface NewApiKey {
  name: string;
  scopes: readonly KeyScope[];
  /** HMAC-SHA-256 of the key, 32 bytes. */
  hmac: Uint8Array;
  /** Milliseconds since 1970; null is never. */
  expiresAtMs: number | null;
  /** Names the pepper of the HMAC; empty when it is not known. */
  pepperFingerprint?: string;
  /** The `id` of an event says which one it is, when it comes again. Not when left out. */
  eventIds?: boolean;
}

export interface RotatedApiKey {
  /** Of the new key. */
  hmac: Uint8Array;
  /** Until when the present key works; its own end comes first if it is earlier. */
  previousExpiresAtMs: number;
  /** Present time: what says whether the value before still works. */
  nowMs: number;
  /** When given, it has to be the one that the key was made with: one record has one pepper. */
  pepperFingerprint?: string;
}

/** A key as people see it. Times in ms since 1970. */
export interface StoredApiKey {
  name: string;
  scopes: KeyScope[];
  createdAtMs: number;
  /** Null is never. */
  expiresAtMs: number | null;
  /** Null as long as it is not revoked. */
  revokedAtMs: number | null;
  /** Until when the key before the last rotation works; null when there was none. */
  previousExpiresAtMs: number | null;
  pepperFingerprint: string;
  eventIds: boolean;
}

interface StoredKeyRow {
  name: string;
  scopes: KeyScope[];
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
  previous_expires_ms: number | null;
  pepper_fingerprint: string;
  event_ids: boolean;
}
interface ChangedKeyRow {
  old_values: unknown;
  new_values: unknown;
}

const RESOURCE = 'api_keys';
const HMAC_BYTES = 32;
const FINGERPRINT_CHARS_MAX = 64;

export class PostgresKeyStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Revoked and expired ones too, by name. Errors: E_ROW_INVALID, those of Connection. */
  async list({
    after,
    limit,
  }: {
    after?: string | undefined;
    limit: number;
  }): Promise<Page<StoredApiKey, string>> {
    const from = after === undefined ? null : checkedName(after);
    const rows = await this.#connection.rows<StoredKeyRow>('list_api_keys', [null, from, rowsFor(limit)]);
    return pageOf(rows.map(toStoredKey), limit, ({ name }) => name);
  }

  /** Undefined when there never was a key of this name. Errors: E_ROW_INVALID, those of Connection. */
  async get(name: string): Promise<StoredApiKey | undefined> {
    return find(this.#connection, checkedName(name));
  }

  /**
   * Errors: E_KEY_EXISTS (also for the name of a revoked key), E_KEYS_FULL, E_ROW_INVALID, those of Connection.
   */
  async insert(key: NewApiKey, author: ChangeAuthor): Promise<StoredApiKey> {
    const { scopes } = key;
    const name = checkedName(key.name);
    const values = [
      name,
      [...scopes],
      checkedHmac(key.hmac),
      checkedTimeOrNull(key.expiresAtMs, 'expires_at'),
      checkedFingerprint(key.pepperFingerprint),
      key.eventIds === true,
    ];
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const { keys } = await transaction.row<{ keys: number }>('count_working_api_keys');
      if (keys >= KEYS_MAX) {
        throw new CodedError('E_KEYS_FULL', `there are ${keys} keys that work, and there may not be more`, {
          mend: 'Revoke keys that nobody uses.',
          details: { max: KEYS_MAX },
        });
      }
      const [inserted] = await transaction.rows<ChangedKeyRow>('insert_api_key', values);
      if (inserted === undefined) throw keyExists(name);
      record(changeOf('CREATE', name, inserted));
      return find(transaction, name);
    });
    return present(result, name);
  }

  /**
   * Gives a key of this name a new value; the one before works until `previousExpiresAtMs`. While one that was rotated
   * away still works, that would end it early: only a rotation without overlap may. Undefined when no key of this name
   * works. Errors: E_KEY_ROTATING, E_KEY_EXISTS (this value is another key's), E_KEY_PEPPER, E_ROW_INVALID, those of
   * Connection.
   */
  async rotate(
    name: string,
    rotated: RotatedApiKey,
    author: ChangeAuthor,
  ): Promise<StoredApiKey | undefined> {
    checkedName(name);
    const fingerprint =
      rotated.pepperFingerprint === undefined ? null : checkedFingerprint(rotated.pepperFingerprint);
    const previousExpiresAtMs = checkedTimeOrNull(rotated.previousExpiresAtMs, 'previous_expires_at');
    const values = [name, checkedHmac(rotated.hmac), previousExpiresAtMs];
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const current = await find(transaction, name);
      if (current === undefined) return undefined;
      if (fingerprint !== null && fingerprint !== current.pepperFingerprint) throw otherPepper(name);
      const { previousExpiresAtMs: earlierMs } = current;
      if (
        earlierMs !== null &&
        earlierMs > rotated.nowMs &&
        (previousExpiresAtMs ?? Infinity) > rotated.nowMs
      ) {
        throw stillRotating(name, earlierMs);
      }
      const [changed] = await transaction
        .rows<ChangedKeyRow>('rotate_api_key', values)
        .catch((thrown: unknown) => {
          throw codeOf(thrown) === 'E_ROW_INVALID' ? keyExists(name) : thrown;
        });
      if (changed === undefined) return undefined;
      record(changeOf('UPDATE', name, changed));
      return find(transaction, name);
    });
    return result;
  }

  /** Ends a key at once. Says false when there is no such key or it was revoked before. Errors: those of Connection. */
  async revoke(name: string, author: ChangeAuthor): Promise<boolean> {
    checkedName(name);
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [revoked] = await transaction.rows<ChangedKeyRow>('revoke_api_key', [name]);
      if (revoked === undefined) return false;
      record(changeOf('UPDATE', name, revoked));
      return true;
    });
    return result;
  }
}

/** What opens the gateways: keys, by name, that are not revoked and had not expired at `atMs` (since 1970). */
export async function readKeyRecords(statements: Statements, atMs: number): Promise<ApiKeyRecord[]> {
  const rows = await statements.rows<{
    name: string;
    scopes: KeyScope[];
    hmac: Buffer;
    expires_ms: number | null;
    previous_hmac: Buffer | null;
    previous_expires_ms: number | null;
    pepper_fingerprint: string;
    event_ids: boolean;
  }>('list_active_api_keys', [atMs]);
  return rows.map((row) => ({
    name: row.name,
    scopes: row.scopes,
    hmacSha256s: [
      { hmac: row.hmac.toString('hex'), expiresAt: row.expires_ms },
      ...(row.previous_hmac === null
        ? []
        : [{ hmac: row.previous_hmac.toString('hex'), expiresAt: row.previous_expires_ms }]),
    ],
    pepperFingerprint: row.pepper_fingerprint,
    ...(row.event_ids ? { eventIds: true } : {}),
  }));
}

async function find(statements: Statements, name: string): Promise<StoredApiKey | undefined> {
  const [row] = await statements.rows<StoredKeyRow>('list_api_keys', [name, null, 1]);
  return row === undefined ? undefined : toStoredKey(row);
}

function toStoredKey(row: StoredKeyRow): StoredApiKey {
  return {
    name: row.name,
    scopes: row.scopes,
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms,
    revokedAtMs: row.revoked_ms,
    previousExpiresAtMs: row.previous_expires_ms,
    pepperFingerprint: row.pepper_fingerprint,
    eventIds: row.event_ids,
  };
}

function changeOf(
  operation: ConfigurationChange['operation'],
  name: string,
  { old_values, new_values }: ChangedKeyRow,
): ConfigurationChange {
  return {
    operation,
    resource: RESOURCE,
    recordKey: name,
    oldValues: old_values ?? null,
    newValues: new_values,
  };
}

function checkedName(name: string): string {
  return checkedText(name, 'name');
}

function checkedHmac(hmac: Uint8Array): Buffer {
  const bytes = Buffer.from(hmac);
  if (bytes.length !== HMAC_BYTES) {
    throw invalidInput(
      'hmac',
      `has ${bytes.length} bytes`,
      `Give the ${HMAC_BYTES} bytes of an HMAC-SHA-256.`,
    );
  }
  return bytes;
}

function checkedFingerprint(fingerprint: string | undefined): string {
  if (fingerprint === undefined || fingerprint === '') return '';
  return checkedText(fingerprint, 'pepper_fingerprint', FINGERPRINT_CHARS_MAX);
}

function present(key: StoredApiKey | undefined, name: string): StoredApiKey {
  if (key !== undefined) return key;
  throw new CodedError('E_STATEMENT_FAILED', `the key ${name} was stored and not found`, { kind: 'defect' });
}

function keyExists(name: string): CodedError {
  return new CodedError('E_KEY_EXISTS', `there is a key with the name ${name} or with this value`, {
    mend: 'Choose another name; names of revoked keys are not used again.',
    details: { name },
  });
}

function stillRotating(name: string, earlierMs: number): CodedError {
  const until = new Date(earlierMs).toISOString();
  return new CodedError(
    'E_KEY_ROTATING',
    `the value of ${name} before the present one still works until ${until}`,
    {
      mend: 'Wait until then, or rotate without overlap: that ends every earlier value at once.',
      details: { name, until },
    },
  );
}

function otherPepper(name: string): CodedError {
  return new CodedError('E_KEY_PEPPER', `the key ${name} was made with another pepper than this node's`, {
    mend: 'Rotate it at a node with that pepper, or copy keys/pepper of that node here; or make a new key.',
    details: { name },
  });
}
