/**
 * Writes the outcomes of deliveries back to the mailboxes: per partition one commit at a time, and everything that was
 * settled meanwhile together in the next.
 *
 * Commits of all partitions are begun together, in rounds, so that they travel together. What was delivered waits a
 * moment for the next round: nothing follows from it but that its place becomes free, and a crash before it only repeats
 * deliveries of that moment, in their order. For whatever else came of an alert others may wait: it begins a round.
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
  DelayedOutput,
  DurableStore,
  Input,
  Output,
  Token,
} from '../../runtime/durable/durable-store.ts';
import { destinationOf } from './messages.ts';

/** One alert's outcome: what it was read from, and what follows. */
export interface Settlement {
  inputs?: Input[];
  removeDelayed?: { set: string; payload: Buffer }[];
  plan: CommitPlan;
  generation: number;
  /** Nobody waits for it: it may wait for others, a moment. */
  mayWait?: boolean;
  /** Called once: false when it can no longer be committed (the store was away; the input must be read again). */
  done: (isCommitted: boolean) => void;
  /** Called instead when there is no room for what follows; absent: it waits for room. */
  giveBack?: () => void;
}

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 1_000;
const SETTLEMENTS_PER_COMMIT_MAX = 256;
/** From the beginning of one round to that of the next, unless there is reason to hurry. */
const ROUND_MS = 10;
/** So many do not wait: they take up room that what is still to be sent may need. */
const WAITING_TO_HURRY = 64;

interface Round {
  begun: Promise<void>;
  begin: () => void;
  cancel: () => void;
}

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
  /** What the next round is waited for with. */
  #round: Round | undefined;
  #lastRoundMs = -Infinity;
  /** In `#waiting`, of all partitions. */
  #waitingCount = 0;
  /** Some of it must not wait. */
  #isUrgent = false;
  #isEnding = false;

  constructor(options: SettlementsOptions) {
    this.#options = options;
  }

  add(partition: number, settlement: Settlement): void {
    const waiting = this.#waiting.get(partition) ?? [];
    waiting.push(settlement);
    this.#waiting.set(partition, waiting);
    this.#waitingCount += 1;
    if (settlement.mayWait !== true) this.#isUrgent = true;
    if (this.#round !== undefined && this.#mustHurry()) this.#hurry(this.#round);
    if (!this.#busy.has(partition)) {
      // A failure ends the actor through onFatal; the promise itself never rejects.
      this.#busy.set(partition, this.#drain(partition));
    }
  }

  /** Resolves when nothing is waiting to be committed; from here on nothing waits for a round. */
  async idle(): Promise<void> {
    this.#isEnding = true;
    if (this.#round !== undefined) this.#hurry(this.#round);
    while (this.#busy.size > 0) await Promise.all(this.#busy.values());
  }

  async #drain(partition: number): Promise<void> {
    const { clock, signal } = this.#options;
    const waiting = this.#waiting.get(partition) ?? [];
    try {
      for (let refusals = 0; ;) {
        // At least until everything that is settled in this turn of the event loop can join the same commit.
        await this.#nextRound(waiting);
        const batch = takeOneGeneration(waiting);
        this.#waitingCount -= batch.length;
        const stuck = await this.#settle(partition, batch);
        this.#tellStuck(partition, stuck);
        waiting.push(...stuck.keys());
        this.#waitingCount += stuck.size;
        if (waiting.length === 0) return;
        if (stuck.size < batch.length) refusals = 0;
        else await sleep(clock, backOffMs(refusals++), signal);
      }
    } catch (thrown) {
      this.#options.onFatal(thrown as CodedError);
    } finally {
      this.#busy.delete(partition);
    }
  }

  /** Resolves for all who wait for it at once: what they commit then is asked for in one turn. */
  #nextRound(waiting: readonly Settlement[]): Promise<void> {
    this.#isUrgent ||= waiting.some(({ mayWait }) => mayWait !== true);
    if (this.#round === undefined) {
      const { clock } = this.#options;
      const { promise: begun, resolve } = Promise.withResolvers<void>();
      const begin = (): void => {
        this.#round = undefined;
        this.#isUrgent = false;
        this.#lastRoundMs = clock.monotonicMs();
        resolve();
      };
      const waitMs = this.#lastRoundMs + ROUND_MS - clock.monotonicMs();
      this.#round = { begun, begin, cancel: () => {} };
      if (waitMs > 0) this.#round.cancel = clock.after(waitMs, begin);
      else this.#hurry(this.#round);
    }
    if (this.#mustHurry()) this.#hurry(this.#round);
    return this.#round.begun;
  }

  #mustHurry(): boolean {
    return this.#isUrgent || this.#isEnding || this.#waitingCount >= WAITING_TO_HURRY;
  }

  /** It begins at the end of what is being done now. */
  #hurry(round: Round): void {
    round.cancel();
    queueMicrotask(() => {
      if (this.#round === round) round.begin();
    });
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
          if (isStuck[index] === true && settlement.giveBack !== undefined) settlement.giveBack();
          else if (isStuck[index] === true || !isAnyStuck) stuck.set(settlement, result.lane);
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
  const request = {
    partition,
    token,
    generation: batch[0]?.generation ?? 0,
    inputs: [] as Input[],
    removeDelayed: [] as NonNullable<Settlement['removeDelayed']>,
    outputs: [] as Output[],
    delayed: [] as DelayedOutput[],
    openGroups: [] as NonNullable<CommitPlan['openGroups']>[number][],
    settleGroups: [] as NonNullable<CommitPlan['settleGroups']>[number][],
    counters: {} as Record<string, number>,
  };
  const { counters } = request;
  for (const { inputs = [], removeDelayed = [], plan } of batch) {
    request.inputs.push(...inputs);
    request.removeDelayed.push(...removeDelayed);
    request.outputs.push(...(plan.outputs ?? []));
    request.delayed.push(...(plan.delayed ?? []));
    request.openGroups.push(...(plan.openGroups ?? []));
    request.settleGroups.push(...(plan.settleGroups ?? []));
    for (const name in plan.counters) counters[name] = (counters[name] ?? 0) + (plan.counters[name] ?? 0);
  }
  return request;
}
