/**
 * A table of events that holds millions: each event has a row, and what is known of it is in columns of numbers. Four
 * bytes for each number of a host up to the highest, and eight for each row and column.
 */
import { createHash } from 'node:crypto';
import { SEQUENCE_MAX } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';

const FIRST_ROWS = 256;
/** As many as a number holds. */
const DIGEST_HEX_DIGITS = 13;

/** Rows are 0, 1, 2 and so on, in the order in which their events came. */
export class EventTable {
  readonly #rows = new Map<string, Int32Array>();
  /** Index in `hosts`, and number, by row. */
  readonly #hostOf = new Column();
  readonly #sequenceOf = new Column();
  readonly #hosts: string[] = [];
  readonly #hostIndex = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Undefined for an event that has none. */
  rowOf({ host, sequence }: KnownEvent): number | undefined {
    const row = this.#rows.get(host)?.[sequence] ?? 0;
    return row === 0 ? undefined : row - 1;
  }

  /** A new row for an event that has none. Throws a RangeError for a number that no event has. */
  add({ host, sequence }: KnownEvent): number {
    if (sequence > SEQUENCE_MAX) throw new RangeError(`no event has the number ${sequence}`);
    let rows = this.#rows.get(host) ?? new Int32Array(FIRST_ROWS);
    if (sequence >= rows.length) {
      const wider = new Int32Array(Math.max(sequence + 1, rows.length * 2));
      wider.set(rows);
      rows = wider;
    }
    this.#rows.set(host, rows);
    const row = this.#size++;
    rows[sequence] = row + 1;
    this.#hostOf.set(row, this.#indexOf(host));
    this.#sequenceOf.set(row, sequence);
    return row;
  }

  /** Of a row that there is. */
  at(row: number): KnownEvent {
    return { host: this.#hosts[this.#hostOf.at(row)] ?? '', sequence: this.#sequenceOf.at(row) };
  }

  #indexOf(host: string): number {
    let index = this.#hostIndex.get(host);
    if (index === undefined) {
      index = this.#hosts.push(host) - 1;
      this.#hostIndex.set(host, index);
    }
    return index;
  }
}

/** Numbers by row: of rows that were never set, 0. */
export class Column {
  #values = new Float64Array(FIRST_ROWS);

  at(row: number): number {
    return this.#values[row] ?? 0;
  }

  set(row: number, value: number): void {
    if (row >= this.#values.length) {
      const wider = new Float64Array(Math.max(row + 1, this.#values.length * 2));
      wider.set(this.#values);
      this.#values = wider;
    }
    this.#values[row] = value;
  }

  /** Of the first `rows` rows, those whose value an earlier one of them has too, in order. */
  repeated(rows: number): number[] {
    const values = this.#values.subarray(0, rows);
    const sorted = values.slice().sort();
    const several = new Set(sorted.filter((value, index) => value === sorted[index - 1]));
    if (several.size === 0) return [];
    const seen = new Set<number>();
    const repeated: number[] = [];
    values.forEach((value, row) => {
      if (!several.has(value)) return;
      if (seen.has(value)) repeated.push(row);
      seen.add(value);
    });
    return repeated;
  }
}

/** A text as a number that no other text has, but for one in 2^52. Never 0. */
export function digestOf(text: string | Buffer): number {
  return parseInt(createHash('sha256').update(text).digest('hex').slice(0, DIGEST_HEX_DIGITS), 16) + 1;
}
