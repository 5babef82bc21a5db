/**
 * Keeps alerts that no destination takes in PostgreSQL. Invariant: one letter per alert (an alert has one destination);
 * a later failure of the same alert updates it, the same failure again changes nothing, however late it comes.
 */
import type { DeadLetter, DeadLetterStore, FailedReplay } from '../../actors/ports.ts';
import { plainArray, textArray } from './array-literal.ts';
import type { Statements } from './connection.ts';
import { storableJson, storableText } from './storable-text.ts';

export class PostgresDeadLetterStore implements DeadLetterStore {
  readonly #connection: Statements;
  readonly #store: string;

  /** `store` names the Redis that the events of these letters are in flight in. */
  constructor(connection: Statements, store: string) {
    this.#connection = connection;
    this.#store = store;
  }

  /** Errors: those of Connection. */
  async keep(letters: readonly DeadLetter[]): Promise<FailedReplay[]> {
    if (letters.length === 0) return [];
    const rows = await this.#connection.rows<{
      destination: string;
      is_automatic: boolean;
    }>('upsert_dead_letters', [
      textArray(letters.map((letter) => letter.alert.id)),
      plainArray(letters.map((letter) => letter.partition)),
      textArray(letters.map((letter) => letter.destination)),
      textArray(letters.map((letter) => storableJson(letter.alert))),
      textArray(letters.map((letter) => storableText(letter.reason))),
      textArray(letters.map((letter) => storableText(letter.error))),
      plainArray(letters.map((letter) => letter.attempts)),
      plainArray(letters.map((letter) => letter.firstFailedAtMs)),
      plainArray(letters.map((letter) => letter.lastFailedAtMs)),
      plainArray(letters.map(receivedAtMs)),
      plainArray(letters.map((letter) => letter.replays)),
      this.#store,
    ]);
    return rows.map((row) => ({ destination: row.destination, isAutomatic: row.is_automatic }));
  }
}

/** Of an alert that another version stored it may be no time; it orders the letters, so there must be one. */
function receivedAtMs({ alert, firstFailedAtMs }: DeadLetter): number {
  return Date.parse(alert.received_at) || firstFailedAtMs;
}
