/**
 * The durable store as resubmissions need it: opened at the first one, and with a long memory of writers.
 *
 * A connection of its own, because the admin process has to start and to answer whatever Redis is like, and one that
 * acknowledges events has to be checked before.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';
import type { StoreSafetyOptions } from '../../runtime/durable/store-safety.ts';
import { openStore } from '../threads/store.ts';
import type { OpenStore, StoreParams } from '../threads/store.ts';
import { WRITER_MEMORY_MS } from './resubmitter.ts';

export class ResubmissionStore {
  readonly #params: StoreParams;
  readonly #safety: StoreSafetyOptions;
  #opened: Promise<OpenStore> | undefined;
  #isClosed = false;

  constructor(params: StoreParams, safety: StoreSafetyOptions) {
    this.#params = params;
    this.#safety = safety;
  }

  /** Rejects when Redis is away or not safe; the next call tries again. */
  async open(): Promise<DurableStore> {
    if (this.#isClosed) {
      throw new CodedError('E_STORE_AWAY', 'the admin process stops', { kind: 'transient' });
    }
    this.#opened ??= openStore(this.#params, 'mutt-admin-resubmit', this.#safety, WRITER_MEMORY_MS);
    const opening = this.#opened;
    try {
      return (await opening).store;
    } catch (thrown) {
      if (this.#opened === opening) this.#opened = undefined;
      throw thrown;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }
}
