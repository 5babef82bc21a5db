/**
 * What happens in a tree or a system, and what it looks like from time to time, as rxjs streams.
 *
 * `treeEvents` and `deadLetters` are hot: each subscriber gets what happens from its subscription on, not inside the step
 * in which it happens but soon after, in order. What comes faster than a subscriber takes it waits for that subscriber
 * alone, `waitingMax` at most; then the oldest go, and the next thing it hears is how many. `snapshots` is cold: each
 * subscriber has its own timer, and none piles up. All complete with the end of what they watch; unsubscribing takes the
 * listener or the timer away at once. They never fail, except a snapshot whose source does.
 */
import { Observable } from 'rxjs';
import type { ActorSystem } from './actor-system.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { DeadLetter } from './dead-letters.ts';
import { CodedError } from './errors.ts';
import { EVENTS_WAITING_DEFAULT, EVENTS_WAITING_MAX, TIMER_DELAY_MS_MAX } from './limits.ts';
import { RingBuffer } from './ring-buffer.ts';
import type { Supervisor } from './supervision/supervisor.ts';
import type { TreeEvent } from './supervision/tree-event.ts';

export interface StreamOptions {
  /** What may wait for one subscriber. */
  waitingMax?: number;
}

/** So many letters before the next one were too many. */
export interface LettersLeftOut {
  leftOut: number;
}

/** What happens at a supervisor and below it. Completes after its `supervisorExited`. */
export function treeEvents<Args>(
  supervisor: Supervisor<Args>,
  options?: StreamOptions,
): Observable<TreeEvent> {
  const { path } = supervisor;
  return bounded<TreeEvent>(
    options,
    (outlet) => {
      if (supervisor.hasEnded) outlet.end();
      return supervisor.observe((event) => {
        outlet.put(event);
        if (event.type === 'supervisorExited' && event.supervisor === path) outlet.end();
      });
    },
    (count, { atMs }) => ({ type: 'eventsLeftOut', supervisor: path, atMs, count }),
  );
}

/** Messages that nobody handled. Completes when the system has stopped. */
export function deadLetters(
  system: ActorSystem,
  options?: StreamOptions,
): Observable<DeadLetter | LettersLeftOut> {
  return bounded<DeadLetter | LettersLeftOut>(
    options,
    (outlet) =>
      system.deadLetters.observe({ letter: (letter) => outlet.put(letter), ended: () => outlet.end() }),
    (leftOut) => ({ leftOut }),
  );
}

/** A supervisor, an actor system, or a function of yours in an object. */
export interface SnapshotSource<View> {
  describe(): View | Promise<View>;
  /** True when it will not change any more. */
  readonly hasEnded: boolean;
}

/**
 * What the source says of itself: at once, and again `everyMs` after the one before was taken in. The last one is from after
 * the source's end. Errors: `E_OPTIONS_INVALID` (thrown); what `describe` throws or rejects with ends the stream.
 */
export function snapshots<View>(
  source: SnapshotSource<View>,
  everyMs: number,
  clock: Clock = systemClock,
): Observable<View> {
  if (!(everyMs > 0 && everyMs <= TIMER_DELAY_MS_MAX)) {
    throw new CodedError('E_OPTIONS_INVALID', `snapshots: everyMs ${everyMs}`, {
      kind: 'defect',
      mend: `Use milliseconds above 0 and at most ${TIMER_DELAY_MS_MAX}.`,
    });
  }
  return new Observable((subscriber) => {
    let cancelNext = (): void => undefined;
    const take = async (): Promise<void> => {
      const isLast = source.hasEnded;
      try {
        subscriber.next(await source.describe());
      } catch (thrown) {
        subscriber.error(thrown);
      }
      if (isLast) subscriber.complete();
      else if (!subscriber.closed) cancelNext = clock.after(everyMs, () => void take());
    };
    void take();
    return () => cancelNext();
  });
}

/** Subscribers get at most so much in one turn of the event loop: the others have theirs in between. */
const TOLD_PER_TURN_MAX = 64;

/** What waits for one subscriber. */
interface Outlet<T> {
  put(value: T): void;
  /** Nothing follows. */
  end(): void;
}

function bounded<T>(
  { waitingMax = EVENTS_WAITING_DEFAULT }: StreamOptions = {},
  attach: (outlet: Outlet<T>) => () => void,
  leftOutNote: (count: number, next: T) => T,
): Observable<T> {
  if (!Number.isSafeInteger(waitingMax) || waitingMax < 1 || waitingMax > EVENTS_WAITING_MAX) {
    throw new CodedError('E_OPTIONS_INVALID', `stream: waitingMax ${waitingMax}`, {
      kind: 'defect',
      mend: `Use a whole number from 1 to ${EVENTS_WAITING_MAX}.`,
    });
  }
  return new Observable((subscriber) => {
    const waiting = new RingBuffer<T>(waitingMax);
    let leftOut = 0;
    let hasEnded = false;
    let turn: NodeJS.Immediate | undefined;
    const tell = (): void => {
      turn = undefined;
      for (let told = 0; told < TOLD_PER_TURN_MAX && waiting.length > 0; told++) {
        const next = waiting.shift() as T;
        const count = leftOut;
        leftOut = 0;
        if (count > 0) subscriber.next(leftOutNote(count, next));
        subscriber.next(next);
      }
      if (waiting.length > 0) wake();
      else if (hasEnded) subscriber.complete();
    };
    const wake = (): void => {
      if (!subscriber.closed) turn ??= setImmediate(tell);
    };
    const detach = attach({
      put: (value) => {
        if (hasEnded) return;
        if (!waiting.push(value)) {
          waiting.shift();
          leftOut += 1;
          waiting.push(value);
        }
        wake();
      },
      end: () => {
        hasEnded = true;
        wake();
      },
    });
    return () => {
      detach();
      clearImmediate(turn);
    };
  });
}
