/**
 * How much work the ingest threads may have before them at once. What is beyond it waits where turns are taken, so that
 * whoever comes next waits for about one window and for nobody's backlog.
 *
 * Work is counted in bytes of plain JSON: it is an estimate from what is known before a body is read. What has been with
 * the threads for long waits for something else than decoding (a store that is slow, rejects on their way to PostgreSQL)
 * and makes room for others: nobody's slow requests close the window for all.
 */
/** For one thread; see docs/reference/performance.md. */
export const WINDOW_WORK = 2_097_152;
/** After so long a batch takes up no room any more. */
export const WINDOW_HOLD_MS = 250;
/** What a request costs beside its bytes. */
const REQUEST_WORK = 1_024;
/** How much more a compressed byte costs than a plain one. Logs shrink to a tenth or so. */
const COMPRESSED_FACTOR = 8;

export function workOf(bytes: number, isCompressed: boolean): number {
  return REQUEST_WORK + (isCompressed ? COMPRESSED_FACTOR * bytes : bytes);
}

/** What was handed over in one turn of the loop and is not settled. */
export interface HandedOver {
  readonly atMs: number;
  work: number;
  /** Long ago; it takes up no room. */
  isOld: boolean;
}

export class HandoverWindow {
  /** Oldest first; the last one is open. */
  #turns: HandedOver[] = [];
  #work = 0;

  isOpen(threads: number): boolean {
    return this.#work < WINDOW_WORK * Math.max(1, threads);
  }

  /** Notes what is handed over now, and gives what it is to be settled with. */
  add(work: number, nowMs: number): HandedOver {
    let turn = this.#turns.at(-1);
    if (turn?.atMs !== nowMs) {
      turn = { atMs: nowMs, work: 0, isOld: false };
      this.#turns.push(turn);
    }
    turn.work += work;
    this.#work += work;
    return turn;
  }

  settle(turn: HandedOver, work: number): void {
    turn.work -= work;
    if (!turn.isOld) this.#work -= work;
  }

  /** Forgets what is settled, and what has been there for long. To be called once in a while. */
  letGo(nowMs: number): void {
    let gone = 0;
    for (const turn of this.#turns) {
      if (turn.work > 0 && nowMs - turn.atMs < WINDOW_HOLD_MS) break;
      turn.isOld = true;
      this.#work -= turn.work;
      gone += 1;
    }
    this.#turns.splice(0, gone);
  }
}
