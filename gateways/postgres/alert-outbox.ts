/**
 * Keeps the alerts in PostgreSQL that have no room in the mailboxes of their destinations. What of it counts is booked in
 * Redis (runtime/durable/spill.ts): this knows only numbers.
 */
import { decodeStoredAlert, destinationOf } from '../../actors/forward/messages.ts';
import type { SpilledMessage, SpillPlace, SpillStore } from '../../runtime/durable/spill.ts';
import { bytesArray, plainArray, textArray } from './array-literal.ts';
import type { Connection } from './connection.ts';

export interface OutboxPlace {
  alertId: string;
  partition: number;
  destination: string;
  number: number;
  spilledAtMs: number;
}

export interface OutboxRange extends SpillPlace {
  after: number;
  last: number;
}

export class PostgresAlertOutbox implements SpillStore {
  readonly #connection: Connection;
  readonly #store: string;

  /** `store` names the mailboxes' Redis. */
  constructor(connection: Connection, store: string) {
    this.#connection = connection;
    this.#store = store;
  }

  /** Errors: those of Connection, here and below. */
  async put(
    { partition, lane, attempt, after }: SpillPlace & { attempt: number; after: number },
    payloads: readonly Buffer[],
  ): Promise<boolean> {
    const there = await this.#connection.rows('put_outbox_alerts', [
      this.#store,
      partition,
      destinationOf(lane),
      attempt,
      after,
      textArray(payloads.map((payload) => decodeStoredAlert(payload).alert.id)),
      bytesArray(payloads),
    ]);
    return there.length === payloads.length;
  }

  take(
    { partition, lane }: SpillPlace,
    after: number,
    upTo: number,
    limit: number,
  ): Promise<SpilledMessage[]> {
    const values = [this.#store, partition, destinationOf(lane), after, upTo, limit];
    return this.#connection.rows<SpilledMessage>('take_outbox_alerts', values);
  }

  async drop({ partition, lane }: SpillPlace, upTo: number): Promise<void> {
    await this.#connection.rows('drop_outbox_alerts', [this.#store, partition, destinationOf(lane), upTo]);
  }

  /** How many there are in each range, in their order. */
  async count(ranges: readonly OutboxRange[]): Promise<number[]> {
    if (ranges.length === 0) return [];
    const rows = await this.#connection.rows<{ partition: number; destination: string; alerts: number }>(
      'count_outbox_alerts',
      [
        this.#store,
        plainArray(ranges.map(({ partition }) => partition)),
        textArray(ranges.map(({ lane }) => destinationOf(lane))),
        plainArray(ranges.map(({ after }) => after)),
        plainArray(ranges.map(({ last }) => last)),
      ],
    );
    const found = new Map(rows.map((row) => [`${row.partition} ${row.destination}`, row.alerts]));
    return ranges.map(({ partition, lane }) => found.get(`${partition} ${destinationOf(lane)}`) ?? 0);
  }

  async find(alertIds: readonly string[]): Promise<OutboxPlace[]> {
    if (alertIds.length === 0) return [];
    const rows = await this.#connection.rows<{
      alert_id: string;
      partition: number;
      destination: string;
      number: number;
      spilled_ms: number;
    }>('find_outbox_alerts', [this.#store, textArray(alertIds)]);
    return rows.map((row) => ({
      alertId: row.alert_id,
      partition: row.partition,
      destination: row.destination,
      number: row.number,
      spilledAtMs: row.spilled_ms,
    }));
  }
}
