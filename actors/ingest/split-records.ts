/**
 * Cuts the body of a request into records without copying, decoding or re-encoding a byte.
 *
 * It finds where records begin and end; it does not judge what is in them (that is decode-record.ts). The body is
 * read by its bytes, never by its Content-Type: relays send arrays, lines and text under labels that lie.
 *
 * Invariant: linear time and no throw, whatever the bytes; every byte that is no separator lies in exactly one record
 * or one reject, so nothing a sender gave us vanishes.
 */
import { PlainEventReader } from './plain-event.ts';
import { RECORD_BYTES_MAX, RECORD_DEPTH_MAX, RECORDS_PER_REQUEST_MAX } from './limits.ts';

/** How the bytes of a record are to be read. The numbers are part of the frame format. */
export const RECORD_JSON = 0;
export const RECORD_LINE = 1;
export type RecordKind = typeof RECORD_JSON | typeof RECORD_LINE;

/** One record: bytes `start` (inclusive) to `end` (exclusive) of the body. */
export interface RecordSlice {
  /** Position in the request, counted over records and rejects together. */
  index: number;
  kind: RecordKind;
  start: number;
  end: number;
  /** Present when the pass has found it to be an event already: the hash of its host. */
  hostHash: number | undefined;
}

/** A part of the body that cannot be a record, and why. */
export interface RejectedSlice {
  index: number;
  start: number;
  end: number;
  code: 'E_JSON_MALFORMED' | 'E_RECORD_TOO_LARGE' | 'E_TOO_DEEP' | 'E_TOO_MANY_RECORDS';
  message: string;
}

export interface SplitBody {
  /** `array`: a JSON array; `objects`: one object, NDJSON or concatenated objects; `lines`: syslog text. */
  form: 'empty' | 'array' | 'objects' | 'lines';
  records: RecordSlice[];
  rejects: RejectedSlice[];
  /** Set when nothing in the body can be taken for a record. An empty array is readable: it holds no event. */
  unreadable: { code: 'E_BODY_EMPTY' | 'E_BODY_UNREADABLE'; message: string } | undefined;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const RECORD_SEPARATOR = 0x1e;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET_OPEN = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
/** `{` and `[`, as `}` and `]`, differ only in this bit. */
const BRACKET_BIT = 0x20;

/** After so many records more that were no plain event than those that were, no further one is expected. */
const MISSES_MAX = 4;

/** Cuts `body` into records; with `takesEvents`, judges plain events in the same pass. Never throws. */
export function splitRecords(body: Uint8Array, takesEvents = false): SplitBody {
  const splitter = new Splitter(body, takesEvents);
  splitter.run();
  return splitter.result();
}

/** One pass over one body. A class only because the parts of the pass share its position. */
class Splitter {
  private readonly body: Uint8Array;
  private readonly end: number;
  private position = 0;
  private form: SplitBody['form'] = 'empty';
  private isArrayClosed = false;
  private readonly records: RecordSlice[] = [];
  private readonly rejects: RejectedSlice[] = [];
  /** Bytes that may still be read a second time after a break; what keeps the whole pass linear. */
  private rescanBytesLeft: number;
  private readonly events: PlainEventReader | undefined;
  /** Records that were no plain event, less those that were. */
  private misses = 0;

  // What the last call of `scan` found beside its end.
  private isTooDeep = false;
  /** Where a line that begins with `{` starts inside the scanned value, or -1: a safe place to begin again. */
  private lineBrace = -1;
  /** Where a broken value was found to be broken. */
  private brokenAt = -1;

  constructor(body: Uint8Array, takesEvents: boolean) {
    this.body = body;
    this.events = takesEvents ? new PlainEventReader(body) : undefined;
    this.end = body.length;
    this.rescanBytesLeft = body.length;
  }

  run(): void {
    if (this.body[0] === 0xef && this.body[1] === 0xbb && this.body[2] === 0xbf) this.position = 3;
    this.skipSeparators();
    if (this.position >= this.end) return;
    const first = this.body[this.position];
    this.form = first === BRACKET_OPEN ? 'array' : first === BRACE_OPEN ? 'objects' : 'lines';

    for (;;) {
      // A comma between objects is a slip of the sender's template; before a line of text it belongs to the text.
      this.skipSeparators(this.form !== 'lines');
      if (this.position >= this.end) return;
      if (this.isFull()) return;
      const byte = this.body[this.position];
      if (byte === BRACKET_OPEN && this.form === 'array') {
        this.position++;
        this.readArray();
      } else if (byte === BRACE_OPEN && this.form !== 'lines') {
        this.readJsonValue(this.end);
      } else {
        this.readLine();
      }
    }
  }

