/**
 * Which of a partition's two lanes goes on: one batch at a time, the express lane first, the overflow lane whenever the
 * express lane has nothing, and after every few batches of it.
 *
 * Invariant: an overflow entry is begun only when everything is committed that was in the express lane before it was
 * stored. What is known of that comes from this owner's commits, or from the head of that lane itself; so nothing is
 * waited for in vain, whatever became of the ids (in a store that came back older they jump).
 */
import { START } from './durable-store.ts';
import type { DurableStore, Entry } from './durable-store.ts';
import { cumulativeOf } from './store-names.ts';

/** Batches of the express lane between two of an overflow lane that waits. */
export const EXPRESS_BATCHES_IN_ROW_MAX = 3;

/** What one lane's track asks and tells. */
export interface LaneTurn {
  /** How many of the entries that it has, from the first, it may begin with now. */
  ready(entries: readonly Entry[]): number;
  /** It may not, and a look at the store may show otherwise. */
  mustLook(entries: readonly Entry[]): boolean;
  look(entries: readonly Entry[]): Promise<void>;
  begin(): void;
  /** After a batch that was begun, with the last entry that was committed. */
  end(committed?: { id: string; generation: number }): void;
  /** What it had is thrown away. */
  dropped(): void;
}

/** What is asked of the track of each lane. */
export interface TurnTaker {
  /** What it would begin with, were it its turn. */
  waiting(): readonly Entry[];
  lookAgain(): void;
}

/** Of a lane that is alone. */
export const EVERY_TURN: LaneTurn = {
  ready: (entries) => entries.length,
  mustLook: () => false,
  look: async () => {},
  begin: () => {},
  end: () => {},
  dropped: () => {},
};

export interface LaneTurns {
  express: LaneTurn;
  overflow: LaneTurn;
  /** Must be told before any of them begins. */
  takers: { express: TurnTaker; overflow: TurnTaker } | undefined;
}

export function createLaneTurns(
  store: Pick<DurableStore, 'generation' | 'read'>,
  partition: number,
  expressLane: string,
): LaneTurns {
  let isTaken = false;
  let expressInRow = 0;
  /** Everything in the express lane with an id up to this number is committed, under this generation of the store. */
  let committed = { upTo: 0, generation: 0 };
  /** For which overflow entry the store was looked at in vain, since when nothing was committed. */
  let lookedFor = '';

  const isExpressWaiting = (): boolean => (turns.takers?.express.waiting().length ?? 0) > 0;

  /** How many of these overflow entries, from the first, have nothing before them in the express lane any more. */
  function passed(entries: readonly Entry[]): number {
    const known = committed.generation === store.generation ? committed.upTo : 0;
    const end = entries.findIndex(({ overflow }) => (overflow?.after ?? 0) > known);
    return end < 0 ? entries.length : end;
  }

  function note(upTo: number, generation: number): void {
    if (generation !== store.generation) return;
    const known = committed.generation === generation ? committed.upTo : 0;
    committed = { upTo: Math.max(known, upTo), generation };
  }

  const nameOf = (entry: Entry | undefined): string => `${store.generation} ${entry?.id}`;

  const turns: LaneTurns = {
    takers: undefined,

    express: {
      ...EVERY_TURN,
      ready(entries) {
        const isOverflowsTurn =
          expressInRow >= EXPRESS_BATCHES_IN_ROW_MAX && passed(turns.takers?.overflow.waiting() ?? []) > 0;
        return isTaken || isOverflowsTurn ? 0 : entries.length;
      },
      begin() {
        isTaken = true;
        expressInRow += 1;
      },
      end(last) {
        isTaken = false;
        lookedFor = '';
        if (last !== undefined) note(cumulativeOf(last.id), last.generation);
        turns.takers?.overflow.lookAgain();
      },
      dropped: () => turns.takers?.overflow.lookAgain(),
    },

    overflow: {
      ready(entries) {
        const isExpressFirst = expressInRow < EXPRESS_BATCHES_IN_ROW_MAX && isExpressWaiting();
        return isTaken || isExpressFirst ? 0 : passed(entries);
      },
      mustLook: (entries) =>
        !isTaken && !isExpressWaiting() && entries.length > 0 && lookedFor !== nameOf(entries[0]),
      async look(entries) {
        const { generation } = store;
        const after = entries.reduce((most, { overflow }) => Math.max(most, overflow?.after ?? 0), 0);
        const [head] = await store.read([{ partition, lane: expressLane, afterId: START }], {
          entriesMax: 1,
          blockMs: 0,
        });
        lookedFor = nameOf(entries[0]);
        // All that was there when these entries were stored was there to be seen.
        note(head === undefined ? after : cumulativeOf(head.id) - head.count, generation);
      },
      begin() {
        isTaken = true;
        expressInRow = 0;
      },
      end() {
        isTaken = false;
        turns.takers?.express.lookAgain();
      },
      dropped: () => turns.takers?.express.lookAgain(),
    },
  };
  return turns;
}
