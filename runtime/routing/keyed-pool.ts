/**
 * Members that share the keys among them, and one ref for all: a message goes to the member that has its key's shard. The
 * pool grows and shrinks under load.
 *
 * Not a supervisor (its members have one) and no actor: what it accepts is in a member's mailbox, or held while its shard
 * moves. It moves messages, not state: what a member knows of a key must be found by the next one. Invariants: a shard has
 * one member at a time; it gets another only when the old one has handled everything told before, or is dead.
 */
import type { ActorRef, AskOptions, RefusalCode, ReplyTo, SendResult } from '../actor-ref.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { messageTypeOf } from '../dead-letters.ts';
import type { DeadLetterReason, DeadLetters } from '../dead-letters.ts';
import { CodedError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { Guarantee } from '../guarantee.ts';
import {
  DRAIN_DEADLINE_MS_DEFAULT,
  HELD_PER_SHARD_DEFAULT,
  POOL_MEMBERS_MAX,
  STOP_DEADLINE_MS_MAX,
} from '../limits.ts';
import type { MailboxOptions } from '../mailbox.ts';
import { askOptionsFault } from '../pending-asks.ts';
import { checkedSpawnOptions } from '../spawn-options.ts';
import { EndListeners } from './end-listeners.ts';
import type { Log } from './end-listeners.ts';
import { guaranteeOfAll } from './guarantee-of-all.ts';
import { HeldAsk } from './held-ask.ts';
import { LateReply } from './late-reply.ts';
import type { StartMember } from './pool-member.ts';
import { PoolResize } from './pool-resize.ts';
import type { ResizeOutcome } from './pool-resize.ts';
import { routeRefused } from './router.ts';
import { shardOfMessage } from './routing-policy.ts';
import { ShardTable } from './shard-table.ts';
import type { Seat } from './shard-table.ts';
import type { Key } from './shards.ts';

export interface KeyedPoolOptions<M> {
  /** Also the beginning of its members' ids: `name-0`. */
  name: string;
  keyOf: (message: M) => Key;
  start: StartMember<M>;
  /** Where it is noted what was held and will not be handled: `ActorSystem.deadLetters`. */
  deadLetters: DeadLetters;
  /** What may be held for one shard while it moves. */
  held?: MailboxOptions;
  /** How long a member may take to handle what it was told before its shards move. */
  drainDeadlineMs?: number;
  clock?: Clock;
  /** Where it is said that a listener for its end threw; without it nowhere. Must not throw. */
  log?: Log;
}

/** Plain data about a pool. */
export interface KeyedPoolView {
  name: string;
  target: number;
  members: { id: string; path: string; shards: number; credit: number }[];
  shardsMoving: number;
  held: number;
}

export class KeyedPool<M> implements ActorRef<M> {
  readonly path: string;
  private readonly options: KeyedPoolOptions<M>;
  private readonly clock: Clock;
  private readonly table: ShardTable<M>;
  private readonly resizing: PoolResize<M>;
  private readonly ending: EndListeners;
  private stopping: Promise<void> | undefined = undefined;

  /** Without members until the first `resize`. Errors: `E_OPTIONS_INVALID`. */
  constructor(options: KeyedPoolOptions<M>) {
    const held: MailboxOptions = options.held ?? { capacity: HELD_PER_SHARD_DEFAULT, overflow: 'refuse' };
    const { name, start, deadLetters, clock = systemClock } = options;
    const { drainDeadlineMs = DRAIN_DEADLINE_MS_DEFAULT } = options;
    checkedSpawnOptions({ name, mailbox: held });
    if (!(drainDeadlineMs > 0 && drainDeadlineMs <= STOP_DEADLINE_MS_MAX)) {
      throw invalid(name, 'drainDeadlineMs', drainDeadlineMs, `above 0 and at most ${STOP_DEADLINE_MS_MAX}`);
    }
    // No actor's name begins with a dollar sign.
    this.path = `/$${name}`;
    this.options = options;
    this.clock = clock;
    this.ending = new EndListeners(this.path, options.log);
    const deadLetter = (message: unknown, reason: DeadLetterReason): void =>
      deadLetters.add({
        to: this.path,
        messageType: messageTypeOf(message),
        reason,
        atMs: clock.wallMs(),
      });
    this.table = new ShardTable<M>({ path: this.path, clock, deadLetter }, held);
    this.resizing = new PoolResize<M>({ table: this.table, name, start, drainDeadlineMs, clock });
  }

  /**
   * Gives the pool so many members, and settles when it has them and every shard is where it belongs. Called again meanwhile,
   * the newest number counts, and all calls settle alike. Errors (rejections): `E_OPTIONS_INVALID`; `E_START_FAILED` when a
   * member cannot start (those that run share the keys); `E_ACTOR_STOPPED`; what a member's `stop` rejects with.
   */
  async resize(members: number): Promise<ResizeOutcome> {
    const { name } = this.options;
    if (!Number.isSafeInteger(members) || members < 1 || members > POOL_MEMBERS_MAX) {
      throw invalid(name, 'members', members, `a whole number from 1 to ${POOL_MEMBERS_MAX}`);
    }
    if (this.stopping !== undefined) throw routeRefused('E_ACTOR_STOPPED', this.path);
    return this.resizing.to(members);
  }

  /** Stops the members. What is held, and what waits for them by then, becomes dead letters. Safe to call again. */
  stop(): Promise<void> {
    return (this.stopping ??= this.stopAll());
  }

  /** What every member promises; the order is that of messages with the same key. */
  get guarantee(): Guarantee {
    return guaranteeOfAll(
      this.table.living.map(({ member }) => member.ref),
      'perKey',
    );
  }

  /** The room of the fullest member, or of the fullest shard that moves: keys do not choose. */
  get credit(): number {
    const { living, holds } = this.table;
    if (living.length === 0 || this.stopping !== undefined) return 0;
    const rooms = living.map(({ member }) => member.ref.credit);
    for (const hold of holds) if (hold !== undefined) rooms.push(hold.room);
    return Math.min(...rooms);
  }

  tell(message: M): SendResult<M> {
    const shard = shardOfMessage(this.options.keyOf, message);
    if (shard === undefined) return { refused: 'E_ROUTE_KEY', message };
    const hold = this.table.holds[shard];
    if (hold !== undefined) return hold.put(message);
    const owner = this.table.owners[shard];
    return owner === undefined ? { refused: this.whyNobody, message } : owner.member.ref.tell(message);
  }

  async tellWhenAccepted(message: M, signal?: AbortSignal): Promise<SendResult<M>> {
    const shard = shardOfMessage(this.options.keyOf, message);
    if (shard === undefined) return { refused: 'E_ROUTE_KEY', message };
    const hold = this.table.holds[shard];
    if (hold !== undefined) return hold.putWhenAccepted(message, signal);
    const owner = this.table.owners[shard];
    if (owner === undefined) return { refused: this.whyNobody, message };
    return owner.member.ref.tellWhenAccepted(message, signal);
  }

  async ask<R>(build: (replyTo: ReplyTo<R>) => M, options: AskOptions): Promise<R> {
    const fault = askOptionsFault(this, options);
    if (fault !== undefined) throw fault;
    const reply = new LateReply<R>();
    const message = build(reply);
    const shard = shardOfMessage(this.options.keyOf, message);
    if (shard === undefined) throw routeRefused('E_ROUTE_KEY', this.path);
    const hold = this.table.holds[shard];
    if (hold !== undefined) {
      const ask = new HeldAsk<M>(message, reply, this.path, options, this.clock);
      void hold.putAsk(ask);
      return (await ask.answer) as R;
    }
    const owner = this.table.owners[shard];
    if (owner === undefined) throw routeRefused(this.whyNobody, this.path);
    return owner.member.ref.ask<R>((replyTo) => {
      reply.to = replyTo;
      return message;
    }, options);
  }

  /** The end of a pool is its being stopped. */
  onTerminated(listener: (reason: ExitReason) => void): () => void {
    return this.ending.add(listener);
  }

  describe(): KeyedPoolView {
    const { living, owners, holds } = this.table;
    const moving = holds.filter((hold) => hold !== undefined);
    const shardsOf = (seat: Seat<M>): number => owners.filter((owner) => owner === seat).length;
    return {
      name: this.options.name,
      target: this.resizing.target,
      members: living.map((seat) => {
        const { path, credit } = seat.member.ref;
        return { id: seat.id, path, shards: shardsOf(seat), credit };
      }),
      shardsMoving: moving.length,
      held: moving.reduce((sum, hold) => sum + hold.length, 0),
    };
  }

  toString(): string {
    return this.path;
  }

  toJSON(): string {
    return this.path;
  }

  private get whyNobody(): RefusalCode {
    return this.stopping === undefined ? 'E_NO_MEMBER' : 'E_ACTOR_STOPPED';
  }

  private async stopAll(): Promise<void> {
    try {
      await this.resizing.stop();
    } finally {
      this.ending.tell({ kind: 'shutdown' });
    }
  }
}

function invalid(name: string, field: string, value: number, use: string): CodedError {
  return new CodedError('E_OPTIONS_INVALID', `pool ${name}: ${field} is ${value}`, {
    kind: 'defect',
    details: { field, value },
    mend: `Use ${use}.`,
  });
}
