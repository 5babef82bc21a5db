/**
 * Random interleavings of appends, lost requests and replies, crashes of writers, commits, take-overs and stale
 * owners, run against both stores and a model: both answer alike, every accepted message is in the lane or in exactly
 * one output in order, ids have no holes, and the ledger balances at every step.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type {
  AppendResult,
  CommitResult,
  DurableStore,
  Token,
} from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { freshWriterId, GROUP, inputOf, openRedisStore, readAll, WIDE } from './store-under-test.ts';

const QUESTION = { terminal: ['done'], inputLanes: ['in'] };

type Step =
  | {
      do: 'append';
      writer: number;
      count: number;
      fault: 'none' | 'request-lost' | 'reply-lost' | 'twice' | 'skips';
    }
  | { do: 'writer-crash'; writer: number }
  | { do: 'commit'; entries: number; fault: 'none' | 'reply-lost'; isStale: boolean; keepsOpen: boolean }
  | { do: 'settle' }
  | { do: 'take-over'; nonce: string };

const anyWriter = fc.integer({ min: 0, max: 2 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      writer: anyWriter,
      count: fc.integer({ min: 1, max: 5 }),
      fault: fc.constantFrom('none', 'request-lost', 'reply-lost', 'twice', 'skips'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('writer-crash' as const), writer: anyWriter }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      entries: fc.integer({ min: 1, max: 3 }),
      fault: fc.constantFrom('none', 'reply-lost'),
      isStale: fc.boolean(),
      keepsOpen: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'settle' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('take-over' as const), nonce: fc.constantFrom('a', 'b') }),
  },
);

interface Writer {
  id: string;
  acknowledged: number;
  /** Sent or to be sent, and not acknowledged. */
  pending: string | undefined;
}

/** One run: the same steps on a store, checked against what must be true. Returns everything it answered. */
async function play(
  store: DurableStore,
  steps: readonly Step[],
  writerIds: readonly string[],
): Promise<unknown[]> {
  const answers: unknown[] = [];
  const ids = [...writerIds];
  const writers: Writer[] = [0, 1, 2].map(() => ({
    id: ids.shift() ?? '',
    acknowledged: 0,
    pending: undefined,
  }));
  const tokens: Token[] = [];
  const stored: string[] = [];
  const consumed: string[] = [];
  const open: string[] = [];
  let nextText = 0;

  const append = async (writer: Writer, sequence: number, text: string): Promise<AppendResult> => {
    const [result] = await store.append([
      {
        partition: 0,
        lane: 'in',
        writerId: writer.id,
        sequence,
        count: Number(text.split(':')[1]),
        payload: Buffer.from(text),
        bounds: WIDE,
      },
    ]);
    if (result === undefined) throw new Error('no result');
    answers.push(result);
    if (result.status === 'stored') stored.push(text);
    return result;
  };

  for (const step of steps) {
    switch (step.do) {
      case 'append': {
        const writer = writers[step.writer] as Writer;
        writer.pending ??= `${nextText++}:${step.count}`;
        const sequence = writer.acknowledged + 1;
        if (step.fault === 'request-lost') break;
        if (step.fault === 'skips') {
          expect((await append(writer, sequence + 2, 'never:1')).status).to.equal('gap');
          break;
        }
        const result = await append(writer, sequence, writer.pending);
        expect(result.status).to.be.oneOf(['stored', 'repeat']);
        if (step.fault === 'reply-lost') break;
        if (step.fault === 'twice')
          expect((await append(writer, sequence, writer.pending)).status).to.equal('repeat');
        writer.acknowledged = sequence;
        writer.pending = undefined;
        break;
      }
      case 'writer-crash':
        writers[step.writer] = { id: ids.shift() ?? freshWriterId(), acknowledged: 0, pending: undefined };
        break;
      case 'take-over': {
        await store.release([0], GROUP, step.nonce === 'a' ? 'b' : 'a');
        const result = await store.acquire(0, GROUP, step.nonce, 60_000);
        answers.push(result);
        if ('epoch' in result) tokens.push({ laneGroup: GROUP, nonce: step.nonce, epoch: result.epoch });
        break;
      }
      case 'commit': {
        const token = step.isStale ? tokens.at(-2) : tokens.at(-1);
        const entries = (await readAll(store)).slice(0, step.entries);
        if (token === undefined || entries.length === 0) break;
        const texts = entries.map(({ payload }) => payload.toString());
        const messages = entries.reduce((sum, { count }) => sum + count, 0);
        const request = {
          partition: 0,
          token,
          inputs: entries.map(inputOf),
          outputs: texts.map((text) => ({ lane: 'out', payload: Buffer.from(text), bounds: WIDE })),
          counters: { done: step.keepsOpen ? messages - 1 : messages },
          openGroups: step.keepsOpen ? [{ id: `g-${texts[0]}`, parts: 2 }] : [],
        };
        const result: CommitResult = await store.commit(request);
        answers.push(result);
        expect(result.status).to.equal(step.isStale ? 'fenced' : 'committed');
        if (result.status !== 'committed') break;
        consumed.push(...texts);
        if (step.keepsOpen) open.push(`g-${texts[0]}`, `g-${texts[0]}`);
        if (step.fault === 'reply-lost')
          expect(await store.commit(request)).to.deep.equal({ status: 'repeat' });
        break;
      }
      case 'settle': {
        const token = tokens.at(-1);
        const id = token === undefined ? undefined : open.shift();
        if (token === undefined || id === undefined) break;
        answers.push(await store.commit({ partition: 0, token, settleGroups: [{ id, counter: 'done' }] }));
        break;
      }
    }
    const ledger = await store.ledger(0, QUESTION);
    expect(ledger.problems).to.deep.equal([]);
    answers.push(ledger);
  }

  const waiting = await readAll(store);
  const gone = await readAll(store, 'out');
  answers.push(
    waiting.map(({ id }) => id),
    gone.map(({ id }) => id),
  );
  const textsOf = (entries: typeof waiting): string[] => entries.map(({ payload }) => payload.toString());
  expect([...textsOf(gone), ...textsOf(waiting)]).to.deep.equal(stored);
  expect(textsOf(gone)).to.deep.equal(consumed);
  let sum = 0;
  for (const text of stored) sum += Number(text.split(':')[1]);
  expect((await store.ledger(0, QUESTION)).accepted).to.equal(sum);
  return answers;
}

describe('durable stores', () => {
  it('lose nothing, double nothing and answer alike under random interleavings', async function () {
    this.timeout(20_000);
    const url = await specRedisUrl();
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 40 }), async (steps) => {
        const writerIds = Array.from({ length: 50 }, freshWriterId);
        const start: Step = { do: 'take-over', nonce: 'a' };
        const again: Step = { do: 'take-over', nonce: 'a' };
        const all = [start, again, ...steps];
        const fresh = await openRedisStore(url);
        try {
          const fromRedis = await play(fresh.store, all, writerIds);
          const fromMemory = await play(createMemoryStore(), all, writerIds);
          expect(fromRedis).to.deep.equal(fromMemory);
        } finally {
          await fresh.close();
        }
      }),
      { numRuns: 30 },
    );
  });
});
