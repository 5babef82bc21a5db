/**
 * The messages of one session that wait for those before them, as part of a budget that all sessions share.
 */
import type { FairShare, Shortage, Source } from '../fair-share.ts';

export class QueueBudget {
  readonly #shares: FairShare;
  readonly #source: Source;

  /** The source has a place, and has it for as long as this is used. */
  constructor(shares: FairShare, source: Source) {
    this.#shares = shares;
    this.#source = source;
  }

  /** Its source holds more than half of what it may. */
  get isCrowded(): boolean {
    return this.#shares.shortage(this.#source, this.#source.bytes, 0) !== undefined;
  }

  /** What stands against so many bytes more; undefined when they are taken. */
  take(bytes: number): Shortage | undefined {
    const shortage = this.#shares.shortage(this.#source, bytes, 0);
    if (shortage === undefined) this.#shares.charge(this.#source, bytes, 0);
    return shortage;
  }

  giveBack(bytes: number): void {
    this.#shares.charge(this.#source, -bytes, 0);
  }
}
