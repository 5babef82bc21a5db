/**
 * Dead letters between a real PostgreSQL and a real Redis, for the specs of this folder: events that were accepted,
 * matched and whose alerts became dead letters; a hand that takes alerts from lanes as a forward actor does.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { TERMINAL_STATES } from '../../../actors/event.ts';
import type { Alert } from '../../../actors/event.ts';
import {
  DEAD_LANE,
  alertLane,
  decodeStoredAlert,
  encodeStoredAlert,
} from '../../../actors/forward/messages.ts';
import type { StoredAlert } from '../../../actors/forward/messages.ts';
import type { LetterReleaseStore } from '../../../actors/ports.ts';
import { keepDeadLetters } from '../../../actors/remediation/dead-letter-handler.ts';
import { LetterReleaser } from '../../../actors/remediation/letter-releaser.ts';
import type { LetterReleaserOptions, RoundResult } from '../../../actors/remediation/letter-releaser.ts';
import type { ReplayLimits } from '../../../actors/remediation/replay-limits.ts';
import { PostgresDeadLetterStore } from '../../../gateways/postgres/dead-letter-store.ts';
import { PostgresLetterOperations } from '../../../gateways/postgres/letter-operations.ts';
import type { StoredOperation } from '../../../gateways/postgres/letter-operations.ts';
import { PostgresLetterReleases } from '../../../gateways/postgres/letter-releases.ts';
import { PostgresReceiptStore } from '../../../gateways/postgres/receipt-store.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { DurableStore, Ledger, Token } from '../../../runtime/durable/durable-store.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import {
  WIDE,
  appendOne,
  freshWriterId,
  inputOf,
  openRedisStore,
  own,
  readAll,
} from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { alertOf } from '../forward/alerts.ts';

export const AUTHOR = { changedBy: 'ana', reason: null, correlationId: 'c-op' };
export const LIMITS: ReplayLimits = {
  reasons: ['network', 'server', 'timeout'],
  baseMs: 10,
  delayMsMax: 1_000,
  replaysMax: 3,
  perSecondMin: 100,
  perSecondMax: 1_000,
};
const T0 = Date.parse('2026-05-01T12:00:00.000Z');

export class LetterBed {
  readonly database: OwnDatabase;
  readonly redis: OpenedStore;
  readonly operations: PostgresLetterOperations;
  readonly releases: PostgresLetterReleases;
  readonly letters: PostgresDeadLetterStore;
  token: Token;

  private constructor(database: OwnDatabase, redis: OpenedStore, token: Token, storeName: string) {
    this.database = database;
    this.redis = redis;
    this.token = token;
    this.operations = new PostgresLetterOperations(database.connection);
    this.releases = new PostgresLetterReleases(database.connection, storeName);
    this.letters = new PostgresDeadLetterStore(database.connection, storeName);
  }

  static async open(database: OwnDatabase): Promise<LetterBed> {
    await database.sql(
      'TRUNCATE dead_letters, dead_letter_replays, dead_letter_batches, replay_operations, replay_paces, alert_receipts',
    );
    return LetterBed.beside(database, 'first');
  }

  /** Another Redis with the same PostgreSQL, as a second node has. */
  static async beside(database: OwnDatabase, storeName: string): Promise<LetterBed> {
    const redis = await openRedisStore(await specRedisUrl());
    return new LetterBed(database, redis, await own(redis.store), storeName);
  }

  static database(): Promise<OwnDatabase> {
    return ownDatabase();
  }

  get store(): DurableStore {
    return this.redis.store;
  }

  /** Of the nth event of a second: later ones are later. */
  alert(id: string, nth: number, fields: Partial<Alert> = {}): Alert {
    const at = new Date(T0 + nth).toISOString();
    return alertOf(id, { received_at: at, event_time: at, ...fields });
  }

  /** Accepts the alerts' events and opens them, as matching does. */
  async accept(alerts: readonly Alert[]): Promise<void> {
    const ids = alerts.flatMap(({ event_ids: events }) => events);
    if (ids.length === 0) return;
    await appendOne(this.store, { writerId: freshWriterId(), sequence: 1, count: ids.length });
    const entries = await readAll(this.store);
    await this.store.commit({
      partition: 0,
      token: this.token,
      inputs: entries.map(inputOf),
      openGroups: ids.map((id) => ({ id, parts: 1 })),
    });
  }

  /** These became dead letters, and their events are in flight. */
  async dead(alerts: readonly Alert[], fields: Partial<StoredAlert> = {}): Promise<void> {
    await this.accept(alerts);
    await this.keep(
      alerts.map((alert) => ({ alert, attempts: 1, reason: 'network', error: 'ECONNREFUSED', ...fields })),
    );
  }

  /** As the handler of the dead lane does. */
  async keep(stored: readonly StoredAlert[], to = this.releaser()): Promise<void> {
    const pieces = stored.map((each, index) => ({
      entry: {
        partition: 0,
        lane: DEAD_LANE,
        id: `${index + 1}-1`,
        count: 1,
        payload: encodeStoredAlert(each),
        storedAtMs: Date.now() - 1_000,
      },
      lo: 0,
      hi: 1,
    }));
    const failed: Promise<void>[] = [];
    await keepDeadLetters(
      { partition: 0, lane: DEAD_LANE, pieces },
      this.letters,
      () => undefined,
      (replays) => failed.push(to.noteFailed(replays)),
    );
    await Promise.all(failed);
  }

  releaser(options: Partial<LetterReleaserOptions> & { letters?: LetterReleaseStore } = {}): LetterReleaser {
    return new LetterReleaser({
      store: this.store,
      letters: this.releases,
      tokens: new Map([[0, this.token]]),
      clock: systemClock,
      newId: () => randomBytes(16).toString('hex'),
      inForce: () => ({ destinations: ['noc'], limits: { ...LIMITS, reasons: [] } }),
      alertBounds: WIDE,
      mayAct: () => true,
      count: () => undefined,
      onGivenUp: () => undefined,
      ...options,
    });
  }

  /** Rounds until nothing is left to do at once. */
  async settle(releaser = this.releaser()): Promise<RoundResult> {
    for (;;) {
      const result = await releaser.round();
      if (result !== 'busy') return result;
    }
  }

  async replay(
    selection: Partial<Parameters<PostgresLetterOperations['queue']>[0]> = {},
  ): Promise<{ id: string; letters: number }> {
    const id = randomBytes(16).toString('hex');
    const letters = await this.operations.queue(
      { id, lettersMax: 100_000, destinations: ['noc'], perSecond: 10_000, edit: undefined, ...selection },
      AUTHOR,
    );
    return { id, letters };
  }

  async operation(id: string): Promise<StoredOperation> {
    const found = await this.operations.operation(id);
    if (found === undefined) throw new Error(`no operation ${id}`);
    return found;
  }

  /** What is in the lane. */
  async inLane(destination = 'noc'): Promise<StoredAlert[]> {
    const entries = await readAll(this.store, alertLane(destination));
    return entries.map(({ payload }) => decodeStoredAlert(payload));
  }

  /** Takes everything from the lane, in its order: delivered, but for those that `isRefused` names. */
  async deliver(
    isRefused: (stored: StoredAlert) => boolean = () => false,
    reason = 'rejected',
  ): Promise<string[]> {
    const entries = await readAll(this.store, alertLane('noc'));
    const taken = entries.map(({ payload }) => decodeStoredAlert(payload));
    const delivered = taken.filter((stored) => !isRefused(stored));
    if (entries.length === 0) return [];
    await new PostgresReceiptStore(this.database.connection).keep(
      delivered.map(({ alert }) => ({
        alertId: alert.id,
        receivedAtMs: Date.parse(alert.received_at),
        eventIds: alert.event_ids,
        destination: alert.destination,
        partition: 0,
        status: 200,
        attempts: 1,
        deliveredAtMs: Date.now(),
        signature: alert.signature,
        unsentReason: null,
      })),
    );
    const { status } = await this.store.commit({
      partition: 0,
      token: this.token,
      inputs: entries.map(inputOf),
      settleGroups: delivered.flatMap(({ alert }) =>
        alert.event_ids.map((id) => ({ id, counter: 'forwarded' })),
      ),
    });
    expect(status).to.equal('committed');
    await this.keep(
      taken.filter(isRefused).map((stored) => ({ ...stored, attempts: 1, reason, error: 'HTTP 400' })),
    );
    return delivered.map(({ alert }) => alert.id);
  }

  async states(): Promise<Record<string, string>> {
    const rows = await this.database.sql<{ alert_id: string; state: string }>(
      'SELECT alert_id, state FROM dead_letters ORDER BY alert_id',
    );
    return Object.fromEntries(rows.map(({ alert_id: id, state }) => [id, state]));
  }

  async ledger(): Promise<Ledger> {
    const ledger = await this.store.ledger(0, { terminal: [...TERMINAL_STATES], inputLanes: ['in'] });
    expect(ledger.problems).to.deep.equal([]);
    return ledger;
  }

  close(): Promise<void> {
    return this.redis.close();
  }
}
