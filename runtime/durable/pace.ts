/**
 * How fast something outside may be sent to by all who do, as an interface: one rate and one breaker, kept where every
 * process sees them. Two implementations behave alike and pass one contract suite: `redis-pace.ts` (real) and
 * `memory-pace.ts` (one process, for specs and trials).
 *
 * A *token* is the right to send once, soon: it counts as used whether it is or not, unless it is given back. An open
 * breaker gives no token but to one at a time, the prober, who has a lease: one that never tells what came of its try
 * makes room for another when the lease ends. Whoever was told to wait asks again. Times are those of the store's clock.
 *
 * Invariants: over all who ask, the tokens given in any time are at most `burstMax` and what the rate lets grow in it;
 * with the breaker open, at most one lease to probe is held.
 */
import { CodedError } from '../errors.ts';

export interface PaceQuestion {
  /** What is sent to: letters, digits and `._:-`. */
  name: string;
  /** Above 0; that of the last question holds. */
  ratePerSecond: number;
  /** Most tokens that gather while nobody asks, at least 1. */
  burstMax: number;
  /** Tokens; 0 only tells. */
  wanted: number;
  /** Tokens of earlier answers that are not needed. */
  returned: number;
  /** Names who asks, as its lease to probe does: random per incarnation. */
  nonce: string;
  /** Lease of a prober: longer than its try can take. */
  probeMs: number;
  news?: PaceNews;
}

/** What came of what was sent since the last question. */
export interface PaceNews {
  /** Something was taken. It was before the failures below. */
  hasSucceeded: boolean;
  /** Tries that failed. They count in a row, over all who tell, until something is taken. */
  failures: number;
  /** They open the breaker, however few they are. */
  mustOpen: boolean;
  /** How long it is open before it is probed, when it opens or stays open with this. */
  openMs: number;
  /** Nothing is to be sent for so long, by anybody; 0 when that was not asked for. */
  restMs: number;
  /** The last failure, for people; at most `PACE_WHY_CHARS_MAX`. */
  why: string;
}

export interface PaceAnswer {
  granted: number;
  /** When to ask again, ms, where less was granted than was wanted. */
  waitMs: number;
  isOpen: boolean;
  /** In a row. */
  failures: number;
  /** The token is for a probe. */
  isProbe: boolean;
  /** Nothing is sent for so much longer, ms; 0 when there is no such time. */
  restMs: number;
  /** Since when it is open, ms since 1970; 0 when it is not. */
  openSinceMs: number;
  /** The last failure while there were any; empty else. */
  why: string;
}

export interface SharedPace {
  /** Rejects with kind `transient` when the store is away; what was told then may or may not count. */
  ask(question: PaceQuestion): Promise<PaceAnswer>;
}

/** Failures in a row that open the breaker. */
export const FAILURES_TO_OPEN = 5;
export const PACE_WHY_CHARS_MAX = 512;
/** Who waits for another's probe looks again this often. */
export const PROBE_LOOK_MS = 250;
/** So long what nobody asks for is remembered. */
export const PACE_TTL_MS = 24 * 3_600_000;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;

/** Refuses what a script could stumble over. Errors: E_PACE_QUESTION. */
export function checkPaceQuestion(question: PaceQuestion): void {
  const { name, ratePerSecond, burstMax, wanted, returned, nonce, probeMs, news } = question;
  const numbers = [wanted, returned, probeMs, news?.failures ?? 0, news?.openMs ?? 0, news?.restMs ?? 0];
  const isFine =
    NAME.test(name) &&
    NAME.test(nonce) &&
    ratePerSecond > 0 &&
    Number.isFinite(ratePerSecond) &&
    burstMax >= 1 &&
    Number.isFinite(burstMax) &&
    numbers.every((number) => Number.isFinite(number) && number >= 0) &&
    (news?.why.length ?? 0) <= PACE_WHY_CHARS_MAX;
  if (isFine) return;
  throw new CodedError('E_PACE_QUESTION', `the question of ${JSON.stringify(name)} cannot be asked`, {
    kind: 'defect',
  });
}
