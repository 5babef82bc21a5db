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
import type { ActorContext, ActorFactory } from '../../runtime/actor.ts';
import { sleep } from '../../runtime/clock.ts';
import { kindOf } from '../../runtime/errors.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import type { Entry, LanePosition } from '../../runtime/durable/durable-store.ts';
import type { DeliveryOutcome, Destination } from '../ports.ts';
import type { ForwardOptions } from './forward-options.ts';
import { HeldAlerts } from './held-alerts.ts';
import type { Reading } from './held-alerts.ts';
import { LaneWatch } from './lane-watch.ts';
import { Lane } from './lane.ts';
import type { LaneAction, LaneItem, LaneOptions } from './lane.ts';
import {
  DEAD_LANE,
  alertLane,
  decodeStoredAlert,
  destinationOf,
  encodeStoredAlert,
  retrySet,
} from './messages.ts';
import type { StoredAlert } from './messages.ts';
import { Settlements } from './settlements.ts';
import type { Settlement } from './settlements.ts';

export type ForwardMessage =
  /** All there are: to one that is left out nothing is sent any more, its alerts stay in their mailboxes. */
  | { type: 'destinations'; destinations: readonly Destination[] }
  | { type: 'pump' }
  | { type: 'look for due' }
  /** Of an earlier incarnation it is void: the mailbox outlives restarts. */
  | ({ epoch: number } & OwnMessage);
type OwnMessage =
  | { type: 'read'; entries: Entry[]; from: ReadonlySet<LanePosition>; generation: number }
  | { type: 'due'; partition: number; destination: string; payloads: Buffer[]; generation: number }
  /** All that was found due has been told. */
  | { type: 'looked' }
  | { type: 'outcome'; item: Item; outcome: DeliveryOutcome }
  | { type: 'fail'; error: CodedError };

/** Where an alert was found, and how it is taken out of there. */
interface Origin {
  partition: number;
  destination: string;
  generation: number;
  source: Pick<Settlement, 'inputs' | 'removeDelayed'>;
}
interface Item extends LaneItem, Origin {
  stored: StoredAlert;
}

