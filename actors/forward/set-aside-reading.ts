/**
 * Reads the retry sets of a forward actor's partitions: what is due there, and all that is set aside.
 *
 * Invariant: one look for what is due at a time, until its results are taken: those of two could not be told apart.
 */
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import { kindOf } from '../../runtime/errors.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { retrySet } from './messages.ts';

export interface SetAsideFound {
  partition: number;
  payload: Buffer;
}

export interface SetAsideReadingOptions {
  store: Pick<DurableStore, 'generation' | 'takeDue' | 'listDelayed'>;
  partitions: () => Iterable<number>;
  /** Before each look for what is due. */
  onBegin: () => void;
  onDue: (due: { partition: number; destination: string; payloads: Buffer[]; generation: number }) => void;
  /** All that was due has been told; `done` must follow. */
  onLooked: () => void;
  onListed: (destination: string, loads: number, found: SetAsideFound[], generation: number) => void;
  onFatal: (error: CodedError) => void;
}

const DUE_MAX = 32;
const PAGE_MAX = 256;

export class SetAsideReading {
  readonly #options: SetAsideReadingOptions;
  readonly #listing = new Set<string>();
  #isLooking = false;

  constructor(options: SetAsideReadingOptions) {
    this.#options = options;
  }

  done(): void {
    this.#isLooking = false;
  }

  /** For alerts of these destinations that are due. While the store is away there is nothing: the next look finds them. */
  async look(destinations: readonly string[]): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { store, partitions, onBegin, onDue, onLooked } = this.#options;
    onBegin();
    const { generation } = store;
    await this.#unlessAway(async () => {
      for (const destination of destinations) {
        for (const partition of partitions()) {
          const { members } = await store.takeDue(partition, retrySet(destination), DUE_MAX);
          if (members.length === 0) continue;
          const payloads = members.map(({ payload }) => payload);
          onDue({ partition, destination, payloads, generation });
        }
      }
    });
    onLooked();
  }

  /** Lists all that is set aside; whoever asked asks again when nothing comes. */
  async list(destination: string, begin: () => number): Promise<void> {
    if (this.#listing.has(destination)) return;
    this.#listing.add(destination);
    const { store, partitions, onListed } = this.#options;
    const loads = begin();
    const { generation } = store;
    await this.#unlessAway(async () => {
      const found: SetAsideFound[] = [];
      for (const partition of partitions()) {
        for (let skip = 0; ; skip += PAGE_MAX) {
          const page = await store.listDelayed(partition, retrySet(destination), skip, PAGE_MAX);
          found.push(...page.map((payload) => ({ partition, payload })));
          if (page.length < PAGE_MAX) break;
        }
      }
      onListed(destination, loads, found, generation);
    });
    this.#listing.delete(destination);
  }

  async #unlessAway(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      if (kindOf(thrown) !== 'transient') this.#options.onFatal(thrown as CodedError);
    }
  }
}
