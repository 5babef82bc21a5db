/**
 * Puts dead letters back into the lanes of their destinations, or ends them, for the partitions that are owned here.
 *
 * Letters are in PostgreSQL and alerts in Redis. A batch of letters is therefore written down first; then Redis is given
 * its name (armed); then one fenced commit takes that name away and stores what follows (released); then it is finished
 * in PostgreSQL. A batch that is found unfinished goes on where it was: a commit whose name is gone is a repeat.
 *
 * What is sent by nobody's wish goes as fast as its destination takes it: more for every second in which letters were
 * taken, half of it when one failed again. Whether a destination is well is learnt from these letters alone: while it
 * takes nothing, a few of them wait in its lane, and all others here. Invariants: a letter is in its lane once for each
 * replay; what is on its way to a destination is bounded; the oldest alert goes first, and none before an older one of
 * its signature.
 */
import type { Clock } from '../../runtime/clock.ts';
import type {
  Bounds,
  CommitPlan,
  CommitRequest,
  DurableStore,
  Ledger,
  Output,
  Token,
} from '../../runtime/durable/durable-store.ts';
import { CodedError } from '../../runtime/errors.ts';
import { DEAD_LANE, alertLane, encodeStoredAlert, retrySet } from '../forward/messages.ts';
import { wasShed } from '../ports.ts';
import type { BatchLetter, FailedReplay, LetterBatch, LetterReleaseStore, LetterWork } from '../ports.ts';
import type { ReplayLimits } from './replay-limits.ts';

/** Names of armed batches. */
export const RELEASE_SET = 'releasing';

export interface ReleaseInForce {
  /** Names of those that alerts are sent to. */
  destinations: readonly string[];
  limits: ReplayLimits;
}

export interface LetterReleaserOptions {
  store: Pick<DurableStore, 'commit' | 'partsLeft' | 'ledger'>;
  letters: LetterReleaseStore;
  tokens: ReadonlyMap<number, Token>;
  clock: Clock;
  /** Random, 32 hex digits. */
  newId: () => string;
  inForce: () => ReleaseInForce;
  /** Of a destination's lane. */
  alertBounds: Bounds;
  /** False while the lease is not surely valid. */
  mayAct: () => boolean;
  count: (what: ReleaseCount, letters: number) => void;
  /** These are not replayed by themselves any more. */
  onGivenUp: (destination: string, letters: number) => void;
  /** How long a letter is on its way before it is asked whether its receipt is lost. */
  lostAfterMs?: number;
}

export type ReleaseCount =
  | `${'manual' | 'automatic'} ${'delivered' | 'failed'}`
  | 'replayed'
  | 'superseded'
  | 'discarded'
  | 'given up';

/** How soon there may be something to do again. */
export type RoundResult = 'busy' | 'waiting' | 'idle';

/** Or there is no room for it in the lanes of these destinations. */
type Done = 'done' | { stuck: readonly string[] };

const BATCH_LETTERS_MAX = 250;
/** Of one operation's letters: a lane holds more, but what is there can no longer be taken back. */
const ON_THEIR_WAY_MAX = 2_000;
/** Of a lane: where so much of it is taken, none comes that nobody asked to replay. */
const AUTOMATIC_SHARE_MAX = 0.5;
const PLANNED_AT_ONCE_MAX = 1_000;
const LOOK_EVERY_MS = 1_000;
const LOST_LOOK_EVERY_MS = 10_000;
const LOST_AFTER_MS = 30_000;
/** There is one name for each batch that is under way. */
const NAME_BOUNDS = { entriesMax: 1_000_000, bytesMax: 64 * 1024 * 1024 };

export class LetterReleaser {
  readonly #options: LetterReleaserOptions;
  #lookAtMs = -Infinity;
  #lostLookAtMs = -Infinity;

  constructor(options: LetterReleaserOptions) {
    this.#options = options;
  }

