/**
 * Where everything lies in a ring's SharedArrayBuffer: four lines of control words, then the records.
 *
 * Writer and reader each have a cache line of their own, so that neither slows the other down by writing; a further one
 * the reader never looks at. Positions only
 * rise (modulo 2^32); the place in the buffer is the position modulo the capacity. Invariant: tail <= head, and head - tail
 * is never more than the capacity.
 */
import { numberFault, optionsInvalid } from '../option-faults.ts';

export interface RingOptions {
  /** Bytes for records and their headers: a power of two. */
  capacityBytes: number;
  /** Records that may wait or be in hand. */
  recordsMax: number;
  /** The largest payload that the ring takes. With its header at most half of the ring, or it might never fit. */
  recordBytesMax: number;
}

export const RING_DEFAULT: RingOptions = {
  capacityBytes: 1024 ** 2,
  recordsMax: 16_384,
  recordBytesMax: 64 * 1024,
};

const CAPACITY_BYTES_MIN = 1_024;
const CAPACITY_BYTES_MAX = 2 ** 28;
const RECORDS_MAX_MAX = 262_144;

/** Indexes of the control words (32 bits each). */
export const Word = {
  capacityBytes: 0,
  recordsMax: 1,
  recordBytesMax: 2,
  /** Written by the writer: the end of what is published, and how many records that were. */
  head: 16,
  written: 17,
  /** Bytes that the writer waits for; 0 when it does not wait. Set back by the reader that wakes it. */
  wantedBytes: 18,
  /** Written by the reader: everything before it is settled, and how many records that were. */
  tail: 32,
  settled: 33,
  /** 1 while the reader waits to be woken. Set back by the writer that wakes it. */
  sleeping: 34,
  /** Written by the writer for whoever comes after it: the end of what is written, published or not, and its records. */
  drafted: 48,
  draftedRecords: 49,
} as const;

export const CONTROL_BYTES = 256;

/** A record is its header, the payload, and zero to seven bytes so that the next one is aligned. */
export const HEADER_BYTES = 32;
export const ALIGNMENT_BYTES = 8;

/** The header's words. The deadline is a 64-bit float at `deadlineAtMs`. */
export const Header = {
  payloadBytes: 0,
  /** Kind in the lower byte, flags above it. */
  kindAndFlags: 1,
  target: 2,
  sequence: 3,
  reference: 4,
  /** State in the lower byte, crashes above it. */
  stateAndCrashes: 5,
  deadlineAtMs: 6,
} as const;

/**
 * The deadline of a record that has none: a float like the others, and no 0. With whole numbers in some heads and floats in
 * others V8 gave up the optimised code of the writer (0.8 to 0.95 M records/s in some runs, 2.2 to 3.4 M with this).
 */
export const NO_DEADLINE = Infinity;

/** The rest of the buffer is left out, since the next record would not fit there in one piece. */
export const KIND_PADDING = 0;

export const RecordState = {
  waiting: 0,
  /** Its handling has begun and has not settled. */
  inHand: 1,
  /** Settled before its elders: nobody is to get it again. */
  settled: 2,
} as const;
export type RecordState = (typeof RecordState)[keyof typeof RecordState];

/** Bytes that a payload takes in the ring. */
export function recordBytes(payloadBytes: number): number {
  return (HEADER_BYTES + payloadBytes + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);
}

/** Makes the memory of an empty ring. Errors: `E_OPTIONS_INVALID` (kind defect) with every fault. */
export function createRing(options: RingOptions): SharedArrayBuffer {
  const { capacityBytes, recordsMax, recordBytesMax } = options;
  const faults: string[] = [];
  const isPowerOfTwo =
    Number.isSafeInteger(capacityBytes) && 2 ** Math.round(Math.log2(capacityBytes)) === capacityBytes;
  if (!isPowerOfTwo || capacityBytes < CAPACITY_BYTES_MIN || capacityBytes > CAPACITY_BYTES_MAX) {
    faults.push(
      `capacityBytes ${capacityBytes}: use a power of two from ${CAPACITY_BYTES_MIN} to ${CAPACITY_BYTES_MAX}`,
    );
  }
  const recordsFault = numberFault('recordsMax', recordsMax, { min: 1, max: RECORDS_MAX_MAX });
  if (recordsFault !== undefined) faults.push(recordsFault);
  if (
    !Number.isSafeInteger(recordBytesMax) ||
    recordBytesMax < 1 ||
    recordBytes(recordBytesMax) > capacityBytes / 2
  ) {
    faults.push(`recordBytesMax ${recordBytesMax}: use at most half of capacityBytes less ${HEADER_BYTES}`);
  }
  if (faults.length > 0) throw optionsInvalid('ring', faults);
  const memory = new SharedArrayBuffer(CONTROL_BYTES + capacityBytes);
  const words = new Int32Array(memory);
  words[Word.capacityBytes] = capacityBytes;
  words[Word.recordsMax] = recordsMax;
  words[Word.recordBytesMax] = recordBytesMax;
  return memory;
}

/** The ring's memory as its two ends see it. */
export class RingMemory {
  readonly words: Int32Array;
  /** The record area as bytes, as words and as floats. */
  readonly bytes: Buffer;
  readonly recordWords: Int32Array;
  readonly recordFloats: Float64Array;
  readonly capacityBytes: number;
  readonly mask: number;
  readonly recordsMax: number;
  readonly recordBytesMax: number;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.bytes = Buffer.from(memory, CONTROL_BYTES);
    this.recordWords = new Int32Array(memory, CONTROL_BYTES);
    this.recordFloats = new Float64Array(memory, CONTROL_BYTES);
    this.capacityBytes = this.words[Word.capacityBytes] as number;
    this.mask = this.capacityBytes - 1;
    this.recordsMax = this.words[Word.recordsMax] as number;
    this.recordBytesMax = this.words[Word.recordBytesMax] as number;
  }
}
