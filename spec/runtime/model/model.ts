/**
 * The plain model of actors that the runtime is compared with: who waits where, who is at work, who watches whom.
 *
 * It does not schedule: whose turn it is, the runtime decides, and the model is told of each callback and judges whether that
 * might have come now. Where the moment of a change cannot be seen from outside (an actor that was asked to stop closes its
 * mailbox some microtasks later), both outcomes are allowed and the one that came is followed. At rest nothing is open.
 * Invariant: every message is in one place; what breaks a rule is added to `faults`, which end the program.
 */
import type { ActorCell } from '../../../runtime/actor-cell.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { DeadLetterReason } from '../../../runtime/dead-letters.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { cancelled, Incarnation, isSkippable, ModelMessage } from './model-state.ts';
import type { Entry, Fate, ModelActor, ModelTimer, SendOutcome } from './model-state.ts';
import { HANDLER_TIMEOUT_MS } from './program.ts';
import type { Deed } from './program.ts';

export class Model {
  readonly faults: string[] = [];
  readonly actors: ModelActor[] = [];
  readonly messages: ModelMessage[] = [];
  begun = 0;
  /** In the mailbox of the present tell, just before it. */
  private waitingBefore = 0;
  /** Stopped by a command and not by its parent's end. */
  readonly wasStoppedItself = new Set<ModelActor>();
  isSystemStopping = false;
  private readonly clock: Clock;
  readonly lateLetters = { expected: 0, came: 0 };

  constructor(clock: Clock) {
    this.clock = clock;
  }

  now(): number {
    return this.clock.monotonicMs();
  }

  fault(what: string): void {
    this.faults.push(`at ${this.now()} ms: ${what}`);
  }

  check(holds: boolean, what: () => string): void {
    if (!holds) this.fault(what());
  }

  newMessage(deed: Deed, prefix = 'm'): ModelMessage {
    const message = new ModelMessage(`${prefix}${this.messages.length}`, deed);
    this.messages.push(message);
    return message;
  }

  // ---- Messages ------------------------------------------------------------------------------------------------

  /** What a tell may come to now. */
  possible(actor: ModelActor, waitsWhenFull: boolean): Set<SendOutcome> {
    this.reconcile(actor);
    this.waitingBefore = actor.waiting.length;
    if (actor.isDead) return new Set<SendOutcome>(['E_ACTOR_STOPPED']);
    const outcomes = new Set<SendOutcome>();
    const certain = actor.waiting.filter((entry) => !isSkippable(entry)).length;
    const { capacity, overflow } = actor.plan;
    if (certain < capacity) outcomes.add('accepted');
    if (actor.waiting.length >= capacity) {
      if (overflow === 'dropOldest') outcomes.add('accepted');
      else if (overflow === 'dropNewest') outcomes.add('dropped');
      else outcomes.add(overflow === 'block' && waitsWhenFull ? 'waits' : 'E_MAILBOX_FULL');
    }
    if (actor.mayBeClosed || this.isSystemStopping) outcomes.add('E_ACTOR_STOPPED');
    return outcomes;
  }

  /** A tell has come to something. Its dead letter, if it has one, has been seen by now. */
  told(actor: ModelActor, message: ModelMessage, possible: Set<SendOutcome>, outcome: SendOutcome): void {
    this.check(possible.has(outcome), () => {
      return `${message.type} told to ${actor.name} came to ${outcome}, not ${[...possible].join(' or ')}`;
    });
    switch (outcome) {
      case 'accepted':
        if (actor.plan.overflow === 'dropOldest') this.makeRoom(actor);
        message.fate = 'waiting';
        actor.waiting.push({ message, timer: undefined, isDoubtful: false });
        break;
      case 'waits':
        message.fate = 'waitsForRoom';
        message.hasWaited = true;
        actor.sendersWaiting.push(message);
        break;
      case 'E_MAILBOX_FULL':
        message.fate = 'givenBack';
        this.askEnds(message, 'E_MAILBOX_FULL');
        break;
      case 'dropped':
        this.check(message.fate === 'lost', () => `${message.type} was dropped without a dead letter`);
        this.askEnds(message, 'E_MAILBOX_FULL');
        break;
      case 'E_ACTOR_STOPPED':
        this.check(message.fate === 'lost', () => `${message.type} for a dead actor has no dead letter`);
        this.askEnds(message, 'E_ACTOR_STOPPED');
        break;
    }
  }

