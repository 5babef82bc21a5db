/**
 * The gateway processes of a node. They share the port, so one more takes part as soon as it listens; one that leaves
 * stops listening, answers what it took, and ends.
 */
import type { ChildSpec } from '../../runtime/supervision/child-spec.ts';
import type { ProcessSlot } from '../../runtime/process/process-slot.ts';
import type { StartChild } from '../../runtime/placement.ts';
import type { LiveGroup } from './live-group.ts';
import type { ResizablePool } from './pool-size.ts';

export interface GatewayPoolOptions {
  group: LiveGroup;
  openSlot: (id: string) => ProcessSlot;
  closeSlot: (slot: ProcessSlot) => void;
  child: (id: string, start: StartChild) => ChildSpec;
}

export class GatewayPool implements ResizablePool {
  readonly #options: GatewayPoolOptions;
  readonly #slots: ProcessSlot[] = [];

  constructor(options: GatewayPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#slots.length;
  }

  get slots(): readonly ProcessSlot[] {
    return this.#slots;
  }

  /** Before its group's start: the size to begin with. */
  async open(size: number): Promise<void> {
    while (this.#slots.length < size) await this.#addSlot();
  }

  isAt(target: number): boolean {
    return this.size === target;
  }

  /** One step: between two, a newer target is heard. */
  approach(target: number): Promise<void> {
    return this.#slots.length < target ? this.#addSlot() : this.#removeSlot();
  }

  async #addSlot(): Promise<void> {
    const { group, openSlot, closeSlot, child } = this.#options;
    const slot = openSlot(`gateway-${this.#slots.length}`);
    try {
      await group.add(child(slot.id, slot.start));
    } catch (thrown) {
      // Its threads may have said already which version they run: nobody is to wait for them.
      closeSlot(slot);
      throw thrown;
    }
    this.#slots.push(slot);
  }

  async #removeSlot(): Promise<void> {
    const slot = this.#slots.at(-1);
    if (slot === undefined) return;
    await this.#options.group.remove(slot.id);
    this.#slots.pop();
    this.#options.closeSlot(slot);
  }
}
