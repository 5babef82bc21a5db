/**
 * What was set for the whole installation, by key. What a key means and which values it takes is injected: the store
 * knows neither, and asks while it holds the lock, with the whole set as it would be.
 *
 * Invariants: after each change of a key the whole set passes `check`; the version of a key only rises, also when it is unset and
 * set again; a watched change is settled once, by whoever still finds it as it was.
 */
import type { SettingValue, SettingValues } from '../../actors/ports.ts';
import { CodedError } from '../../runtime/errors.ts';
import { checkedId, checkedText, checkedTimeOrNull, invalidInput } from './checked-input.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, RecordChange } from './configuration-change.ts';
import type { Connection, Statements, Transaction } from './connection.ts';
import { requireVersion } from './item-version.ts';
import type { Precondition } from './item-version.ts';

/** A change that is watched, and taken back when one of the bounds is passed. */
export interface Guard {
  /** When the watch ends, ms since 1970. */
  untilMs: number;
  /** Share of requests that may fail, 0 to 1; null does not watch it. */
  errorRateMax: number | null;
  latencyP99MsMax: number | null;
  /** What the key goes back to; null when it was not set. */
  previousValue: SettingValue | null;
}

export interface StoredSetting {
  key: string;
  value: SettingValue;
  /** From 1; higher after each change, also of the guard. */
  version: number;
  guard: Guard | null;
  updatedAtMs: number;
  updatedBy: string;
}

export interface SetOptions extends Precondition {
  /** What to watch. What it goes back to is found here. Without one, the value stays whatever happens. */
  guard?: Omit<Guard, 'previousValue'> | null;
}

interface SettingRow {
  key: string;
  value: SettingValue;
  version: number;
  guard: StoredGuard | null;
  updated_ms: number;
  updated_by: string;
}
interface StoredGuard {
  until_ms: number;
  error_rate_max: number | null;
  latency_p99_ms_max: number | null;
  previous_value: SettingValue | null;
}

const RESOURCE = 'settings';
const KEY_CHARS_MAX = 128;
const VALUE_CHARS_MAX = 1_000;

export class PostgresSettingsStore {
  readonly #connection: Connection;
  readonly #check: (values: SettingValues, key: string) => void;

  /**
   * `check` throws when the whole set, as it would be after a change of `key`, cannot be used; what it throws is what the
   * caller gets.
   */
  constructor(connection: Connection, check: (values: SettingValues, key: string) => void) {
    this.#connection = connection;
    this.#check = check;
  }

  /** What is set, by key. Errors: those of Connection. */
  list(): Promise<StoredSetting[]> {
    return read(this.#connection, null);
  }

  /** Undefined when it is not set. Errors: E_ROW_INVALID, those of Connection. */
  async get(key: string): Promise<StoredSetting | undefined> {
    return (await read(this.#connection, checkedKey(key)))[0];
  }

  /** What is being watched. Errors: those of Connection. */
  guarded(): Promise<StoredSetting[]> {
    return read(this.#connection, null, true);
  }

  /**
   * Setting what is set already changes nothing. A guard that was there is gone afterwards unless there is a new one.
   * Errors: E_VERSION_STALE, E_ROW_INVALID, whatever `check` throws, those of Connection; then nothing has changed.
   */
  async set(
    key: string,
    value: SettingValue,
    options: SetOptions,
    author: ChangeAuthor,
  ): Promise<StoredSetting> {
    checkedKey(key);
    checkedValue(value);
    const watch = options.guard ?? null;
    if (watch !== null) checkGuard(watch);
    return this.#change(key, author, async (transaction, record) => {
      const [current] = await read(transaction, key);
      requireVersion(key, current?.version ?? null, options);
      const guard = watch === null ? null : { ...watch, previousValue: current?.value ?? null };
      return put(transaction, record, { key, value, guard }, author);
    });
  }

  /** Back to the default. False when it was not set. Errors: as `set`. */
  async unset(key: string, options: Precondition, author: ChangeAuthor): Promise<boolean> {
    checkedKey(key);
    return this.#change(key, author, async (transaction, record) => {
      const [current] = await read(transaction, key);
      requireVersion(key, current?.version ?? null, options);
      return remove(transaction, record, key);
    });
  }

  /**
   * Back to the value of version `toVersion`, or else to the one before the last change of its value; undefined when it
   * is unset thereby. Errors: E_NO_EARLIER_VALUE, and as `set`.
   */
  async rollback(
    key: string,
    options: Precondition & { toVersion?: number | undefined },
    author: ChangeAuthor,
  ): Promise<StoredSetting | undefined> {
    checkedKey(key);
    const toVersion = options.toVersion === undefined ? null : checkedId(options.toVersion, 'to_version');
    return this.#change(key, author, async (transaction, record) => {
      const [current] = await read(transaction, key);
      requireVersion(key, current?.version ?? null, options);
      const [earlier] = await transaction.rows<{ value: SettingValue | null }>('find_earlier_setting', [
        key,
        toVersion,
      ]);
      if (earlier === undefined) throw noEarlierValue(key, toVersion);
      return restore(transaction, record, key, earlier.value, author);
    });
  }

  /**
   * Ends the watch of a change: keeps the value, or takes it back. False, and nothing happens, when the key is no longer
   * at that version or no longer watched. `detail` is recorded as the reason. Errors: as `set`.
   */
  async settleGuard(
    key: string,
    version: number,
    verdict: 'keep' | 'revert',
    author: ChangeAuthor,
    detail: string,
  ): Promise<boolean> {
    checkedKey(key);
    const reason = [author.reason, detail].filter((text) => text !== null && text !== undefined).join(': ');
    const settler = { ...author, reason };
    return this.#change(key, settler, async (transaction, record) => {
      const [current] = await read(transaction, key);
      if (current === undefined || current.version !== version || current.guard === null) return false;
      const value = verdict === 'keep' ? current.value : current.guard.previousValue;
      await restore(transaction, record, key, value, settler);
      return true;
    });
  }

  async #change<T>(
    key: string,
    author: ChangeAuthor,
    work: (transaction: Transaction, record: RecordChange) => Promise<T>,
  ): Promise<T> {
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      let isChanged = false;
      const done = await work(transaction, (change) => {
        isChanged = true;
        record(change);
      });
      if (isChanged) this.#check(settingValues(await read(transaction, null)), key);
      return done;
    });
    return result;
  }
}