  result(): SplitBody {
    return { form: this.form, records: this.records, rejects: this.rejects, unreadable: this.unreadable() };
  }

  private unreadable(): SplitBody['unreadable'] {
    if (this.form === 'empty') {
      return { code: 'E_BODY_EMPTY', message: 'The body is empty: send at least one event.' };
    }
    if (this.records.length > 0 || (this.rejects.length === 0 && this.isArrayClosed)) return undefined;
    if (this.rejects.some((reject) => reject.code !== 'E_JSON_MALFORMED')) return undefined;
    return {
      code: 'E_BODY_UNREADABLE',
      message:
        'No record can be read from the body: send a JSON object, a JSON array of objects, one object per line, ' +
        'or syslog lines.',
    };
  }

  /** The elements of an array, from after its `[` to after its `]`. */
  private readArray(): void {
    for (;;) {
      this.skipSeparators(true);
      if (this.position >= this.end) return;
      if (this.body[this.position] === BRACKET_CLOSE) {
        this.position++;
        this.isArrayClosed = true;
        return;
      }
      if (this.isFull()) return;
      this.readJsonValue(this.end);
    }
  }

  /** One JSON value of any kind; after a break, goes on where that is safe. */
  private readJsonValue(limit: number): void {
    if (this.events !== undefined && this.misses <= MISSES_MAX && this.takeEvent(this.events, limit)) return;
    const start = this.position;
    const end = this.scan(start, limit);
    if (end !== -1) {
      this.position = end;
      if (this.isTooDeep) {
        this.reject(
          start,
          end,
          'E_TOO_DEEP',
          `The record nests deeper than ${RECORD_DEPTH_MAX} levels: flatten it.`,
        );
      } else {
        this.accept(RECORD_JSON, start, end);
      }
      return;
    }
    const resume = this.resumeAfterBreak();
    this.position = resume;
    this.reject(
      start,
      resume,
      'E_JSON_MALFORMED',
      'The record is not closed: a quote, brace or bracket is missing, or the body was cut off.',
    );
  }

  private takeEvent(events: PlainEventReader, limit: number): boolean {
    const start = this.position;
    const end = this.body[start] === BRACE_OPEN ? events.take(start, limit) : -1;
    if (end === -1 || end - start > RECORD_BYTES_MAX) {
      this.misses++;
      return false;
    }
    this.misses--;
    this.position = end;
    this.accept(RECORD_JSON, start, end, events.hostHash);
    return true;
  }

  /** The first place after a break where a record may begin: a line that starts with `{`. Else the end. */
  private resumeAfterBreak(): number {
    const { lineBrace, brokenAt } = this;
    if (lineBrace !== -1 && brokenAt - lineBrace <= this.rescanBytesLeft) {
      this.rescanBytesLeft -= brokenAt - lineBrace;
      return lineBrace;
    }
    return brokenAt;
  }

  /** One line of text. A line of a text body that is itself a whole JSON object is taken as one. */
  private readLine(): void {
    const start = this.position;
    let lineEnd = this.body.indexOf(LF, start);
    if (lineEnd === -1) lineEnd = this.end;
    if (this.body[start] === BRACE_OPEN) {
      const end = this.scan(start, lineEnd);
      if (end !== -1 && this.trimmedEnd(end, lineEnd) === end) {
        this.readJsonValue(lineEnd);
        return;
      }
    }
    this.position = lineEnd;
    this.accept(RECORD_LINE, start, this.trimmedEnd(start, lineEnd));
  }

