/**
 * Which alerts a forward actor holds, so that none is held twice, however often its mailbox is read again.
 *
 * An alert that has left its mailbox may still be in the result of a reading that was begun before: taken once more, it
 * would be delivered twice and settled twice. So it is refused until such results have been dealt with. Bounded by the
 * window of each destination and by what is settled during one reading.
 */

/** How alerts are found: reading the lanes, looking for delayed ones that are due, and reading the places of followers. */
export type Reading = 'lanes' | 'due' | 'followers';

/** Some are never read again: their commit was done after all. The oldest go. */
const DELIVERED_MAX = 65_536;

export class HeldAlerts {
  readonly #held = new Map<string, Set<string>>();
  readonly #delivered = new Set<string>();
  /** What has left since the reading of that kind began that is under way. */
  readonly #left = new Map<Reading, Set<string>>();

  sizeOf(destination: string): number {
    return this.#held.get(destination)?.size ?? 0;
  }

  /** A reading begins; all results of the one before have been taken. */
  begin(reading: Reading): void {
    this.#left.set(reading, new Set());
  }

  /** All its results have been taken, and none is under way. */
  end(reading: Reading): void {
    this.#left.delete(reading);
  }

  /** False for one that is held already or has left since this reading began. */
  isNew(destination: string, id: string, reading: Reading): boolean {
    return this.#held.get(destination)?.has(id) !== true && this.#left.get(reading)?.has(id) !== true;
  }

  take(destination: string, id: string): void {
    let held = this.#held.get(destination);
    if (held === undefined) this.#held.set(destination, (held = new Set()));
    held.add(id);
  }

  /** It stays in its mailbox and may be taken again. */
  release(destination: string, id: string): void {
    this.#held.get(destination)?.delete(id);
  }

  /** It was delivered, and its commit was void: it will be read again, and must not be sent again after later ones. */
  noteDelivered(id: string): void {
    this.#delivered.add(id);
    if (this.#delivered.size <= DELIVERED_MAX) return;
    for (const oldest of this.#delivered) {
      this.#delivered.delete(oldest);
      break;
    }
  }

  /** Told once. */
  wasDelivered(id: string): boolean {
    return this.#delivered.delete(id);
  }

  /** It has left its mailbox. */
  leave(destination: string, id: string): void {
    this.release(destination, id);
    for (const left of this.#left.values()) left.add(id);
  }
}
