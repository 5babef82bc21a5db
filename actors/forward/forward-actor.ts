/**
 * The forward actor: takes alerts from the lanes of its partitions, delivers them, and commits what came of it.
 *
 * Every step is a message to itself, so its state changes in one place at a time. Delivering is at least once (a POST
 * whose answer is lost is repeated with the same alert id); leaving the mailbox is exactly once (settlements.ts).
 *
 * Invariants: what is held here is bounded (alert-intake.ts); no delivery starts with less lease left than it may take;
 * a destination that is down holds back its own lane and no other, an alert that is set aside its own signature and no
 * other.
 */
import { randomUUID } from 'node:crypto';
import type { ActorContext, ActorFactory } from '../../runtime/actor.ts';
import { sleep } from '../../runtime/clock.ts';
import { kindOf } from '../../runtime/errors.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { holdAt } from '../ports.ts';
import type { DeliveryOutcome, Destination } from '../ports.ts';
import { AlertIntake } from './alert-intake.ts';
import type { ForwardMessage, Item, Origin, OwnMessage } from './forward-messages.ts';
import type { ForwardOptions } from './forward-options.ts';
import { lastFailure } from './lane-trouble.ts';
import { LaneWatch } from './lane-watch.ts';
import { READ_RETRY_MS } from './lane-reading.ts';
import { Lane } from './lane.ts';
import type { LaneAction, Unsent } from './lane.ts';
import { laneId, sharedPaceOf } from './messages.ts';
import { deadPlan, planOf, rememberFailure, unsentPlan } from './outcome-plan.ts';
import { Settlements } from './settlements.ts';
import { burstOf } from './token-purse.ts';

const COUNT = {
  delivered: 'delivered',
  superseded: 'superseded',
  refused: 'refused',
  retry: 'retried',
  unauthorized: 'paused',
} as const;
const DUE_EVERY_MS = 500;
/** How often a hold is looked at: the clock may be set. */
const HOLD_LOOK_MS = 60_000;
/** So long a stop waits for answers: what has none by then is sent again by the next owner. */
const END_WAIT_MS = 6_000;
/** So much longer than its time-out a probe's lease lasts. */
const PROBE_MARGIN_MS = 2_000;

export type { ForwardMessage } from './forward-messages.ts';

export function forwardActor(options: ForwardOptions): ActorFactory<ForwardMessage> {
  return (context) => {
    const forward = new Forward(context, options);
    forward.begin();
    return {
      handle: (message) => forward.handle(message),
      suspend: () => forward.suspend(),
      resume: () => forward.resume(),
      inspect: () => forward.inspect(),
      terminate: ({ kind }) => forward.end(kind === 'shutdown' || kind === 'normal'),
    };
  };
}

class Forward {
  readonly #context: ActorContext<ForwardMessage>;
  readonly #options: ForwardOptions;
  readonly #settlements: Settlements;
  readonly #watch: LaneWatch;
  readonly #destinations = new Map<string, Destination>();
  readonly #lanes = new Map<string, Lane<Item>>();
  readonly #sending = new Set<Promise<void>>();
  /** Outcomes of which a message is on its way. */
  readonly #outcomes = new Map<Item, DeliveryOutcome>();
  readonly #intake: AlertIntake;
  /** Of this incarnation, to those who share the pace. */
  readonly #nonce = randomUUID();
  #isEnding = false;
  #isSuspended = false;

