/**
 * Keeps one pool at its size: one change at a time; a newer target takes the place of an older one; what cannot be
 * done is reported and tried again, ever more slowly, while the parts that are there go on.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { Backoff } from '../../runtime/supervision/backoff.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { RESTART_BACKOFF } from '../restart-policy.ts';

export interface ResizablePool {
  /** Parts that are there. */
  readonly size: number;
  /** Whether that is its size, and every part works with the share that goes with it. */
  isAt(target: number): boolean;
  /**
   * Brings it to `target`, or a step nearer. When it rejects, nothing has got worse: what was there works, with its
   * share of the work.
   */
  approach(target: number): Promise<void>;
}

export interface PoolView {
  pool: string;
  size: number;
  target: number;
  /** Why it is not at its target; null when it is, or is on its way. */
  problem: string | null;
}

const RETRY_BACKOFF = { ...RESTART_BACKOFF, initialMs: 500, maxMs: 10_000 };

export class PoolSize {
  readonly #name: string;
  readonly #pool: ResizablePool;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #backoff = new Backoff(RETRY_BACKOFF, Math.random);
  #target: number;
  #problem: string | null = null;
  #waiting = new AbortController();
  #approaching: Promise<void> | undefined;
  #isStopped = false;

  constructor(name: string, pool: ResizablePool, clock: Clock, log: Log) {
    this.#name = name;
    this.#pool = pool;
    this.#clock = clock;
    this.#log = log;
    this.#target = pool.size;
  }

  get view(): PoolView {
    return { pool: this.#name, size: this.#pool.size, target: this.#target, problem: this.#problem };
  }

  /** From now on the pool is to have this size. */
  aimAt(target: number): void {
    if (target !== this.#target) {
      this.#target = target;
      this.#backoff.reset();
      this.#waiting.abort();
    }
    if (this.#approaching !== undefined || this.#pool.isAt(target) || this.#isStopped) return;
    this.#approaching = this.#approach();
  }

  /** Settles when nothing is under way any more; the pool stays as it is then. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.abort();
    await this.#approaching;
  }

  async #approach(): Promise<void> {
    while (!this.#isStopped && !this.#pool.isAt(this.#target)) {
      const [from, target] = [this.#pool.size, this.#target];
      try {
        await this.#pool.approach(target);
        this.#problem = null;
        this.#log.info({ pool: this.#name, from, to: this.#pool.size, target }, 'pool resized');
      } catch (thrown) {
        if (this.#isStopped) break;
        this.#problem = messageOf(thrown);
        this.#log.error(
          { pool: this.#name, size: this.#pool.size, target, code: codeOf(thrown), message: this.#problem },
          'the pool cannot be resized now; it is tried again',
        );
        this.#waiting = new AbortController();
        const waitMs = this.#backoff.next(this.#clock.monotonicMs());
        if (this.#target === target) await sleep(this.#clock, waitMs, this.#waiting.signal);
      }
    }
    this.#problem = null;
    // In the same step as the last look at the target: a later one begins anew.
    this.#approaching = undefined;
  }
}
