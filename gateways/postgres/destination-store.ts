/** Where alerts go, as people configure it. A credential is named by a reference and is in no table. */
import type { AuthForm, ContentType, Destination, DestinationHold } from '../../actors/ports.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { checkedText, checkedTextOrNull } from './checked-input.ts';
import { changeConfiguration } from './configuration-change.ts';
import type { ChangeAuthor, RecordChange } from './configuration-change.ts';
import type { Connection, Statements, Transaction } from './connection.ts';
import { requireVersion } from './item-version.ts';
import type { Precondition } from './item-version.ts';
import { pageOf, rowsFor } from './page.ts';
import type { Page } from './page.ts';
import { removeRecords } from './remove-records.ts';
import { storableJson } from './storable-text.ts';

export interface StoredDestination extends Destination {
  /** Rises with each change, also when it is removed and made again. */
  version: number;
  updatedAtMs: number;
}

interface StoredHold {
  kind: DestinationHold['kind'];
  until_ms: number | null;
  reason: string;
  since_ms: number;
  by: string;
}
interface DestinationRow {
  name: string;
  kind: Destination['kind'];
  url: string;
  secret_ref: string | null;
  routes: Destination['routes'];
  rate_per_second: number;
  concurrency: number;
  timeout_ms: number;
  auth: AuthForm | null;
  template: string | null;
  content_type: ContentType | null;
  resolve_after_ms: number | null;
  stale_after_ms: number | null;
  collapse: boolean;
  hold: StoredHold | null;
  version: number;
  updated_ms: number;
}

const URL_CHARS_MAX = 2_048;
const ROUTES_CHARS_MAX = 65_536;
const TEMPLATE_CHARS_MAX = 65_536;

export class PostgresDestinationStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** By name. Errors: E_ROW_INVALID, those of Connection. */
  async page({
    after,
    limit,
  }: {
    after?: string | undefined;
    limit: number;
  }): Promise<Page<StoredDestination, string>> {
    const from = after === undefined ? null : checkedText(after, 'name');
    const rows = await read(this.#connection, null, from, rowsFor(limit));
    return pageOf(rows, limit, ({ name }) => name);
  }

  /** Undefined when there is none of this name. Errors: E_ROW_INVALID, those of Connection. */
  async get(name: string): Promise<StoredDestination | undefined> {
    return (await read(this.#connection, checkedText(name, 'name'), null, 1))[0];
  }

  /** The whole destination. Errors: E_VERSION_STALE, E_DESTINATION_INVALID, E_ROW_INVALID, those of Connection. */
  async put(
    destination: Destination,
    precondition: Precondition,
    author: ChangeAuthor,
  ): Promise<StoredDestination> {
    const name = checkedText(destination.name, 'name');
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [current] = await read(transaction, name, null, 1);
      requireVersion(`the destination ${name}`, current?.version ?? null, precondition);
      await putDestinations(transaction, [destination], record);
      return (await read(transaction, name, null, 1))[0];
    });
    if (result !== undefined) return result;
    throw new CodedError('E_STATEMENT_FAILED', `the destination ${name} was stored and not found`, {
      kind: 'defect',
    });
  }

  /** Undefined when there is none of this name. Errors: E_ROW_INVALID, those of Connection. */
  async hold(
    name: string,
    hold: DestinationHold | null,
    author: ChangeAuthor,
  ): Promise<StoredDestination | undefined> {
    checkedText(name, 'name');
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [changed] = await transaction.rows<{ old_values: unknown; new_values: unknown }>(
        'set_destination_hold',
        [name, hold === null ? null : storableJson(storedHold(hold))],
      );
      if (changed !== undefined) {
        const { old_values: oldValues, new_values: newValues } = changed;
        record({ operation: 'UPDATE', resource: 'destinations', recordKey: name, oldValues, newValues });
      }
      return (await read(transaction, name, null, 1))[0];
    });
    return result;
  }

  /** False when there was none. Errors: E_VERSION_STALE, E_ROW_INVALID, those of Connection. */
  async remove(name: string, precondition: Precondition, author: ChangeAuthor): Promise<boolean> {
    checkedText(name, 'name');
    const { result } = await changeConfiguration(this.#connection, author, async (transaction, record) => {
      const [current] = await read(transaction, name, null, 1);
      requireVersion(`the destination ${name}`, current?.version ?? null, precondition);
      return (await removeRecords(transaction, 'destinations', [name], record)) > 0;
    });
    return result;
  }
}

