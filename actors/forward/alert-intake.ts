/**
 * Which alerts a forward actor has in hand: reads the lanes and retry sets of its partitions, offers what is found to the
 * lanes of their destinations, and knows by their places those that have to wait for an earlier one of their signature.
 *
 * Invariants: at most `WINDOW_MAX` alerts of a destination are held here, those that wait to be settled included (more
 * only while nothing is sent); none is held twice; nothing is read of a destination's lanes before it is known what of it
 * is set aside. After the store was away everything that is not on its way is read again.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { DurableStore, Entry, Token } from '../../runtime/durable/durable-store.ts';
import { cumulativeOf } from '../../runtime/durable/store-names.ts';
import { kindOf } from '../../runtime/errors.ts';
import type { CodedError } from '../../runtime/errors.ts';
import { holdAt } from '../ports.ts';
import type { Destination } from '../ports.ts';
import type { Item, Origin, OwnMessage } from './forward-messages.ts';
import { HeldAlerts } from './held-alerts.ts';
import type { Reading } from './held-alerts.ts';
import { LaneReading, READ_RETRY_MS } from './lane-reading.ts';
import type { ReadEntries } from './lane-reading.ts';
import type { Lane } from './lane.ts';
import {
  alertLane,
  decodeStoredAlert,
  destinationOf,
  encodeStoredAlert,
  laneId,
  retrySet,
} from './messages.ts';
import type { StoredAlert } from './messages.ts';
import { SetAsideReading } from './set-aside-reading.ts';
import type { Settlement } from './settlements.ts';
import { IN_HAND_MAX, SignatureQueues, isBlocked } from './signature-queues.ts';
import type { SignatureQueue } from './signature-queues.ts';

const WINDOW_MAX = 256;
/** While nothing is sent, since the latest of a signature may be far behind: it takes the place of the earlier ones. */
const BACKLOG_WINDOW_MAX = 2_048;
/**
 * A window is filled when so few of it are still to be sent, and then at once, whatever the present reading waits for: to
 * fill it one by one would read most entries in vain. Where more may be sent at once it is filled earlier.
 */
const WINDOW_LOW = WINDOW_MAX / 2;
const WINDOW_LOW_MAX = (WINDOW_MAX * 3) / 4;
/** Of followers that are taken up at once. */
const FOLLOWERS_BYTES_MAX = 1024 * 1024;

export interface AlertIntakeOptions {
  store: DurableStore;
  clock: Clock;
  signal: AbortSignal;
  tokens: ReadonlyMap<number, Token>;
  destinations: ReadonlyMap<string, Destination>;
  lanes: ReadonlyMap<string, Lane<Item>>;
  tell: (message: OwnMessage) => void;
  /** It was delivered before, and is found again: its commit was void. */
  onDelivered: (item: Item) => void;
  /** It is no alert that can be read; named by `id`. */
  onUnreadable: (payload: Buffer, origin: Origin, id: string) => void;
}

type Message<Type extends OwnMessage['type']> = Extract<OwnMessage, { type: Type }>;

export class AlertIntake {
  readonly #options: AlertIntakeOptions;
  readonly #held = new HeldAlerts();
  readonly #queues = new SignatureQueues<Item>();
  readonly #reading: LaneReading;
  readonly #setAside: SetAsideReading;
  #isTakingUp = false;
  #generation: number;

