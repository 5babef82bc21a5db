/**
 * Makes UUIDs of version 7 (RFC 9562 section 5.7) that only rise within one maker: 48 bits of milliseconds, a 12-bit
 * counter that starts at random and counts within the millisecond, 62 random bits.
 *
 * A clock that steps back does not step the identifiers back; they go on from the last millisecond used.
 */
import type { Clock } from '../../runtime/clock.ts';

export const UUID_BYTES = 16;
/** The counter starts in its lower half, so that at least 2048 identifiers fit before a millisecond is borrowed. */
const COUNTER_START_MAX = 0x7ff;
const COUNTER_MAX = 0xfff;
/** Random bytes are drawn for this many identifiers at once: a draw costs far more than its bytes. */
const DRAW_IDENTIFIERS = 256;
const DRAW_BYTES_EACH = 10;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Fills the given bytes with randomness (`node:crypto` `randomFillSync`). */
export type FillRandom = (bytes: Uint8Array) => unknown;

/** A maker of 16-byte identifiers, each greater than the one before when compared byte by byte. */
export function uuidV7Maker(clock: Pick<Clock, 'wallMs'>, fillRandom: FillRandom): () => Buffer {
  const pool = Buffer.alloc(DRAW_IDENTIFIERS * DRAW_BYTES_EACH);
  let poolAt = pool.length;
  let lastMs = -1;
  let counter = 0;

  return () => {
    if (poolAt === pool.length) {
      fillRandom(pool);
      poolAt = 0;
    }
    const nowMs = Math.trunc(clock.wallMs());
    if (nowMs > lastMs) {
      lastMs = nowMs;
      counter = pool.readUInt16BE(poolAt + 8) & COUNTER_START_MAX;
    } else if (counter === COUNTER_MAX) {
      lastMs++;
      counter = 0;
    } else {
      counter++;
    }
    const uuid = Buffer.allocUnsafe(UUID_BYTES);
    uuid.writeUIntBE(lastMs, 0, 6);
    uuid.writeUInt16BE(0x7000 | counter, 6);
    pool.copy(uuid, 8, poolAt, poolAt + 8);
    uuid[8] = (uuid[8]! & 0x3f) | 0x80;
    poolAt += DRAW_BYTES_EACH;
    return uuid;
  };
}

/** The milliseconds since 1970 in such an identifier; undefined for a text that is none. */
export function uuidTimeMs(uuid: string): number | undefined {
  if (!UUID_V7.test(uuid)) return undefined;
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/** `xxxxxxxx-xxxx-7xxx-yxxx-xxxxxxxxxxxx`. */
export function formatUuid(uuid: Buffer): string {
  const hex = uuid.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
