/** A set of events that holds millions: one bit for each number of a host up to the highest. */
import { SEQUENCE_MAX } from './known-event.ts';
import type { KnownEvent } from './known-event.ts';

const FIRST_BYTES = 128;

export class EventSet {
  readonly #bits = new Map<string, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False when it is in there already. Throws a RangeError for a number that no event has. */
  add({ host, sequence }: KnownEvent): boolean {
    checkSequence(sequence);
    let bits = this.#bits.get(host);
    if (bits === undefined || sequence >> 3 >= bits.length) {
      bits = grown(bits ?? new Uint8Array(FIRST_BYTES), (sequence >> 3) + 1);
      this.#bits.set(host, bits);
    }
    const bit = 1 << (sequence & 7);
    const byte = bits[sequence >> 3] ?? 0;
    if ((byte & bit) !== 0) return false;
    bits[sequence >> 3] = byte | bit;
    this.#size += 1;
    return true;
  }

  has({ host, sequence }: KnownEvent): boolean {
    return ((this.#bits.get(host)?.[sequence >> 3] ?? 0) & (1 << (sequence & 7))) !== 0;
  }

  addAll(events: Iterable<KnownEvent>): void {
    for (const event of events) this.add(event);
  }

  /** By host, in the order of their numbers. */
  *[Symbol.iterator](): Generator<KnownEvent, void> {
    for (const [host, bits] of this.#bits) {
      for (let index = 0; index < bits.length; index++) {
        const byte = bits[index] ?? 0;
        if (byte === 0) continue;
        for (let bit = 0; bit < 8; bit++) {
          if ((byte & (1 << bit)) !== 0) yield { host, sequence: index * 8 + bit };
        }
      }
    }
  }
}

function checkSequence(sequence: number): void {
  if (!Number.isInteger(sequence) || sequence < 0 || sequence > SEQUENCE_MAX)
    throw new RangeError(`no event has the number ${sequence}: 0 to ${SEQUENCE_MAX}`);
}

function grown(bits: Uint8Array, lengthMin: number): Uint8Array {
  const wider = new Uint8Array(Math.max(lengthMin, bits.length * 2));
  wider.set(bits);
  return wider;
}