  /**
   * The end of the JSON value at `start`, or -1 when it does not end before `limit`. Structure only: strings, escapes
   * and brackets. Sets `isTooDeep`, `lineBrace`, `brokenAt`.
   */
  private scan(start: number, limit: number): number {
    const body = this.body;
    this.isTooDeep = false;
    this.lineBrace = -1;
    this.brokenAt = limit;
    let depth = 0;
    // Bit d-1 tells whether the container at depth d is an array; deeper than 32 nothing is kept, it is a reject anyway.
    let arrays = 0;
    let at = start;
    while (at < limit) {
      const byte = body[at]!;
      if (byte === QUOTE) {
        at++;
        for (;;) {
          if (at >= limit) return -1;
          const inner = body[at]!;
          if (inner === QUOTE) break;
          if (inner === BACKSLASH) {
            // JSON escapes no line end: one behind a backslash means the line was cut there.
            at += body[at + 1] === LF ? 1 : 2;
          } else {
            at++;
            // A line that begins with `{` inside a string: the string was never closed, and here is the next record.
            if (inner === LF && at < limit && body[at] === BRACE_OPEN) {
              this.brokenAt = at;
              return -1;
            }
          }
        }
        at++;
        if (depth === 0) return at;
        continue;
      }
      const folded = byte | BRACKET_BIT;
      if (folded === BRACE_OPEN) {
        if (depth > 0 && byte === BRACE_OPEN && body[at - 1] === LF) {
          if (!this.mayOpenObject(at, start, (arrays >>> (depth - 1)) & 1)) {
            this.brokenAt = at;
            return -1;
          }
          if (this.lineBrace === -1) this.lineBrace = at;
        }
        if (depth < RECORD_DEPTH_MAX) {
          if (byte === BRACKET_OPEN) arrays |= 1 << depth;
          else arrays &= ~(1 << depth);
        } else {
          this.isTooDeep = true;
        }
        depth++;
      } else if (folded === BRACE_CLOSE) {
        if (depth === 0) return this.endOfScalar(start, at);
        if (
          depth <= RECORD_DEPTH_MAX &&
          ((arrays >>> (depth - 1)) & 1) !== (byte === BRACKET_CLOSE ? 1 : 0)
        ) {
          return this.brokenFrom(at, limit);
        }
        depth--;
        at++;
        if (depth === 0) return at;
        continue;
      } else if (depth === 0 && (byte === COMMA || byte <= SPACE)) {
        return this.endOfScalar(start, at);
      }
      at++;
    }
    return depth === 0 ? this.endOfScalar(start, limit) : -1;
  }

  /** Where a bare value (number, literal, or a stray bracket) ends: at least one byte on, so that the pass advances. */
  private endOfScalar(start: number, at: number): number {
    return Math.max(at, start + 1);
  }

  /** Brackets do not pair from `at` on: nothing before the next line that begins with `{` can be trusted. */
  private brokenFrom(at: number, limit: number): -1 {
    let line = this.body.indexOf(LF, at);
    while (line !== -1 && line + 1 < limit && this.body[line + 1] !== BRACE_OPEN) {
      line = this.body.indexOf(LF, line + 1);
    }
    this.brokenAt = line === -1 || line + 1 >= limit ? limit : line + 1;
    return -1;
  }

  /** Whether an object may begin at `at`, judged by the last byte before it that is no blank. */
  private mayOpenObject(at: number, start: number, inArray: number): boolean {
    let before = at - 1;
    while (before > start && this.body[before]! <= SPACE) before--;
    const byte = this.body[before];
    return inArray === 1 ? byte === BRACKET_OPEN || byte === COMMA : byte === COLON;
  }

  private skipSeparators(withCommas = false): void {
    const { body, end } = this;
    let at = this.position;
    while (at < end) {
      const byte = body[at];
      if (byte === SPACE || byte === LF || byte === CR || byte === TAB || byte === RECORD_SEPARATOR) at++;
      else if (withCommas && byte === COMMA) at++;
      else break;
    }
    this.position = at;
  }

  private trimmedEnd(start: number, end: number): number {
    let at = end;
    while (at > start) {
      const byte = this.body[at - 1];
      if (byte !== CR && byte !== SPACE && byte !== TAB && byte !== LF) break;
      at--;
    }
    return at;
  }

  /** True when the request holds all the records it may; the rest has then become one reject. */
  private isFull(): boolean {
    if (this.records.length + this.rejects.length < RECORDS_PER_REQUEST_MAX) return false;
    this.reject(
      this.position,
      this.end,
      'E_TOO_MANY_RECORDS',
      `A request holds at most ${RECORDS_PER_REQUEST_MAX} records: send the rest in another one.`,
    );
    this.position = this.end;
    return true;
  }

  private accept(kind: RecordKind, start: number, end: number, hostHash?: number): void {
    if (end - start > RECORD_BYTES_MAX) {
      this.reject(
        start,
        end,
        'E_RECORD_TOO_LARGE',
        `The record has ${end - start} bytes; at most ${RECORD_BYTES_MAX} are taken: shorten or split it.`,
      );
      return;
    }
    this.records.push({ index: this.records.length + this.rejects.length, kind, start, end, hostHash });
  }

  private reject(start: number, end: number, code: RejectedSlice['code'], message: string): void {
    this.rejects.push({ index: this.records.length + this.rejects.length, start, end, code, message });
  }
}
