/**
 * Writes the outcomes of deliveries back to the mailboxes: per partition one commit at a time, and everything that was
 * settled meanwhile together in the next.
 *
 * Invariant: an outcome is tried again, unchanged, until its commit has succeeded or the partition has another owner;
 * an alert therefore leaves its lane exactly once. An outcome whose lane is full holds back no other. What is waiting is
 * bounded by the alerts in flight.
 */
import { CodedError, kindOf } from '../../runtime/errors.ts';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type {
  CommitPlan,
  CommitRequest,
  CommitResult,
  DurableStore,
  Input,
  Token,
} from '../../runtime/durable/durable-store.ts';
import { destinationOf } from './messages.ts';

/** One alert's outcome: what it was read from, and what follows. */
export interface Settlement {
  inputs?: Input[];
  removeDelayed?: { set: string; payload: Buffer }[];
  plan: CommitPlan;
  generation: number;
  /** Called once: false when it can no longer be committed (the store was away; the input must be read again). */
  done: (isCommitted: boolean) => void;
}

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 1_000;
const SETTLEMENTS_PER_COMMIT_MAX = 256;

export interface SettlementsOptions {
  store: DurableStore;
  clock: Clock;
  tokens: ReadonlyMap<number, Token>;
  signal: AbortSignal;
  /** Whose outcomes wait for room in which lane or set, by destination: told after every round that had or has any. */
  onStuck: (partition: number, stuck: ReadonlyMap<string, string>) => void;
  /** The partition has another owner, or a commit is refused for good: the actor must end. */
  onFatal: (error: CodedError) => void;
}

export class Settlements {
  readonly #options: SettlementsOptions;
  readonly #waiting = new Map<number, Settlement[]>();
  readonly #busy = new Map<number, Promise<void>>();
  /** Partitions of which something was told to be stuck. */
  readonly #stuck = new Set<number>();

  constructor(options: SettlementsOptions) {
    this.#options = options;
  }

  add(partition: number, settlement: Settlement): void {
    const waiting = this.#waiting.get(partition) ?? [];
    waiting.push(settlement);
    this.#waiting.set(partition, waiting);
    if (!this.#busy.has(partition)) {
      // A failure ends the actor through onFatal; the promise itself never rejects.
      this.#busy.set(partition, this.#drain(partition));
    }
  }