/** All of them, by name, as a snapshot holds them. Errors: those of Connection. */
export async function readDestinations(statements: Statements): Promise<Destination[]> {
  const stored = await read(statements, null, null, null);
  return stored.map(({ version: _version, updatedAtMs: _updatedAtMs, ...destination }) => destination);
}

/** Those that are as they should be already are left alone. Errors: E_DESTINATION_INVALID, those of Connection. */
export async function putDestinations(
  transaction: Transaction,
  destinations: readonly Destination[],
  record: RecordChange,
): Promise<void> {
  const names = new Set<string>();
  for (const [index, destination] of destinations.entries()) {
    const { name } = destination;
    if (names.has(name)) throw invalidDestination(index, name, 'it is given twice');
    names.add(name);
    try {
      const [changed] = await transaction.rows<{ old_values: unknown; new_values: unknown }>(
        'upsert_destination',
        valuesOf(destination),
      );
      if (changed === undefined) continue;
      record({
        operation: changed.old_values === null ? 'CREATE' : 'UPDATE',
        resource: 'destinations',
        recordKey: name,
        oldValues: changed.old_values,
        newValues: changed.new_values,
      });
    } catch (thrown) {
      if (!(thrown instanceof CodedError) || codeOf(thrown) !== 'E_ROW_INVALID') throw thrown;
      const { constraint } = thrown.details;
      throw invalidDestination(index, name, typeof constraint === 'string' ? constraint : thrown.message);
    }
  }
}

function valuesOf(destination: Destination): unknown[] {
  const routes = storableJson(destination.routes);
  checkedText(routes, 'routes', ROUTES_CHARS_MAX);
  return [
    destination.name,
    destination.kind,
    checkedText(destination.url, 'url', URL_CHARS_MAX),
    checkedTextOrNull(destination.secretRef, 'secret_ref', URL_CHARS_MAX),
    routes,
    destination.ratePerSecond,
    destination.concurrency,
    destination.timeoutMs,
    destination.auth ?? null,
    checkedTextOrNull(destination.template ?? null, 'template', TEMPLATE_CHARS_MAX),
    destination.contentType ?? null,
    destination.resolveAfterMs ?? null,
    destination.staleAfterMs ?? null,
    destination.collapse ?? true,
  ];
}

function storedHold({ kind, untilMs, reason, sinceMs, by }: DestinationHold): StoredHold {
  return { kind, until_ms: untilMs, reason, since_ms: sinceMs, by };
}

function holdOf({ kind, until_ms, reason, since_ms, by }: StoredHold): DestinationHold {
  return { kind, untilMs: until_ms, reason, sinceMs: since_ms, by };
}

async function read(
  statements: Statements,
  name: string | null,
  after: string | null,
  limit: number | null,
): Promise<StoredDestination[]> {
  const rows = await statements.rows<DestinationRow>('list_destinations', [name, after, limit]);
  return rows.map((row) => ({
    name: row.name,
    kind: row.kind,
    url: row.url,
    secretRef: row.secret_ref,
    routes: row.routes,
    ratePerSecond: row.rate_per_second,
    concurrency: row.concurrency,
    timeoutMs: row.timeout_ms,
    ...(row.auth === null ? {} : { auth: row.auth }),
    ...(row.template === null ? {} : { template: row.template }),
    ...(row.content_type === null ? {} : { contentType: row.content_type }),
    ...(row.resolve_after_ms === null ? {} : { resolveAfterMs: row.resolve_after_ms }),
    staleAfterMs: row.stale_after_ms,
    collapse: row.collapse,
    hold: row.hold === null ? null : holdOf(row.hold),
    version: row.version,
    updatedAtMs: row.updated_ms,
  }));
}

function invalidDestination(index: number, name: string, why: string): CodedError {
  return new CodedError('E_DESTINATION_INVALID', `destination ${index + 1} (${name}): ${why}`, {
    mend: 'Correct this destination and apply again; nothing was changed.',
    details: { index, name, why },
  });
}
