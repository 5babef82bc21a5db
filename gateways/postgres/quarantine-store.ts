/**
 * Keeps events that break their handler in PostgreSQL, with what they did. Invariant: none is ever dropped here, and
 * one that is quarantined again stays as it was first.
 */
import type { QuarantineStore, QuarantinedEvent } from '../../actors/ports.ts';
import { bytesArray, plainArray, textArray } from './array-literal.ts';
import type { Connection } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

export class PostgresQuarantineStore implements QuarantineStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Errors: those of Connection. */
  async quarantine(events: readonly QuarantinedEvent[]): Promise<void> {
    if (events.length === 0) return;
    await this.#connection.rows('insert_quarantined_events', [
      textArray(events.map((event) => event.eventId)),
      plainArray(events.map((event) => event.receivedAtMs)),
      plainArray(events.map((event) => event.partition)),
      plainArray(events.map((event) => event.attempts)),
      textArray(events.map((event) => storableText(event.reason))),
      textArray(events.map((event) => storableJson(event.history))),
      bytesArray(events.map((event) => event.body)),
    ]);
  }
}
