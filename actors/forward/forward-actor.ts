/**
 * The forward actor: takes alerts from the lanes of its partitions, delivers them, and commits what came of it.
 *
 * Every step is a message to itself, so its state changes in one place at a time. Delivering is at least once (a POST
 * whose answer is lost is repeated with the same alert id); leaving the mailbox is exactly once (settlements.ts).
 *
 * Invariants: at most `WINDOW_MAX` alerts of a destination are held here, those that wait to be settled included; no
 * delivery starts with less lease left than it may take; a destination that is down holds back its own lane and no
 * other.
 */
import { randomUUID } from 'node:crypto';
import type { ActorContext, ActorFactory } from '../../runtime/actor.ts';
import { sleep } from '../../runtime/clock.ts';
import { kindOf } from '../../runtime/errors.ts';
import type { CodedError } from '../../runtime/errors.ts';
import type { PaceAnswer } from '../../runtime/durable/pace.ts';
import { holdAt } from '../ports.ts';
import type { DeliveryOutcome, Destination } from '../ports.ts';
import type { ForwardOptions } from './forward-options.ts';
import { HeldAlerts } from './held-alerts.ts';
import type { Reading } from './held-alerts.ts';
import { LaneWatch } from './lane-watch.ts';
import { LaneReading, READ_RETRY_MS } from './lane-reading.ts';
import type { ReadEntries } from './lane-reading.ts';
import { Lane } from './lane.ts';
import type { LaneAction, LaneItem, Unsent } from './lane.ts';
import { decodeStoredAlert, destinationOf, laneId, retrySet, sharedPaceOf } from './messages.ts';
import type { StoredAlert } from './messages.ts';
import { deadPlan, planOf, rememberFailure, unsentPlan } from './outcome-plan.ts';
import { Settlements } from './settlements.ts';
import type { Settlement } from './settlements.ts';
import { burstOf } from './token-purse.ts';

export type ForwardMessage =
  /** All there are: to one that is left out nothing is sent any more, its alerts stay in their mailboxes. */
  | { type: 'destinations'; destinations: readonly Destination[] }
  | { type: 'pump' }
  | { type: 'look for due' }
  /** Of an earlier incarnation it is void: the mailbox outlives restarts. */
  | ({ epoch: number } & OwnMessage);
type OwnMessage =
  | ({ type: 'read' } & ReadEntries)
  /** What the shared pace allows; undefined when it could not be asked. */
  | { type: 'pace'; destination: string; answer: PaceAnswer | undefined }
  | { type: 'due'; partition: number; destination: string; payloads: Buffer[]; generation: number }
  /** All that was found due has been told. */
  | { type: 'looked' }
  | { type: 'outcome'; item: Item; outcome: DeliveryOutcome }
  /** The end of an unsent alert is committed: a later one of its signature may go. */
  | { type: 'ended' }
  | { type: 'fail'; error: CodedError };

/** Where an alert was found, and how it is taken out of there. */
interface Origin {
  partition: number;
  destination: string;
  generation: number;
  source: Pick<Settlement, 'inputs' | 'removeDelayed'>;
  storedAtMs?: number;
}
type Item = LaneItem & Origin & { stored: StoredAlert };