  /** What the runtime took out to make room and is no dead letter can only be a tick that is not wanted. */
  private makeRoom(actor: ModelActor): void {
    const wasSeen = actor.waiting.length < this.waitingBefore;
    const [head] = actor.waiting;
    if (wasSeen || head === undefined || actor.waiting.length < actor.plan.capacity) return;
    if (isSkippable(head)) actor.waiting.shift();
  }

  /** The runtime notes a dead letter, in the same step in which it loses the message. */
  deadLetter(type: string, reason: DeadLetterReason): void {
    if (reason === 'late') {
      this.lateLetters.came++;
      return;
    }
    const message = this.messages.find((candidate) => candidate.type === type);
    if (message === undefined) {
      this.fault(`a dead letter for ${type}, which nobody told`);
      return;
    }
    if (this.loseTick(message, reason)) return;
    const from: Record<Exclude<DeadLetterReason, 'late'>, Fate[]> = {
      stopped: ['told'],
      left: ['waiting', 'doubtful'],
      dropped: ['told', 'waiting'],
      failed: ['threw', 'begun'],
      killed: ['begun', 'handled', 'threw'],
      // Of other threads, stores and the quarantine, which no program here has.
      invalid: [],
      unstored: [],
      discarded: [],
      quarantineFull: [],
    };
    const { fate } = message;
    if (reason === 'failed' && fate === 'begun') this.hangs(message);
    this.check(from[reason].includes(fate), () => `${type} is a dead letter (${reason}) but was ${fate}`);
    // Its mailbox has been closed, which lets nobody in for what is taken out.
    if (reason === 'left') this.turnSendersAway(message.to as ModelActor);
    if (fate === 'doubtful') message.wasAdmitted = true;
    if (fate === 'waiting') this.takeFromHead(message, reason);
    message.fate = 'lost';
    if (reason === 'left' || reason === 'stopped') this.askEnds(message, 'E_ACTOR_STOPPED');
    else this.askEnds(message, reason === 'dropped' ? 'E_MAILBOX_FULL' : 'E_ASK_FAILED');
  }

  /** The runtime has given up the callback that has this message; it is stale, and another one may begin. */
  private hangs(message: ModelMessage): void {
    for (const { current } of this.actors) {
      if (current?.inHand !== message) continue;
      this.endsBy(current, 'hung');
      this.check(this.now() - current.sinceMs >= HANDLER_TIMEOUT_MS, () => `${message.type} hung too early`);
      current.inCallback = undefined;
    }
  }

  private loseTick(message: ModelMessage, reason: DeadLetterReason): boolean {
    if (!message.type.startsWith('t')) return false;
    const { to } = message;
    if (to === undefined || !to.waiting.some((entry) => entry.message === message)) return false;
    const entry = this.takeFromHead(message, reason);
    if (entry?.timer !== undefined) this.leftMailbox(to, entry.timer);
    return true;
  }

  private takeFromHead(message: ModelMessage, why: string): Entry | undefined {
    const actor = message.to as ModelActor;
    for (let head = actor.waiting[0]; head !== undefined; head = actor.waiting[0]) {
      if (head.message !== message && !isSkippable(head)) {
        this.fault(`${message.type} (${why}) overtook ${head.message.type} in the mailbox of ${actor.name}`);
        return undefined;
      }
      actor.waiting.shift();
      this.admitSenders(actor);
      if (head.message === message) return head;
    }
    return undefined;
  }

