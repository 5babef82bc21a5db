/**
 * One producer thread's way into the durable mailbox: group commit without lingering. A round is cut whenever the
 * previous one has returned, one frame per (partition, lane), so the frames grow with the load by themselves.
 *
 * What a caller may conclude from `submit`:
 * - resolved: stored exactly once, whatever happens to this process afterwards;
 * - rejected with `details.stored: 'no'`: not stored, and it never will be;
 * - rejected with `details.stored: 'unknown'` (E_APPEND_UNKNOWN): it may be stored, or may be for a moment yet. It is
 *   never reported again. Sending the content once more may store it twice: at least once, as everywhere on the wire;
 *   but for messages with marks, which the store takes once as long as it knows them, whoever sends them.
 *
 * Invariant: a (writer id, partition, lane, sequence) names one frame for ever. A frame whose fate is unknown is sent
 * again as it was, or given up together with its writer id: a copy of it may still lie in a connection's buffer, and
 * would otherwise take the place of another frame.
 */
import type { Clock } from '../clock.ts';
import { sleep, systemClock } from '../clock.ts';
import { CodedError, kindOf, messageOf } from '../errors.ts';
import { Diversion } from './diversion.ts';
import type { DiversionOptions } from './diversion.ts';
import type { AppendRequest, AppendResult, Bounds, DurableStore, Mark, MarkWindow } from './durable-store.ts';
import { deliver, newWriterId, renew, take } from './flight.ts';
import type { Channel, Flight } from './flight.ts';
import { bytesHeld, marksOf, noteReused, withoutDuplicates } from './marking.ts';
import type { RangeMark } from './marking.ts';
import { storeAway } from './store-errors.ts';
import { WRITER_TTL_MS } from './store-names.ts';
import { fail } from './waiter.ts';
import type { Waiter } from './waiter.ts';
import { laneFull, tooLate, unknownFate, writerClosed, writerFull } from './writer-errors.ts';

export interface Place {
  partition: number;
  lane: string;
}

export interface Submission<Part> {
  count: number;
  part: Part;
}

/** A frame as the caller made it: its bytes, and anything of the caller's (its id) that the receipts carry back. */
export interface Frame<Tag> {
  payload: Buffer;
  tag: Tag;
}

/** Where a submission lies: from message `firstIndex` of the frame on, without what was stored before. */
export interface Receipt<Tag> {
  /** Undefined when all of it was stored before, who knows where. */
  tag: Tag | undefined;
  firstIndex: number;
  /** Messages the partition ever accepted, up to and with this frame at least. */
  accepted: number;
  /** Only with marks: how many of its messages were stored before. */
  duplicates?: number;
  /** Only with marks: those whose key came before with another content; their messages are stored all the same. */
  reused?: readonly Mark[];
}

export interface WriterOptions<Part, Tag> {
  store: DurableStore;
  bounds: (place: Place) => Bounds;
  /** Keeps one lane of each partition short; what is submitted to that lane may then be stored in two. */
  diversion?: DiversionOptions<Part>;
  /** Makes one frame of what has come meanwhile, in order. What it throws rejects these submissions, not stored. */
  cut: (submissions: readonly Submission<Part>[], place: Place) => Frame<Tag>;
  /** For submissions with marks: how long the store has to know them. Asked before each frame that has any. */
  markWindow?: () => MarkWindow;
  /** For submissions of which single messages are marked: the part without those that were stored before. */
  without?: (part: Part, gone: ReadonlySet<number>) => Part;
  /** The store came back older than what was acknowledged: must reconcile (witness.ts), then the append goes on. */
  onStoreOlder: (partition: number, knownAccepted: number, witnessed: number) => Promise<void>;
  /** Called before the receipts of a round resolve: the witness notes it. */
  onAccepted?: (partition: number, accepted: number) => void;
  /** The highest number an earlier incarnation was told for the partition. */
  witnessed?: (partition: number) => number;
  clock?: Clock;
  /** Submitted bytes that are not settled yet; beyond it submit rejects with E_WRITER_FULL. */
  inFlightBytesMax?: number;
  /** A function is asked before each frame. */
  frameMessagesMax?: number | (() => number);
  /** Sum of the parts' `byteLength` in one frame; a single larger part makes a frame of its own. */
  frameBytesMax?: number;
  /** A submission not settled within it is rejected. Must be well below half the writer's time to live. */
  deadlineMs?: number;
  writerTtlMs?: number;
}

