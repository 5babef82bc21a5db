/**
 * The bytes of messages that wait for those before them: one budget for all sessions of a process.
 */
export class QueueBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More than half is taken. */
  get isCrowded(): boolean {
    return this.#bytes > this.#bytesMax / 2;
  }

  /** False when there is no room for so many bytes; nothing is taken then. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}
