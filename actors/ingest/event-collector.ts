/**
 * What becomes of the records of one body: events that are kept and parts that are not, in their order.
 *
 * Every reader of a body that is not native fills one. It judges, bounds and counts; it knows no format. Invariants: each
 * record given to it ends in `accepted` or in `rejected`, once; the events that were written anew for a body take no more
 * memory than the largest body may.
 */
import { decodeRecord, judgeEvent, rejected } from './decode-record.ts';
import type { RejectedRecord } from './decode-record.ts';
import { BODY_BYTES_MAX } from './inflate.ts';
import { reshaped } from './known-shapes.ts';
import type { Hint } from './known-shapes.ts';
import { RECORD_BYTES_MAX, RECORD_DEPTH_MAX, RECORDS_PER_REQUEST_MAX } from './limits.ts';
import { hostnameHash } from './partition.ts';
import { ReadBudget } from './read-budget.ts';
import { RECORD_JSON } from './split-records.ts';
import type { RecordKind } from './split-records.ts';

/** Groups of records (resources, scopes, streams) that a request may have, empty ones included: one record may need two. */
const GROUPS_MAX = 3 * RECORDS_PER_REQUEST_MAX;

/** An event: bytes `start` to `end` of `body`, which is the request's own or was written anew. */
export interface AcceptedRecord {
  kind: RecordKind;
  /** Of its canonical host name: what its partition follows from. */
  hostHash: number;
  body: Buffer;
  start: number;
  end: number;
}
/** A part that is no event: bytes `start` to `end` of the request's plain body. */
export interface RejectedPart {
  index: number;
  code: string;
  message: string;
  start: number;
  end: number;
}

/** The events of a body are more than a body may be: shared parts of it were repeated in each. */
export class EventsTooLarge extends Error {}

export class EventCollector {
  readonly body: Buffer;
  readonly receivedAtMs: number;
  readonly hint: Hint;
  readonly accepted: AcceptedRecord[] = [];
  readonly rejected: RejectedPart[] = [];
  #bytesWritten = 0;
  #groups = 0;
  #budget: ReadBudget | undefined;

  constructor(body: Buffer, receivedAtMs: number, hint: Hint = {}) {
    this.body = body;
    this.receivedAtMs = receivedAtMs;
    this.hint = hint;
  }

  get budget(): ReadBudget {
    return (this.#budget ??= new ReadBudget());
  }

  get count(): number {
    return this.accepted.length + this.rejected.length;
  }

  /**
   * An event that was made of bytes `start` to `end`. `shared` is the JSON text of further members, without braces, that
   * many events have in common; where names collide, the event's own count.
   */
  event(event: object, start: number, end: number, shared = ''): void {
    const verdict = judgeEvent(event);
    if (!verdict.ok) {
      this.refuse(verdict, start, end);
      return;
    }
    const own = JSON.stringify(event);
    // Before they are put together: a large shared part of very many records would be copied for each.
    if (own.length + shared.length > RECORD_BYTES_MAX) {
      this.refuse(tooLarge(own.length + shared.length), start, end);
      return;
    }
    // The last of two members of one name is the one that counts.
    const bytes = Buffer.from(shared === '' ? own : `{${shared},${own.slice(1)}`);
    if (bytes.length > RECORD_BYTES_MAX) {
      this.refuse(tooLarge(bytes.length), start, end);
      return;
    }
    this.#keep(RECORD_JSON, verdict.hostname, bytes);
  }

  /** An event that has been judged already. */
  plain(hostHash: number, start: number, end: number): void {
    this.accepted.push({ kind: RECORD_JSON, hostHash, body: this.body, start, end });
  }

  /** A record that is in the body as it is to be stored, `start` to `end`; `part` is what is parked if it is no event. */
  received(
    kind: RecordKind,
    start: number,
    end: number,
    part: { start: number; end: number } = { start, end },
  ): void {
    if (end - start > RECORD_BYTES_MAX) {
      this.refuse(tooLarge(end - start), part.start, part.end);
      return;
    }
    const verdict = decodeRecord(this.body, kind, start, end, this.receivedAtMs);
    if (verdict.ok) {
      this.accepted.push({ kind, hostHash: hostnameHash(verdict.hostname), body: this.body, start, end });
      return;
    }
    const event = reshaped(this.body, kind, start, end, this.hint, this.receivedAtMs);
    if (event === undefined) this.refuse(verdict, part.start, part.end);
    else this.event(event, part.start, part.end);
  }

  /** A record that was written anew of bytes `start` to `end`, in the form that it is to be stored in. */
  made(kind: RecordKind, bytes: Buffer, start: number, end: number): void {
    if (bytes.length > RECORD_BYTES_MAX) {
      this.refuse(tooLarge(bytes.length), start, end);
      return;
    }
    const verdict = decodeRecord(bytes, kind, 0, bytes.length, this.receivedAtMs);
    if (verdict.ok) {
      this.#keep(kind, verdict.hostname, bytes);
      return;
    }
    const event = reshaped(bytes, kind, 0, bytes.length, this.hint, this.receivedAtMs);
    if (event === undefined) this.refuse(verdict, start, end);
    else this.event(event, start, end);
  }

  refuse({ code, message }: { code: string; message: string }, start: number, end: number): void {
    this.rejected.push({ index: this.count, code, message, start, end });
  }

  /** Whether a piece of the body is too deep or too large to be a record; it is refused then. */
  refusesSize({ start, end, isTooDeep }: { start: number; end: number; isTooDeep?: boolean }): boolean {
    if (isTooDeep === true) this.refuseDepth(start, end);
    else if (end - start > RECORD_BYTES_MAX) this.refuse(tooLarge(end - start), start, end);
    else return false;
    return true;
  }

  refuseDepth(start: number, end: number): void {
    const message = `The record nests deeper than ${RECORD_DEPTH_MAX} levels: flatten it.`;
    this.refuse({ code: 'E_TOO_DEEP', message }, start, end);
  }

  /** True when the request holds all the records it may; what is left, `start` to `end`, has then become one reject. */
  isFull(start: number, end: number): boolean {
    if (this.count < RECORDS_PER_REQUEST_MAX && this.#groups < GROUPS_MAX) return false;
    const message = `A request holds at most ${RECORDS_PER_REQUEST_MAX} records: send the rest in another one.`;
    this.rejected.push({ index: this.count, code: 'E_TOO_MANY_RECORDS', message, start, end });
    return true;
  }

  /** As `isFull`, before a group of records is looked into: very many empty ones cost time, too. */
  isFullBeforeGroup(start: number, end: number): boolean {
    this.#groups += 1;
    return this.isFull(start, end);
  }

  #keep(kind: RecordKind, hostname: string, body: Buffer): void {
    this.#bytesWritten += body.length;
    if (this.#bytesWritten > BODY_BYTES_MAX) throw new EventsTooLarge();
    this.accepted.push({ kind, hostHash: hostnameHash(hostname), body, start: 0, end: body.length });
  }
}

function tooLarge(bytes: number): RejectedRecord {
  return rejected(
    'E_RECORD_TOO_LARGE',
    `The record has ${bytes} bytes; at most ${RECORD_BYTES_MAX} are taken: shorten or split it.`,
  );
}