  /** A sender that waits for room waits no longer. */
  givesUpWaiting(message: ModelMessage): void {
    const { sendersWaiting } = message.to as ModelActor;
    const index = sendersWaiting.indexOf(message);
    if (index < 0) return;
    sendersWaiting.splice(index, 1);
    message.fate = 'givenBack';
  }

  private turnSendersAway(actor: ModelActor): void {
    // A tick that is not wanted leaves unseen, and whether somebody had come in for it is known only later.
    const mayBeIn = actor.waiting.filter(isSkippable).length;
    for (const [index, message] of actor.sendersWaiting.splice(0).entries()) {
      message.fate = index < mayBeIn ? 'doubtful' : 'givenBack';
      this.askEnds(message, 'E_ACTOR_STOPPED');
    }
  }

  /** A tell that had to wait for room is over. */
  waitedForRoom(message: ModelMessage, outcome: string): void {
    message.result = outcome as ModelMessage['result'];
    const actor = message.to as ModelActor;
    this.reconcile(actor);
    if (outcome !== 'E_ACTOR_STOPPED') return;
    if (message.fate === 'doubtful') message.fate = 'givenBack';
    if (message.fate !== 'waitsForRoom') return;
    this.check(actor.mayBeClosed, () => `${message.type} was given back by ${actor.name}, which lives`);
    this.givesUpWaiting(message);
  }

  /**
   * A tick that is not wanted leaves the mailbox unseen, and lets a waiting sender in. Whether it has left is the only thing
   * that the model asks the mailbox; it can explain nothing else.
   */
  reconcile(actor: ModelActor): void {
    const { mailbox } = actor.ref as ActorCell<ModelMessage>;
    if (mailbox.closed) return;
    const inside = mailbox.length + mailbox.waitingSenders;
    while (actor.waiting.length + actor.sendersWaiting.length > inside) {
      const index = actor.waiting.findIndex(isSkippable);
      if (index < 0) return;
      actor.waiting.splice(index, 1);
      this.admitSenders(actor);
    }
  }

  admitSenders(actor: ModelActor): void {
    while (actor.sendersWaiting.length > 0 && actor.waiting.length < actor.plan.capacity) {
      const message = actor.sendersWaiting.shift() as ModelMessage;
      message.wasAdmitted = true;
      message.fate = 'waiting';
      actor.waiting.push({ message, timer: undefined, isDoubtful: false });
    }
  }

  private leftMailbox(actor: ModelActor, timer: ModelTimer): void {
    timer.isQueued = false;
    const { timers } = actor.current ?? { timers: new Map<string, ModelTimer>() };
    if (timer.everyMs !== undefined) return;
    for (const [key, other] of timers) if (other === timer) timers.delete(key);
  }

  // ---- Asks ----------------------------------------------------------------------------------------------------

  askEnds(message: ModelMessage, expected: string): void {
    const { ask } = message;
    if (ask === undefined || ask.expected !== undefined) return;
    ask.expected = expected;
  }

  askTimesOut(message: ModelMessage): void {
    this.reconcile(message.to as ModelActor);
    this.askEnds(message, 'E_ASK_TIMEOUT');
    if (message.fate === 'waitsForRoom') this.givesUpWaiting(message);
  }

  /** True when the reply is still wanted. */
  replied(message: ModelMessage): boolean {
    const { ask } = message;
    if (ask === undefined) return false;
    const isWanted = ask.expected === undefined;
    if (isWanted) ask.expected = 'reply';
    else this.lateLetters.expected++;
    return isWanted;
  }

  // ---- Callbacks -----------------------------------------------------------------------------------------------

  factoryCalled(actor: ModelActor, epoch: number): Incarnation {
    this.check(!actor.isDead, () => `${actor.name} begins after its death`);
    this.check(!actor.wasStoppedUnbegun, () => `${actor.name} begins after its stop`);
    this.check(actor.current === undefined, () => `${actor.name} begins beside its present incarnation`);
    this.check(
      epoch > actor.epoch || !actor.isKept,
      () => `${actor.name} begins with the old epoch ${epoch}`,
    );
    actor.epoch = epoch;
    actor.current = new Incarnation(actor);
    actor.last = actor.current;
    actor.current.sinceMs = this.now();
    return actor.current;
  }

