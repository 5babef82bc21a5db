/**
 * Who wants to know of the end of something that is no actor: a group, a pool.
 *
 * Invariant: each listener is called at most once, and never after it was taken away; one that throws is logged, and hurts
 * neither the others nor whoever brought the end about.
 */
import type { LogEntry } from '../actor.ts';
import { toWire } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';

/** Where it is said that a listener threw. Must not throw. */
export type Log = (entry: LogEntry) => void;

export class EndListeners {
  private readonly path: string;
  private readonly log: Log;
  private readonly listeners = new Set<(reason: ExitReason) => void>();
  private end: ExitReason | undefined = undefined;

  constructor(path: string, log: Log = () => undefined) {
    this.path = path;
    this.log = log;
  }

  /** Returns the function that takes it away. After the end the call comes soon, never inside this one. */
  add(listener: (reason: ExitReason) => void): () => void {
    const { end } = this;
    let isWanted = true;
    const entry = (reason: ExitReason): void => {
      if (isWanted) this.guard('a termination listener threw', () => listener(reason));
    };
    if (end === undefined) this.listeners.add(entry);
    else queueMicrotask(() => entry(end));
    return () => {
      isWanted = false;
      this.listeners.delete(entry);
    };
  }

  /** It has ended. Only once. */
  tell(reason: ExitReason): void {
    this.end = reason;
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) listener(reason);
  }

  /** Calls a guest; what it throws is logged. */
  guard(text: string, call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.log({ level: 'error', path: this.path, text, fields: { error: toWire(thrown) } });
    }
  }
}
