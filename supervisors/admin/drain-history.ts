/**
 * How deep the mailboxes were over the last minute, and from that: when each will be empty.
 *
 * The pace is what has become less, after what has come, since the mailbox was fullest within that minute; so a burst
 * does not hide for a minute that it is being worked off. Invariant: its size is fixed by the number of mailboxes.
 */
import type { Clock } from '../../runtime/clock.ts';

interface Sample {
  atMs: number;
  /** Messages by mailbox; one that is not there was empty. */
  depths: ReadonlyMap<string, number>;
}

const WINDOW_MS = 60_000;
/** Samples are no closer than this, and none is compared with a younger one: a pace of milliseconds says nothing. */
const SPAN_MS_MIN = 1_000;

export class DrainHistory {
  readonly #clock: Clock;
  /** The oldest first. */
  #samples: Sample[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What all mailboxes hold now. Too soon after the last one it is left out. */
  note(depths: ReadonlyMap<string, number>): void {
    const atMs = this.#clock.monotonicMs();
    if (this.sampledAgoMs < SPAN_MS_MIN) return;
    const kept = [...depths].filter(([, depth]) => depth > 0);
    this.#samples = [
      ...this.#samples.filter((sample) => atMs - sample.atMs <= WINDOW_MS),
      { atMs, depths: new Map(kept) },
    ];
  }

  /** Since the last sample; infinite without one. */
  get sampledAgoMs(): number {
    return this.#clock.monotonicMs() - (this.#samples.at(-1)?.atMs ?? -Infinity);
  }

  /** Until a mailbox is empty that holds so much now; null while it does not get emptier or that is not known yet. */
  etaSeconds(mailbox: string, depth: number): number | null {
    if (depth === 0) return 0;
    const nowMs = this.#clock.monotonicMs();
    let fullest = { atMs: nowMs, depth };
    for (const { atMs, depths } of this.#samples) {
      const then = depths.get(mailbox) ?? 0;
      const agoMs = nowMs - atMs;
      // The latest of equals: before it, nothing had become less.
      if (agoMs >= SPAN_MS_MIN && agoMs <= WINDOW_MS && then > depth && then >= fullest.depth) {
        fullest = { atMs, depth: then };
      }
    }
    if (fullest.depth === depth) return null;
    return Math.ceil((depth * (nowMs - fullest.atMs)) / (fullest.depth - depth) / 1_000);
  }
}
