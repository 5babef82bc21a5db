/**
 * What a keyed pool needs of a member, wherever it runs, and the members that run in this thread.
 *
 * Before a shard leaves a member, the pool must know that the member has handled everything told before. In this thread a
 * barrier waits for that in the mailbox, behind all that was told.
 * Invariant: when `handledAll` has resolved, no message told to the ref before the call will be handled any more.
 */
import type { ActorFactory } from '../actor.ts';
import type { ActorRef, SendResult } from '../actor-ref.ts';
import type { ActorSystem } from '../actor-system.ts';
import { assert } from '../assert.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { Envelope } from '../envelope.ts';
import type { LossCode } from '../envelope.ts';
import { codeOf } from '../errors.ts';
import { STOP_DEADLINE_MS_DEFAULT } from '../limits.ts';
import { LocalRef } from '../local-ref.ts';
import { askRefused, askTimeout } from '../pending-asks.ts';
import type { ChildSpec } from '../supervision/child-spec.ts';
import { localChild } from '../supervision/local-placement.ts';
import type { LocalChildOptions } from '../supervision/local-placement.ts';
import type { Supervisor } from '../supervision/supervisor.ts';

export interface PoolMember<M> {
  readonly ref: ActorRef<M>;
  /**
   * Resolves when everything told before is handled. A rejection other than `E_ASK_TIMEOUT` (`E_MAILBOX_FULL`, say) is tried
   * again until the pool's drain deadline or the member's death.
   */
  handledAll(timeoutMs: number): Promise<void>;
  /** Ends it for good, within a deadline of its own, by force if need be. When it settles the ref is dead. */
  stop(): Promise<void>;
}

/** Starts a member under an id that no other living member of the pool has. */
export type StartMember<M> = (id: string) => Promise<PoolMember<M>>;

export interface LocalMembersOptions<M> {
  system: ActorSystem;
  /** Running. It restarts the members; each is a child of its own, under the member's id. */
  supervisor: Supervisor;
  factory: ActorFactory<M>;
  actor?: LocalChildOptions;
  child?: Omit<Partial<ChildSpec>, 'id' | 'start'>;
}

/** Members that are supervised actors of this thread. Their mailboxes keep what waits over restarts. */
export function localMembers<M>(options: LocalMembersOptions<M>): StartMember<M> {
  const { system, supervisor, factory, actor, child: spec } = options;
  return async (id) => {
    const child = localChild<M>(system, id, factory, actor);
    try {
      await supervisor.addChild({
        restart: 'permanent',
        shutdownDeadlineMs: STOP_DEADLINE_MS_DEFAULT,
        ...spec,
        id,
        start: child.start,
      });
    } catch (thrown) {
      // A spec that was refused has not started it, and its name must be free again.
      child.start.abandon?.({ kind: 'shutdown' });
      throw thrown;
    }
    const { ref } = child;
    assert(ref instanceof LocalRef, 'a local child is an actor of this thread');
    return {
      ref,
      handledAll: (timeoutMs) => handledAll(ref, system.clock, timeoutMs),
      stop: async () => {
        await supervisor.removeChild(id).catch((thrown: unknown) => {
          // Forgotten by itself: a temporary child whose end came first.
          if (codeOf(thrown) !== 'E_CHILD_UNKNOWN') throw thrown;
        });
        child.start.abandon?.({ kind: 'shutdown' });
      },
    };
  };
}

/** Waits in the mailbox like a message, and hears when its turn comes; it is handled by nobody. */
class Barrier extends Envelope {
  readonly message = undefined;
  private readonly path: string;
  private readonly turn = Promise.withResolvers<void>();

  constructor(path: string) {
    super();
    this.path = path;
    // Nobody waits any more for one that is lost after its time.
    this.turn.promise.catch(() => undefined);
  }

  get reached(): Promise<void> {
    return this.turn.promise;
  }

  override open(lostBy?: LossCode): boolean {
    if (lostBy === undefined) this.turn.resolve();
    else this.turn.reject(askRefused(lostBy, this.path));
    return false;
  }
}

/** Errors: `E_MAILBOX_FULL` (also when a newer message has displaced the barrier), `E_ACTOR_STOPPED`, `E_ASK_TIMEOUT`. */
async function handledAll(ref: LocalRef<unknown>, clock: Clock, timeoutMs: number): Promise<void> {
  const patience = new AbortController();
  const isLate = sleep(clock, timeoutMs, patience.signal).then(() => true);
  try {
    const isTimedOut = await Promise.race([isLate, throughMailbox(ref, patience.signal)]);
    if (isTimedOut) throw askTimeout(ref.path, timeoutMs);
  } finally {
    patience.abort();
  }
}

/** Behind those who wait for room, if the mailbox lets them; it never costs a message its place. */
async function throughMailbox(ref: LocalRef<unknown>, signal: AbortSignal): Promise<false> {
  const barrier = new Barrier(ref.path);
  let result: SendResult<unknown> = ref.tellIfRoom(barrier);
  if (typeof result === 'object' && result.refused === 'E_MAILBOX_FULL' && ref.blocksWhenFull) {
    result = await ref.mailbox.waitForRoom(barrier, signal);
  }
  if (typeof result === 'object') throw askRefused(result.refused, ref.path);
  await barrier.reached;
  return false;
}
