/**
 * The books of all partitions as Redis has them now. Every reading is a sample of how deep the mailboxes are; when nobody
 * reads, they read themselves, so that the pace of a mailbox is known when somebody asks.
 */
import { TERMINAL_STATES } from '../../actors/event.ts';
import { INPUT_LANES } from '../../actors/ingest/ingest-actor.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { DurableStore, Ledger } from '../../runtime/durable/durable-store.ts';
import { DrainHistory } from './drain-history.ts';
import { outboxDocument } from './ledger-document.ts';
import { mailboxDepths } from './ledger-samples.ts';
import type { OutboxCheck } from './outbox-check.ts';

const SAMPLE_EVERY_MS = 5_000;

export class Books {
  readonly #store: DurableStore;
  readonly #clock: Clock;
  readonly #partitions: number;
  readonly #drains: DrainHistory;
  #cancel: (() => void) | undefined;
  readonly #onRead: (ledgers: readonly Ledger[]) => void;
  readonly #outbox: OutboxCheck | undefined;
  #isStopped = false;

  constructor(options: {
    store: DurableStore;
    clock: Clock;
    partitions: number;
    /** Measures what is booked in the outbox. */
    outbox?: OutboxCheck;
    /** Told of every reading, by partition. */
    onRead?: (ledgers: readonly Ledger[]) => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#partitions = options.partitions;
    this.#outbox = options.outbox;
    this.#onRead = options.onRead ?? (() => undefined);
    this.#drains = new DrainHistory(options.clock);
    this.#sampleLater();
  }

  /** By partition. Errors: those of the store. */
  async read(): Promise<Ledger[]> {
    const question = { terminal: TERMINAL_STATES, inputLanes: INPUT_LANES };
    const readAll = (): Promise<Ledger[]> =>
      Promise.all(
        Array.from({ length: this.#partitions }, (_, partition) => this.#store.ledger(partition, question)),
      );
    const read = await readAll();
    const ledgers = this.#outbox?.checked(read, readAll) ?? read;
    const depths = ledgers.flatMap(({ measured, spilled }, partition) =>
      [...mailboxDepths({ ...measured, outbox: outboxDocument(spilled) })].map(
        ([mailbox, depth]) => [nameOf(partition, mailbox), depth] as const,
      ),
    );
    this.#drains.note(new Map(depths));
    this.#onRead(ledgers);
    return ledgers;
  }

  /** As `DrainHistory.etaSeconds`. */
  etaSeconds(partition: number, mailbox: string, depth: number): number | null {
    return this.#drains.etaSeconds(nameOf(partition, mailbox), depth);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #sampleLater(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#clock.after(SAMPLE_EVERY_MS, () => void this.#sample(), { ref: false });
  }

  async #sample(): Promise<void> {
    // While Redis is away there is nothing to know.
    if (this.#drains.sampledAgoMs >= SAMPLE_EVERY_MS) await this.read().catch(() => undefined);
    this.#sampleLater();
  }
}

function nameOf(partition: number, mailbox: string): string {
  return `${partition} ${mailbox}`;
}
