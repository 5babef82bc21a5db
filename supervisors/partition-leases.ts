/**
 * The leases of one role on a node: which slot handles which partitions, under which tokens, and until when it may act.
 *
 * A slot's next incarnation gets its partitions under new epochs, so that whatever the last one still does is refused.
 * Invariant: a slot gets a partition only when no other slot's incarnation works on it any more, so what one had in hand
 * is committed before the next begins.
 */
import { CodedError, codeOf } from '../runtime/errors.ts';
import type { DurableStore, Token } from '../runtime/durable/durable-store.ts';
import { createLeaseKeeper } from '../runtime/durable/lease-keeper.ts';
import type { LeaseKeeper } from '../runtime/durable/lease-keeper.ts';
import { processMs } from '../runtime/shared/vitals.ts';
import type { Vitals } from '../runtime/shared/vitals.ts';
import type { Log } from '../runtime/telemetry/log.ts';

export interface SlotShare {
  slot: string;
  partitions: readonly number[];
  vitals: Vitals;
}

/** Who works on a partition, and for how much longer it may; 0 or less is not at all. */
export interface Custody {
  slot: string | undefined;
  leaseLeftMs: number;
}

type Share = Omit<SlotShare, 'vitals'> & Partial<Pick<SlotShare, 'vitals'>>;

/** An incarnation at work. */
interface Holder {
  /** What it was started with. */
  share: Share;
  gone: PromiseWithResolvers<void>;
}

export class PartitionLeases {
  readonly #keeper: LeaseKeeper;
  readonly #partitions: number;
  readonly #log: Log;
  #shares = new Map<string, SlotShare>();
  /** By slot. */
  readonly #holders = new Map<string, Holder>();
  readonly #validUntilMs = new Map<number, number>();
  /** Ends of incarnations, by slot: tokens that were asked for before one are nobody's any more. */
  readonly #ends = new Map<string, number>();

  constructor(options: {
    store: DurableStore;
    laneGroup: string;
    nonce: string;
    ttlMs: number;
    /** How many there are. */
    partitions: number;
    log: Log;
  }) {
    const { store, laneGroup, nonce, ttlMs, log } = options;
    this.#partitions = options.partitions;
    this.#log = log;
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
    return this.#keeper.want(Array.from({ length: this.#partitions }, (_, partition) => partition));
  }

  /** From now on each slot has this share, from its next incarnation on. */
  deal(shares: readonly SlotShare[]): void {
    this.#shares = new Map(shares.map((share) => [share.slot, share]));
  }

  /**
   * New tokens for a slot that is about to start, once whoever works on its partitions is gone. Rejects (transient) when
   * another node holds one of them, and when the slot has ended meanwhile.
   */
  async tokensFor(slot: string): Promise<[partition: number, token: Token][]> {
    const ends = this.#ends.get(slot);
    let share = this.#shareOf(slot);
    for (
      let other = this.#otherHolder(share);
      other !== undefined;
      share = this.#shareOf(slot), other = this.#otherHolder(share)
    ) {
      await other.gone.promise;
    }
    this.#requireAlive(slot, ends);
    this.#holders.set(slot, { share, gone: Promise.withResolvers() });
    share.vitals?.set('leaseUntilMs', 0);
    const tokens: [number, Token][] = [];
    for (const partition of share.partitions) {
      tokens.push([partition, await this.#advance(partition)]);
      // The next one may be another incarnation's by now: a new token for it would fence that one.
      this.#requireAlive(slot, ends);
    }
    this.#log.debug({ slot, partitions: share.partitions }, 'partitions taken');
    return tokens;
  }

  /** The slot's incarnation, or its start, is over: its partitions may go to others. */
  givenUp(slot: string): void {
    this.#ends.set(slot, (this.#ends.get(slot) ?? 0) + 1);
    const holder = this.#holders.get(slot);
    if (holder === undefined) return;
    this.#log.debug({ slot, partitions: holder.share.partitions }, 'partitions given up');
    holder.gone.resolve();
    this.#holders.delete(slot);
  }

  /** Whether the slot's incarnation works with another share than the present one. */
  isBehind(slot: string): boolean {
    const holder = this.#holders.get(slot);
    return holder !== undefined && !isSame(holder.share.partitions, this.#shareOf(slot).partitions);
  }

  custodyOf(partition: number): Custody {
    const share = this.#holderOf(partition)?.share;
    return { slot: share?.slot, leaseLeftMs: this.#validOf(share?.partitions ?? [partition]) - processMs() };
  }

  stop(): Promise<void> {
    return this.#keeper.stop();
  }

  /** A slot that is not known yet has nothing. */
  #shareOf(slot: string): Share {
    return this.#shares.get(slot) ?? { slot, partitions: [] };
  }

  #otherHolder(share: Share): Holder | undefined {
    return share.partitions
      .map((partition) => this.#holderOf(partition))
      .find((holder) => holder !== undefined && holder.share.slot !== share.slot);
  }

  #holderOf(partition: number): Holder | undefined {
    return [...this.#holders.values()].find(({ share }) => share.partitions.includes(partition));
  }

  #requireAlive(slot: string, ends: number | undefined): void {
    if (this.#ends.get(slot) === ends) return;
    throw new CodedError('E_START_ABORTED', `${slot} has ended before it had its partitions`, {
      kind: 'transient',
    });
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

  /** A slot may act only while all leases hold that its incarnation works under. */
  #note(partition: number, validUntilMs: number): void {
    this.#validUntilMs.set(partition, validUntilMs);
    const holder = this.#holderOf(partition);
    if (holder === undefined) return;
    const { partitions, vitals } = holder.share;
    vitals?.set('leaseUntilMs', this.#validOf(partitions));
  }

  #validOf(partitions: readonly number[]): number {
    return Math.min(...partitions.map((each) => this.#validUntilMs.get(each) ?? 0));
  }
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((partition, index) => partition === other[index]);
}
