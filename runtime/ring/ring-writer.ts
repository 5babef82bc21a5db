/**
 * The writing end of a ring between two threads: the only one that writes records into it.
 *
 * It never waits: a record that does not fit is refused, and whoever wants to wait is woken when there is room. What was
 * written is seen by the reader from `publish` on, one record or many; what a writer had not published when its thread died
 * is published by `publishDrafts`. Invariant: a written record is whole or not seen, and a record that the reader has not
 * settled is never written over.
 */
import { assert } from '../assert.ts';
import {
  Header,
  HEADER_BYTES,
  KIND_PADDING,
  NO_DEADLINE,
  RecordState,
  recordBytes,
  RingMemory,
  Word,
} from './ring-layout.ts';

/** Why a record was not written. Sequences are never negative. */
export const RING_FULL = -1;
export const RECORD_TOO_LARGE = -2;

export interface RecordHead {
  /** 1 to 255; 0 is the ring's own. */
  kind: number;
  /** 24 bits, the two ends' affair. */
  flags: number;
  /** Whom it is for. */
  target: number;
  /** What it refers to: the question that an answer answers. */
  reference: number;
  /** Of the clock that all threads share (`processMs`), or `NO_DEADLINE`. */
  deadlineAtMs: number;
}

/** Every head is made here, so that V8 sees one shape of them; see `NO_DEADLINE`. */
export function recordHead(
  kind: number,
  target: number,
  reference: number,
  deadlineAtMs = NO_DEADLINE,
): RecordHead {
  return { kind, flags: 0, target, reference, deadlineAtMs };
}

export class RingWriter {
  /** Of the last record that was given to `write`. */
  payloadBytes = 0;
  private readonly memory: RingMemory;
  private position: number;
  /** Records ever written; the sequence of the next one. */
  private written: number;
  /** Of these, the ones that the reader can see. */
  private published: number;
  /** As last read: reading them anew for every record would cost more than the record. */
  private tail: number;
  private settled: number;

  /** Goes on where an earlier writer of the same ring ended. */
  constructor(memory: SharedArrayBuffer) {
    this.memory = new RingMemory(memory);
    const { words } = this.memory;
    this.position = Atomics.load(words, Word.drafted);
    this.written = Atomics.load(words, Word.draftedRecords);
    this.published = Atomics.load(words, Word.written);
    this.tail = Atomics.load(words, Word.tail);
    this.settled = Atomics.load(words, Word.settled);
  }

  get recordBytesMax(): number {
    return this.memory.recordBytesMax;
  }

  get nextSequence(): number {
    return this.written >>> 0;
  }

  /** Writes a record, to be published; text goes in as UTF-8. Returns its sequence, RING_FULL or RECORD_TOO_LARGE. */
  write(head: RecordHead, payload: Uint8Array | string): number {
    const { memory } = this;
    const payloadBytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
    this.payloadBytes = payloadBytes;
    if (payloadBytes > memory.recordBytesMax) return RECORD_TOO_LARGE;
    const bytes = recordBytes(payloadBytes);
    const padding = this.paddingFor(bytes);
    if (!this.hasRoom(padding + bytes)) return RING_FULL;
    const { recordWords } = memory;
    if (padding > 0) {
      recordWords[((this.position & memory.mask) >> 2) + Header.kindAndFlags] = KIND_PADDING;
      this.position = (this.position + padding) | 0;
    }
    const offset = this.position & memory.mask;
    const word = offset >> 2;
    const sequence = this.written;
    recordWords[word + Header.payloadBytes] = payloadBytes;
    recordWords[word + Header.kindAndFlags] = head.kind | (head.flags << 8);
    recordWords[word + Header.target] = head.target;
    recordWords[word + Header.sequence] = sequence;
    recordWords[word + Header.reference] = head.reference;
    recordWords[word + Header.stateAndCrashes] = RecordState.waiting;
    memory.recordFloats[(word + Header.deadlineAtMs) >> 1] = head.deadlineAtMs;
    const at = offset + HEADER_BYTES;
    if (typeof payload === 'string') memory.bytes.write(payload, at, payloadBytes, 'utf8');
    else memory.bytes.set(payload, at);
    this.position = (this.position + bytes) | 0;
    this.written = (sequence + 1) | 0;
    memory.words[Word.drafted] = this.position;
    memory.words[Word.draftedRecords] = this.written;
    return sequence >>> 0;
  }

  /** Records written and not published. */
  get unpublished(): number {
    return (this.written - this.published) | 0;
  }

  /** Shows the reader everything written so far. True when the reader sleeps and is for the caller to wake. */
  publish(): boolean {
    this.show();
    const { words } = this.memory;
    return (
      Atomics.load(words, Word.sleeping) === 1 && Atomics.compareExchange(words, Word.sleeping, 1, 0) === 1
    );
  }

  /** As `publish`, but wakes nobody. */
  show(): void {
    const { words } = this.memory;
    this.published = this.written;
    words[Word.written] = this.written;
    Atomics.store(words, Word.head, this.position);
  }

  /** How many records of `payloadBytes` each would be taken now. */
  creditFor(payloadBytes: number): number {
    if (payloadBytes > this.memory.recordBytesMax) return 0;
    this.look();
    const bytes = recordBytes(payloadBytes);
    const free = this.memory.capacityBytes - ((this.position - this.tail) | 0);
    const toEnd = this.memory.capacityBytes - (this.position & this.memory.mask);
    const inBytes =
      free < toEnd
        ? Math.floor(free / bytes)
        : Math.floor(toEnd / bytes) + Math.floor((free - toEnd) / bytes);
    return Math.min(inBytes, this.memory.recordsMax - ((this.written - this.settled) | 0));
  }

  /**
   * Asks the reader to say when there is room for a record of that size. False when there is room already; then nothing
   * will be said.
   */
  wantRoom(payloadBytes: number): boolean {
    const { words, recordBytesMax } = this.memory;
    assert(payloadBytes <= recordBytesMax, 'what is too large for the ring never fits');
    const bytes = recordBytes(payloadBytes);
    Atomics.store(words, Word.wantedBytes, bytes);
    if (!this.hasRoom(this.paddingFor(bytes) + bytes)) return true;
    Atomics.store(words, Word.wantedBytes, 0);
    return false;
  }

  /** Whether the record of that sequence, and with it all before it, has been settled. */
  isSettled(sequence: number): boolean {
    this.settled = Atomics.load(this.memory.words, Word.settled);
    return ((this.settled - sequence) | 0) > 0;
  }

  private paddingFor(bytes: number): number {
    const toEnd = this.memory.capacityBytes - (this.position & this.memory.mask);
    return bytes <= toEnd ? 0 : toEnd;
  }

  private hasRoom(bytes: number): boolean {
    if (this.fits(bytes)) return true;
    this.look();
    return this.fits(bytes);
  }

  private fits(bytes: number): boolean {
    const { capacityBytes, recordsMax } = this.memory;
    return (
      ((this.position - this.tail) | 0) + bytes <= capacityBytes &&
      ((this.written - this.settled) | 0) < recordsMax
    );
  }

  private look(): void {
    const { words } = this.memory;
    this.tail = Atomics.load(words, Word.tail);
    this.settled = Atomics.load(words, Word.settled);
  }
}

/** Shows what a writer had not published that is gone with its thread. Only while the ring has no writer. */
export function publishDrafts(memory: SharedArrayBuffer): void {
  new RingWriter(memory).show();
}