  constructor(context: ActorContext<ForwardMessage>, options: ForwardOptions) {
    this.#context = context;
    this.#options = options;
    this.#watch = new LaneWatch({
      clock: context.clock,
      log: (level, text, fields) => context.log(level, text, fields),
      onChange: options.onLanes,
    });
    this.#settlements = new Settlements({
      store: options.store,
      clock: context.clock,
      tokens: options.tokens,
      signal: context.signal,
      onStuck: options.onStuck,
      onFatal: (error) => this.#tell({ type: 'fail', error }),
    });
    this.#intake = new AlertIntake({
      ...options,
      clock: context.clock,
      signal: context.signal,
      destinations: this.#destinations,
      lanes: this.#lanes,
      tell: (message) => this.#tell(message),
      onDelivered: (item) => this.#commit({ kind: 'delivered', item }),
      onUnreadable: (payload, origin, id) => this.#endUnreadable(payload, origin, id),
    });
  }

  #tell(message: OwnMessage): void {
    this.#context.self.tell({ ...message, epoch: this.#context.epoch });
  }

  begin(): void {
    this.#setDestinations(this.#options.destinations);
    this.#context.startTimer('due', { type: 'look for due' }, { delayMs: 0, everyMs: DUE_EVERY_MS });
    this.#intake.run();
  }

  /**
   * What was delivered is still written down. A clean end waits a little for what is on its way; what has no answer by
   * then is repeated by the next incarnation.
   */
  async end(isClean: boolean): Promise<void> {
    this.#isEnding = true;
    this.#intake.stop();
    this.#settleOutcomes();
    if (isClean && this.#sending.size > 0) {
      const waited = new AbortController();
      await Promise.race([
        Promise.all(this.#sending),
        sleep(this.#context.clock, this.#options.endWaitMs ?? END_WAIT_MS, waited.signal),
      ]);
      waited.abort();
    }
    await this.#settlements.idle();
  }

  /** Its messages are held back, so nothing is sent any more. What was sent is still written down. */
  suspend(): void {
    this.#isSuspended = true;
    this.#settleOutcomes();
  }

  resume(): void {
    this.#isSuspended = false;
    this.#pump();
  }

  /** Alerts held here by destination, those on their way included. */
  inspect(): { held: Record<string, number>; sending: number } {
    const names = [...this.#destinations.keys()];
    const held = Object.fromEntries(names.map((name) => [name, this.#intake.sizeOf(name)]));
    return { held, sending: this.#sending.size };
  }

  handle(message: ForwardMessage): void {
    if ('epoch' in message && message.epoch !== this.#context.epoch) return;
    switch (message.type) {
      case 'destinations':
        this.#setDestinations(message.destinations);
        break;
      case 'read':
        this.#intake.takeRead(message);
        break;
      case 'due':
        this.#intake.takeDue(message);
        break;
      case 'pace':
        this.#allow(message);
        break;
      case 'looked':
        this.#intake.looked();
        return;
      case 'set aside':
        this.#intake.noteSetAside(message);
        break;
      case 'followers':
        this.#intake.takeFollowers(message);
        break;
      case 'outcomes':
        this.#settleOutcomes();
        break;
      case 'look for due':
        this.#watch.look(this.#destinations);
        this.#intake.look();
        return;
      case 'fail':
        throw message.error;
      case 'pump':
      case 'ended':
        break;
    }
    this.#pump();
  }

  #setDestinations(destinations: readonly Destination[]): void {
    const gone = new Set(this.#destinations.keys());
    for (const given of destinations) {
      gone.delete(given.name);
      const { name } = given;
      const isKnown = this.#destinations.has(name);
      const timeoutMs = Math.min(given.timeoutMs, this.#options.timeoutMsMax);
      this.#destinations.set(name, { ...given, timeoutMs });
      this.#keepPace(given);
      if (!isKnown) this.#intake.add(name);
    }
    for (const name of gone) {
      this.#intake.remove(name);
      this.#destinations.delete(name);
    }
    this.#intake.restart();
  }

  #keepPace({ name, concurrency, ratePerSecond, staleAfterMs = null, collapse = true }: Destination): void {
    const pace = { concurrency, ratePerSecond, staleAfterMs, collapse };
    const lane = this.#lanes.get(name);
    if (lane !== undefined) {
      lane.changePace(pace);
      return;
    }
    const { retryBackoffMs: backoffMs, retryAgeMaxMs = () => Infinity, breakerMs } = this.#options;
    const wallMs = (): number => this.#context.clock.wallMs();
    this.#lanes.set(name, new Lane({ ...pace, wallMs, backoffMs, retryAgeMaxMs, breakerMs }));
  }

  #pump(): void {
    if (this.#isEnding) return;
    const nowMs = this.#context.clock.monotonicMs();
    let waitMs: number | undefined;
    for (const [name, lane] of this.#lanes) {
      const destination = this.#destinations.get(name);
      if (destination === undefined) continue;
      const hold = holdAt(destination, this.#context.clock.wallMs());
      lane.pause(hold?.kind === 'pause');
      if (hold?.kind === 'mute') this.#intake.mute(lane);
      else this.#intake.unmute(name);
      for (const unsent of lane.takeUnsent()) this.#endUnsent(unsent);
      if (hold !== undefined) {
        const leftMs = (hold.untilMs ?? Infinity) - this.#context.clock.wallMs();
        waitMs = Math.min(waitMs ?? Infinity, Math.max(1, leftMs), HOLD_LOOK_MS);
        continue;
      }
      if (this.#options.leaseLeftMs() <= destination.timeoutMs) {
        // A delivery that outlives the lease could be one that the next owner makes too.
        if (lane.size > 0) waitMs = Math.min(waitMs ?? Infinity, READ_RETRY_MS);
        continue;
      }
      for (let item = lane.next(nowMs); item !== undefined; item = lane.next(nowMs))
        this.#send(item, destination);
      for (const unsent of lane.takeUnsent()) this.#endUnsent(unsent);
      this.#ask(lane, destination, nowMs);
      const laneWaitMs = lane.waitMs(nowMs);
      if (laneWaitMs !== undefined) waitMs = Math.min(waitMs ?? Infinity, laneWaitMs);
    }
    this.#intake.takeUp();
    if (waitMs !== undefined) this.#context.startTimer('pump', { type: 'pump' }, { delayMs: waitMs });
  }

  /** Asks for what the lane needs to go on, and tells what has come of what it has sent. */
  #ask(lane: Lane<Item>, { name, ratePerSecond, timeoutMs }: Destination, nowMs: number): void {
    const wish = lane.wish(nowMs);
    if (wish === undefined) return;
    const question = {
      ...wish,
      name: sharedPaceOf(name),
      ratePerSecond,
      burstMax: burstOf(ratePerSecond),
      nonce: this.#nonce,
      probeMs: timeoutMs + PROBE_MARGIN_MS,
    };
    this.#options.pace.ask(question).then(
      (answer) => this.#tell({ type: 'pace', destination: name, answer }),
      (thrown: unknown) => {
        if (kindOf(thrown) === 'transient')
          this.#tell({ type: 'pace', destination: name, answer: undefined });
        else this.#tell({ type: 'fail', error: thrown as CodedError });
      },
    );
  }

  #allow({ destination, answer }: Extract<OwnMessage, { type: 'pace' }>): void {
    const nowMs = this.#context.clock.monotonicMs();
    const lane = this.#lanes.get(destination);
    if (answer === undefined) lane?.notAllowed(nowMs);
    else {
      lane?.allow(answer, nowMs);
      this.#watch.noteShared(destination, answer);
    }
  }

  #send(item: Item, destination: Destination): void {
    const sending = this.#options.deliver(item.stored, destination, item.storedAtMs).then((outcome) => {
      this.#sending.delete(sending);
      if (this.#isEnding || this.#isSuspended) {
        this.#settle(item, outcome);
        return;
      }
      this.#outcomes.set(item, outcome);
      // Those that come in one turn of the event loop are settled together.
      if (this.#outcomes.size === 1) setImmediate(() => this.#tellOutcomes());
    });
    this.#sending.add(sending);
  }

  #tellOutcomes(): void {
    if (this.#outcomes.size > 0) this.#tell({ type: 'outcomes' });
  }

  /** What cannot be read can never be delivered: it goes where a person looks, and holds nobody up. */
  #endUnreadable(payload: Buffer, origin: Origin, id: string): void {
    this.#options.count('refused', 'template');
    this.#watch.noteDead(origin.destination, 'template', 'the stored alert cannot be read');
    this.#settlements.add(origin.partition, {
      ...this.#intake.taking(origin, id),
      plan: deadPlan(payload, this.#options.bounds),
    });
  }

  #endUnsent(unsent: Unsent<Item>): void {
    const { item, reason } = unsent;
    const { alert, destination, partition } = item;
    this.#options.onUnsent(item, reason);
    const { done, ...taking } = this.#intake.taking(item, laneId(item.stored), item);
    this.#settlements.add(partition, {
      ...taking,
      done: (isCommitted) => {
        if (reason === 'superseded') this.#lanes.get(destination)?.ended(item);
        done(isCommitted);
        this.#tell({ type: 'ended' });
      },
      plan: unsentPlan(alert, reason),
    });
  }

  /** A message that is on its way for them finds none, or later ones. */
  #settleOutcomes(): void {
    for (const [item, outcome] of this.#outcomes) {
      this.#outcomes.delete(item);
      this.#settle(item, outcome);
    }
  }

  #settle(item: Item, outcome: DeliveryOutcome): void {
    const lane = this.#lanes.get(item.destination);
    if (lane === undefined) return;
    const action = lane.settle(item, outcome, this.#context.clock.monotonicMs());
    this.#watch.note(item.destination, outcome, lane);
    this.#options.count(COUNT[outcome.kind], 'reason' in outcome ? outcome.reason : undefined);
    if (outcome.kind === 'delivered') this.#options.onDelivered(item, outcome.status);
    if (action.kind === 'kept') {
      if (this.#intake.isCurrent(item.generation)) this.#remember(item, outcome);
      else this.#intake.readAgain(item.destination);
      return;
    }
    this.#remember(item, outcome);
    if (action.kind === 'dead' && action.outcome.kind === 'retry')
      this.#watch.noteDead(item.destination, action.outcome.reason, lastFailure(action.outcome).last_error);
    if (action.kind === 'delay') this.#intake.block(lane, item);
    this.#commit(action);
  }

  #commit(action: Exclude<LaneAction<Item>, { kind: 'kept' }>): void {
    const { item, kind } = action;
    const id = laneId(item.stored);
    const { done, ...taking } = this.#intake.taking(item, id, item, kind === 'delay');
    this.#settlements.add(item.partition, {
      ...taking,
      mayWait: kind === 'delivered',
      done: (isCommitted) => {
        if (!isCommitted && kind === 'delivered') this.#intake.noteDelivered(id);
        if (kind === 'dead') this.#lanes.get(item.destination)?.ended(item);
        done(isCommitted);
        if (kind === 'dead') this.#tell({ type: 'ended' });
      },
      // All that is set aside would wait for room that only comes when some of it is sent.
      ...(action.kind === 'delay'
        ? { giveBack: () => this.#intake.giveBack(this.#lanes.get(item.destination), item, action.delayMs) }
        : {}),
      plan: planOf(action, this.#options.bounds),
    });
  }

  #remember(item: Item, outcome: DeliveryOutcome): void {
    rememberFailure(item, outcome, this.#context.clock.wallMs());
  }
}
