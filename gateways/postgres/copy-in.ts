/**
 * COPY … FROM STDIN in PostgreSQL's binary form: one statement that takes many rows, all of them or none. Writing and
 * reading of rows costs about half of what an INSERT of the same rows does; what it cannot do is leave some out.
 *
 * The driver speaks the messages of the protocol but has no face for them; this is that face. One chunk at a time: whoever
 * calls bounds what is sent at once. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
 */

interface DriverClient {
  query(query: unknown): unknown;
}

/** What the driver's own connection has and its types leave out. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
}

/** Runs the COPY statement `text` with `rows` (see BinaryRows); settles when it is committed, or with the driver's error. */
export function copyIn(client: DriverClient, text: string, rows: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // The driver's limit on the time of a statement goes by `callback`.
    const query = {
      callback: (error: Error | null): void => (error === null ? resolve() : reject(error)),
      submit: (connection: CopyConnection): void => connection.query(text),
      handleCopyInResponse(connection: CopyConnection): void {
        connection.sendCopyFromChunk(rows);
        connection.endCopyFrom();
      },
      handleCommandComplete: (): void => undefined,
      handleError: (error: Error): void => query.callback(error),
      handleReadyForQuery: (): void => query.callback(null),
    };
    client.query(query);
  });
}

/** Signature, flags and the length of an extension that there is none of. */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const TRAILER_BYTES = 2;
/** Of UTF-8 for one UTF-16 unit, at most. */
const UTF8_BYTES_MAX = 3;
const JSONB_VERSION = 1;
/** PostgreSQL counts microseconds from 2000-01-01. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const UINT32 = 2 ** 32;

/** Writes rows field by field, in the order of the statement's columns. A null is written by every kind of field. */
export class BinaryRows {
  #buffer: Buffer;
  #at = HEADER.length;

  constructor(bytesExpected: number) {
    this.#buffer = Buffer.allocUnsafe(HEADER.length + bytesExpected + TRAILER_BYTES);
    HEADER.copy(this.#buffer);
  }

  begin(fields: number): void {
    this.#reserve(2);
    this.#at = this.#buffer.writeInt16BE(fields, this.#at);
  }

  text(value: string | null): void {
    if (value === null) return this.#null();
    this.#reserve(4 + value.length * UTF8_BYTES_MAX);
    const bytes = this.#buffer.write(value, this.#at + 4);
    this.#at = this.#buffer.writeInt32BE(bytes, this.#at) + bytes;
  }

  jsonb(json: string): void {
    this.#reserve(5 + json.length * UTF8_BYTES_MAX);
    const bytes = this.#buffer.write(json, this.#at + 5);
    this.#at = this.#buffer.writeInt32BE(1 + bytes, this.#at);
    this.#at = this.#buffer.writeInt8(JSONB_VERSION, this.#at) + bytes;
  }

  bytes(value: Uint8Array | null): void {
    if (value === null) return this.#null();
    this.#reserve(4 + value.length);
    this.#at = this.#buffer.writeInt32BE(value.length, this.#at);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  boolean(value: boolean): void {
    this.#length(1);
    this.#at = this.#buffer.writeInt8(value ? 1 : 0, this.#at);
  }

  /** @throws RangeError when it does not fit, as the other numbers do. */
  smallint(value: number | null): void {
    if (value === null) return this.#null();
    this.#length(2);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
  }

  integer(value: number | null): void {
    if (value === null) return this.#null();
    this.#length(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }

  bigint(value: number): void {
    this.#length(8);
    if (!Number.isSafeInteger(value)) {
      this.#at = this.#buffer.writeBigInt64BE(BigInt(value), this.#at);
      return;
    }
    const high = Math.floor(value / UINT32);
    this.#at = this.#buffer.writeInt32BE(high, this.#at);
    this.#at = this.#buffer.writeUInt32BE(value - high * UINT32, this.#at);
  }

  /** `ms`: whole milliseconds since 1970 UTC. */
  timestamptz(ms: number): void {
    const sinceMs = ms - EPOCH_MS;
    const micros = sinceMs * 1_000;
    if (Number.isSafeInteger(micros)) return this.bigint(micros);
    this.#length(8);
    this.#at = this.#buffer.writeBigInt64BE(BigInt(sinceMs) * 1_000n, this.#at);
  }

  /** Everything written, complete. Nothing can be written afterwards. */
  end(): Uint8Array {
    this.#reserve(TRAILER_BYTES);
    this.#at = this.#buffer.writeInt16BE(-1, this.#at);
    return this.#buffer.subarray(0, this.#at);
  }

  #null(): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeInt32BE(-1, this.#at);
  }

  #length(bytes: number): void {
    this.#reserve(4 + bytes);
    this.#at = this.#buffer.writeInt32BE(bytes, this.#at);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
