/**
 * The unanswered asks of one thread over one link, by the sequence of their records.
 *
 * Each ends exactly once: by its answer, its failure over there, its deadline, or the end of who was asked. The death of the
 * other thread ends none: its next incarnation has the question.
 */
import type { Clock } from '../clock.ts';
import { fromWire, toWire } from '../errors.ts';
import type { CodedError } from '../errors.ts';
import { ASKS_PER_ACTOR_MAX } from '../limits.ts';
import { askTimeout } from '../pending-asks.ts';
import type { BytesView } from '../ring/bytes-view.ts';

export interface RemoteAsk {
  readonly target: number;
  readonly path: string;
  resolve(reply: unknown): void;
  reject(error: CodedError): void;
  decode(view: BytesView): unknown;
}

export class RemoteAsks {
  private readonly bySequence = new Map<number, RemoteAsk & { cancel(): void }>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get isFull(): boolean {
    return this.bySequence.size >= ASKS_PER_ACTOR_MAX;
  }

  add(sequence: number, ask: RemoteAsk, timeoutMs: number, leftMs: number): void {
    const cancel = this.clock.after(leftMs, () => {
      this.bySequence.delete(sequence);
      ask.reject(askTimeout(ask.path, timeoutMs));
    });
    this.bySequence.set(sequence, { ...ask, cancel });
  }

  /** False when nobody waits for it any more. */
  answered(sequence: number, outcome: { reply: BytesView } | { error: CodedError }): boolean {
    const ask = this.bySequence.get(sequence);
    if (ask === undefined) return false;
    this.bySequence.delete(sequence);
    ask.cancel();
    if ('error' in outcome) {
      ask.reject(outcome.error);
      return true;
    }
    try {
      ask.resolve(ask.decode(outcome.reply));
    } catch (thrown) {
      ask.reject(fromWire(toWire(thrown)));
    }
    return true;
  }

  /** Ends the asks at one target, or all. */
  failAll(makeError: (path: string) => CodedError, target?: number): void {
    for (const [sequence, ask] of [...this.bySequence]) {
      if (target !== undefined && ask.target !== target) continue;
      this.bySequence.delete(sequence);
      ask.cancel();
      ask.reject(makeError(ask.path));
    }
  }
}
