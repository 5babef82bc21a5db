/**
 * Holds the leases of one lane group for one node: acquires what is wanted, renews, publishes until when each is
 * valid, reports what is lost. Runs in the supervising process, never in the thread that does the work: a busy thread
 * must not lose its partition, and a dead one must not keep it.
 *
 * A published validity ends before the store's own expiry, since it counts from before the request was sent. It is in
 * `process.hrtime` milliseconds, which all threads and processes of one machine share.
 *
 * Invariant: validity is a courtesy that saves work; safety is the fencing of every commit by nonce and epoch.
 */
import type { Clock } from '../clock.ts';
import { sleep, systemClock } from '../clock.ts';
import { CodedError } from '../errors.ts';
import { processMs } from '../shared/vitals.ts';
import type { DurableStore, Token } from './durable-store.ts';

export interface HeldLease {
  partition: number;
  token: Token;
  /** On the `process.hrtime` scale, ms. */
  validUntilMs: number;
}

/** `taken`: another owns it now. `expired`: not renewed in time; it comes back when nobody took it. */
export type LeaseLoss = 'taken' | 'expired' | 'released';

export interface LeaseKeeperOptions {
  store: Pick<DurableStore, 'acquire' | 'renew' | 'release'>;
  laneGroup: string;
  /** Unique per incarnation of the supervising process. */
  nonce: string;
  ttlMs?: number;
  clock?: Clock;
  /** The shared scale; `processMs` when not given. */
  hrtimeMs?: () => number;
  /** At acquiring and at every renewal. */
  onHeld: (lease: HeldLease) => void;
  onLost: (partition: number, loss: LeaseLoss) => void;
  /** The store could not be asked; it is tried again. */
  onTrouble?: (error: unknown) => void;
}

export interface LeaseKeeper {
  /** From now on these partitions and no others. Settles when each was tried once; others are given up first. */
  want(partitions: readonly number[]): Promise<void>;
  /** Takes a held partition under the next epoch, which fences whoever works under the present one. */
  advance(partition: number): Promise<HeldLease>;
  held(): HeldLease[];
  /** Gives everything up. */
  stop(): Promise<void>;
}

export const LEASE_TTL_MS = 10_000;

const RENEWALS_PER_TTL = 3;
/** Taken off every validity: clocks of two machines do not run equally fast. */
const DRIFT_SHARE = 0.02;

export function createLeaseKeeper(options: LeaseKeeperOptions): LeaseKeeper {
  const { store, laneGroup, nonce } = options;
  const ttlMs = options.ttlMs ?? LEASE_TTL_MS;
  const clock = options.clock ?? systemClock;
  const nowMs = options.hrtimeMs ?? processMs;
  const stopping = new AbortController();
  const leases = new Map<number, HeldLease & { isExpired: boolean }>();
  let wanted = new Set<number>();
  let nextTryMs = ttlMs / RENEWALS_PER_TTL;
  let turn: Promise<unknown> = Promise.resolve();

  /** One thing at a time: an advance must not cross a renewal. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  function hold(partition: number, epoch: number, sentAtMs: number): HeldLease {
    const validUntilMs = sentAtMs + ttlMs * (1 - DRIFT_SHARE);
    const lease = { partition, token: { laneGroup, nonce, epoch }, validUntilMs };
    leases.set(partition, { ...lease, isExpired: false });
    options.onHeld(lease);
    return lease;
  }

  function lose(partition: number, loss: LeaseLoss): void {
    const lease = leases.get(partition);
    if (lease === undefined) return;
    if (loss !== 'expired') leases.delete(partition);
    if (lease.isExpired && loss === 'expired') return;
    lease.isExpired = true;
    options.onLost(partition, loss);
  }

  function expire(): void {
    for (const lease of leases.values()) if (nowMs() > lease.validUntilMs) lose(lease.partition, 'expired');
  }

  async function acquire(partition: number): Promise<HeldLease | undefined> {
    const sentAtMs = nowMs();
    const result = await store.acquire(partition, laneGroup, nonce, ttlMs);
    if ('epoch' in result) return hold(partition, result.epoch, sentAtMs);
    lose(partition, 'taken');
    nextTryMs = Math.min(nextTryMs, Math.max(1, result.remainingMs));
    return undefined;
  }

  async function acquireMissing(): Promise<void> {
    for (const partition of wanted) {
      if (leases.has(partition) || stopping.signal.aborted) continue;
      try {
        await acquire(partition);
      } catch (thrown) {
        options.onTrouble?.(thrown);
      }
    }
  }

  async function renewHeld(): Promise<void> {
    // After a pause of the whole process this comes first: the work must know before it goes on.
    expire();
    const partitions = [...leases.keys()];
    const sentAtMs = nowMs();
    try {
      for (const result of await store.renew(partitions, laneGroup, nonce, ttlMs)) {
        if ('epoch' in result) hold(result.partition, result.epoch, sentAtMs);
        else if ('lostTo' in result) lose(result.partition, 'taken');
        else options.onTrouble?.(result.error);
      }
    } catch (thrown) {
      options.onTrouble?.(thrown);
    }
    expire();
  }

  async function keep(): Promise<void> {
    while (!stopping.signal.aborted) {
      await sleep(clock, nextTryMs, stopping.signal);
      if (stopping.signal.aborted) return;
      await inTurn(async () => {
        nextTryMs = ttlMs / RENEWALS_PER_TTL;
        await renewHeld();
        await acquireMissing();
      });
    }
  }

  async function giveUp(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) lose(partition, 'released');
    try {
      await store.release(partitions, laneGroup, nonce);
    } catch (thrown) {
      // It expires by itself.
      options.onTrouble?.(thrown);
    }
  }

  const kept = keep();

  return {
    want: (partitions) =>
      inTurn(async () => {
        wanted = new Set(partitions);
        await giveUp([...leases.keys()].filter((partition) => !wanted.has(partition)));
        await acquireMissing();
      }),

    advance: (partition) =>
      inTurn(async () => {
        const lease = await acquire(partition);
        if (lease !== undefined) return lease;
        throw new CodedError('E_LEASE_TAKEN', `another node owns partition ${partition}`, {
          kind: 'transient',
          details: { partition, laneGroup },
        });
      }),

    held: () =>
      [...leases.values()].map(({ partition, token, validUntilMs }) => ({ partition, token, validUntilMs })),

    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      await kept;
      await inTurn(() => giveUp([...leases.keys()]));
    },
  };
}
