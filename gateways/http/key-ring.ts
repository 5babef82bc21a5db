/**
 * The API keys a gateway accepts, checked in constant time.
 *
 * Only `HMAC-SHA-256(pepper, key)` of a key is ever stored. A first sight costs one HMAC and a comparison with every
 * record; keys seen lately are remembered in memory, so that the hot path is one padded comparison. What an observer
 * can time is the position of a record in the memory, never how much of a key was right.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';

export type KeyScope = 'ingest' | 'read' | 'operate' | 'admin';

export interface KeyRecord {
  /** Unique; what logs, rejects and audit rows say. */
  name: string;
  scopes: readonly KeyScope[];
  /** The `id` of an event says which one it is, when it comes again. */
  eventIds?: boolean;
  /** 64 hex digits. */
  hmacSha256: string;
  /** ms since 1970 UTC, or null for never. */
  expiresAt: number | null;
  /** Earlier values of the same key, each until its own end: what rotation leaves. */
  earlier?: readonly { hmacSha256: string; expiresAt: number | null }[];
}

/**
 * `valid`: take the request. `grace`: the key was right and expired a short while ago: a relay must hold its data and
 * try again, since it is being given a new key right now. `expired` and `unknown`: refuse.
 */
export type KeyVerdict =
  | { readonly state: 'valid' | 'grace' | 'expired'; readonly record: KeyRecord }
  | { readonly state: 'unknown'; readonly record: undefined };

/** What gateways need of a key ring. */
export interface KeyCheck {
  /** The verdict on a key as presented (UTF-8). Does not judge scopes. Never throws. */
  verify(presented: string): KeyVerdict;
}

export interface KeyRingOptions {
  pepper: Buffer;
  clock: Clock;
  /** How long after its expiry a key is answered with "later" instead of "no". Default 10 minutes. */
  graceMs?: number;
}

/** A longer key is unknown without a look. Ours have 43 characters. */
export const KEY_BYTES_MAX = 254;
/** Keys remembered. Past that the one used longest ago by position is forgotten and costs one HMAC when it returns. */
export const KEYS_REMEMBERED_MAX = 64;
const GRACE_MS = 600_000;
const DIGEST_HEX = /^[0-9a-f]{64}$/i;
const DIGEST_BYTES = 32;
const FINGERPRINT_CHARS = 16;
/** Length in the first byte, then the key, then zeros: equal length for every comparison. */
const PADDED_BYTES = KEY_BYTES_MAX + 6;

interface Verdicts {
  record: KeyRecord;
  digest: Buffer;
  valid: KeyVerdict;
  grace: KeyVerdict;
  expired: KeyVerdict;
}
interface Remembered {
  padded: Buffer;
  verdicts: Verdicts;
}

const UNKNOWN: KeyVerdict = Object.freeze({ state: 'unknown', record: undefined });

export class KeyRing implements KeyCheck {
  readonly #pepper: Buffer;
  readonly #clock: Clock;
  readonly #graceMs: number;
  #records: Verdicts[] = [];
  #remembered: Remembered[] = [];
  readonly #presented = Buffer.alloc(PADDED_BYTES);

  /** Throws E_KEY_RECORD_INVALID when a digest is not 64 hex digits or a name comes twice. */
  constructor(records: readonly KeyRecord[], options: KeyRingOptions) {
    this.#pepper = options.pepper;
    this.#clock = options.clock;
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.replace(records);
  }

  /** Swaps all records at once and forgets every remembered key. On an error the former records stay. */
  replace(records: readonly KeyRecord[]): void {
    const names = new Set<string>();
    const prepared = records.flatMap((record): Verdicts[] => {
      const values = [record, ...(record.earlier ?? []).map((earlier) => ({ ...record, ...earlier }))];
      if (values.some(({ hmacSha256 }) => !DIGEST_HEX.test(hmacSha256)) || names.has(record.name)) {
        throw new CodedError(
          'E_KEY_RECORD_INVALID',
          'A key record has no valid digest, or its name comes twice.',
          {
            details: { name: record.name },
            mend: 'Create the key again.',
          },
        );
      }
      names.add(record.name);
      return values.map((value) => ({
        record: value,
        digest: Buffer.from(value.hmacSha256, 'hex'),
        valid: { state: 'valid', record: value },
        grace: { state: 'grace', record: value },
        expired: { state: 'expired', record: value },
      }));
    });
    this.#records = prepared;
    this.#remembered = [];
  }

  verify(presented: string): KeyVerdict {
    if (presented === '') return UNKNOWN;
    const padded = this.#presented;
    padded.fill(0);
    // More than is allowed fits, by more than the longest character, so that a key that is too long is seen as such
    // (a write never splits a character) and cannot match as its own prefix.
    const bytes = padded.write(presented, 1, PADDED_BYTES - 1, 'utf8');
    if (bytes > KEY_BYTES_MAX) return UNKNOWN;
    padded[0] = bytes;
    const found = this.#recall(padded) ?? this.#search(padded, bytes);
    return found === undefined ? UNKNOWN : this.#judge(found);
  }

  #recall(padded: Buffer): Verdicts | undefined {
    const remembered = this.#remembered;
    for (let at = 0; at < remembered.length; at++) {
      const entry = remembered[at];
      if (entry === undefined || !timingSafeEqual(entry.padded, padded)) continue;
      const before = remembered[at - 1];
      if (before !== undefined) {
        // Busy keys rise to the front by one place per use, so that the common case is the first comparison.
        remembered[at - 1] = entry;
        remembered[at] = before;
      }
      return entry.verdicts;
    }
    return undefined;
  }

  #search(padded: Buffer, bytes: number): Verdicts | undefined {
    const digest = createHmac('sha256', this.#pepper)
      .update(padded.subarray(1, bytes + 1))
      .digest();
    let found: Verdicts | undefined;
    for (const verdicts of this.#records) {
      const isEqual = verdicts.digest.length === DIGEST_BYTES && timingSafeEqual(verdicts.digest, digest);
      if (isEqual) found = verdicts;
    }
    if (found === undefined) return undefined;
    if (this.#remembered.length >= KEYS_REMEMBERED_MAX) this.#remembered.pop()?.padded.fill(0);
    this.#remembered.push({ padded: Buffer.from(padded), verdicts: found });
    return found;
  }

  #judge(verdicts: Verdicts): KeyVerdict {
    const { expiresAt } = verdicts.record;
    if (expiresAt === null) return verdicts.valid;
    const nowMs = this.#clock.wallMs();
    if (nowMs < expiresAt) return verdicts.valid;
    return nowMs < expiresAt + this.#graceMs ? verdicts.grace : verdicts.expired;
  }
}

/** The digest of a new key, as stored in its record. */
export function keyDigest(pepper: Buffer, key: string): string {
  return createHmac('sha256', pepper).update(key, 'utf8').digest('hex');
}

/** Names a pepper without telling it: digests made with another one are of no use here. 16 hex digits. */
export function pepperFingerprint(pepper: Buffer): string {
  return createHmac('sha256', pepper).update('pepper fingerprint').digest('hex').slice(0, FINGERPRINT_CHARS);
}
