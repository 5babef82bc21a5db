/** Messages of hosts, numbered: what the specs of diverted keys send, and what they find in the end. */
import { expect } from 'chai';
import type { Batch, Consumer, ConsumerOptions } from '../../../runtime/durable/consumer.ts';
import { createConsumer } from '../../../runtime/durable/consumer.ts';
import type { CommitPlan, DurableStore, Token } from '../../../runtime/durable/durable-store.ts';
import type { Writer, WriterOptions } from '../../../runtime/durable/writer.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import { readAll, WIDE, WINDOW } from './store-under-test.ts';

export interface KeyedPart {
  messages: { key: number; nth: number }[];
  byteLength: number;
}

export const IN = 'in';
export const OVER = 'over';
export const QUESTION = { terminal: ['done', 'quarantined'], inputLanes: [IN, OVER] };

/** Messages `nth` to `nth + count - 1` of a key. */
export function partOf(key: number, nth: number, count: number): KeyedPart {
  return joined([
    { messages: Array.from({ length: count }, (_, at) => ({ key, nth: nth + at })), byteLength: 0 },
  ]);
}

export function joined(parts: readonly KeyedPart[]): KeyedPart {
  const messages = parts.flatMap((part) => part.messages);
  return { messages, byteLength: messages.length * 4 };
}

function selected({ messages }: KeyedPart, isChosen: (index: number) => boolean): KeyedPart {
  return joined([{ messages: messages.filter((_, index) => isChosen(index)), byteLength: 0 }]);
}

export function openWriter(
  store: DurableStore,
  fairMessages: number,
  options: Partial<WriterOptions<KeyedPart, string>> = {},
): Writer<KeyedPart, string> {
  return createWriter<KeyedPart, string>({
    store,
    bounds: () => WIDE,
    cut: (submissions) => {
      const payload = encode(submissions.map(({ part }) => part));
      return { payload, tag: payload.toString() };
    },
    markWindow: () => WINDOW,
    without: (part, gone) => selected(part, (index) => !gone.has(index)),
    onStoreOlder: async (partition, _known, witnessed) => {
      await store.raiseSequence(partition, witnessed);
    },
    diversion: {
      expressLane: IN,
      overflowLane: OVER,
      fairMessages: () => fairMessages,
      keyAt: ({ messages }, index) => messages[index]?.key ?? NaN,
      select: selected,
    },
    ...options,
  });
}

/** Moves what it handles to the lane `out`. */
export function openConsumer(
  store: DurableStore,
  token: Token,
  options: Partial<ConsumerOptions> = {},
): Consumer {
  const consumer = createConsumer({
    store,
    lane: IN,
    overflowLane: OVER,
    handle: async (batch) => planOf(batch),
    quarantine: async () => ({ counters: { quarantined: 1 } }),
    backOffMinMs: 1,
    backOffMaxMs: 5,
    blockMs: 20,
    ...options,
  });
  consumer.assign(0, token);
  return consumer;
}

export function planOf({ pieces }: Batch): CommitPlan {
  return {
    counters: { done: pieces.reduce((sum, { lo, hi }) => sum + hi - lo, 0) },
    outputs: pieces.map(({ entry, lo, hi }) => ({
      lane: 'out',
      count: hi - lo,
      payload: Buffer.from(textsIn(entry.payload).slice(lo, hi).join(' ')),
      bounds: WIDE,
    })),
  };
}

/** Of the messages in a payload. */
export function textsIn(payload: Buffer): string[] {
  return payload.toString().split(' ');
}

/** What came out, by key, in order. */
export async function handledIn(store: DurableStore): Promise<Map<number, number[]>> {
  const texts = (await readAll(store, 'out')).flatMap(({ payload }) => textsIn(payload));
  const byKey = new Map<number, number[]>();
  for (const text of texts) {
    const [key = NaN, nth = NaN] = text.split(':').map(Number);
    byKey.set(key, [...(byKey.get(key) ?? []), nth]);
  }
  return byKey;
}

/** Everything that was sent has come out once and in order, and the books say the same. */
export async function expectAllInOrder(
  store: DurableStore,
  sent: ReadonlyMap<number, number>,
): Promise<void> {
  const handled = await handledIn(store);
  for (const [key, count] of sent) {
    expect(handled.get(key) ?? [], `key ${key}`).to.deep.equal(
      Array.from({ length: count }, (_, nth) => nth),
    );
  }
  const ledger = await store.ledger(0, QUESTION);
  expect(ledger.problems).to.deep.equal([]);
  expect(ledger.inFlight).to.equal(0);
  expect(ledger.measured.divertedKeys).to.equal(0);
}

function encode(parts: readonly KeyedPart[]): Buffer {
  const { messages } = joined(parts);
  return Buffer.from(messages.map(({ key, nth }) => `${key}:${nth}`).join(' '));
}