  callbackBegins(incarnation: Incarnation, what: 'handle' | 'onSignal' | 'terminate'): void {
    const { actor } = incarnation;
    const where = (): string => `${what} of ${actor.name}`;
    this.check(!incarnation.isOver, () => `${where()} after its incarnation`);
    this.check(actor.current === incarnation, () => `${where()}, not the present incarnation`);
    const { inCallback } = incarnation;
    // A clean-up may begin while the callback that hung is still unsettled; no other overlap is allowed.
    this.check(inCallback === undefined, () => `${where()} while ${String(inCallback)} has not settled`);
    if (what !== 'terminate')
      this.check(!incarnation.isLast, () => `${where()} after its stop, kill or failure`);
    incarnation.inCallback = what;
    incarnation.sinceMs = this.now();
  }

  handleBegins(incarnation: Incarnation, message: ModelMessage): void {
    this.begun++;
    const { actor } = incarnation;
    this.callbackBegins(incarnation, 'handle');
    const entry = this.takeFromHead(message, 'handled');
    this.check(
      entry !== undefined,
      () => `${actor.name} handles ${message.type} (${message.fate}), not its next one`,
    );
    if (entry?.timer !== undefined) {
      this.check(!entry.timer.isCancelled, () => `${actor.name} handles a cancelled tick`);
      this.leftMailbox(actor, entry.timer);
    }
    message.fate = 'begun';
    incarnation.inHand = message;
  }

  signalComes(incarnation: Incarnation, watched: ModelActor): void {
    const { actor, watches } = incarnation;
    this.check(
      watches.delete(watched),
      () => `${actor.name} hears of ${watched.name}, which it does not watch`,
    );
    this.check(watched.isDead, () => `${actor.name} hears of the end of ${watched.name}, which lives`);
  }

  terminateBegins(incarnation: Incarnation): void {
    const { actor, children } = incarnation;
    this.callbackBegins(incarnation, 'terminate');
    incarnation.isLast = true;
    incarnation.isEnding = true;
    this.check(++incarnation.terminateCalls === 1, () => `${actor.name} is terminated twice`);
    const living = children.filter(({ isDead }) => !isDead).map(({ name }) => name);
    this.check(living.length === 0, () => `${actor.name} is terminated before its children ${living.join()}`);
  }

  /** It has failed, or will handle nothing more for another reason. */
  endsBy(incarnation: Incarnation | undefined, cause: ExitReason['kind']): void {
    if (incarnation === undefined) return;
    incarnation.causes.add(cause);
    incarnation.isLast = true;
    incarnation.isEnding = true;
  }

  /** The runtime says that the incarnation has ended: its abort signal fires. */
  incarnationEnds(incarnation: Incarnation): void {
    const { actor } = incarnation;
    this.check(!incarnation.isOver, () => `${actor.name} ends twice`);
    incarnation.isOver = true;
    this.reconcile(actor);
    this.checkDrained(incarnation);
    for (const timer of incarnation.timers.values()) cancelled(timer);
    if (actor.current === incarnation) actor.current = undefined;
    incarnation.watches.clear();
  }

  /** Nobody cut it off: nothing may be left of what waited. */
  private checkDrained({ actor, causes, inCallback, isDraining, hasInstance }: Incarnation): void {
    const isCutOff =
      inCallback !== undefined ||
      causes.size > 1 ||
      this.isSystemStopping ||
      actor.isKept ||
      actor.parent !== undefined;
    if (!isDraining || !hasInstance || isCutOff) return;
    const left = actor.waiting.filter((entry) => !isSkippable(entry)).map(({ message }) => message.type);
    this.check(left.length === 0, () => `${actor.name} was drained and left ${left.join()}`);
  }