const COUNT = {
  delivered: 'delivered',
  superseded: 'superseded',
  refused: 'refused',
  retry: 'retried',
  unauthorized: 'paused',
} as const;
const WINDOW_MAX = 256;
/** While nothing is sent, since the latest of a signature may be far behind: it takes the place of the earlier ones. */
const BACKLOG_WINDOW_MAX = 2_048;
const DUE_EVERY_MS = 500;
const DUE_MAX = 32;
/** A window as empty as this is filled again at once, whatever the present reading waits for. */
const WINDOW_LOW = WINDOW_MAX / 2;
/** How often a hold is looked at: the clock may be set. */
const HOLD_LOOK_MS = 60_000;
/** So long a stop waits for answers: what has none by then is sent again by the next owner. */
const END_WAIT_MS = 6_000;
/** So much longer than its time-out a probe's lease lasts. */
const PROBE_MARGIN_MS = 2_000;

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
  readonly #held = new HeldAlerts();
  readonly #sending = new Set<Promise<void>>();
  /** Outcomes on their way through the mailbox. */
  readonly #outcomes = new Map<Item, DeliveryOutcome>();
  readonly #reading: LaneReading;
  /** Of this incarnation, to those who share the pace. */
  readonly #nonce = randomUUID();
  #isLooking = false;
  #isEnding = false;
  #isSuspended = false;
  #generation: number;

  constructor(context: ActorContext<ForwardMessage>, options: ForwardOptions) {
    this.#context = context;
    this.#options = options;
    this.#generation = options.store.generation;
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
    this.#reading = new LaneReading({
      store: options.store,
      clock: context.clock,
      signal: context.signal,
      partitions: () => options.tokens.keys(),
      hasRoom: (destination) => this.#hasRoom(destination),
      onBegin: () => this.#held.begin('lanes'),
      onEntries: (found) => this.#tell({ type: 'read', ...found }),
      onFatal: (error) => this.#tell({ type: 'fail', error }),
    });
  }

  #tell(message: OwnMessage): void {
    this.#context.self.tell({ ...message, epoch: this.#context.epoch });
  }

  begin(): void {
    this.#setDestinations(this.#options.destinations);
    this.#context.startTimer('due', { type: 'look for due' }, { delayMs: 0, everyMs: DUE_EVERY_MS });
    void this.#reading.run();
  }

  /**
   * What was delivered is still written down. A clean end waits a little for what is on its way; what has no answer by
   * then is repeated by the next incarnation.
   */
  async end(isClean: boolean): Promise<void> {
    this.#isEnding = true;
    this.#reading.stop();
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
    const held = Object.fromEntries(names.map((name) => [name, this.#held.sizeOf(name)]));
    return { held, sending: this.#sending.size };
  }

  handle(message: ForwardMessage): void {
    if ('epoch' in message && message.epoch !== this.#context.epoch) return;
    switch (message.type) {
      case 'destinations':
        this.#setDestinations(message.destinations);
        break;
      case 'read':
        this.#takeEntries(message);
        this.#reading.taken();
        break;
      case 'due':
        for (const payload of message.payloads) this.#takeDue(message, payload);
        break;
      case 'pace':
        this.#allow(message);
        break;
      case 'looked':
        this.#isLooking = false;
        return;
      case 'outcome':
        if (this.#outcomes.delete(message.item)) this.#settle(message.item, message.outcome);
        break;
      case 'look for due':
        this.#watch.look(this.#destinations);
        void this.#lookForDue();
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
      if (!isKnown) this.#reading.add(name);
    }
    for (const name of gone) {
      this.#readAgain(name);
      this.#destinations.delete(name);
      this.#reading.remove(name);
    }
    // Waiting for lanes as they were would leave the new ones unread meanwhile.
    this.#reading.restart();
  }

  #keepPace({ name, concurrency, ratePerSecond, staleAfterMs = null, collapse = true }: Destination): void {
    const pace = { concurrency, ratePerSecond, staleAfterMs, collapse };
    const lane = this.#lanes.get(name);
    if (lane !== undefined) {
      lane.changePace(pace);
      return;
    }
    const { retryBackoffMs: backoffMs, breakerMs } = this.#options;
    const wallMs = (): number => this.#context.clock.wallMs();
    this.#lanes.set(name, new Lane({ ...pace, wallMs, backoffMs, breakerMs }));
  }

  /** Drops what waits for a destination here: it is read again from the start of its lanes. */
  #readAgain(destination: string): void {
    const dropped = this.#lanes.get(destination)?.clear() ?? [];
    for (const { stored } of dropped) this.#held.release(destination, laneId(stored));
    this.#reading.readAgain(destination);
  }

  #hasRoom(destination: string): boolean {
    const lane = this.#lanes.get(destination);
    const isBacklog = lane?.isHeldUp(this.#context.clock.monotonicMs()) ?? false;
    return this.#held.sizeOf(destination) < (isBacklog ? BACKLOG_WINDOW_MAX : WINDOW_MAX);
  }

  #takeEntries({ entries, from, generation }: ReadEntries): void {
    if (generation !== this.#generation) {
      // The store was away and may have come back older: everything not yet sent is read again.
      this.#generation = generation;
      for (const destination of this.#destinations.keys()) this.#readAgain(destination);
      return;
    }
    for (const entry of entries) {
      if (!this.#reading.take(entry, from)) continue;
      const { partition, lane, id, payload, storedAtMs } = entry;
      const destination = destinationOf(lane);
      const source = { inputs: [{ lane, id, bytes: payload.length }] };
      this.#offer(payload, { partition, destination, generation, source, storedAtMs }, 'lanes');
    }
  }

  #takeDue(message: Extract<OwnMessage, { type: 'due' }>, payload: Buffer): void {
    const { partition, destination, generation } = message;
    if (!this.#hasRoom(destination) || !this.#destinations.has(destination)) return;
    const source = { removeDelayed: [{ set: retrySet(destination), payload }] };
    this.#offer(payload, { partition, destination, generation, source }, 'due');
  }

  #offer(payload: Buffer, origin: Origin, reading: Reading): void {
    let stored: StoredAlert;
    try {
      stored = decodeStoredAlert(payload);
    } catch {
      this.#setAside(payload, origin, reading);
      return;
    }
    const { alert, attempts } = stored;
    const id = laneId(stored);
    if (!this.#held.take(origin.destination, id, reading)) return;
    const item = { ...origin, alert, attempts, stored, isReplay: stored.replays !== undefined };
    if (this.#held.wasDelivered(id)) this.#commit({ kind: 'delivered', item });
    else this.#lanes.get(origin.destination)?.offer(item, this.#context.clock.monotonicMs());
  }

  /** What cannot be read can never be delivered: it goes where a person looks, and holds nobody up. */
  #setAside(payload: Buffer, origin: Origin, reading: Reading): void {
    const id = `${origin.partition} ${origin.source.inputs?.[0]?.id ?? payload.toString('latin1')}`;
    if (!this.#held.take(origin.destination, id, reading)) return;
    this.#options.count('refused', 'template');
    this.#watch.noteDead(origin.destination, 'template', 'the stored alert cannot be read');
    this.#settlements.add(origin.partition, {
      ...this.#taking(origin, id),
      plan: deadPlan(payload, this.#options.bounds),
    });
  }

  async #lookForDue(): Promise<void> {
    // One look at a time, until its results are taken: those of two could not be told apart.
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#held.begin('due');
    const { store, tokens } = this.#options;
    const { generation } = store;
    try {
      for (const destination of this.#destinations.keys()) {
        if (!this.#hasRoom(destination)) continue;
        for (const partition of tokens.keys()) {
          const { members } = await store.takeDue(partition, retrySet(destination), DUE_MAX);
          if (members.length === 0) continue;
          const payloads = members.map(({ payload }) => payload);
          this.#tell({ type: 'due', partition, destination, payloads, generation });
        }
      }
    } catch (thrown) {
      // While the store is away there is nothing to do: the next look finds them.
      if (kindOf(thrown) !== 'transient') this.#tell({ type: 'fail', error: thrown as CodedError });
    }
    this.#tell({ type: 'looked' });
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
      if (hold?.kind === 'mute') lane.mute();
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
      this.#tell({ type: 'outcome', item, outcome });
    });
    this.#sending.add(sending);
  }

  #endUnsent(unsent: Unsent<Item>): void {
    const { item, reason } = unsent;
    const { alert, destination, partition } = item;
    this.#options.onUnsent(item, reason);
    const { done, ...taking } = this.#taking(item, laneId(item.stored));
    this.#settlements.add(partition, {
      ...taking,
      done: (isCommitted) => {
        this.#lanes.get(destination)?.ended(unsent);
        done(isCommitted);
        this.#tell({ type: 'ended' });
      },
      plan: unsentPlan(alert, reason),
    });
  }

  /** Those on their way through the mailbox, which are void then. */
  #settleOutcomes(): void {
    for (const [item, outcome] of this.#outcomes) this.#settle(item, outcome);
    this.#outcomes.clear();
  }

  #settle(item: Item, outcome: DeliveryOutcome): void {
    const lane = this.#lanes.get(item.destination);
    if (lane === undefined) return;
    const action = lane.settle(item, outcome, this.#context.clock.monotonicMs());
    this.#watch.note(item.destination, outcome, lane);
    this.#options.count(COUNT[outcome.kind], 'reason' in outcome ? outcome.reason : undefined);
    if (outcome.kind === 'delivered') this.#options.onDelivered(item, outcome.status);
    if (action.kind === 'kept') {
      if (item.generation === this.#generation) this.#remember(item, outcome);
      else this.#readAgain(item.destination);
      return;
    }
    this.#remember(item, outcome);
    this.#commit(action);
  }

  #commit(action: Exclude<LaneAction<Item>, { kind: 'kept' }>): void {
    const { item, kind } = action;
    const id = laneId(item.stored);
    const { done, ...taking } = this.#taking(item, id);
    this.#settlements.add(item.partition, {
      ...taking,
      done: (isCommitted) => {
        if (!isCommitted && kind === 'delivered') this.#held.noteDelivered(id);
        done(isCommitted);
      },
      plan: planOf(action, this.#options.bounds),
    });
  }

  /** The part of a settlement that takes the alert out of where it was found. */
  #taking({ source, generation, destination }: Origin, id: string): Omit<Settlement, 'plan'> {
    return {
      ...source,
      generation,
      done: (isCommitted) => {
        if (isCommitted) {
          this.#held.leave(destination, id);
        } else {
          this.#held.release(destination, id);
          this.#readAgain(destination);
        }
        const isRefillDue =
          this.#reading.isLeftOut(destination) && this.#held.sizeOf(destination) <= WINDOW_LOW;
        if (isRefillDue) this.#reading.restart();
      },
    };
  }

  #remember(item: Item, outcome: DeliveryOutcome): void {
    rememberFailure(item, outcome, this.#context.clock.wallMs());
  }
}