  /** Resolves when nothing is waiting to be committed. */
  async idle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy.values());
  }

  async #drain(partition: number): Promise<void> {
    const { clock, signal } = this.#options;
    const waiting = this.#waiting.get(partition) ?? [];
    // Lets everything that is settled in this turn of the event loop join the same commit.
    await Promise.resolve();
    try {
      for (let refusals = 0; ;) {
        const batch = takeOneGeneration(waiting);
        if (batch.length === 0) return;
        const stuck = await this.#settle(partition, batch);
        this.#tellStuck(partition, stuck);
        waiting.push(...stuck.keys());
        if (stuck.size < batch.length) refusals = 0;
        else await sleep(clock, backOffMs(refusals++), signal);
      }
    } catch (thrown) {
      this.#options.onFatal(thrown as CodedError);
    } finally {
      this.#busy.delete(partition);
    }
  }

  #tellStuck(partition: number, stuck: ReadonlyMap<Settlement, string>): void {
    if (stuck.size === 0 && !this.#stuck.has(partition)) return;
    if (stuck.size === 0) this.#stuck.delete(partition);
    else this.#stuck.add(partition);
    const places = [...stuck].flatMap(([settlement, place]) => {
      const source = settlement.inputs?.[0]?.lane ?? settlement.removeDelayed?.[0]?.set;
      return source === undefined ? [] : [[destinationOf(source), place] as const];
    });
    this.#options.onStuck(partition, new Map(places));
  }

  /** Gives back what has to go into a full lane, with its name: it waits behind everything else. */
  async #settle(partition: number, batch: readonly Settlement[]): Promise<Map<Settlement, string>> {
    const stuck = new Map<Settlement, string>();
    let left = batch;
    while (left.length > 0) {
      const result = await this.#commit(partition, left);
      if (result.status === 'full') {
        // Nothing was written: the rest goes without what the lane has no room for.
        const isStuck = left.map((settlement) => goesInto(settlement, result.lane));
        const isAnyStuck = isStuck.includes(true);
        left.forEach((settlement, index) => {
          if (isStuck[index] === true || !isAnyStuck) stuck.set(settlement, result.lane);
        });
        if (!isAnyStuck) return stuck;
        left = left.filter((_, index) => !isStuck[index]);
      } else if (result.status === 'repeat') {
        // Nothing was written now, and only of the one whose input is gone it is known that it was before.
        const gone = firstTaken(left);
        gone?.done(true);
        left = left.filter((settlement) => settlement !== gone);
      } else {
        for (const { done } of left) done(result.status === 'committed');
        break;
      }
    }
    return stuck;
  }

  async #commit(
    partition: number,
    batch: readonly Settlement[],
  ): Promise<Exclude<CommitResult, { status: 'fenced' }> | { status: 'void' }> {
    const { store, clock, tokens, signal } = this.#options;
    const token = tokens.get(partition);
    if (token === undefined) throw new CodedError('E_NOT_OWNER', `partition ${partition} is not owned here`);
    const request = merge(partition, token, batch);
    for (let attempt = 0; ; attempt++) {
      if (signal.aborted)
        throw new CodedError('E_STOPPED', 'stopped before the commit', { kind: 'transient' });
      try {
        const result = await store.commit(request);
        if (result.status !== 'fenced') return result;
        throw new CodedError('E_FENCED', `partition ${partition} has another owner`, { kind: 'transient' });
      } catch (thrown) {
        const code = (thrown as { code?: unknown }).code;
        if (code === 'E_STORE_GENERATION') return { status: 'void' };
        if (code === 'E_FENCED' || kindOf(thrown) !== 'transient') throw thrown;
      }
      await sleep(clock, backOffMs(attempt), signal);
    }
  }
}

function backOffMs(failures: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10));
}

/** The one by whose input the store tells a repeat: the first with an entry, else the first with a delayed member. */
function firstTaken(batch: readonly Settlement[]): Settlement | undefined {
  return (
    batch.find(({ inputs }) => inputs !== undefined && inputs.length > 0) ??
    batch.find(({ removeDelayed }) => removeDelayed !== undefined && removeDelayed.length > 0)
  );
}

function goesInto({ plan }: Settlement, place: string): boolean {
  return (
    (plan.outputs ?? []).some(({ lane }) => lane === place) ||
    (plan.delayed ?? []).some(({ set }) => set === place)
  );
}

/** Takes from the head all that were read under the same generation, up to the bound of one commit. */
function takeOneGeneration(waiting: Settlement[]): Settlement[] {
  const generation = waiting[0]?.generation;
  let length = 0;
  while (
    length < SETTLEMENTS_PER_COMMIT_MAX &&
    waiting[length]?.generation === generation &&
    length < waiting.length
  ) {
    length += 1;
  }
  return waiting.splice(0, length);
}

function merge(partition: number, token: Token, batch: readonly Settlement[]): CommitRequest {
  const counters: Record<string, number> = {};
  for (const { plan } of batch) {
    for (const [name, n] of Object.entries(plan.counters ?? {})) counters[name] = (counters[name] ?? 0) + n;
  }
  return {
    partition,
    token,
    generation: batch[0]?.generation ?? 0,
    inputs: batch.flatMap(({ inputs }) => inputs ?? []),
    removeDelayed: batch.flatMap(({ removeDelayed }) => removeDelayed ?? []),
    outputs: batch.flatMap(({ plan }) => plan.outputs ?? []),
    delayed: batch.flatMap(({ plan }) => plan.delayed ?? []),
    openGroups: batch.flatMap(({ plan }) => plan.openGroups ?? []),
    settleGroups: batch.flatMap(({ plan }) => plan.settleGroups ?? []),
    counters,
  };
}
