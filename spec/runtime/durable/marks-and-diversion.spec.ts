/**
 * Marks and diverted keys together: what is stored once and told as stored, whichever of the two lanes it takes, and
 * however often it is moved from one to the other before.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import type { CodedError } from '../../../runtime/errors.ts';
import type {
  AppendRequest,
  AppendResult,
  DurableStore,
  Token,
} from '../../../runtime/durable/durable-store.ts';
import type { RangeMark } from '../../../runtime/durable/marking.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { cumulativeOf } from '../../../runtime/durable/store-names.ts';
import type { Receipt, Writer } from '../../../runtime/durable/writer.ts';
import { mayBeStored } from '../../../runtime/durable/writer-errors.ts';
import { describeEveryStore } from './every-store.ts';
import { createFaultyStore } from './faulty-store.ts';
import type { Fault } from './faulty-store.ts';
import { IN, joined, openWriter, OVER, partOf, QUESTION, textsIn } from './keyed-traffic.ts';
import type { KeyedPart } from './keyed-traffic.ts';
import {
  commitOf,
  inputOf,
  ManualClock,
  markOf,
  own,
  readAll,
  rejectionOf,
  WIDE,
} from './store-under-test.ts';

const FAIR = 16;
const FLOOD = 1;
const QUIET = 2;

type KeyedWriter = Writer<KeyedPart, string>;

const textOf = ({ key, nth }: KeyedPart['messages'][number]): string => `${key}:${nth}`;

/** One mark over all of it, named after it. */
function wholeMark({ messages }: KeyedPart): RangeMark {
  return { ...markOf(`whole ${messages.map(textOf).join(' ')}`), first: 0, count: messages.length };
}

/** A mark for each message. */
function singleMarks({ messages }: KeyedPart): RangeMark[] {
  return messages.map((message, first) => ({ ...markOf(textOf(message)), first, count: 1 }));
}

function submit(
  writer: KeyedWriter,
  part: KeyedPart,
  marks: readonly RangeMark[] = [],
): Promise<Receipt<string>> {
  return writer.submit(0, IN, part.messages.length, part, marks);
}

async function textsOf(store: DurableStore, lane: string): Promise<string[]> {
  return (await readAll(store, lane)).flatMap(({ payload }) => textsIn(payload));
}

/** Handles the next entry as a consumer of both lanes may: from the overflow lane only what has nothing before it. */
async function handleNext(store: DurableStore, token: Token, prefersOverflow = false): Promise<string[]> {
  const [[express], [overflow]] = await Promise.all([readAll(store, IN), readAll(store, OVER)]);
  const before = express === undefined ? Infinity : cumulativeOf(express.id) - express.count;
  const mayOverflow = overflow !== undefined && (overflow.overflow?.after ?? 0) <= before;
  const entry = mayOverflow && (prefersOverflow || express === undefined) ? overflow : express;
  if (entry === undefined) return [];
  const { bytes, ...input } = inputOf(entry);
  const { keys } = entry.overflow ?? {};
  const whole = { ...input, bytes: bytes + (keys?.length ?? 0), ...(keys === undefined ? {} : { keys }) };
  await store.commit(commitOf(token, { inputs: [whole], counters: { done: entry.count } }));
  return textsIn(entry.payload);
}

async function handleAll(store: DurableStore, token: Token): Promise<string[]> {
  const handled: string[] = [];
  for (let texts = ['']; texts.length > 0; handled.push(...texts)) texts = await handleNext(store, token);
  return handled;
}

