/**
 * Time behind one interface, so that supervision, leases and back-off run under a test clock.
 *
 * `monotonicMs` never steps back and is for durations and deadlines; `wallMs` is for what people and other systems
 * read. Nothing outside this file calls `Date.now`, `performance.now` or `setTimeout` for a decision.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never steps back. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may step. */
  wallMs(): number;
  /** Calls `task` once after `delayMs`. The returned function cancels it. `ref: false` lets the process end meanwhile. */
  after(delayMs: number, task: () => void, options?: { ref?: boolean }): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task, options) {
    const timer = setTimeout(task, delayMs);
    if (options?.ref === false) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs` on the given clock, or at once when the signal aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener('abort', done);
  });
}
