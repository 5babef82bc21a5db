/**
 * What a thread tells its supervisor of partitions whose mailbox it cannot read on now, and what it waits for.
 *
 * All of it at every change, some moments later, so that a wait that comes and goes with each batch is not told hundreds
 * of times a second. What a new thread says first takes back what the last one in its slot had said.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { CodedError } from '../../runtime/errors.ts';

export interface PartitionWait {
  partition: number;
  /** Of that partition: the lane that is not read on. */
  mailbox: string;
  code: string;
  /** Of the error; cut. */
  message: string;
  /** The lane or set without room, when that is what it waits for. */
  full?: string;
  /** RFC 3339. */
  since: string;
}

export interface WaitReport {
  type: 'waiting';
  waits: readonly PartitionWait[];
}

const TELL_AFTER_MS = 100;
const MESSAGE_LENGTH_MAX = 300;

export class PartitionWaits {
  readonly #clock: Clock;
  readonly #tell: (report: WaitReport) => void;
  readonly #waits = new Map<number, readonly PartitionWait[]>();
  #told = '[]';
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, tell: (report: WaitReport) => void) {
    this.#clock = clock;
    this.#tell = tell;
    tell({ type: 'waiting', waits: [] });
  }

  /** All that waits in a partition now. */
  set(partition: number, found: readonly { mailbox: string; error: CodedError }[]): void {
    const before = this.#waits.get(partition) ?? [];
    const waits = found.map(({ mailbox, error }): PartitionWait => {
      const same = before.find((wait) => wait.mailbox === mailbox && wait.code === error.code);
      const { lane } = error.details;
      return {
        partition,
        mailbox,
        code: error.code,
        message: error.message.slice(0, MESSAGE_LENGTH_MAX),
        ...(typeof lane === 'string' ? { full: lane } : {}),
        since: same?.since ?? new Date(this.#clock.wallMs()).toISOString(),
      };
    });
    if (waits.length === 0) this.#waits.delete(partition);
    else this.#waits.set(partition, waits);
    this.#tellSoon();
  }

  /** Who waited is no more. */
  clear(): void {
    this.#waits.clear();
    this.#tellSoon();
  }

  close(): void {
    this.#cancel?.();
  }

  #tellSoon(): void {
    this.#cancel ??= this.#clock.after(
      TELL_AFTER_MS,
      () => {
        this.#cancel = undefined;
        const waits = [...this.#waits.values()].flat();
        const text = JSON.stringify(waits);
        if (text === this.#told) return;
        this.#told = text;
        this.#tell({ type: 'waiting', waits });
      },
      { ref: false },
    );
  }
}
