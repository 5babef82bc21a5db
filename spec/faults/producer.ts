/**
 * The writing side of a fault run: submits numbered messages without end, from many tasks at once, and keeps what became
 * of each: acknowledged with its number in the partition, unknown, or refused.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bounds, DurableStore } from '../../runtime/durable/durable-store.ts';
import type { LostRange, Witness } from '../../runtime/durable/witness.ts';
import { createWriter } from '../../runtime/durable/writer.ts';
import type { Writer } from '../../runtime/durable/writer.ts';
import { codeOf } from '../../runtime/errors.ts';
import { IN_LANE } from '../fixtures/faults/consumer-thread.ts';
import { messageText } from '../fixtures/faults/message.ts';
import type { Poison } from '../fixtures/faults/message.ts';

export interface Acknowledged {
  partition: number;
  /** Which of all messages the partition ever accepted it is. */
  number: number;
  poison: Poison | undefined;
}

interface FrameTag {
  count: number;
}

const TASKS = 12;
const PAUSE_MS = 2;
const DEADLINE_MS = 1_000;
const FRAME_MESSAGES_MAX = 8;
/** With what waits already, and cut at the maximum, its frame then holds five messages or more. */
const POISON_POSITION = 3;
const WIDE: Bounds = { entriesMax: 1_000_000, bytesMax: 256 * 1024 ** 2 };

export class Producer {
  readonly acknowledged = new Map<number, Acknowledged>();
  readonly unknown = new Set<number>();
  /** How often each code came back for a message that was not stored. */
  readonly refusals = new Map<string, number>();
  readonly lost: LostRange[] = [];
  readonly #partitions: number;
  readonly #writer: Writer<Buffer, FrameTag>;
  #tasks: Promise<void>[] = [];
  #isOn = false;
  #lastId = 0;

  constructor(store: DurableStore, witness: Witness, partitions: number) {
    this.#partitions = partitions;
    this.#writer = createWriter<Buffer, FrameTag>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => ({
        payload: Buffer.concat(submissions.map(({ part }) => part)),
        tag: { count: submissions.length },
      }),
      onStoreOlder: async (partition) => {
        this.lost.push(...(await witness.reconcile(store, [partition])));
      },
      onAccepted: (partition, accepted) => witness.note(partition, accepted),
      witnessed: (partition) => witness.highest(partition),
      deadlineMs: DEADLINE_MS,
      frameMessagesMax: FRAME_MESSAGES_MAX,
    });
  }

  /** Submits one message and tells its id when it is acknowledged; undefined when it is not. */
  async submit(partition: number, poison?: Poison): Promise<number | undefined> {
    const id = ++this.#lastId;
    try {
      const receipt = await this.#writer.submit(partition, IN_LANE, 1, Buffer.from(messageText(id, poison)));
      const number = receipt.accepted - (receipt.tag?.count ?? 0) + receipt.firstIndex + 1;
      this.acknowledged.set(id, { partition, number, poison });
      return id;
    } catch (thrown) {
      if (storedOf(thrown) === 'no') {
        const code = codeOf(thrown);
        this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
      } else this.unknown.add(id);
      return undefined;
    }
  }

  /** Submits poison among sound messages in one turn, so that they share a frame. As `submit`, for the poison. */
  async submitAmongOthers(partition: number, poison: Poison): Promise<number | undefined> {
    const submissions = Array.from({ length: FRAME_MESSAGES_MAX }, (_, index) =>
      this.submit(partition, index === POISON_POSITION ? poison : undefined),
    );
    return (await Promise.all(submissions))[POISON_POSITION];
  }

  start(): void {
    this.#isOn = true;
    this.#tasks = Array.from({ length: TASKS }, (_, task) => this.#produce(task % this.#partitions));
  }

  /** Returns when the fate of everything submitted is known. */
  async pause(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#tasks);
  }

  async close(): Promise<void> {
    await this.pause();
    await this.#writer.close();
  }

  async #produce(partition: number): Promise<void> {
    while (this.#isOn) {
      await this.submit(partition);
      await delay(PAUSE_MS);
    }
  }
}

function storedOf(thrown: unknown): unknown {
  if (typeof thrown !== 'object' || thrown === null || !('details' in thrown)) return undefined;
  return (thrown.details as Record<string, unknown>)['stored'];
}
