/** What the model keeps: messages, mailboxes, incarnations, timers. Data; model.ts says what may happen to it. */
import type { ActorRef, ReplyTo } from '../../../runtime/actor-ref.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { ActorPlan, Deed, SupervisedPlan } from './program.ts';

export type SendOutcome = 'accepted' | 'dropped' | 'E_MAILBOX_FULL' | 'E_ACTOR_STOPPED' | 'waits';

/** `lost`: it has its one dead letter. `givenBack`: the sender has it. `doubtful`: one of the two. */
export type Fate =
  'told' | 'waiting' | 'waitsForRoom' | 'begun' | 'handled' | 'threw' | 'lost' | 'givenBack' | 'doubtful';

/** What is told: the same object that the actor gets. Its type is its own, so that a dead letter names it. */
export class ModelMessage {
  readonly type: string;
  readonly deed: Deed;
  fate: Fate = 'told';
  to: ModelActor | undefined = undefined;
  ask: ModelAsk | undefined = undefined;
  replyTo: ReplyTo<unknown> | undefined = undefined;
  hasWaited = false;
  wasAdmitted = false;
  /** Of a tell that may wait for room: what it came to. */
  result: SendOutcome | 'E_SEND_ABORTED' | undefined = undefined;

  constructor(type: string, deed: Deed) {
    this.type = type;
    this.deed = deed;
  }

  get isLost(): boolean {
    return this.fate === 'lost';
  }
}

export interface ModelAsk {
  /** What must come of it: `reply` or a code. */
  expected: string | undefined;
  came: string | undefined;
}

export interface ModelTimer {
  tick: ModelMessage;
  everyMs: number | undefined;
  isQueued: boolean;
  isCancelled: boolean;
  cancelClock: () => void;
}

/** `timer`: a tick, which leaves the mailbox unseen when it is not wanted any more. */
export interface Entry {
  message: ModelMessage;
  timer: ModelTimer | undefined;
  /** Its actor was ending already: whether it came in cannot be known. */
  isDoubtful: boolean;
}

export type Causes = Set<ExitReason['kind']>;

export class Incarnation {
  readonly actor: ModelActor;
  readonly children: ModelActor[] = [];
  readonly watches = new Set<ModelActor>();
  readonly timers = new Map<string, ModelTimer>();
  readonly causes: Causes = new Set();
  /** A callback that has not settled; `release` settles those that wait. */
  inCallback: 'start' | 'handle' | 'onSignal' | 'terminate' | undefined = 'start';
  inHand: ModelMessage | undefined = undefined;
  sinceMs = 0;
  hasInstance = false;
  /** Its factory has settled, which the runtime may hear of only some microtasks later. */
  isBeginning = false;
  terminateCalls = 0;
  /** It was asked to handle what waits before it stops. */
  isDraining = false;
  /** It will handle nothing any more. */
  isLast = false;
  /** It was asked to end, or has failed: at rest only something unsettled can keep it. */
  isEnding = false;
  isOver = false;

  constructor(actor: ModelActor) {
    this.actor = actor;
  }

  /** Something that only a release, a deadline or its children can end. */
  get isHeld(): boolean {
    return this.inCallback !== undefined || this.children.some((child) => child.current?.isHeld === true);
  }
}

export class ModelActor {
  readonly name: string;
  readonly plan: ActorPlan;
  readonly parent: Incarnation | undefined;
  readonly isKept: boolean;
  /** Its supervisor may be draining it at any time, for reasons of its siblings. */
  readonly mayBeDrained: boolean;
  readonly waiting: Entry[] = [];
  readonly sendersWaiting: ModelMessage[] = [];
  ref!: ActorRef<ModelMessage>;
  current: Incarnation | undefined = undefined;
  last: Incarnation | undefined = undefined;
  epoch = 0;
  /** Asked to stop before its only incarnation has begun. */
  wasStoppedUnbegun = false;
  deaths: ExitReason[] = [];

  constructor(name: string, plan: ActorPlan | SupervisedPlan, parent: Incarnation | undefined) {
    this.name = name;
    this.plan = plan;
    this.parent = parent;
    this.isKept = 'restart' in plan;
    this.mayBeDrained = 'restart' in plan && plan.drainAtStop;
  }

  get isDead(): boolean {
    return this.deaths.length > 0;
  }

  /** Perhaps its mailbox is closed. */
  get mayBeClosed(): boolean {
    const isEnding = this.wasStoppedUnbegun || this.mayBeDrained || this.current?.isEnding === true;
    // The end of its parent is its own; a supervised parent may be stopped for reasons of its siblings.
    const isFromAbove =
      this.parent !== undefined && (this.parent.actor.isKept || this.parent.actor.mayBeClosed);
    return this.isDead || isEnding || isFromAbove;
  }
}

export function cancelled(timer: ModelTimer): void {
  timer.isCancelled = true;
  timer.cancelClock();
}

/** It may have left the mailbox, or never have come in, unseen. */
export const isSkippable = ({ timer, isDoubtful }: Entry): boolean =>
  isDoubtful || timer?.isCancelled === true;
