/**
 * The store contract: what is described here holds for every implementation, and is run against each. The parts are
 * the `durable-store.*.spec.ts` files.
 */
import { afterEach, beforeEach, describe } from 'mocha';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { appendOne, freshWriterId, openRedisStore } from './store-under-test.ts';

type OpenStore = (options?: {
  writerTtlMs?: number;
}) => Promise<{ store: DurableStore; close: () => Promise<void> }>;

/** A new, empty store for each test of the contract. */
class FreshStore {
  readonly #open: OpenStore;
  #opened: Awaited<ReturnType<OpenStore>> | undefined;
  writerId = '';

  constructor(open: OpenStore) {
    this.#open = open;
  }
  get store(): DurableStore {
    if (this.#opened === undefined) throw new Error('no store is open');
    return this.#opened.store;
  }
  async reopen(options: Parameters<OpenStore>[0] = {}): Promise<void> {
    await this.close();
    this.#opened = await this.#open(options);
    this.writerId = freshWriterId();
  }
  async close(): Promise<void> {
    await this.#opened?.close();
    this.#opened = undefined;
  }
  /** Appends entries of one message each, as the first of its writer. */
  async fill(count: number, payload = 'x'): Promise<void> {
    for (let sequence = 1; sequence <= count; sequence += 1) {
      await appendOne(this.store, { writerId: this.writerId, sequence, payload: Buffer.from(payload) });
    }
  }
}

const STORES: Record<string, OpenStore> = {
  RedisStore: async (options = {}) => openRedisStore(await specRedisUrl(), options),
  MemoryStore: async (options = {}) => {
    const store = createMemoryStore(options);
    return { store, close: () => store.close() };
  },
};

/** Describes one part of the contract, with a new, empty store for each test. */
export function describeEveryStore(part: string, describePart: (under: FreshStore) => void): void {
  for (const [name, open] of Object.entries(STORES)) {
    describe(`${name}: ${part}`, () => {
      const under = new FreshStore(open);
      beforeEach(() => under.reopen());
      afterEach(() => under.close());
      describePart(under);
    });
  }
}