describeEveryStore('marks and diverted keys', (under) => {
  let overflowMax: number;
  beforeEach(() => {
    overflowMax = Infinity;
  });

  const open = (options: Parameters<typeof openWriter>[2] = {}): KeyedWriter =>
    openWriter(under.store, FAIR, {
      bounds: ({ lane }) =>
        lane === OVER && overflowMax < Infinity ? { ...WIDE, messagesMax: overflowMax } : WIDE,
      ...options,
    });
  const texts = (lane: string): Promise<string[]> => textsOf(under.store, lane);
  /** The lane is crowded, the flood diverted: 16 messages of it are in the express lane, 4 in the other. */
  const flood = async (): Promise<void> => {
    const writer = open();
    for (const [nth, count] of [
      [0, FAIR / 2],
      [FAIR / 2, FAIR / 2],
      [FAIR, 4],
    ] as const)
      await submit(writer, partOf(FLOOD, nth, count));
    expect(await texts(OVER)).to.have.length(4);
  };
  const both = joined([partOf(QUIET, 0, 1), partOf(FLOOD, 20, 1)]);

  it('brings what has one mark to the overflow lane whole, and knows it there and in the other', async () => {
    await flood();
    const writer = open();
    expect(await submit(writer, both, [wholeMark(both)])).to.deep.include({ tag: '2:0 1:20', duplicates: 0 });
    expect((await texts(OVER)).slice(4)).to.deep.equal(['2:0', '1:20']);
    expect(await texts(IN)).to.have.length(FAIR);
    const again = { tag: undefined, duplicates: 2 };
    expect(await submit(writer, both, [wholeMark(both)])).to.deep.include(again);
    // One that knows nothing of diverted keys asks the express lane.
    expect(await submit(open(), both, [wholeMark(both)])).to.deep.include(again);
    const token = await own(under.store);
    expect(await handleAll(under.store, token)).to.have.length(FAIR + 6);
    expect((await under.store.ledger(0, QUESTION)).measured.divertedKeys).to.equal(0);
    // Its keys have returned.
    expect(await submit(writer, both, [wholeMark(both)])).to.deep.include(again);
    expect(await handleAll(under.store, token)).to.deep.equal([]);
    expect(writer.inFlightBytes).to.equal(0);
    expect((await under.store.ledger(0, QUESTION)).problems).to.deep.equal([]);
  });

  it('keeps the order of a quiet key of which one message goes to the overflow lane with others', async () => {
    await flood();
    const writer = open();
    const middle = joined([partOf(QUIET, 1, 1), partOf(FLOOD, 20, 1)]);
    const far = joined([partOf(3, 0, 1), partOf(QUIET, 3, 1)]);
    const receipts = await Promise.all([
      submit(writer, partOf(QUIET, 0, 1)),
      submit(writer, middle, [wholeMark(middle)]),
      submit(writer, partOf(QUIET, 2, 1)),
      submit(writer, far, [wholeMark(far)]),
      submit(writer, partOf(4, 0, 1)),
    ]);
    expect(receipts.map(({ duplicates }) => duplicates)).to.deep.equal([
      undefined,
      0,
      undefined,
      0,
      undefined,
    ]);
    expect((await texts(OVER)).slice(4)).to.deep.equal(['2:0', '2:1', '1:20', '2:2', '3:0', '2:3']);
    expect((await texts(IN)).slice(FAIR)).to.deep.equal(['4:0']);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('divides what has single marks, and takes only the rest of it when a full lane refused one half', async () => {
    await flood();
    overflowMax = 5;
    const writer = open();
    const part = joined([partOf(QUIET, 0, 1), partOf(FLOOD, 20, 2), partOf(QUIET, 1, 1)]);
    const half = await rejectionOf(submit(writer, part, singleMarks(part)));
    expect(half).to.deep.include({ code: 'E_LANE_FULL' });
    expect(half).to.have.nested.property('details.stored', 'unknown');
    expect((await texts(IN)).slice(FAIR)).to.deep.equal(['2:0', '2:1']);
    overflowMax = Infinity;
    const receipt = await submit(writer, part, singleMarks(part));
    expect(receipt).to.deep.include({ tag: '1:20 1:21', firstIndex: 0, duplicates: 2 });
    expect((await texts(OVER)).slice(4)).to.deep.equal(['1:20', '1:21']);
    expect(await submit(open(), part, singleMarks(part))).to.deep.include({ tag: undefined, duplicates: 4 });
    expect((await under.store.ledger(0, QUESTION)).accepted).to.equal(FAIR + 8);
    expect(writer.inFlightBytes).to.equal(0);
  });

  it('says where the new half lies when the later one was stored before', async () => {
    await flood();
    const known = partOf(FLOOD, 20, 1);
    await submit(open(), known, singleMarks(known));
    const writer = open();
    // It learns who is diverted, and has both lanes open.
    await submit(writer, partOf(FLOOD, 21, 1));
    const part = joined([known, partOf(QUIET, 0, 1)]);
    expect(await submit(writer, part, singleMarks(part))).to.deep.include({ tag: '2:0', duplicates: 1 });
    const other = joined([partOf(FLOOD, 22, 1), partOf(QUIET, 0, 1)]);
    expect(await submit(writer, other, singleMarks(other))).to.deep.include({ tag: '1:22', duplicates: 1 });
    expect(writer.inFlightBytes).to.equal(0);
  });

  describe('of equal submissions', () => {
    const equal = partOf(FLOOD, 20, 2);
    /**
     * The second one leads the third before it meets the first, which it follows then itself: while the overflow lane
     * gets nothing, frames of four messages bring them there apart.
     */
    async function chain(): Promise<{ writer: KeyedWriter; waits: Promise<Receipt<string>>[] }> {
      let isHeld = true;
      const isHeldBack = ({ lane }: AppendRequest): boolean => isHeld && lane === OVER;
      const writer = open({
        frameMessagesMax: 4,
        store: {
          ...under.store,
          generation: 1,
          append: async (requests) => {
            const results = await under.store.append(requests.filter((each) => !isHeldBack(each)));
            return requests.map((each) =>
              isHeldBack(each)
                ? { status: 'error', error: storeAway('held', 'no') }
                : (results.shift() as AppendResult),
            );
          },
        },
      });
      // It learns who is diverted.
      const before = submit(writer, partOf(FLOOD, 30, 1));
      await submit(writer, partOf(3, 0, 1));
      const submitEqual = (): Promise<Receipt<string>> => submit(writer, equal, [wholeMark(equal)]);
      const waits = [submitEqual()];
      await submit(writer, partOf(3, 1, 2));
      waits.push(submitEqual(), submitEqual());
      const settling = Promise.allSettled([before, ...waits]);
      await submit(writer, partOf(3, 3, 1));
      isHeld = false;
      await settling;
      return { writer, waits };
    }

    it('settles those that follow one that is moved to the overflow lane', async () => {
      await flood();
      const { writer, waits } = await chain();
      const receipts = await Promise.all(waits);
      expect(receipts.map(({ tag, duplicates }) => [tag, duplicates])).to.deep.equal([
        ['1:20 1:21', 0],
        ['1:20 1:21', 2],
        ['1:20 1:21', 2],
      ]);
      expect((await texts(OVER)).slice(4)).to.deep.equal(['1:30', '1:20', '1:21']);
      expect(writer.inFlightBytes).to.equal(0);
    });

    it('rejects them together when that is full', async () => {
      await flood();
      overflowMax = 6;
      const { writer, waits } = await chain();
      for (const rejection of await Promise.all(waits.map(rejectionOf))) {
        expect(rejection).to.have.nested.property('details.stored', 'no');
        expect(rejection).to.deep.include({ code: 'E_LANE_FULL' });
      }
      expect((await texts(OVER)).slice(4)).to.deep.equal(['1:30']);
      expect(writer.inFlightBytes).to.equal(0);
    });
  });

  it('lets a quiet key have its lane again when what took it along was refused', async () => {
    await flood();
    overflowMax = 5;
    const writer = open();
    expect(await rejectionOf(submit(writer, both, [wholeMark(both)]))).to.have.nested.property(
      'details.stored',
      'no',
    );
    expect(await submit(writer, partOf(QUIET, 0, 1))).to.include({ tag: '2:0' });
    expect((await texts(IN)).slice(FAIR)).to.deep.equal(['2:0']);
  });
});

describe('Marks and diverted keys under random interleavings', () => {
  const FAIR_FEW = 8;
  const DEADLINE_MS = 1_000;

  interface Step {
    writer: 0 | 1 | 2;
    /** One message of each. */
    keys: number[];
    marks: 'none' | 'whole' | 'single' | 'both';
    /** Once more in the same turn, by this writer or by the next one. */
    again: 'no' | 'here' | 'elsewhere';
    /** What was settled this many submissions ago, by this writer. */
    resends: number;
    faults: (Fault | undefined)[];
    commits: number;
    prefersOverflow: boolean;
    /** A copy of a request that got no answer arrives. */
    copyArrives: boolean;
    /** Before what has single marks: those of the latest one that had some. */
    overlaps: boolean;
    /** -1: what comes next is submitted in the same turn. */
    advanceMs: number;
  }
  const anyStep: fc.Arbitrary<Step> = fc.record({
    writer: fc.constantFrom(0, 1, 2),
    keys: fc.oneof(
      fc.array(fc.constantFrom(1, 1, 1, 2, 3, 4), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 4, max: 9 }).map((count) => Array<number>(count).fill(1)),
    ),
    marks: fc.constantFrom('none', 'whole', 'single', 'both'),
    again: fc.constantFrom('no', 'no', 'here', 'elsewhere'),
    resends: fc.nat({ max: 6 }),
    faults: fc.oneof(
      {
        weight: 9,
        arbitrary: fc.array(
          fc.constantFrom<Fault | undefined>(undefined, undefined, 'request-lost', 'reply-lost', 'refused'),
          { maxLength: 3 },
        ),
      },
      // Away for as long as anyone waits.
      fc.constantFrom<Fault>('refused', 'request-lost').map((fault) => Array<Fault>(30).fill(fault)),
    ),
    commits: fc.constantFrom(0, 0, 1, 2, 6),
    prefersOverflow: fc.boolean(),
    copyArrives: fc.boolean(),
    overlaps: fc.boolean(),
    advanceMs: fc.constantFrom(-1, -1, -1, 0, 1, 20, 300, 1_500),
  });

  /** What one message came to. */
  interface Fate {
    isMarked: boolean;
    isToldStored: boolean;
    mayBeStored: boolean;
  }
  interface Sent {
    part: KeyedPart;
    marks: RangeMark[];
    writer: number;
    /** Messages that were not sent before, and not at the same time by another writer. */
    fresh: KeyedPart['messages'];
    /** All of it had been told as stored when it was sent. */
    isKnown: boolean;
    outcome: { receipt: Receipt<string> } | { error: CodedError } | undefined;
  }
  interface Seen {
    duplicates: number;
    diverted: number;
    halves: number;
    full: number;
    unknown: number;
    late: number;
  }

  const NONE: KeyedPart['messages'] = [];

  function lastFew({ messages }: KeyedPart): KeyedPart {
    return joined([{ messages: messages.slice(-3), byteLength: 0 }]);
  }

  /** Counts what came of it; what it is told of duplicates must fit. */
  function look({ part, marks, isKnown, outcome }: Sent, seen: Seen): void {
    if (outcome === undefined) return;
    if ('error' in outcome) {
      const { code } = outcome.error;
      const isUnknown = mayBeStored(outcome.error);
      if (code === 'E_LANE_FULL') seen[isUnknown ? 'halves' : 'full'] += 1;
      else seen[isUnknown ? 'unknown' : 'late'] += 1;
    } else if (marks.length > 0) {
      const { duplicates = NaN } = outcome.receipt;
      expect(duplicates).to.be.within(isKnown ? part.messages.length : 0, part.messages.length);
      seen.duplicates += duplicates;
    }
  }

  async function play(steps: readonly Step[], seen: Seen): Promise<void> {
    const clock = new ManualClock();
    const inner = createMemoryStore({ clock });
    const faulty = createFaultyStore(inner);
    const token = await own(inner);
    const copies: (readonly AppendRequest[])[] = [];
    const store: DurableStore = {
      ...faulty,
      generation: 1,
      append: (requests) => {
        if (faulty.appendFaults[0] === 'request-lost') copies.push(requests);
        return faulty.append(requests);
      },
    };
    const writers = [0, 1, 2].map(() =>
      openWriter(store, FAIR_FEW, {
        clock,
        deadlineMs: DEADLINE_MS,
        frameMessagesMax: 8,
        bounds: ({ lane }) => ({ ...WIDE, messagesMax: lane === OVER ? 14 : 30 }),
      }),
    );
    const fates = new Map<string, Fate>();
    const sent: Sent[] = [];
    const handled: string[] = [];
    /** The latest one with single marks. */
    let latest: Sent | undefined;
    let next = 0;

    const fateOf = (message: KeyedPart['messages'][number]): Fate => fates.get(textOf(message)) as Fate;
    const send = (writer: number, part: KeyedPart, marks: RangeMark[], fresh = NONE): Sent => {
      const isKnown = part.messages.every((message) => fateOf(message).isToldStored);
      const one: Sent = { part, marks, writer, fresh, isKnown, outcome: undefined };
      sent.push(one);
      submit(writers[writer] as KeyedWriter, part, marks).then(
        (receipt) => {
          one.outcome = { receipt };
          for (const message of part.messages) fateOf(message).isToldStored = true;
        },
        (error: CodedError) => {
          one.outcome = { error };
          for (const message of part.messages) fateOf(message).mayBeStored ||= mayBeStored(error);
        },
      );
      return one;
    };

    for (const { writer, keys, marks, again, resends, faults, ...then } of steps) {
      faulty.appendFaults = [...faults];
      const fresh = joined(keys.map((key) => partOf(key, next++, 1)));
      for (const message of fresh.messages)
        fates.set(textOf(message), { isMarked: marks !== 'none', isToldStored: false, mayBeStored: false });
      // Of what is not settled nothing is sent by another writer at the same time, or neither's order says anything.
      const isAfter = latest?.writer === writer && again !== 'elsewhere';
      const overlap =
        then.overlaps && marks === 'single' && (isAfter || latest?.outcome !== undefined)
          ? latest
          : undefined;
      const part = overlap === undefined ? fresh : joined([lastFew(overlap.part), fresh]);
      const own = [
        ...(marks === 'whole' || marks === 'both' ? [wholeMark(part)] : []),
        ...(marks === 'single' || marks === 'both' ? singleMarks(part) : []),
      ];
      const earlier = resends === 0 ? undefined : sent.at(-resends);
      const first = send(writer, part, own, again === 'elsewhere' ? NONE : fresh.messages);
      if (marks === 'single' || marks === 'both') latest = first;
      if (own.length > 0 && again === 'here') send(writer, part, own);
      if (own.length > 0 && again === 'elsewhere') send((writer + 1) % 3, part, own);
      if (earlier?.outcome !== undefined && earlier.marks.length > 0)
        send(writer, earlier.part, earlier.marks);
      if (then.advanceMs < 0) continue;
      await clock.advance(then.advanceMs);
      for (let commits = 0; commits < then.commits; commits += 1)
        handled.push(...(await handleNext(inner, token, then.prefersOverflow)));
      if (then.copyArrives) await inner.append(copies.shift() ?? []);
    }

    faulty.appendFaults = [];
    await clock.advance(2 * DEADLINE_MS);
    expect(sent.filter(({ outcome }) => outcome === undefined)).to.deep.equal([]);
    for (const each of sent) look(each, seen);
    expect(writers.map(({ inFlightBytes }) => inFlightBytes)).to.deep.equal([0, 0, 0]);
    for (const copy of copies) await inner.append(copy);
    seen.diverted += (await textsOf(inner, OVER)).length;
    handled.push(...(await handleAll(inner, token)));

    const counts = new Map<string, number>();
    for (const text of handled) counts.set(text, (counts.get(text) ?? 0) + 1);
    for (const [text, { isMarked, isToldStored, mayBeStored: mayBe }] of fates) {
      const count = counts.get(text) ?? 0;
      if (isToldStored) expect(count, `${text} was told as stored`).to.equal(1);
      else if (mayBe) expect(count, `${text} may be stored, marked ${isMarked}`).to.be.at.most(1);
      else expect(count, `${text} was told as not stored`).to.equal(0);
    }
    const place = new Map(handled.map((text, at) => [text, at]));
    const last = new Map<string, number>();
    for (const { fresh, writer, outcome } of sent) {
      if (outcome === undefined || !('receipt' in outcome)) continue;
      for (const message of fresh) {
        const at = place.get(textOf(message)) as number;
        const of = `key ${message.key} of writer ${writer}`;
        expect(at, `${of}: ${textOf(message)}`).to.be.above(last.get(of) ?? -1);
        last.set(of, at);
      }
    }
    const ledger = await inner.ledger(0, QUESTION);
    expect(ledger.problems).to.deep.equal([]);
    expect(ledger.inFlight).to.equal(0);
    expect(ledger.accepted).to.equal(handled.length);
  }

  it('settles all, stores once what it tells as stored and nothing of the rest, in order', async function () {
    this.timeout(60_000);
    const seen: Seen = { duplicates: 0, diverted: 0, halves: 0, full: 0, unknown: 0, late: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 30 }), (steps) => play(steps, seen)),
      { numRuns: 300 },
    );
    // It was about all of these.
    for (const [what, times] of Object.entries(seen)) expect(times, what).to.be.above(5);
  });
});