  /** Does what there is to do. Errors: E_FENCED, and those of both stores; the next round goes on. */
  async round(): Promise<RoundResult> {
    const { letters, tokens, mayAct, inForce } = this.#options;
    const partitions = [...tokens.keys()];
    if (partitions.length === 0 || !mayAct()) return 'idle';
    const { destinations, limits } = inForce();
    const work = await letters.work(partitions, destinations, limits.reasons);
    const stuck = new Set<string>();
    const ledgers = new Map<number, Promise<Ledger>>();
    let isBusy = false;
    for (const each of work) {
      // What its lane has no room for waits, and nothing more is made to wait behind it; other destinations do not.
      const isForLane = each.kind === 'replay' || each.kind === 'retry';
      if (isForLane && stuck.has(`${each.partition} ${each.destination}`)) continue;
      if (!mayAct()) break;
      if (each.kind === 'retry') {
        const ledger = ledgers.get(each.partition) ?? this.#ledger(each.partition);
        ledgers.set(each.partition, ledger);
        if (!this.#leavesRoom(await ledger, each.destination)) continue;
      }
      const done = await this.#do(each, limits);
      if (typeof done === 'string') isBusy ||= done === 'done';
      else for (const destination of done.stuck) stuck.add(`${each.partition} ${destination}`);
    }
    await this.#noteDelivered(partitions, destinations, limits);
    await this.#look(partitions, limits);
    return isBusy ? 'busy' : work.length > 0 ? 'waiting' : 'idle';
  }

  /** Replays have failed again: those that nobody asked for come slower. */
  async noteFailed(failed: readonly FailedReplay[]): Promise<void> {
    const { letters, count, inForce } = this.#options;
    for (const { isAutomatic } of failed) count(isAutomatic ? 'automatic failed' : 'manual failed', 1);
    const names = new Set(
      failed.filter(({ isAutomatic }) => isAutomatic).map(({ destination }) => destination),
    );
    for (const name of names) await letters.adapt(paceOf(name), false, inForce().limits);
  }

  async #do(work: LetterWork, limits: ReplayLimits): Promise<Done | 'nothing'> {
    const { letters, newId } = this.#options;
    const { partition } = work;
    if (work.kind === 'batch') return this.#complete(work.batch);
    const id = newId();
    let claimed: number;
    if (work.kind === 'discard') claimed = await letters.claimDiscarded(partition, BATCH_LETTERS_MAX, id);
    else {
      const pace =
        work.kind === 'replay'
          ? {
              name: `operation:${work.operationId}`,
              perSecond: work.perSecond,
              onTheirWayMax: ON_THEIR_WAY_MAX,
            }
          : { name: paceOf(work.destination), perSecond: limits.perSecondMin, onTheirWayMax: null };
      const tokens = await letters.takeTokens(pace, BATCH_LETTERS_MAX, work.destination);
      if (tokens === 0) return 'nothing';
      claimed =
        work.kind === 'replay'
          ? await letters.claimQueued(work, tokens, id)
          : await letters.claimDue(work, limits.reasons, tokens, id);
      if (claimed < tokens) await letters.giveBackTokens(pace.name, tokens - claimed);
    }
    return claimed === 0 ? 'nothing' : this.#complete({ id, partition, isArmed: false });
  }

