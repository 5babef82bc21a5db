/**
 * The reading end of a ring between two threads: the only one that reads records and settles them.
 *
 * Reading moves nothing: a record stays in the ring until it is settled, in whatever order, and the tail moves over what is
 * settled without a gap. So a new reader of the same ring begins with what no earlier one has settled, in order. Invariant:
 * a record is read at most once by one reader, and never after it was settled.
 */
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

/** A share of the ring that must be free before a waiting writer is woken, or it would be woken for every record. */
const ROOM_SHARE = 1 / 2;

export class RingReader {
  /** The present record's header, valid from `next` to the next `next`. */
  position = 0;
  kind = 0;
  flags = 0;
  target = 0;
  sequence = 0;
  reference = 0;
  crashes = 0;
  deadlineAtMs = NO_DEADLINE;
  payloadBytes = 0;
  private readonly memory: RingMemory;
  private readonly roomCame: () => void;
  /** Where the next record begins. */
  private readAt: number;
  /** The published end, as last seen. */
  private head: number;
  private tail: number;
  private settled: number;

  /** `roomCame` is called when the writer waits for room and there is some now. */
  constructor(memory: SharedArrayBuffer, roomCame: () => void = () => undefined) {
    this.memory = new RingMemory(memory);
    this.roomCame = roomCame;
    const { words } = this.memory;
    this.tail = this.readAt = Atomics.load(words, Word.tail);
    this.settled = Atomics.load(words, Word.settled);
    this.head = Atomics.load(words, Word.head);
    Atomics.store(words, Word.sleeping, 0);
  }

  /** Moves to the next record that is not settled; false when there is none now. */
  next(): boolean {
    const { memory } = this;
    const { recordWords, mask } = memory;
    for (;;) {
      if (this.readAt === this.head) {
        this.head = Atomics.load(memory.words, Word.head);
        if (this.readAt === this.head) return false;
      }
      const word = (this.readAt & mask) >> 2;
      const kindAndFlags = recordWords[word + Header.kindAndFlags] as number;
      if ((kindAndFlags & 0xff) === KIND_PADDING) {
        this.passPadding();
        continue;
      }
      const payloadBytes = recordWords[word + Header.payloadBytes] as number;
      const position = this.readAt;
      this.readAt = (position + recordBytes(payloadBytes)) | 0;
      const stateAndCrashes = recordWords[word + Header.stateAndCrashes] as number;
      if ((stateAndCrashes & 0xff) === RecordState.settled) {
        if (position === this.tail) this.moveTail();
        continue;
      }
      this.position = position;
      this.payloadBytes = payloadBytes;
      this.kind = kindAndFlags & 0xff;
      this.flags = kindAndFlags >>> 8;
      this.target = recordWords[word + Header.target] as number;
      this.sequence = (recordWords[word + Header.sequence] as number) >>> 0;
      this.reference = (recordWords[word + Header.reference] as number) >>> 0;
      this.crashes = stateAndCrashes >>> 8;
      this.deadlineAtMs = memory.recordFloats[(word + Header.deadlineAtMs) >> 1] as number;
      return true;
    }
  }

  /** The ring's bytes, in which a record's payload begins at `payloadAt`. Not valid any more once it is settled. */
  get bytes(): Buffer {
    return this.memory.bytes;
  }

  payloadAt(position: number): number {
    return (position & this.memory.mask) + HEADER_BYTES;
  }

  /** Notes that the handling of a record has begun: should the reader die now, this record is a suspect. */
  begin(position: number): void {
    this.setState(position, RecordState.inHand);
  }

  /** Notes that it is not in hand any more, and not settled either. */
  putBack(position: number): void {
    this.setState(position, RecordState.waiting);
  }

  /** The record is done with. Once for each; the order does not matter. */
  settle(position: number): void {
    if (position !== this.tail) {
      this.setState(position, RecordState.settled);
      return;
    }
    this.moveTail();
  }

  /** One more death with this record in hand. Returns how many there were. */
  addCrash(position: number): number {
    const word = this.stateWord(position);
    const crashes = ((this.memory.recordWords[word] as number) >>> 8) + 1;
    this.memory.recordWords[word] = RecordState.waiting | (crashes << 8);
    return crashes;
  }

  isInHand(position: number): boolean {
    return ((this.memory.recordWords[this.stateWord(position)] as number) & 0xff) === RecordState.inHand;
  }

  /** Says that the writer has to wake this reader. False when something has come: then it must not wait. */
  sleep(): boolean {
    const { words } = this.memory;
    Atomics.store(words, Word.sleeping, 1);
    if (Atomics.load(words, Word.head) === this.readAt) return true;
    Atomics.store(words, Word.sleeping, 0);
    return false;
  }

  /** Records that wait or are in hand. */
  get unsettled(): number {
    return (Atomics.load(this.memory.words, Word.written) - this.settled) | 0;
  }

  /** The record at the tail is settled: the tail moves over it and over everything settled behind it. */
  private moveTail(): void {
    const { recordWords, mask, words } = this.memory;
    do {
      // What an earlier reader settled lies ahead of this one's reading, too.
      const isUnread = this.tail === this.readAt;
      const word = (this.tail & mask) >> 2;
      if (((recordWords[word + Header.kindAndFlags] as number) & 0xff) === KIND_PADDING) {
        this.tail = this.endOfPadding(this.tail);
      } else {
        this.tail = (this.tail + recordBytes(recordWords[word + Header.payloadBytes] as number)) | 0;
        this.settled = (this.settled + 1) | 0;
      }
      if (isUnread) this.readAt = this.tail;
    } while (this.tail !== this.head && this.isDoneWith(this.tail));
    words[Word.settled] = this.settled;
    Atomics.store(words, Word.tail, this.tail);
    const wantedBytes = Atomics.load(words, Word.wantedBytes);
    if (wantedBytes !== 0) this.giveRoom(wantedBytes);
  }

  private isDoneWith(position: number): boolean {
    const word = (position & this.memory.mask) >> 2;
    const { recordWords } = this.memory;
    return (
      ((recordWords[word + Header.kindAndFlags] as number) & 0xff) === KIND_PADDING ||
      ((recordWords[word + Header.stateAndCrashes] as number) & 0xff) === RecordState.settled
    );
  }

  private passPadding(): void {
    const position = this.readAt;
    this.readAt = this.endOfPadding(position);
    if (position === this.tail) this.moveTail();
  }

  private endOfPadding(position: number): number {
    return (position + this.memory.capacityBytes - (position & this.memory.mask)) | 0;
  }

  private giveRoom(wantedBytes: number): void {
    const { words, capacityBytes, recordsMax } = this.memory;
    const usedBytes = (Atomics.load(words, Word.head) - this.tail) | 0;
    const usedRecords = (Atomics.load(words, Word.written) - this.settled) | 0;
    // Twice, since the record may need padding before it.
    const isRoomy =
      capacityBytes - usedBytes >= Math.max(2 * wantedBytes, capacityBytes * ROOM_SHARE) &&
      recordsMax - usedRecords >= recordsMax * ROOM_SHARE;
    if (!isRoomy && usedBytes > 0) return;
    if (Atomics.compareExchange(words, Word.wantedBytes, wantedBytes, 0) === wantedBytes) this.roomCame();
  }

  private stateWord(position: number): number {
    return ((position & this.memory.mask) >> 2) + Header.stateAndCrashes;
  }

  private setState(position: number, state: RecordState): void {
    const word = this.stateWord(position);
    const { recordWords } = this.memory;
    recordWords[word] = ((recordWords[word] as number) & ~0xff) | state;
  }
}
