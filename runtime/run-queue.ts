/**
 * Whose turn it is: the one loop that runs all actors of a thread.
 *
 * Drained in a microtask, so that a message told now is handled before the next timer or packet; but after a time slice
 * it waits for one whole turn of the event loop, so that timers and I/O never starve. The slice is counted per turn of
 * the event loop and not per drain: two async actors that call each other drain the queue over and over inside one.
 * Invariant: a runnable that was pushed is run, once for each push, in the order of the pushes.
 */
import type { Clock } from './clock.ts';
import { ACTORS_MAX, MESSAGES_PER_SLICE_MAX, MESSAGES_PER_TURN_MAX, TIME_SLICE_MS } from './limits.ts';
import { RingBuffer } from './ring-buffer.ts';

export interface Runnable {
  /** Does at most `budget` pieces of work and says how many it did. Never throws. */
  run(budget: number): number;
}

export class RunQueue {
  // An actor that was killed while it waited and then restarted may stand in the queue twice, hence the room.
  private readonly ready = new RingBuffer<Runnable>(ACTORS_MAX * 2);
  private readonly clock: Clock;
  /** A drain is on the stack, or will come by microtask or by the turn of the event loop. */
  private draining = false;
  /** Set from the first drain of a turn of the event loop to its end. Unref'd unless work waits for it. */
  private turn: NodeJS.Immediate | undefined;
  private turnStartedMs = 0;
  private workInTurn = 0;
  /** Work until the clock is read again: 1 when handlers are slow, up to 64 when they are fast. */
  private checkEvery = 1;
  private workUntilCheck = 1;
  private lastCheckMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  push(runnable: Runnable): void {
    this.ready.push(runnable);
    if (this.draining) return;
    this.draining = true;
    queueMicrotask(this.drain);
  }

  get length(): number {
    return this.ready.length;
  }

  private readonly drain = (): void => {
    if (this.turn === undefined) {
      this.turn = setImmediate(this.turnEnded).unref();
      this.turnStartedMs = this.lastCheckMs = this.clock.monotonicMs();
      this.workInTurn = 0;
    }
    for (;;) {
      const runnable = this.ready.shift();
      if (runnable === undefined) break;
      const work = runnable.run(this.checkEvery);
      this.workUntilCheck -= work === 0 ? 1 : work;
      if (this.workUntilCheck <= 0 && this.isSliceOver()) {
        this.turn.ref();
        return;
      }
    }
    this.draining = false;
  };

  private readonly turnEnded = (): void => {
    this.turn = undefined;
    if (this.draining) this.drain();
  };

  private isSliceOver(): boolean {
    const nowMs = this.clock.monotonicMs();
    this.workInTurn += this.checkEvery;
    // Fast handlers make the check rare, one slow handler makes it come after every message.
    this.checkEvery =
      nowMs - this.lastCheckMs > TIME_SLICE_MS / 4 ? 1 : Math.min(this.checkEvery * 2, MESSAGES_PER_TURN_MAX);
    this.workUntilCheck = this.checkEvery;
    this.lastCheckMs = nowMs;
    return nowMs - this.turnStartedMs >= TIME_SLICE_MS || this.workInTurn >= MESSAGES_PER_SLICE_MAX;
  }
}
