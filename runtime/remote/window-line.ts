/**
 * Those who wait for room in a writer's window, in order of arrival.
 *
 * Not a queue of messages without a sender: each entry is somebody's wait, bounded in number. Invariants: while anyone
 * waits nobody else may submit, or a small message would pass a large one of the same sender; each wait ends once, by
 * room, by its own signal, or by the writer's end; no listener stays on a signal after that.
 */
import { WAITING_SENDERS_MAX } from '../limits.ts';

/** What it needs of the writer. */
export interface Window {
  readonly isClosed: boolean;
  admits(bytes: number): boolean;
  whenRoomier(): Promise<void>;
}

interface Waiting {
  readonly bytes: number;
  /** Called in the step in which its turn comes: it submits then, before the next one looks. */
  readonly go: () => void;
}

export class WindowLine {
  private readonly window: Window;
  private readonly waiting = new Set<Waiting>();
  private isWatching = false;

  constructor(window: Window) {
    this.window = window;
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0;
  }

  get isFull(): boolean {
    return this.waiting.size >= WAITING_SENDERS_MAX;
  }

  /** Whether so many bytes may be submitted at once, without passing anybody. */
  admits(bytes: number): boolean {
    return this.isEmpty && this.window.admits(bytes);
  }

  /** `go` when its turn comes (when the writer is closed, too: that says so better), or `aborted`; never both. */
  wait(bytes: number, signal: AbortSignal | undefined, go: () => void, aborted: () => void): void {
    const entry: Waiting = {
      bytes,
      go: () => {
        signal?.removeEventListener('abort', onAbort);
        go();
      },
    };
    const onAbort = (): void => {
      this.waiting.delete(entry);
      aborted();
      // It may have been what held the others up.
      this.admit();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.waiting.add(entry);
    void this.watch();
  }

  private admit(): void {
    for (const entry of this.waiting) {
      if (!this.window.isClosed && !this.window.admits(entry.bytes)) return;
      this.waiting.delete(entry);
      entry.go();
    }
  }

  private async watch(): Promise<void> {
    if (this.isWatching) return;
    this.isWatching = true;
    while (this.waiting.size > 0) {
      await this.window.whenRoomier();
      this.admit();
    }
    this.isWatching = false;
  }
}