  constructor(options: AlertIntakeOptions) {
    const { store, clock, signal, tokens, tell } = options;
    this.#options = options;
    this.#generation = store.generation;
    const partitions = (): Iterable<number> => tokens.keys();
    const onFatal = (error: CodedError): void => tell({ type: 'fail', error });
    this.#reading = new LaneReading({
      store,
      clock,
      signal,
      partitions,
      hasRoom: (destination) => this.#mayRead(destination),
      wanted: (destination) => this.#wanted(destination),
      onBegin: () => this.#held.begin('lanes'),
      onEntries: (found) => tell({ type: 'read', ...found }),
      onFatal,
    });
    this.#setAside = new SetAsideReading({
      store,
      partitions,
      onBegin: () => this.#held.begin('due'),
      onDue: (due) => tell({ type: 'due', ...due }),
      onLooked: () => tell({ type: 'looked' }),
      onListed: (destination, loads, found, generation) =>
        tell({ type: 'set aside', destination, loads, found, generation }),
      onFatal,
    });
  }

  /** Reads until it is stopped. */
  run(): void {
    void this.#reading.run();
  }

  stop(): void {
    this.#reading.stop();
  }

  /** Alerts of it that are in hand. */
  sizeOf(destination: string): number {
    return this.#held.sizeOf(destination);
  }

  /** Whether what was read under this generation of the store may still be there. */
  isCurrent(generation: number): boolean {
    return generation === this.#generation;
  }

  add(destination: string): void {
    this.#reading.add(destination);
    this.#queues.unload(destination);
    this.#listSetAside(destination);
  }

  remove(destination: string): void {
    this.readAgain(destination);
    this.#queues.unload(destination);
    this.#reading.remove(destination);
  }

  /** Waiting for lanes as they were would leave new ones unread meanwhile. */
  restart(): void {
    this.#reading.restart();
  }

  takeRead(found: ReadEntries): void {
    this.#takeEntries(found);
    this.#reading.taken();
  }

  takeDue(message: Message<'due'>): void {
    for (const payload of message.payloads) this.#takeDue(message, payload);
  }

  /** It was delivered, and its commit was void. */
  noteDelivered(id: string): void {
    this.#held.noteDelivered(id);
  }

  looked(): void {
    this.#held.end('due');
    this.#setAside.done();
  }

  /** Drops what waits for a destination here: it is read again from the start of its lanes. */
  readAgain(destination: string): void {
    const dropped = this.#options.lanes.get(destination)?.clear() ?? [];
    for (const item of dropped) this.#release(item);
    this.#queues.forgetFollowers(destination);
    this.#reading.readAgain(destination);
  }

  /** It stays where it was found. */
  #release(item: Item): void {
    this.#held.release(item.destination, laneId(item.stored));
    this.#queues.released(item, laneId(item.stored));
  }

  #hasRoom(destination: string): boolean {
    return this.#roomOf(destination) > 0;
  }

  #roomOf(destination: string): number {
    const lane = this.#options.lanes.get(destination);
    const isBacklog = lane?.isHeldUp(this.#options.clock.monotonicMs()) ?? false;
    return (isBacklog ? BACKLOG_WINDOW_MAX : WINDOW_MAX) - this.#held.sizeOf(destination);
  }

  /** How many are to be read now. */
  #wanted(destination: string): number {
    if (!this.#mayRead(destination)) return 0;
    const room = this.#roomOf(destination);
    if (room >= WINDOW_LOW) return room;
    const { concurrency = 0 } = this.#options.destinations.get(destination) ?? {};
    const low = Math.max(WINDOW_LOW, Math.min(concurrency, WINDOW_LOW_MAX));
    // Not by the room: what is sent may have to wait for its commit.
    return (this.#options.lanes.get(destination)?.size ?? 0) <= low ? room : 0;
  }

  /** Before it is known what is set aside, an alert could pass one that it has to wait for. */
  #mayRead(destination: string): boolean {
    return (
      this.#queues.isLoaded(destination) && !this.#queues.isCrowded(destination) && this.#hasRoom(destination)
    );
  }

  #isMuted(destination: string): boolean {
    const known = this.#options.destinations.get(destination);
    return known !== undefined && holdAt(known, this.#options.clock.wallMs())?.kind === 'mute';
  }

  /** The store was away and may have come back older: everything not yet sent is read again. */
  #keepGeneration(): boolean {
    const { generation } = this.#options.store;
    if (generation === this.#generation) return true;
    this.#generation = generation;
    for (const destination of this.#options.destinations.keys()) {
      this.readAgain(destination);
      this.#queues.unload(destination);
      this.#listSetAside(destination);
    }
    return false;
  }

  #takeEntries({ entries, from, generation }: ReadEntries): void {
    if (!this.#keepGeneration() || generation !== this.#generation) return;
    for (const entry of entries) {
      if (this.#reading.take(entry, from)) this.#offer(entry.payload, this.#originOf(entry), 'lanes');
    }
  }

  #originOf({ partition, lane, id, payload, storedAtMs }: Entry): Origin {
    const source = { inputs: [{ lane, id, bytes: payload.length }] };
    const generation = this.#generation;
    return { partition, destination: destinationOf(lane), generation, source, storedAtMs };
  }

  #takeDue(message: Message<'due'>, payload: Buffer): void {
    const { partition, destination, generation } = message;
    if (!this.#hasRoom(destination) || !this.#queues.isLoaded(destination)) return;
    const source = { removeDelayed: [{ set: retrySet(destination), payload }] };
    this.#offer(payload, { partition, destination, generation, source }, 'due');
  }

  /** Takes an alert in hand, or notes that it has to wait; a follower that is taken up has waited. */
  #offer(payload: Buffer, origin: Origin, reading: Reading, followed?: SignatureQueue<Item>): void {
    const { destination } = origin;
    let stored: StoredAlert;
    try {
      stored = decodeStoredAlert(payload);
    } catch {
      this.#takeUnreadable(payload, origin, reading);
      return;
    }
    const { alert, attempts, triedSinceMs } = stored;
    const tried = triedSinceMs === undefined ? {} : { triedSinceMs };
    const id = laneId(stored);
    if (!this.#held.isNew(destination, id, reading)) return;
    const item = { ...origin, ...tried, alert, attempts, stored, isReplay: stored.replays !== undefined };
    const wasDelivered = this.#held.wasDelivered(id);
    if (!wasDelivered && this.#hasToWait(item, reading)) return;
    this.#held.take(destination, id);
    this.#queues.took(item);
    if (wasDelivered) this.#options.onDelivered(item);
    else this.#offerToLane(item, followed?.hasWaited);
  }

  #offerToLane(item: Item, hasWaited?: boolean): void {
    this.#options.lanes.get(item.destination)?.offer(item, this.#options.clock.monotonicMs(), hasWaited);
  }

  /** Whether it stays where it was found for now, known by its place only. */
  #hasToWait(item: Item, reading: Reading): boolean {
    const { destination, isReplay } = item;
    const isMutedReplay = isReplay === true && this.#isMuted(destination);
    if (isMutedReplay && reading !== 'due') this.#queues.parkMuted(item);
    if (isMutedReplay) return true;
    if (reading !== 'lanes') return false;
    const isHeldUp =
      this.#options.lanes.get(destination)?.isHeldUp(this.#options.clock.monotonicMs()) === true;
    // Of a backlog that is held up the earlier ones end, so that they need not be counted.
    const isLimited = !isHeldUp || this.#options.destinations.get(destination)?.collapse === false;
    if (!this.#queues.mustWait(item, isLimited)) return false;
    this.#park(item);
    return true;
  }

  #park(item: Item): void {
    const { destination, isReplay } = item;
    const mayCollapse = isReplay !== true && this.#options.destinations.get(destination)?.collapse !== false;
    const earlier = this.#queues.park(item, mayCollapse);
    if (earlier === undefined) return;
    this.#held.take(destination, laneId(earlier.stored));
    this.#options.lanes.get(destination)?.supersede(earlier, item);
  }

  /** What cannot be read can never be delivered: it goes where a person looks, and holds nobody up. */
  #takeUnreadable(payload: Buffer, origin: Origin, reading: Reading): void {
    const { destination, partition, source } = origin;
    const id = `${partition} ${source.inputs?.[0]?.id ?? payload.toString('latin1')}`;
    if (!this.#held.isNew(destination, id, reading)) return;
    this.#held.take(destination, id);
    this.#options.onUnreadable(payload, origin, id);
  }

  /** To be called several times a second. */
  look(): void {
    this.#keepGeneration();
    const names = [...this.#options.destinations.keys()];
    for (const name of names) if (!this.#queues.isLoaded(name)) this.#listSetAside(name);
    void this.#setAside.look(names.filter((name) => this.#queues.isLoaded(name) && this.#hasRoom(name)));
  }

  #listSetAside(destination: string): void {
    void this.#setAside.list(destination, () => this.#queues.beginLoad(destination));
  }

  noteSetAside({ destination, loads, found, generation }: Message<'set aside'>): void {
    if (!this.#keepGeneration() || generation !== this.#generation) return;
    const known = found.flatMap(({ partition, payload }) => {
      try {
        const stored = decodeStoredAlert(payload);
        return [{ partition, signature: stored.alert.signature, id: laneId(stored) }];
      } catch {
        // Nothing waits for what cannot be read; it ends when it is due.
        return [];
      }
    });
    if (this.#queues.load(destination, loads, known)) this.#reading.restart();
  }

  /** Takes followers up that need not wait any more, those of one signature at a time. */
  takeUp(): void {
    if (this.#isTakingUp) return;
    const queue = this.#queues.nextReady((destination) => this.#hasRoom(destination));
    const [place] = queue?.places ?? [];
    if (queue === undefined || place === undefined) return;
    this.#isTakingUp = true;
    this.#held.begin('followers');
    const { destination, partition } = queue;
    const round = this.#queues.roundOf(destination);
    const bounds = { entriesMax: IN_HAND_MAX - queue.inHand, bytesMax: FOLLOWERS_BYTES_MAX, blockMs: 0 };
    this.#options.store
      .read([{ partition, lane: alertLane(destination), afterId: `${place}-0` }], bounds)
      .then((entries) => this.#options.tell({ type: 'followers', queue, round, entries }))
      .catch(async (thrown: unknown) => {
        if (kindOf(thrown) !== 'transient') this.#options.tell({ type: 'fail', error: thrown as CodedError });
        await sleep(this.#options.clock, READ_RETRY_MS, this.#options.signal);
        this.#options.tell({ type: 'followers', queue, round, entries: undefined });
      });
  }

  takeFollowers(message: Message<'followers'>): void {
    this.#isTakingUp = false;
    this.#offerFollowers(message);
    this.#held.end('followers');
  }

  #offerFollowers({ queue, round, entries }: Message<'followers'>): void {
    const { destination } = queue;
    if (!this.#keepGeneration() || round !== this.#queues.roundOf(destination)) return;
    if (entries?.length === 0) this.#queues.dropAll(queue);
    for (const entry of entries ?? []) {
      if (isBlocked(queue) || !this.#hasRoom(destination)) return;
      const { isNext, item } = this.#queues.takeUp(queue, cumulativeOf(entry.id));
      if (!isNext) continue;
      // It stands for those that it has superseded, too.
      const payload = item === undefined ? entry.payload : encodeStoredAlert(item.stored);
      this.#offer(payload, this.#originOf(entry), 'followers', queue);
    }
  }

  /** Of a muted destination: all ends that waits, but for replayed alerts, which wait apart. */
  mute(lane: Lane<Item>): void {
    for (const item of lane.mute()) {
      this.#release(item);
      if (item.source.inputs !== undefined) this.#queues.parkMuted(item);
    }
  }

  unmute(destination: string): void {
    this.#queues.unmute(destination);
  }

  /** It is set aside: those of its signature that are in hand wait for it, and those to come. */
  block(lane: Lane<Item>, item: Item): void {
    this.#queues.setAside(item, laneId(item.stored));
    for (const follower of lane.withdraw(item.alert.signature, item.partition)) {
      this.#release(follower);
      if (follower.source.inputs !== undefined) this.#park(follower);
    }
  }

  /** There is no room to set it aside: it goes on from where it was, before those that wait for it. */
  giveBack(lane: Lane<Item> | undefined, item: Item, delayMs: number): void {
    lane?.giveBack(item, delayMs, this.#options.clock.monotonicMs());
    this.#queues.notSetAside(item, laneId(item.stored));
    this.#options.tell({ type: 'ended' });
  }

  /** The part of a settlement that takes an alert out of where it was found; `item` is absent for an unreadable one. */
  taking(
    { source, generation, destination }: Origin,
    id: string,
    item?: Item,
    isSetAside = false,
  ): Omit<Settlement, 'plan'> {
    return {
      ...source,
      generation,
      done: (isCommitted) => {
        if (isCommitted) {
          this.#held.leave(destination, id);
          if (item !== undefined) this.#queues.left(item, id, isSetAside);
          // Nobody else may have anything to tell, and its followers wait.
          if (this.#queues.isAnyReady(destination)) this.#options.tell({ type: 'ended' });
        } else {
          this.#held.release(destination, id);
          if (item !== undefined) this.#queues.released(item, id);
          this.readAgain(destination);
          this.#queues.unload(destination);
        }
        if (this.#reading.isLeftOut(destination) && this.#wanted(destination) > 0) this.#reading.restart();
      },
    };
  }
}
