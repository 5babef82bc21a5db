/**
 * Which member of a pool has each shard, and what is held for shards that move.
 *
 * Not when they move (pool-resize.ts). Invariant: a shard without a hold has its messages told to its owner; one with a hold
 * has all of them held, in order, behind those that the hold is giving out.
 */
import { SHARDS } from '../limits.ts';
import type { MailboxOptions } from '../mailbox.ts';
import type { PoolMember } from './pool-member.ts';
import { ShardHold } from './shard-hold.ts';
import type { HoldHost } from './shard-hold.ts';
import { hashOf, ownerOf } from './shards.ts';

/** A member's place in its pool. */
export interface Seat<M> {
  /** The highest go first when the pool shrinks. */
  readonly index: number;
  readonly id: string;
  readonly member: PoolMember<M>;
  isDead: boolean;
}

export class ShardTable<M> {
  readonly seats: Seat<M>[] = [];
  readonly owners = new Array<Seat<M> | undefined>(SHARDS).fill(undefined);
  readonly holds = new Array<ShardHold<M> | undefined>(SHARDS).fill(undefined);
  private readonly host: HoldHost;
  private readonly held: MailboxOptions;

  constructor(host: HoldHost, held: MailboxOptions) {
    this.host = host;
    this.held = held;
  }

  get living(): Seat<M>[] {
    return this.seats.filter(({ isDead }) => !isDead);
  }

  /** Who shall have each shard when the pool has `target` members: of those that live. */
  plan(target: number): (shard: number) => Seat<M> | undefined {
    const { living } = this;
    const staying = living.filter(({ index }) => index < target);
    const heirs = staying.length > 0 ? staying : living;
    const hashes = heirs.map(({ id }) => hashOf(id));
    return (shard) => heirs[ownerOf(shard, hashes)];
  }

  /** From here on what is told to the shard is held. */
  hold(shard: number): void {
    this.holds[shard] ??= new ShardHold<M>(this.host, this.held);
  }

  /** The shard is this member's from here on, and what was held for it goes there first; without a member it is lost. */
  give(shard: number, seat: Seat<M> | undefined): void {
    this.owners[shard] = seat;
    const hold = this.holds[shard];
    if (hold === undefined) return;
    if (seat === undefined) {
      this.holds[shard] = undefined;
      hold.abandon();
    } else {
      hold.flushTo(seat.member.ref, () => {
        this.holds[shard] = undefined;
      });
    }
  }

  /** Nothing of the member will be handled any more, so its shards need not be drained. */
  died(seat: Seat<M>, target: number): void {
    seat.isDead = true;
    const plan = this.plan(target);
    for (const [shard, owner] of this.owners.entries()) {
      if (owner !== seat) continue;
      const hold = this.holds[shard];
      // Whoever waits for the member to have drained hears of its death there, and gives the shard away.
      if (hold === undefined || hold.isFlushing) this.give(shard, plan(shard));
    }
  }
}