const COUNT = {
  delivered: 'delivered',
  refused: 'refused',
  retry: 'retried',
  unauthorized: 'paused',
} as const;
const WINDOW_MAX = 256;
const READ_ENTRIES_MAX = 64;
const READ_BYTES_MAX = 1024 * 1024;
const READ_BLOCK_MS = 1_000;
const READ_RETRY_MS = 200;
const DUE_EVERY_MS = 500;
const DUE_MAX = 32;
/** A window as empty as this is filled again at once, whatever the present reading waits for. */
const WINDOW_LOW = WINDOW_MAX / 2;
/** So long a stop waits for answers: what has none by then is sent again by the next owner. */
const END_WAIT_MS = 6_000;

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
  /**
   * `<partition> <lane>` to the last id read. A lane that is read from its start again has a new object: what a reading
   * from the old one finds is void, or the entries between would be passed over.
   */
  readonly #positions = new Map<string, LanePosition>();
  readonly #held = new HeldAlerts();
  readonly #sending = new Set<Promise<void>>();
  /** Outcomes on their way through the mailbox. */
  readonly #outcomes = new Map<Item, DeliveryOutcome>();
  /** Destinations that the present reading leaves out, their windows being full. */
  #leftOut: ReadonlySet<string> = new Set();
  #reading: AbortController | undefined;
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
  }

  #tell(message: OwnMessage): void {
    this.#context.self.tell({ ...message, epoch: this.#context.epoch });
  }

  begin(): void {
    this.#setDestinations(this.#options.destinations);
    this.#context.startTimer('due', { type: 'look for due' }, { delayMs: 0, everyMs: DUE_EVERY_MS });
    this.#context.signal.addEventListener('abort', () => this.#reading?.abort());
    void this.#readLoop();
  }

  /**
   * What was delivered is still written down. A clean end waits a little for what is on its way; what has no answer by
   * then is repeated by the next incarnation.
   */
  async end(isClean: boolean): Promise<void> {
    this.#isEnding = true;
    this.#reading?.abort();
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
        this.#handedOver?.resolve();
        break;
      case 'due':
        for (const payload of message.payloads) this.#takeDue(message, payload);
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
        break;
    }
    this.#pump();
  }

  #setDestinations(destinations: readonly Destination[]): void {
    const gone = new Set(this.#destinations.keys());
    for (const given of destinations) {
      gone.delete(given.name);
      const { name, concurrency } = given;
      const isKnown = this.#destinations.has(name);
      const timeoutMs = Math.min(given.timeoutMs, this.#options.timeoutMsMax);
      this.#destinations.set(name, { ...given, timeoutMs });
      this.#keepPace(name, { concurrency, ratePerSecond: given.ratePerSecond / this.#options.sharers() });
      if (isKnown) continue;
      for (const partition of this.#options.tokens.keys()) {
        const lane = alertLane(name);
        this.#positions.set(`${partition} ${lane}`, { partition, lane, afterId: START });
      }
    }
    for (const name of gone) {
      this.#readAgain(name);
      this.#destinations.delete(name);
      for (const partition of this.#options.tokens.keys())
        this.#positions.delete(`${partition} ${alertLane(name)}`);
    }
    // Waiting for lanes as they were would leave the new ones unread meanwhile.
    this.#reading?.abort();
  }

  #keepPace(destination: string, pace: Pick<LaneOptions, 'concurrency' | 'ratePerSecond'>): void {
    const nowMs = this.#context.clock.monotonicMs();
    const lane = this.#lanes.get(destination);
    if (lane !== undefined) {
      lane.changePace(pace, nowMs);
      return;
    }
    const { retryBackoffMs: backoffMs, breakerMs } = this.#options;
    this.#lanes.set(destination, new Lane({ ...pace, backoffMs, breakerMs }, nowMs));
  }

  /** Drops what waits for a destination here: it is read again from the start of its lanes. */
  #readAgain(destination: string): void {
    const dropped = this.#lanes.get(destination)?.clear() ?? [];
    for (const item of dropped) this.#held.release(destination, item.alert.id);
    for (const [key, { partition, lane }] of this.#positions) {
      if (lane === alertLane(destination)) this.#positions.set(key, { partition, lane, afterId: START });
    }
    this.#reading?.abort();
  }

  async #readLoop(): Promise<void> {
    const { signal, clock } = this.#context;
    const { store } = this.#options;
    while (!signal.aborted && !this.#isEnding) {
      this.#held.begin('lanes');
      const reading = new AbortController();
      this.#reading = reading;
      this.#leftOut = new Set([...this.#destinations.keys()].filter((name) => !this.#hasRoom(name)));
      const from = [...this.#positions.values()].filter(
        ({ lane }) => !this.#leftOut.has(destinationOf(lane)),
      );
      try {
        const { generation } = store;
        const bounds = { entriesMax: READ_ENTRIES_MAX, bytesMax: READ_BYTES_MAX, blockMs: READ_BLOCK_MS };
        const entries =
          from.length === 0 ? [] : await store.read(from, { ...bounds, signal: reading.signal });
        if (entries.length > 0) await this.#handOver(entries, new Set(from), generation);
        else if (from.length === 0) await sleep(clock, READ_BLOCK_MS, reading.signal);
      } catch (thrown) {
        if (kindOf(thrown) !== 'transient') {
          this.#tell({ type: 'fail', error: thrown as CodedError });
          return;
        }
        await sleep(clock, READ_RETRY_MS, signal);
      }
    }
  }

  /** The next reading must not start before these positions are known. */
  async #handOver(entries: Entry[], from: ReadonlySet<LanePosition>, generation: number): Promise<void> {
    this.#handedOver = Promise.withResolvers<void>();
    this.#tell({ type: 'read', entries, from, generation });
    await this.#handedOver.promise;
  }
  #handedOver: PromiseWithResolvers<void> | undefined;

  #hasRoom(destination: string): boolean {
    return this.#held.sizeOf(destination) < WINDOW_MAX;
  }

  #takeEntries({ entries, from, generation }: Extract<OwnMessage, { type: 'read' }>): void {
    if (generation !== this.#generation) {
      // The store was away and may have come back older: everything not yet sent is read again.
      this.#generation = generation;
      for (const destination of this.#destinations.keys()) this.#readAgain(destination);
      return;
    }
    for (const { partition, lane, id, payload } of entries) {
      const position = this.#positions.get(`${partition} ${lane}`);
      const destination = destinationOf(lane);
      if (position === undefined || !from.has(position) || !this.#hasRoom(destination)) continue;
      position.afterId = id;
      const source = { inputs: [{ lane, id, bytes: payload.length }] };
      this.#offer(payload, { partition, destination, generation, source }, 'lanes');
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
    if (!this.#held.take(origin.destination, alert.id, reading)) return;
    this.#lanes.get(origin.destination)?.offer({ ...origin, alert, attempts, stored });
  }

  /** What cannot be read can never be delivered: it goes where a person looks, and holds nobody up. */
  #setAside(payload: Buffer, origin: Origin, reading: Reading): void {
    const id = `${origin.partition} ${origin.source.inputs?.[0]?.id ?? payload.toString('latin1')}`;
    if (!this.#held.take(origin.destination, id, reading)) return;
    this.#options.count('refused', 'template');
    this.#watch.noteDead(origin.destination, 'template', 'the stored alert cannot be read');
    this.#settlements.add(origin.partition, {
      ...this.#taking(origin, id),
      plan: {
        counters: { alerts_dead: 1 },
        outputs: [{ lane: DEAD_LANE, payload, bounds: this.#options.bounds.dead }],
      },
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
      if (this.#options.leaseLeftMs() <= destination.timeoutMs) {
        // A delivery that outlives the lease could be one that the next owner makes too.
        if (lane.size > 0) waitMs = Math.min(waitMs ?? Infinity, READ_RETRY_MS);
        continue;
      }
      for (let item = lane.next(nowMs); item !== undefined; item = lane.next(nowMs))
        this.#send(item, destination);
      const laneWaitMs = lane.waitMs(nowMs);
      if (laneWaitMs !== undefined) waitMs = Math.min(waitMs ?? Infinity, laneWaitMs);
    }
    if (waitMs !== undefined) this.#context.startTimer('pump', { type: 'pump' }, { delayMs: waitMs });
  }

  #send(item: Item, destination: Destination): void {
    const sending = this.#options.deliver(item.stored, destination).then((outcome) => {
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
    this.#options.count(COUNT[outcome.kind], outcome.kind === 'delivered' ? undefined : outcome.reason);
    if (action.kind === 'kept') {
      if (item.generation === this.#generation) this.#remember(item, outcome);
      else this.#readAgain(item.destination);
      return;
    }
    this.#settlements.add(item.partition, this.#settlementOf(action, outcome));
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
        const isRefillDue = this.#leftOut.has(destination) && this.#held.sizeOf(destination) <= WINDOW_LOW;
        if (isRefillDue) this.#reading?.abort();
      },
    };
  }

  #settlementOf(action: Exclude<LaneAction<Item>, { kind: 'kept' }>, outcome: DeliveryOutcome): Settlement {
    const { item } = action;
    const { bounds } = this.#options;
    const base = this.#taking(item, item.alert.id);
    switch (action.kind) {
      case 'delivered':
        return {
          ...base,
          plan: {
            counters: { alerts_delivered: 1 },
            settleGroups: item.alert.event_ids.map((id) => ({ id, counter: 'forwarded' })),
          },
        };
      case 'dead':
        this.#remember(item, outcome);
        return {
          ...base,
          plan: {
            counters: { alerts_dead: 1 },
            outputs: [{ lane: DEAD_LANE, payload: encodeStoredAlert(item.stored), bounds: bounds.dead }],
          },
        };
      case 'delay':
        this.#remember(item, outcome);
        return {
          ...base,
          plan: {
            delayed: [
              {
                set: retrySet(item.destination),
                payload: encodeStoredAlert(item.stored),
                delayMs: Math.round(action.delayMs),
                bounds: bounds.retry,
              },
            ],
          },
        };
    }
  }

  #remember(item: Item, outcome: DeliveryOutcome): void {
    if (outcome.kind === 'delivered') return;
    const nowMs = this.#context.clock.wallMs();
    Object.assign(item.stored, {
      attempts: item.attempts,
      firstFailedAtMs: item.stored.firstFailedAtMs ?? nowMs,
      lastFailedAtMs: nowMs,
      reason: outcome.reason,
      error: outcome.error,
    } satisfies Partial<StoredAlert>);
  }
}
