/**
 * How a pool gets the size that was last asked for: starts members, moves shards, stops members.
 *
 * One resize is carried out at a time, and each of its steps looks at the newest target, so that several at once end up
 * there together. A move: what is told to the shard is held; the old member says that it has handled everything told
 * before; what is held goes to the new one. Invariant: a member is stopped only when it has no shard, or is past its deadline.
 */
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { CodedError, codeOf } from '../errors.ts';
import { ROUTE_RETRY_MS } from '../limits.ts';
import type { StartMember } from './pool-member.ts';
import type { Seat, ShardTable } from './shard-table.ts';

export interface ResizeOutcome {
  /** Alive now. */
  members: number;
  /** Shards that have another member than before. */
  shardsMoved: number;
  /** Shards that stay where they were, since their member did not drain in time and lives on. */
  shardsStayed: number;
}

export interface PoolResizeOptions<M> {
  table: ShardTable<M>;
  name: string;
  start: StartMember<M>;
  drainDeadlineMs: number;
  clock: Clock;
}

export class PoolResize<M> {
  target = 0;
  private readonly options: PoolResizeOptions<M>;
  private running: Promise<ResizeOutcome> | undefined = undefined;
  private readonly stopped = new AbortController();

  constructor(options: PoolResizeOptions<M>) {
    this.options = options;
  }

  to(target: number): Promise<ResizeOutcome> {
    this.target = target;
    return (this.running ??= this.carryOut());
  }

  /** Gives up what is being moved and stops all members. */
  async stop(): Promise<void> {
    const { table } = this.options;
    this.stopped.abort();
    await this.running?.catch(() => undefined);
    for (const shard of table.owners.keys()) table.give(shard, undefined);
    await Promise.all(table.seats.map((seat) => this.retire(seat)));
  }

  private async carryOut(): Promise<ResizeOutcome> {
    const { table } = this.options;
    const outcome: ResizeOutcome = { members: 0, shardsMoved: 0, shardsStayed: 0 };
    // From here on `running` is set, also for a resize that has nothing to do.
    await Promise.resolve();
    try {
      for (;;) {
        const { target } = this;
        const failure = await this.startMissing();
        if (this.target !== target) continue;
        await this.moveShards(outcome);
        if (this.target !== target) continue;
        const surplus = table.seats.filter(({ index, isDead }) => index >= target || isDead);
        await Promise.all(surplus.map((seat) => this.retire(seat)));
        this.failIfStopped();
        if (this.target !== target) continue;
        if (failure !== undefined) throw failure;
        return { ...outcome, members: table.living.length };
      }
    } finally {
      // In the same step as the last look at the target: a resize asked for afterwards begins its own.
      this.running = undefined;
    }
  }

  /** One after the other; the first that cannot start is the last tried. */
  private async startMissing(): Promise<CodedError | undefined> {
    const { table, name, start } = this.options;
    await Promise.all(table.seats.filter(({ isDead }) => isDead).map((seat) => this.retire(seat)));
    for (let index = 0; index < this.target; index++) {
      this.failIfStopped();
      if (table.seats.some((seat) => seat.index === index)) continue;
      const id = `${name}-${index}`;
      try {
        const member = await start(id);
        const seat: Seat<M> = { index, id, member, isDead: false };
        table.seats.push(seat);
        member.ref.onTerminated(() => table.died(seat, this.target));
      } catch (thrown) {
        return new CodedError('E_START_FAILED', `the member ${id} did not start`, {
          kind: 'transient',
          details: { id },
          cause: thrown,
          mend: 'Read its cause; the members that run share the keys meanwhile.',
        });
      }
    }
    this.failIfStopped();
    return undefined;
  }

  private async moveShards(outcome: ResizeOutcome): Promise<void> {
    const { table } = this.options;
    const before = table.plan(this.target);
    // Still being given to a member that shall not keep them: only what is not on its way can be held back.
    const paused = [...table.holds.entries()].flatMap(([shard, hold]) =>
      hold !== undefined && table.owners[shard] !== before(shard) ? [hold.pause()] : [],
    );
    await Promise.all(paused);
    const plan = table.plan(this.target);
    const leaving = new Map<Seat<M>, number[]>();
    for (const [shard, owner] of table.owners.entries()) {
      const wanted = plan(shard);
      if (owner !== undefined && !owner.isDead && owner !== wanted) {
        table.hold(shard);
        leaving.set(owner, [...(leaving.get(owner) ?? []), shard]);
      } else if (owner !== wanted || table.holds[shard]?.isFlushing === false) {
        table.give(shard, wanted);
      }
    }
    outcome.shardsStayed = 0;
    await Promise.all([...leaving].map(([from, shards]) => this.handOver(from, shards, outcome)));
    this.failIfStopped();
  }

  private async handOver(from: Seat<M>, shards: readonly number[], outcome: ResizeOutcome): Promise<void> {
    const { table } = this.options;
    const isDrained = await this.drain(from);
    this.failIfStopped();
    // A member that must go is ended at its deadline, as everything that does not stop; one that stays keeps its shards.
    if (!isDrained && from.index >= this.target) await this.retire(from);
    const stays = !isDrained && !from.isDead;
    const plan = table.plan(this.target);
    for (const shard of shards) {
      const to = stays ? from : plan(shard);
      table.give(shard, to);
      if (stays) outcome.shardsStayed++;
      else if (to !== from) outcome.shardsMoved++;
    }
  }

  /** Whether everything told to the member has been handled, or nothing of it ever will be, by the deadline. */
  private async drain(seat: Seat<M>): Promise<boolean> {
    const { clock, drainDeadlineMs } = this.options;
    const { signal } = this.stopped;
    const dueMs = clock.monotonicMs() + drainDeadlineMs;
    while (!seat.isDead && !signal.aborted) {
      const leftMs = dueMs - clock.monotonicMs();
      if (leftMs <= 0) return false;
      try {
        await unlessAborted(seat.member.handledAll(leftMs), signal);
        return true;
      } catch (thrown) {
        if (codeOf(thrown) === 'E_ASK_TIMEOUT') return seat.isDead;
        // Full, or about to end: the next look tells.
        if (!seat.isDead) await sleep(clock, Math.min(ROUTE_RETRY_MS, leftMs), signal);
      }
    }
    return true;
  }

  private async retire(seat: Seat<M>): Promise<void> {
    const { seats } = this.options.table;
    await seat.member.stop();
    const at = seats.indexOf(seat);
    if (at >= 0) seats.splice(at, 1);
  }

  private failIfStopped(): void {
    if (!this.stopped.signal.aborted) return;
    throw new CodedError('E_ACTOR_STOPPED', `the pool ${this.options.name} is stopped`);
  }
}

/** Settles with the promise, or as soon as the signal aborts. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