  dies(actor: ModelActor, reason: ExitReason): void {
    const { last } = actor;
    actor.deaths.push(reason);
    this.check(actor.deaths.length === 1, () => `the end of ${actor.name} is told twice`);
    this.check(actor.current === undefined, () => `${actor.name} is dead with an incarnation`);
    this.check(!actor.waiting.some((entry) => !isSkippable(entry)), () => `${actor.name} dies with messages`);
    this.turnSendersAway(actor);
    for (const message of this.messages) if (message.to === actor) this.askEnds(message, 'E_ACTOR_STOPPED');
    this.checkReason(actor, last, reason);
    this.checkYoungestFirst(actor, reason);
  }

  private checkReason(actor: ModelActor, last: Incarnation | undefined, reason: ExitReason): void {
    if (actor.isKept) return;
    const causes = last?.causes ?? new Set();
    const isFromAbove = actor.parent !== undefined || this.isSystemStopping || actor.wasStoppedUnbegun;
    const isPossible: boolean = {
      failed: causes.has('failed'),
      normal: causes.has('normal'),
      shutdown: causes.has('shutdown') || isFromAbove,
      hung: actor.plan.hasHandlerTimeout || actor.plan.start === 'hold',
      killed: causes.has('killed') || causes.has('shutdown') || causes.has('normal') || isFromAbove,
      outOfMemory: false,
      exited: false,
    }[reason.kind];
    this.check(
      isPossible,
      () => `${actor.name} ended as ${reason.kind}; asked: ${[...causes].join() || 'nothing'}`,
    );
    if (last === undefined || actor.plan.terminate === 'none') return;
    const { terminateCalls, hasInstance, children } = last;
    const mustTerminate =
      hasInstance &&
      (reason.kind === 'shutdown' ||
        reason.kind === 'normal' ||
        (reason.kind === 'failed' && children.length === 0));
    const isRight = mustTerminate ? terminateCalls === 1 : reason.kind !== 'hung' || terminateCalls === 0;
    this.check(
      isRight,
      () => `${actor.name} ended as ${reason.kind} after ${terminateCalls} calls of terminate`,
    );
  }

  private checkYoungestFirst(actor: ModelActor, reason: ExitReason): void {
    const { parent } = actor;
    const wasAsked = actor.wasStoppedUnbegun || this.wasStoppedItself.has(actor);
    if (parent === undefined || reason.kind !== 'shutdown' || wasAsked) return;
    const younger = parent.children.slice(parent.children.indexOf(actor) + 1).filter(({ isDead }) => !isDead);
    this.check(
      younger.length === 0,
      () => `${actor.name} is stopped before the younger ${younger[0]?.name ?? ''}`,
    );
  }

  // ---- Timers --------------------------------------------------------------------------------------------------

  /** Called just before the runtime starts the same timer: due together, the model's comes first. */
  startTimer(
    incarnation: Incarnation,
    key: string,
    tick: ModelMessage,
    delayMs: number,
    everyMs: number | undefined,
  ): void {
    this.cancelTimer(incarnation, key);
    tick.to = incarnation.actor;
    const timer: ModelTimer = {
      tick,
      everyMs,
      isQueued: false,
      isCancelled: false,
      cancelClock: () => undefined,
    };
    incarnation.timers.set(key, timer);
    this.arm(incarnation, timer, delayMs);
  }

  cancelTimer(incarnation: Incarnation, key: string): void {
    const timer = incarnation.timers.get(key);
    if (timer !== undefined) cancelled(timer);
    incarnation.timers.delete(key);
  }

  private arm(incarnation: Incarnation, timer: ModelTimer, delayMs: number): void {
    timer.cancelClock = this.clock.after(delayMs, () => {
      if (timer.everyMs !== undefined) this.arm(incarnation, timer, timer.everyMs);
      if (timer.isQueued) return;
      timer.isQueued = true;
      const { actor, isEnding, isHeld } = incarnation;
      const isDoubtful = isEnding || actor.mayBeClosed || (actor.isKept && isHeld);
      actor.waiting.push({ message: timer.tick, timer, isDoubtful });
    });
  }
}
