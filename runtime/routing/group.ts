/**
 * A set of actors that do the same: who is in it now, and who wants to know of changes.
 *
 * Not an owner: it starts, stops and supervises nobody, and an actor may be in many groups. A member that is dead for good
 * leaves by itself; one that is only restarted stays. Invariants: no ref is in twice; members stand in the order in which
 * they joined; `members` is never changed in place, so whoever holds it holds one moment.
 */
import type { ActorRef, AnyRef } from '../actor-ref.ts';
import { CodedError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import { GROUP_LISTENERS_MAX, GROUP_MEMBERS_DEFAULT, GROUP_MEMBERS_MAX } from '../limits.ts';
import { checkedSpawnOptions } from '../spawn-options.ts';
import { EndListeners } from './end-listeners.ts';
import type { Log } from './end-listeners.ts';

export interface GroupOptions {
  membersMax?: number;
  /** Where it is said that a listener threw as the group was closed; without it nowhere. Must not throw. */
  log?: Log;
}

/** A ref whose messages go to the members of a group. */
export abstract class RefOfGroup<M> {
  protected abstract readonly group: Group<M>;

  /** Whether what is told to this ref may come to that group, by however many routers that are members. */
  leadsTo(group: Group<M>): boolean {
    const reached = new Set<Group<M>>([this.group]);
    for (const one of reached) {
      if (one === group) return true;
      for (const member of one.members)
        if (member instanceof RefOfGroup) reached.add(member.group as Group<M>);
    }
    return false;
  }
}

export type GroupChange<M> =
  | { type: 'joined'; ref: ActorRef<M> }
  /** `reason`: how it ended; undefined when it was taken out alive. */
  | { type: 'left'; ref: ActorRef<M>; reason: ExitReason | undefined };

/** What became of a message told to all members. */
export interface TellAllResult {
  accepted: number;
  dropped: number;
  refused: number;
}

export class Group<M> implements AnyRef {
  readonly path: string;
  private readonly membersMax: number;
  private readonly endWatches = new Map<ActorRef<M>, () => void>();
  private readonly changeListeners = new Set<(change: GroupChange<M>) => void>();
  private readonly ending: EndListeners;
  private present: readonly ActorRef<M>[] = [];
  private end: ExitReason | undefined = undefined;

  /** Held by whoever makes it; `ActorSystem.group` makes one that is found by its name. Errors: `E_OPTIONS_INVALID`. */
  constructor(name: string, { membersMax = GROUP_MEMBERS_DEFAULT, log }: GroupOptions = {}) {
    checkedSpawnOptions({ name });
    if (!Number.isSafeInteger(membersMax) || membersMax < 1 || membersMax > GROUP_MEMBERS_MAX) {
      throw new CodedError('E_OPTIONS_INVALID', `group ${name}: membersMax is ${membersMax}`, {
        kind: 'defect',
        mend: `Use a whole number from 1 to ${GROUP_MEMBERS_MAX}.`,
      });
    }
    this.path = `/${name}`;
    this.membersMax = membersMax;
    this.ending = new EndListeners(this.path, log);
  }

  get members(): readonly ActorRef<M>[] {
    return this.present;
  }

  get isClosed(): boolean {
    return this.end !== undefined;
  }

  has(ref: ActorRef<M>): boolean {
    return this.endWatches.has(ref);
  }

  /**
   * Joining twice is joining once. A dead actor leaves again soon. Errors: `E_GROUP_FULL`, `E_ACTOR_STOPPED` (closed),
   * `E_GROUP_CYCLE` (a router that leads to this group: what is told to it would go round for ever).
   */
  join(ref: ActorRef<M>): void {
    if (this.has(ref)) return;
    if (this.end !== undefined) {
      throw new CodedError('E_ACTOR_STOPPED', `the group ${this.path} is closed`, { kind: 'defect' });
    }
    if (this.present.length >= this.membersMax) {
      throw new CodedError('E_GROUP_FULL', `the group ${this.path} has ${this.membersMax} members already`, {
        mend: 'Raise its membersMax, or find out who joins without end.',
      });
    }
    if (ref instanceof RefOfGroup && ref.leadsTo(this)) {
      throw new CodedError('E_GROUP_CYCLE', `${ref.path} leads to the group ${this.path} itself`, {
        kind: 'defect',
        details: { path: this.path, member: ref.path },
        mend: 'Let the actors join that are to handle the messages, and no router of their own group.',
      });
    }
    this.endWatches.set(
      ref,
      ref.onTerminated((reason) => this.remove(ref, reason)),
    );
    this.present = [...this.present, ref];
    this.tellListeners({ type: 'joined', ref });
  }

  /** False when it is no member. */
  leave(ref: ActorRef<M>): boolean {
    this.endWatches.get(ref)?.();
    return this.remove(ref, undefined);
  }

  /** Tells every member, whatever the others say. */
  tellAll(message: M): TellAllResult {
    const result: TellAllResult = { accepted: 0, dropped: 0, refused: 0 };
    for (const member of this.present) {
      const sent = member.tell(message);
      result[typeof sent === 'object' ? 'refused' : sent]++;
    }
    return result;
  }

  /**
   * Calls the listener in the step of every change from now on, and returns the function that takes it away. What it
   * throws reaches whoever made the change, after all others have heard. Errors: `E_GROUP_FULL` (too many listeners).
   */
  onChange(listener: (change: GroupChange<M>) => void): () => void {
    if (this.changeListeners.size >= GROUP_LISTENERS_MAX) {
      throw new CodedError('E_GROUP_FULL', `the group ${this.path} has ${GROUP_LISTENERS_MAX} listeners`, {
        mend: 'Take listeners away that are not needed any more.',
      });
    }
    // A function of its own, so that the same listener given twice is called twice and taken away once.
    const entry = (change: GroupChange<M>): void => listener(change);
    this.changeListeners.add(entry);
    return () => {
      this.changeListeners.delete(entry);
    };
  }

  /**
   * Nobody joins any more, all members leave (and live on), and its name is free. What a listener throws is logged. Safe to
   * call again.
   */
  close(reason: ExitReason = { kind: 'shutdown' }): void {
    if (this.end !== undefined) return;
    this.end = reason;
    for (const ref of this.present) {
      this.ending.guard('a listener for the changes of a group threw', () => this.leave(ref));
    }
    this.ending.tell(reason);
  }

  /** The end of a group is its being closed. */
  onTerminated(listener: (reason: ExitReason) => void): () => void {
    return this.ending.add(listener);
  }

  private remove(ref: ActorRef<M>, reason: ExitReason | undefined): boolean {
    if (!this.endWatches.delete(ref)) return false;
    this.present = this.present.filter((member) => member !== ref);
    this.tellListeners({ type: 'left', ref, reason });
    return true;
  }

  private tellListeners(change: GroupChange<M>): void {
    const thrown: unknown[] = [];
    for (const listener of [...this.changeListeners]) {
      try {
        listener(change);
      } catch (error) {
        thrown.push(error);
      }
    }
    if (thrown.length > 0) throw thrown[0];
  }
}
