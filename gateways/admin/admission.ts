/**
 * Who may ask for what: keys, scopes, and how often. For requests and for WebSockets alike.
 */
import type { Clock } from '../../runtime/clock.ts';
import { FailureBrake } from '../http/failure-brake.ts';
import type { KeyCheck, KeyScope } from '../http/key-ring.ts';
import type { PresentedKey } from '../http/presented-key.ts';
import type { Problem } from '../http/problem.ts';
import { RateLimiter } from '../http/rate-limiter.ts';
import type { RateLimits } from '../http/rate-limiter.ts';
import type { EndpointScope } from './endpoint.ts';
import { problem } from './problems.ts';

export interface AdmissionOptions {
  keys: KeyCheck;
  clock: Clock;
  rate: RateLimits;
}

/**
 * `refused`: there is no usable key; answer after `brake` says so. `limited`: the key is known and may not do this, or
 * not now. Headers say what is left of the rate.
 */
export type Admitted =
  | { state: 'admitted'; keyName: string; headers: readonly HeaderPair[] }
  | { state: 'limited'; keyName: string; problem: Problem; headers: readonly HeaderPair[] }
  | { state: 'refused'; problem: Problem };

export type HeaderPair = readonly [name: string, value: string];

/** The name of whoever needs no key. */
export const LOOPBACK = 'loopback';

export class Admission {
  readonly #keys: KeyCheck;
  readonly #limiter: RateLimiter;
  /** For refusals, so that guessing is slow. */
  readonly brake: FailureBrake;

  constructor({ keys, clock, rate }: AdmissionOptions) {
    this.#keys = keys;
    this.#limiter = new RateLimiter({ clock, limits: rate });
    this.brake = new FailureBrake({ clock });
  }

  /** From the next request on. */
  set rate(limits: RateLimits) {
    this.#limiter.limits = limits;
  }

  /** `address` is 4 or 16 bytes. Takes one request of the key's rate. */
  admit(scope: EndpointScope, presented: PresentedKey, address: ArrayBuffer): Admitted {
    if (scope === 'open' && isLoopback(address)) return { state: 'admitted', keyName: LOOPBACK, headers: [] };
    if (presented.isAmbiguous)
      return {
        state: 'refused',
        problem: problem('E_KEY_UNKNOWN', 'Two different keys were sent: send one.'),
      };
    const verdict = this.#keys.verify(presented.key);
    if (verdict.state !== 'valid') {
      const [code, detail] =
        verdict.state !== 'unknown'
          ? ['E_KEY_EXPIRED', 'This key has expired.']
          : presented.key === ''
            ? ['E_KEY_MISSING', 'Send a key in the X-API-KEY header.']
            : ['E_KEY_UNKNOWN', 'This key is not known.'];
      return { state: 'refused', problem: problem(code ?? '', detail ?? '') };
    }
    const { name: keyName, scopes } = verdict.record;
    const needed = scope === 'open' ? 'read' : scope;
    // The built-in sink takes alerts as fast as they come: they are not somebody's requests.
    const rate = scope === 'sink' ? undefined : this.#limiter.take(keyName);
    const headers = rate === undefined ? [] : rateHeaders(this.#limiter.limits, rate);
    if (rate?.isAllowed === false) {
      const detail = `This key has used up its requests. Wait ${rate.retryAfterS} s, or have api.rate.* raised.`;
      const limited = [...headers, ['Retry-After', String(rate.retryAfterS)] as const];
      return { state: 'limited', keyName, problem: problem('E_RATE_LIMITED', detail), headers: limited };
    }
    if (holds(scopes, needed)) return { state: 'admitted', keyName, headers };
    const detail = `This needs a key with the scope ${needed}.`;
    return { state: 'limited', keyName, problem: problem('E_SCOPE_MISSING', detail), headers };
  }
}

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ */
function rateHeaders(
  { requestsPerSecond, burst }: RateLimits,
  { remaining, retryAfterS }: { remaining: number; retryAfterS: number },
): readonly HeaderPair[] {
  const windowS = Math.max(1, Math.ceil(burst / requestsPerSecond));
  return [
    ['RateLimit-Policy', `"key";q=${burst};w=${windowS}`],
    ['RateLimit', `"key";r=${remaining};t=${retryAfterS}`],
  ];
}

/** A wider scope includes the narrower ones. `sink` is for the built-in destination alone. */
export function holds(scopes: readonly KeyScope[], needed: KeyScope | 'sink'): boolean {
  const order: readonly string[] = ['read', 'operate', 'admin'];
  const rank = order.indexOf(needed);
  return scopes.some((scope) => scope === (needed as string) || (rank >= 0 && order.indexOf(scope) >= rank));
}

function isLoopback(address: ArrayBuffer): boolean {
  const bytes = new Uint8Array(address);
  if (bytes.length === 4) return bytes[0] === 127;
  const isMapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes[12] === 127;
  return bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
}
