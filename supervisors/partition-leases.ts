/**
 * The leases of a node's slots: which slot handles which partitions, under which tokens, and until when it may act.
 *
 * A slot's next incarnation gets its partitions under new epochs, so that whatever the last one still does is refused.
 */
import { CodedError, codeOf } from '../runtime/errors.ts';
import type { DurableStore, Token } from '../runtime/durable/durable-store.ts';
import { createLeaseKeeper } from '../runtime/durable/lease-keeper.ts';
import type { LeaseKeeper } from '../runtime/durable/lease-keeper.ts';
import type { Vitals } from '../runtime/shared/vitals.ts';
import type { Log } from '../runtime/telemetry/log.ts';

export interface SlotShare {
  /** Partitions of slot `index` out of `slots`. */
  partitions: number[];
  vitals: Vitals;
}

export class PartitionLeases {
  readonly #keeper: LeaseKeeper;
  readonly #shares: SlotShare[];
  readonly #validUntilMs = new Map<number, number>();

  constructor(options: {
    store: DurableStore;
    laneGroup: string;
    nonce: string;
    ttlMs: number;
    shares: SlotShare[];
    log: Log;
  }) {
    const { store, laneGroup, nonce, ttlMs, log } = options;
    this.#shares = options.shares;
    this.#keeper = createLeaseKeeper({
      store,
      laneGroup,
      nonce,
      ttlMs,
      onHeld: ({ partition, validUntilMs }) => this.#note(partition, validUntilMs),
      onLost: (partition, loss) => {
        log.warn({ partition, laneGroup, loss }, 'lease lost');
        this.#note(partition, 0);
      },
      onTrouble: (error) => log.debug({ error, laneGroup }, 'leases cannot be renewed'),
    });
  }

  /** Tries to take all partitions. */
  start(): Promise<void> {
    return this.#keeper.want(this.#shares.flatMap(({ partitions }) => partitions));
  }

  /** New tokens for a slot that is about to start. Rejects (transient) when another node holds one of its partitions. */
  async tokensFor(slot: number): Promise<[partition: number, token: Token][]> {
    const tokens: [number, Token][] = [];
    for (const partition of this.#shares[slot]?.partitions ?? []) {
      tokens.push([partition, await this.#advance(partition)]);
    }
    return tokens;
  }

  async #advance(partition: number): Promise<Token> {
    try {
      return (await this.#keeper.advance(partition)).token;
    } catch (thrown) {
      if (codeOf(thrown) !== 'E_LEASE_TAKEN') throw thrown;
      throw new CodedError('E_LEASE_TAKEN', `another node handles partition ${partition} of this Redis`, {
        kind: 'transient',
        mend: 'Stop that node and wait until its leases expire, or give this one another MUTT_KEY_PREFIX.',
        details: { partition },
      });
    }
  }

  stop(): Promise<void> {
    return this.#keeper.stop();
  }

  /** A slot may act only while all of its leases hold. */
  #note(partition: number, validUntilMs: number): void {
    this.#validUntilMs.set(partition, validUntilMs);
    for (const { partitions, vitals } of this.#shares) {
      if (!partitions.includes(partition)) continue;
      vitals.set('leaseUntilMs', Math.min(...partitions.map((each) => this.#validUntilMs.get(each) ?? 0)));
    }
  }
}

/** Deals partitions out to slots, evenly. */
export function partitionsOfSlot(slot: number, slots: number, partitions: number): number[] {
  return Array.from({ length: partitions }, (_, partition) => partition).filter(
    (partition) => partition % slots === slot,
  );
}