export interface Writer<Part, Tag> {
  /**
   * Rejects with E_WRITER_FULL, E_WRITER_CLOSED, E_LANE_FULL, E_APPEND_LATE, E_APPEND_UNKNOWN, what `cut` threw, or
   * the store's own error; `details.stored` says whether it was stored.
   */
  submit(
    partition: number,
    lane: string,
    count: number,
    part: Part,
    marks?: readonly RangeMark[],
  ): Promise<Receipt<Tag>>;
  readonly inFlightBytes: number;
  /** Whether `close` has been called: from then on nothing is taken. */
  readonly isClosed: boolean;
  /** Whether `submit` would take so many bytes now, or refuse with E_WRITER_FULL or E_WRITER_CLOSED. */
  admits(bytes: number): boolean;
  /** Bytes that may be submitted before it is full. */
  readonly roomBytes: number;
  /** Resolves when some of what is in flight has been settled; at once when nothing is. */
  whenRoomier(): Promise<void>;
  /** Takes nothing more and waits until everything submitted is settled, at most for the deadline. */
  close(): Promise<void>;
}

export const IN_FLIGHT_BYTES_MAX = 64 * 1024 ** 2;
export const FRAME_MESSAGES_MAX = 1_000;
export const FRAME_BYTES_MAX = 1024 ** 2;
export const SUBMIT_DEADLINE_MS = 5_000;

const RETRY_MIN_MS = 5;
const RETRY_MAX_MS = 250;
/** How late a deadline may be noticed, as a share of it. */
const SWEEPS_PER_DEADLINE = 20;

