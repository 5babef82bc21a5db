/**
 * Measures what the books say of the outbox: Redis books it, PostgreSQL has it. The two cannot be read at one moment, so
 * only what nothing was brought back of meanwhile is judged; what is put there behind the booked number does not count.
 *
 * Counting takes as long as there is much, so nobody waits for it: what it has found last stands until the next time.
 */
import type { OutboxRange, PostgresAlertOutbox } from '../../gateways/postgres/alert-outbox.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Ledger } from '../../runtime/durable/durable-store.ts';

const CHECK_EVERY_MS = 5_000;

export class OutboxCheck {
  readonly #outbox: Pick<PostgresAlertOutbox, 'count'>;
  readonly #clock: Clock;
  #isChecking = false;
  #checkedAtMs = -Infinity;
  /** By partition. */
  #problems = new Map<number, string[]>();

  constructor(outbox: Pick<PostgresAlertOutbox, 'count'>, clock: Clock) {
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** The ledgers, by partition, with what is known to be wrong of them. `readAgain` reads them anew. */
  checked(ledgers: readonly Ledger[], readAgain: () => Promise<Ledger[]>): Ledger[] {
    const ranges = rangesOf(ledgers);
    if (ranges.length === 0) this.#problems.clear();
    else if (!this.#isChecking && this.#clock.monotonicMs() - this.#checkedAtMs >= CHECK_EVERY_MS) {
      this.#isChecking = true;
      // While a store is away there is nothing to compare.
      void this.#check(ranges, readAgain)
        .catch(() => undefined)
        .finally(() => {
          this.#isChecking = false;
          this.#checkedAtMs = this.#clock.monotonicMs();
        });
    }
    return ledgers.map((ledger, partition) => {
      const problems = this.#problems.get(partition) ?? [];
      if (problems.length === 0) return ledger;
      return { ...ledger, balanced: false, problems: [...ledger.problems, ...problems] };
    });
  }

  async #check(ranges: readonly OutboxRange[], readAgain: () => Promise<Ledger[]>): Promise<void> {
    const counts = await this.#outbox.count(ranges);
    const after = await readAgain();
    const problems = new Map<number, string[]>();
    for (const [index, { partition, lane, after: taken, last }] of ranges.entries()) {
      const isStill = after[partition]?.spilled[lane]?.taken === taken;
      const count = counts[index] ?? 0;
      if (!isStill || count === last - taken) continue;
      const problem = `the outbox of ${lane} holds ${count} alerts where ${last - taken} are booked`;
      problems.set(partition, [...(problems.get(partition) ?? []), problem]);
    }
    this.#problems = problems;
  }
}

function rangesOf(ledgers: readonly Ledger[]): OutboxRange[] {
  return ledgers.flatMap(({ spilled }, partition) =>
    Object.entries(spilled)
      .filter(([, { messages }]) => messages > 0)
      .map(([lane, { taken, last }]) => ({ partition, lane, after: taken, last })),
  );
}