  #ledger(partition: number): Promise<Ledger> {
    return this.#options.store.ledger(partition, { terminal: [], inputLanes: [] });
  }

  /** What nobody asked for comes once nothing waits outside the lane, and leaves half of it to alerts that are new. */
  #leavesRoom({ measured, spilled }: Ledger, destination: string): boolean {
    const { entriesMax, bytesMax } = this.#options.alertBounds;
    const lane = alertLane(destination);
    if ((spilled[lane]?.messages ?? 0) > 0) return false;
    const { entries = 0, bytes = 0 } = measured.lanes[lane] ?? {};
    return entries < entriesMax * AUTOMATIC_SHARE_MAX && bytes < bytesMax * AUTOMATIC_SHARE_MAX;
  }

  async #complete({ id, partition, isArmed }: LetterBatch): Promise<Done> {
    const { letters, tokens, count } = this.#options;
    const token = tokens.get(partition);
    const batch = token === undefined ? [] : await letters.lettersOf(id);
    const stuck = [...new Set(batch.map(({ destination }) => destination))];
    if (token === undefined) return { stuck };
    if (batch.length > 0) {
      const payload = Buffer.from(id);
      if (!isArmed) {
        const delayed = [{ set: RELEASE_SET, payload, delayMs: 0, bounds: NAME_BOUNDS }];
        if ((await this.#commit({ partition, token, delayed })) === 'full') return { stuck };
        if (!(await letters.arm(id))) return 'done';
      }
      const plan = await this.#planOf(partition, batch);
      const removeDelayed = [{ set: RELEASE_SET, payload }];
      if ((await this.#commit({ partition, token, removeDelayed, ...plan })) === 'full') return { stuck };
    }
    for (const { end, letters: n } of await letters.finish(id)) count(end, n);
    return 'done';
  }

  async #commit(request: CommitRequest): Promise<'done' | 'full'> {
    const result = await this.#options.store.commit(request);
    if (result.status === 'fenced') {
      throw new CodedError('E_FENCED', `partition ${request.partition} has another owner`, {
        kind: 'transient',
      });
    }
    return result.status === 'full' ? 'full' : 'done';
  }

  /**
   * The event of a dead letter is in flight until its alert has ended. One that Redis does not know as such (the letter
   * is from another Redis, or from before a loss) is in flight again from here on, and booked as replayed.
   */
  async #planOf(partition: number, batch: readonly BatchLetter[]): Promise<CommitPlan> {
    const { alertBounds: bounds } = this.#options;
    const isOpen = await this.#openEvents(partition, batch);
    const outputs: Output[] = [];
    const openGroups: { id: string; parts: number }[] = [];
    const settleGroups: { id: string; counter: string }[] = [];
    const counters = { alerts_replayed: 0, alerts_superseded: 0, alerts_discarded: 0 };
    const reopened = new Set<string>();
    const replayedAtMs = Math.trunc(this.#options.clock.wallMs());
    for (const { alert, destination, end, replays, firstFailedAtMs, reason } of batch) {
      counters[`alerts_${end}`] += 1;
      const counter = end === 'discarded' && wasShed(reason) ? 'shed' : end;
      if (end === 'replayed') {
        const payload = encodeStoredAlert({ alert, attempts: 0, firstFailedAtMs, replays, replayedAtMs });
        outputs.push({ lane: alertLane(destination), payload, bounds });
      }
      for (const id of alert.event_ids) {
        if (end !== 'replayed') {
          if (isOpen.has(id)) settleGroups.push({ id, counter });
        } else if (!isOpen.has(id)) {
          openGroups.push({ id, parts: 1 });
          reopened.add(id);
        }
      }
    }
    return { outputs, openGroups, settleGroups, counters: { ...counters, replayed: reopened.size } };
  }

  async #openEvents(partition: number, batch: readonly BatchLetter[]): Promise<ReadonlySet<string>> {
    const ids = [...new Set(batch.flatMap(({ alert }) => alert.event_ids))];
    const left = await Promise.all(ids.map((id) => this.#options.store.partsLeft(partition, id)));
    return new Set(ids.filter((_, index) => left[index] !== 0));
  }

  async #noteDelivered(
    partitions: readonly number[],
    destinations: readonly string[],
    limits: ReplayLimits,
  ): Promise<void> {
    const { letters, count } = this.#options;
    for (const each of await letters.noteDelivered(partitions, destinations)) {
      if (each.outcome === 'superseded') {
        count('superseded', each.letters);
        continue;
      }
      count(each.isAutomatic ? 'automatic delivered' : 'manual delivered', each.letters);
      if (each.isAutomatic) await letters.adapt(paceOf(each.destination), true, limits);
    }
  }

  /** What is not looked for in every round. */
  async #look(partitions: readonly number[], limits: ReplayLimits): Promise<void> {
    const { letters, clock, count, onGivenUp } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookAtMs < LOOK_EVERY_MS) return;
    this.#lookAtMs = nowMs;
    await letters.adopt(partitions);
    await letters.closeOperations();
    if (limits.reasons.length > 0) {
      const planned = await letters.plan(partitions, limits.reasons, {
        ...limits,
        lettersMax: PLANNED_AT_ONCE_MAX,
      });
      for (const { destination, isGivenUp, letters: n } of planned) {
        if (!isGivenUp) continue;
        count('given up', n);
        onGivenUp(destination, n);
      }
    }
    if (nowMs - this.#lostLookAtMs < LOST_LOOK_EVERY_MS) return;
    this.#lostLookAtMs = nowMs;
    await this.#endLost(partitions);
  }

  /**
   * A receipt may be lost; the alert has been taken all the same. It is known by what is left: an alert that is neither
   * in its lane nor waiting to be sent again nor a dead letter again was taken.
   */
  async #endLost(partitions: readonly number[]): Promise<void> {
    const { letters, lostAfterMs = LOST_AFTER_MS } = this.#options;
    for (const at of await letters.lost(partitions, lostAfterMs)) {
      const { measured } = await this.#ledger(at.partition);
      const waiting = [alertLane(at.destination), DEAD_LANE].some(
        (lane) => (measured.lanes[lane]?.entries ?? 0) > 0,
      );
      if (waiting || (measured.delayed[retrySet(at.destination)] ?? 0) > 0) continue;
      await letters.endLost(at, lostAfterMs);
    }
  }
}

/** Of letters that nobody asked to replay. */
function paceOf(destination: string): string {
  return `destination:${destination}`;
}