export function createWriter<Part extends { byteLength: number }, Tag>(
  options: WriterOptions<Part, Tag>,
): Writer<Part, Tag> {
  const { store } = options;
  const clock = options.clock ?? systemClock;
  const inFlightBytesMax = options.inFlightBytesMax ?? IN_FLIGHT_BYTES_MAX;
  const { frameMessagesMax = FRAME_MESSAGES_MAX } = options;
  const messagesPerFrame = typeof frameMessagesMax === 'function' ? frameMessagesMax : () => frameMessagesMax;
  const frameBytesMax = options.frameBytesMax ?? FRAME_BYTES_MAX;
  const deadlineMs = options.deadlineMs ?? SUBMIT_DEADLINE_MS;
  const writerTtlMs = options.writerTtlMs ?? WRITER_TTL_MS;
  if (deadlineMs * 2 >= writerTtlMs) {
    throw new CodedError('E_WRITER_OPTIONS', 'deadlineMs must be below half of writerTtlMs', {
      mend: 'A store that forgets a writer before its frames are settled would store a resent one twice.',
    });
  }

  const diversion = options.diversion === undefined ? undefined : new Diversion<Part, Tag>(options.diversion);
  const channels = new Map<string, Channel<Part, Tag>>();
  /** The highest number this writer was told, by partition. */
  const told = new Map<number, number>();
  let inFlightBytes = 0;
  let roomier: PromiseWithResolvers<void> | undefined;
  let isClosed = false;
  let running: Promise<void> | undefined;
  let isSweeping = false;
  let failures = 0;

  function channelOf(place: Place): Channel<Part, Tag> {
    const key = `${place.partition} ${place.lane}`;
    let channel = channels.get(key);
    if (channel === undefined) {
      channel = {
        place,
        writerId: newWriterId(),
        sequence: 0,
        usedAtMs: clock.monotonicMs(),
        queue: [],
        flight: undefined,
      };
      channels.set(key, channel);
    }
    return channel;
  }

  function release(bytes: number): void {
    inFlightBytes -= bytes;
    roomier?.resolve();
    roomier = undefined;
  }

  const admits = (bytes: number): boolean =>
    !isClosed && (inFlightBytes === 0 || inFlightBytes + bytes <= inFlightBytesMax);

  const isHolding = ({ queue, flight }: Channel<Part, Tag>): boolean =>
    queue.length > 0 || flight !== undefined;
  const hasWork = (): boolean => [...channels.values()].some(isHolding);

  function start(): void {
    if (running !== undefined) return;
    // One microtask later, so that everything submitted in this turn is in the first frame.
    running = Promise.resolve()
      .then(rounds)
      .finally(() => {
        running = undefined;
        if (hasWork()) start();
      });
  }

  async function rounds(): Promise<void> {
    while (hasWork()) {
      const sent = [...channels.values()].filter(load);
      if (sent.length === 0) continue;
      const requests = sent.map(requestOf);
      for (const { flight } of sent) if (flight !== undefined) flight.isSent = true;
      const results = await append(requests);
      let mustWait = false;
      for (const [index, channel] of sent.entries()) {
        const result = results[index];
        if (channel.flight === undefined || result === undefined) continue;
        channel.flight.isSent = false;
        mustWait = (await conclude(channel, channel.flight, result)) || mustWait;
      }
      failures = mustWait ? failures + 1 : 0;
      if (mustWait) {
        const backOffMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10));
        await sleep(clock, backOffMs * (0.5 + Math.random() / 2));
      }
    }
  }

  /** A store that rejects breaks its word, and must not have its next round in the same breath for ever. */
  async function append(requests: readonly AppendRequest[]): Promise<AppendResult[]> {
    try {
      return await store.append(requests);
    } catch (thrown) {
      const error = storeAway(messageOf(thrown), 'unknown', thrown);
      return requests.map(() => ({ status: 'error', error }));
    }
  }

  /** Makes sure that the channel has a frame to send, when there is anything. */
  function load(channel: Channel<Part, Tag>): boolean {
    while (channel.flight === undefined && channel.queue.length > 0) {
      const waiters = divert(channel, take(channel.queue, messagesPerFrame(), frameBytesMax));
      if (waiters.length === 0) continue;
      const bytes = bytesHeld(waiters);
      const nowMs = clock.monotonicMs();
      if (nowMs - channel.usedAtMs > writerTtlMs / 2) renew(channel);
      channel.usedAtMs = nowMs;
      try {
        const frame = options.cut(
          waiters.map(({ count, part }) => ({ count, part })),
          channel.place,
        );
        channel.flight = {
          writerId: channel.writerId,
          sequence: channel.sequence + 1,
          count: waiters.reduce((sum, waiter) => sum + waiter.count, 0),
          payload: frame.payload,
          tag: frame.tag,
          bytes,
          waiters,
          marks: marksOf(waiters),
          isUnknown: false,
          isSent: false,
          keys: diversion?.keysOf(channel.place, waiters),
        };
      } catch (thrown) {
        release(bytes);
        for (const waiter of waiters) fail(waiter, thrown);
      }
    }
    return channel.flight !== undefined;
  }

  /** What remains for the channel's own lane. */
  function divert(channel: Channel<Part, Tag>, taken: Waiter<Part, Tag>[]): Waiter<Part, Tag>[] {
    const place = diversion?.overflowOf(channel.place);
    if (diversion === undefined || place === undefined) return taken;
    const beside = channelOf(place);
    const { express, overflow } = diversion.divide(channel.place, taken, isHolding(beside));
    beside.queue.push(...overflow);
    return express;
  }

  /** What waits for the overflow lane of this express lane. */
  function heldBeside({ place }: Channel<Part, Tag>): Waiter<Part, Tag>[] {
    const beside = diversion?.overflowOf(place);
    if (beside === undefined) return [];
    const { queue, flight } = channelOf(beside);
    return [...(flight?.waiters ?? []), ...queue];
  }

  function requestOf(channel: Channel<Part, Tag>): AppendRequest {
    const { place } = channel;
    const flight = channel.flight as Flight<Part, Tag>;
    const { writerId, sequence, count, payload, marks } = flight;
    const witnessed = highest(place.partition);
    const bounds = options.bounds(place);
    const terms = diversion?.termsOf(place, flight);
    const request = { ...place, writerId, sequence, count, payload, bounds, witnessed, ...terms };
    if (marks === undefined) return request;
    const markWindow = options.markWindow?.();
    return { ...request, marks, ...(markWindow === undefined ? {} : { markWindow }) };
  }

  function highest(partition: number): number {
    return Math.max(told.get(partition) ?? 0, options.witnessed?.(partition) ?? 0);
  }

  /** Settles the frame, or leaves it to be sent again; returns whether to wait before that. */
  async function conclude(
    channel: Channel<Part, Tag>,
    flight: Flight<Part, Tag>,
    result: AppendResult,
  ): Promise<boolean> {
    const { partition, lane } = channel.place;
    switch (result.status) {
      case 'stored':
      case 'repeat':
        finish(channel, flight);
        channel.sequence = flight.sequence;
        note(partition, result.accepted);
        if ('waiting' in result) diversion?.noteWaiting(channel.place, result.waiting);
        if (result.reused !== undefined) noteReused(flight, result.reused);
        deliver(flight, result.accepted);
        return false;
      case 'duplicate':
        note(partition, result.accepted);
        // Should a copy of the frame still be under way, it must not be taken for the next one.
        if (flight.isUnknown) renew(channel);
        takeBack(channel, flight, withoutDuplicates(flight, result, options.without ?? withoutSingle));
        return false;
      case 'gap':
        // What this writer stored before is gone or forgotten. Nothing of this frame is stored, so it starts anew.
        renew(channel);
        channel.flight = { ...flight, writerId: channel.writerId, sequence: 1, isUnknown: false };
        return false;
      case 'rerouted':
        // A copy of it on its way is refused, too: it names the same version.
        if (flight.isUnknown) renew(channel);
        takeBack(
          channel,
          flight,
          flight.waiters.filter(({ isSettled }) => !isSettled),
        );
        diversion?.adopt(channel.place, result, heldBeside(channel));
        return false;
      case 'older':
        return reconcile(channel, flight, result.accepted);
      case 'full':
        giveUp(channel, flight, laneFull(lane, result.reason));
        return false;
      case 'error': {
        const { error } = result;
        if (error.details['stored'] === 'unknown') flight.isUnknown = true;
        if (kindOf(error) !== 'transient' || error.code === 'E_STORE_MEMORY') {
          giveUp(channel, flight, error);
          return false;
        }
        if (flight.waiters.every(({ isSettled }) => isSettled)) giveUp(channel, flight, error);
        return true;
      }
    }
  }

  function note(partition: number, accepted: number): void {
    told.set(partition, Math.max(told.get(partition) ?? 0, accepted));
    options.onAccepted?.(partition, accepted);
  }

  /** Nothing of the frame is stored: those who still wait go into a new one. */
  function takeBack(
    channel: Channel<Part, Tag>,
    flight: Flight<Part, Tag>,
    left: readonly Waiter<Part, Tag>[],
  ): void {
    channel.flight = undefined;
    channel.queue.unshift(...left);
    release(flight.bytes - bytesHeld(left));
  }

  async function reconcile(
    channel: Channel<Part, Tag>,
    flight: Flight<Part, Tag>,
    knownAccepted: number,
  ): Promise<boolean> {
    const { partition } = channel.place;
    try {
      await options.onStoreOlder(partition, knownAccepted, highest(partition));
      return false;
    } catch (thrown) {
      // Its deadline may have passed meanwhile, and the frame be given up already.
      if (kindOf(thrown) !== 'transient' && channel.flight === flight) giveUp(channel, flight, thrown);
      return true;
    }
  }

  /** Nobody waits for this frame any more. When a copy may still be stored, its name must not be used again. */
  function giveUp(channel: Channel<Part, Tag>, flight: Flight<Part, Tag>, why: unknown): void {
    finish(channel, flight);
    if (flight.isUnknown) renew(channel);
    for (const waiter of flight.waiters) fail(waiter, flight.isUnknown ? unknownFate(why) : why);
  }

  function finish(channel: Channel<Part, Tag>, flight: Flight<Part, Tag>): void {
    release(flight.bytes);
    channel.flight = undefined;
  }

  /** Fails what waits too long, and looks again as long as anything waits. */
  function sweep(): void {
    const nowMs = clock.monotonicMs();
    for (const channel of channels.values()) {
      while (channel.queue[0] !== undefined && channel.queue[0].deadlineAtMs <= nowMs) {
        const waiter = channel.queue.shift() as Waiter<Part, Tag>;
        release(bytesHeld([waiter]));
        fail(waiter, tooLate(deadlineMs));
      }
      if (channel.flight !== undefined) sweepFlight(channel, channel.flight, nowMs);
    }
    isSweeping = hasWork();
    if (isSweeping) clock.after(deadlineMs / SWEEPS_PER_DEADLINE, sweep, { ref: false });
  }

  /** What is told "not stored" must never be sent again with the rest of its frame. */
  function sweepFlight(channel: Channel<Part, Tag>, flight: Flight<Part, Tag>, nowMs: number): void {
    const late = flight.waiters.filter(({ deadlineAtMs }) => deadlineAtMs <= nowMs);
    if (late.length === 0) return;
    const mayBeStored = flight.isUnknown || flight.isSent;
    for (const waiter of late) fail(waiter, mayBeStored ? unknownFate() : tooLate(deadlineMs));
    if (flight.isSent) return;
    const left = flight.waiters.filter(({ isSettled }) => !isSettled);
    if (left.length === 0) {
      giveUp(channel, flight, undefined);
    } else if (!flight.isUnknown) takeBack(channel, flight, left);
  }

  return {
    submit(partition, lane, count, part, marks = []) {
      const bytes = part.byteLength;
      if (isClosed) return Promise.reject(writerClosed());
      if (!admits(bytes)) return Promise.reject(writerFull(inFlightBytesMax));
      return new Promise((resolve, reject) => {
        const deadlineAtMs = clock.monotonicMs() + deadlineMs;
        inFlightBytes += bytes;
        channelOf({ partition, lane }).queue.push({
          count,
          part,
          bytes,
          marking: marks.length === 0 ? undefined : { marks, duplicates: 0, reused: [], followers: [] },
          deadlineAtMs,
          isSettled: false,
          resolve,
          reject,
        });
        if (!isSweeping) {
          isSweeping = true;
          clock.after(deadlineMs / SWEEPS_PER_DEADLINE, sweep, { ref: false });
        }
        start();
      });
    },

    get inFlightBytes() {
      return inFlightBytes;
    },

    get isClosed() {
      return isClosed;
    },

    admits,

    get roomBytes() {
      return isClosed ? 0 : Math.max(0, inFlightBytesMax - inFlightBytes);
    },

    whenRoomier() {
      if (inFlightBytes === 0) return Promise.resolve();
      return (roomier ??= Promise.withResolvers<void>()).promise;
    },

    async close() {
      isClosed = true;
      while (running !== undefined) await running;
    },
  };
}

function withoutSingle(): never {
  throw new CodedError(
    'E_WRITER_OPTIONS',
    'single messages are marked, and the writer has no way to leave one out',
    {
      details: { stored: 'no' },
      mend: 'Give the writer `without`.',
    },
  );
}
