/** A store whose answers can be lost or held back, before or after the work was done: what a network does. */
import type { AppendResult, DurableStore } from '../../../runtime/durable/durable-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';

/** What happens to the next append round or commit. */
export type Fault = 'request-lost' | 'reply-lost' | 'refused';

export interface FaultyStore extends DurableStore {
  /** Taken from the front, one per call; `undefined` lets one pass. */
  appendFaults: (Fault | undefined)[];
  commitFaults: (Fault | undefined)[];
  /** While set, append rounds wait for it before they reach the store. */
  hold: Promise<void> | undefined;
  rounds: number;
  /** Counts as a lost connection. */
  loseConnection(): void;
}

export function createFaultyStore(inner: DurableStore): FaultyStore {
  let generation = inner.generation;
  const store: FaultyStore = {
    ...inner,
    get generation() {
      return generation;
    },
    appendFaults: [],
    commitFaults: [],
    hold: undefined,
    rounds: 0,
    loseConnection() {
      generation += 1;
    },
    async append(requests) {
      store.rounds += 1;
      const fault = store.appendFaults.shift();
      if (store.hold !== undefined) await store.hold;
      if (fault === 'refused') return requests.map(() => lost('no'));
      if (fault === 'request-lost') return requests.map(() => lost('unknown'));
      const results = await inner.append(requests);
      return fault === 'reply-lost' ? requests.map(() => lost('unknown')) : results;
    },
    async commit(request) {
      const fault = store.commitFaults.shift();
      if (fault === 'reply-lost') await inner.commit({ ...request, generation: inner.generation });
      if (fault !== undefined) {
        store.loseConnection();
        throw storeAway('lost', fault === 'refused' ? 'no' : 'unknown');
      }
      if (request.generation !== undefined && request.generation !== generation) {
        return inner.commit({ ...request, generation: -1 });
      }
      return inner.commit({ ...request, generation: inner.generation });
    },
  };
  return store;
}

function lost(stored: 'no' | 'unknown'): AppendResult {
  return { status: 'error', error: storeAway('lost', stored) };
}
