/**
 * The threads of one role, which share the partitions out among themselves.
 *
 * A resize moves as few partitions as it can. Slots that lose or gain one are stopped, so that what they have in hand is
 * committed, and started again with new tokens, from the head of their mailboxes; a partition's new owner waits until
 * its old one is gone (PartitionLeases). Others go on undisturbed. A new thread is started idle first: one that cannot
 * start never gets a partition.
 *
 * Invariant: every partition belongs to exactly one slot at every moment.
 */
import type { StartChild } from '../../runtime/placement.ts';
import type { ChildSpec } from '../../runtime/supervision/child-spec.ts';
import type { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import type { Custody, PartitionLeases } from '../partition-leases.ts';
import { dealPartitions } from './deal-partitions.ts';
import type { LiveGroup } from './live-group.ts';
import type { ResizablePool } from './pool-size.ts';

export interface PartitionPoolOptions {
  role: string;
  partitions: number;
  group: LiveGroup;
  openSlot: (id: string) => ThreadSlot;
  /** The slot has left for good. */
  closeSlot: (slot: ThreadSlot) => void;
  child: (id: string, start: StartChild) => ChildSpec;
}

export class PartitionPool implements ResizablePool {
  readonly #options: PartitionPoolOptions;
  readonly #slots: ThreadSlot[] = [];
  /** By position of the slot. */
  #shares: number[][] = [];
  #leases: PartitionLeases | undefined;

  constructor(options: PartitionPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#slots.length;
  }

  get slots(): readonly ThreadSlot[] {
    return this.#slots;
  }

  /** Who has what, by slot. */
  get shares(): { worker: string; partitions: readonly number[] }[] {
    return this.#slots.map(({ id }, index) => ({ worker: id, partitions: this.#shares[index] ?? [] }));
  }

  /** Before its group's start: the size to begin with. Afterwards (the ground has changed): other leases. */
  async open(leases: PartitionLeases, size: number): Promise<void> {
    const isReopened = this.#leases !== undefined;
    this.#leases = leases;
    while (this.#slots.length < size) await this.#addSlot();
    this.#deal(this.#slots.length);
    if (!isReopened) return;
    // Those at work have tokens of the leases before. One that cannot be restarted now is its supervisor's affair.
    await Promise.allSettled(this.#slots.map(({ id }) => this.#options.group.restart(id)));
  }

  /** Tokens for a slot's next incarnation. */
  tokensFor(id: string): ReturnType<PartitionLeases['tokensFor']> {
    return this.#leases?.tokensFor(id) ?? Promise.resolve([]);
  }

  custodyOf(partition: number): Custody {
    return this.#leases?.custodyOf(partition) ?? { slot: undefined, leaseLeftMs: 0 };
  }

  isAt(target: number): boolean {
    // Dealt to other slots than there are (the ground has changed, or they could not leave), it is not.
    const isDealt = this.#shares.length === this.size;
    return (
      this.size === target && isDealt && !this.#slots.some(({ id }) => this.#leases?.isBehind(id) === true)
    );
  }

  async approach(target: number): Promise<void> {
    try {
      while (this.#slots.length < target) await this.#addSlot();
    } finally {
      await this.#move(Math.min(target, this.#slots.length));
    }
  }

  async #addSlot(): Promise<void> {
    const { role, group, openSlot, closeSlot, child } = this.#options;
    const slot = openSlot(`${role}-${this.#slots.length}`);
    const start: StartChild = async (request) => {
      try {
        const running = await slot.start(request);
        void running.exited.then(() => this.#leases?.givenUp(slot.id));
        return running;
      } catch (thrown) {
        this.#leases?.givenUp(slot.id);
        throw thrown;
      }
    };
    try {
      await group.add(child(slot.id, start));
    } catch (thrown) {
      closeSlot(slot);
      throw thrown;
    }
    this.#slots.push(slot);
  }

  async #move(slots: number): Promise<void> {
    this.#deal(slots);
    await this.#removeSlots(slots);
    const behind = this.#slots.filter(({ id }) => this.#leases?.isBehind(id) === true);
    const restarts = await Promise.allSettled(behind.map(({ id }) => this.#options.group.restart(id)));
    const failed = restarts.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** The last ones go; each has given up its partitions when this settles. */
  async #removeSlots(slots: number): Promise<void> {
    const { group, closeSlot } = this.#options;
    const leaving = this.#slots.slice(slots);
    await Promise.all(leaving.map(({ id }) => group.remove(id)));
    this.#slots.splice(slots);
    leaving.forEach(closeSlot);
  }

  #deal(slots: number): void {
    const { partitions } = this.#options;
    this.#shares = dealPartitions(this.#shares, slots, partitions);
    const shares = this.#slots.map(({ id, vitals }, index) => ({
      slot: id,
      partitions: this.#shares[index] ?? [],
      vitals,
    }));
    this.#leases?.deal(shares);
  }
}