/** Everything that is set, as a snapshot holds it. Errors: those of Connection. */
export async function readSettingValues(statements: Statements): Promise<SettingValues> {
  return settingValues(await read(statements, null));
}

function settingValues(settings: readonly StoredSetting[]): SettingValues {
  return Object.fromEntries(settings.map(({ key, value }) => [key, value]));
}

async function read(
  statements: Statements,
  key: string | null,
  isGuardedOnly = false,
): Promise<StoredSetting[]> {
  const rows = await statements.rows<SettingRow>('list_settings', [key, isGuardedOnly]);
  return rows.map(toSetting);
}

async function put(
  transaction: Transaction,
  record: RecordChange,
  { key, value, guard }: Pick<StoredSetting, 'key' | 'value' | 'guard'>,
  author: ChangeAuthor,
): Promise<StoredSetting> {
  const [changed] = await transaction.rows<SettingRow & { old_values: unknown; new_values: unknown }>(
    'upsert_setting',
    [
      key,
      JSON.stringify(value),
      guard === null ? null : JSON.stringify(storedGuard(guard)),
      author.changedBy,
    ],
  );
  if (changed === undefined) {
    const [same] = await read(transaction, key);
    if (same !== undefined) return same;
    throw new CodedError('E_STATEMENT_FAILED', `${key} was neither set nor found`, { kind: 'defect' });
  }
  record({
    operation: changed.old_values === null ? 'CREATE' : 'UPDATE',
    resource: RESOURCE,
    recordKey: key,
    oldValues: changed.old_values,
    newValues: changed.new_values,
  });
  return toSetting(changed);
}

async function remove(transaction: Transaction, record: RecordChange, key: string): Promise<boolean> {
  const [removed] = await transaction.rows<{ old_values: unknown }>('delete_setting', [key]);
  if (removed === undefined) return false;
  record({
    operation: 'DELETE',
    resource: RESOURCE,
    recordKey: key,
    oldValues: removed.old_values,
    newValues: null,
  });
  return true;
}

/** Sets a value without a guard, or unsets the key when the value is null. */
async function restore(
  transaction: Transaction,
  record: RecordChange,
  key: string,
  value: SettingValue | null,
  author: ChangeAuthor,
): Promise<StoredSetting | undefined> {
  if (value !== null) return put(transaction, record, { key, value, guard: null }, author);
  await remove(transaction, record, key);
  return undefined;
}

function toSetting(row: SettingRow): StoredSetting {
  const { key, value, version, guard, updated_ms, updated_by } = row;
  return {
    key,
    value,
    version,
    guard:
      guard === null
        ? null
        : {
            untilMs: guard.until_ms,
            errorRateMax: guard.error_rate_max,
            latencyP99MsMax: guard.latency_p99_ms_max,
            previousValue: guard.previous_value,
          },
    updatedAtMs: updated_ms,
    updatedBy: updated_by,
  };
}

function storedGuard(guard: Guard): StoredGuard {
  return {
    until_ms: guard.untilMs,
    error_rate_max: guard.errorRateMax,
    latency_p99_ms_max: guard.latencyP99MsMax,
    previous_value: guard.previousValue,
  };
}

function checkedKey(key: string): string {
  return checkedText(key, 'key', KEY_CHARS_MAX);
}

function checkedValue(value: SettingValue): void {
  if (typeof value === 'string') checkedText(value, 'value', VALUE_CHARS_MAX);
  else if (typeof value !== 'boolean' && !Number.isFinite(value)) {
    throw invalidInput(
      'value',
      'is no number, text or boolean',
      'Give a finite number, a text, true or false.',
    );
  }
}

function checkGuard(guard: Omit<Guard, 'previousValue'>): void {
  checkedTimeOrNull(guard.untilMs, 'guard.until_ms');
  for (const [field, bound] of [
    ['guard.error_rate_max', guard.errorRateMax],
    ['guard.latency_p99_ms_max', guard.latencyP99MsMax],
  ] as const) {
    if (bound !== null && !(Number.isFinite(bound) && bound >= 0)) {
      throw invalidInput(field, 'is no bound', 'Give a number that is not negative, or null.');
    }
  }
}

function noEarlierValue(key: string, toVersion: number | null): CodedError {
  const which = toVersion === null ? 'has no earlier value' : `never had a version ${toVersion} with a value`;
  return new CodedError('E_NO_EARLIER_VALUE', `${key} ${which}`, {
    mend: 'Look at its history for the versions there were; nothing was changed.',
    details: { key, toVersion },
  });
}
