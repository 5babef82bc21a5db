import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { INGEST_LANE, cutFrame, ingestActor } from '../../../actors/ingest/ingest-actor.ts';
import type {
  FramePart,
  IngestMessage,
  IngestOutcome,
  IngestRequest,
  ParkedPart,
} from '../../../actors/ingest/ingest-actor.ts';
import { partitionOf } from '../../../actors/ingest/partition.ts';
import { uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Bounds } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import type { Writer } from '../../../runtime/durable/writer.ts';
import { createFaultyStore } from '../../runtime/durable/faulty-store.ts';
import type { FaultyStore } from '../../runtime/durable/faulty-store.ts';
import { WIDE, settled, until } from '../../runtime/durable/store-under-test.ts';

const PARTITIONS = 4;
const event = (hostname: string, message = 'link down'): string =>
  JSON.stringify({ hostname, message, timestamp: '2024-05-01T12:00:00Z' });

describe('IngestActor', () => {
  let store: FaultyStore;
  let writer: Writer<FramePart, string>;
  let bounds: Bounds;
  let system: ActorSystem;
  let actor: ActorRef<IngestMessage>;
  let parked: ParkedPart[];
  let parking: Promise<void>;
  let stores: number;
  let now: number;

  beforeEach(() => {
    store = createFaultyStore(createMemoryStore());
    bounds = WIDE;
    parked = [];
    parking = Promise.resolve();
    stores = 0;
    now = 0;
    const newFrameId = uuidV7Maker(systemClock, (bytes) => bytes.fill((now += 1)));
    writer = createWriter<FramePart, string>({
      store,
      bounds: () => bounds,
      cut: (submissions) => cutFrame(newFrameId, 1_700_000_000_000, submissions),
      onStoreOlder: () => Promise.reject(new Error('not expected')),
      deadlineMs: 300,
    });
    system = new ActorSystem();
    actor = system.spawn(
      ingestActor({
        partitions: PARTITIONS,
        writer,
        parking: {
          park: async (count, at) => {
            for (let nth = 0; nth < count; nth++) parked.push(at(nth));
            await parking;
          },
        },
        count: (events) => (stores += events),
      }),
    );
  });
  afterEach(async () => {
    await system.stop(100);
    await writer.close();
  });

  type Sent = IngestRequest & { stages: string[]; outcomes: IngestOutcome[] };
  function requestOf(body: string | Buffer, rest: Partial<IngestRequest> = {}): Sent {
    const stages: string[] = [];
    const outcomes: IngestOutcome[] = [];
    return {
      body: Buffer.from(body),
      encoding: 'identity',
      dialect: 'native',
      hint: '',
      isStrict: false,
      keyName: 'relay',
      sender: 'rsyslog',
      correlationId: 'c-1',
      isPoison: false,
      mark: (stage) => stages.push(stage),
      answer: (outcome) => outcomes.push(outcome),
      ...rest,
      stages,
      outcomes,
    };
  }
  async function answerTo(request: Sent): Promise<IngestOutcome> {
    actor.tell({ type: 'requests', requests: [request] });
    await until(() => request.outcomes.length > 0);
    await settled();
    expect(request.outcomes).to.have.length(1);
    return request.outcomes[0] as IngestOutcome;
  }
  const send = (body: string | Buffer, rest?: Partial<IngestRequest>): Promise<IngestOutcome> =>
    answerTo(requestOf(body, rest));
  async function stored(): Promise<{ partition: number; text: string; correlationId: string }[]> {
    const positions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      lane: INGEST_LANE,
      afterId: '0-0',
    }));
    const entries = await store.read(positions, { entriesMax: 10_000, blockMs: 0 });
    return entries.flatMap(({ partition, payload, count }) => {
      const { records } = decodeFrame(payload);
      expect(records).to.have.length(count);
      return records.map(({ bytes, correlationId }) => ({
        partition,
        text: bytes.toString(),
        correlationId,
      }));
    });
  }

  it('stores every event as received, in the partition of its host, and says so', async () => {
    const hosts = ['r1', 'R2', 'sw-7.example.net', 'fw'];
    const body = hosts.map((host) => event(host)).join('\n');
    expect(await send(body)).to.deep.equal({ status: 'stored', accepted: 4, rejected: 0, errors: [] });
    const found = await stored();
    expect(found).to.have.deep.members(
      hosts.map((host) => ({
        partition: partitionOf(host.toLowerCase(), PARTITIONS),
        text: event(host),
        correlationId: 'c-1',
      })),
    );
    expect(stores).to.equal(4);
    expect(parked).to.deep.equal([]);
  });

  it('keeps the order of a host, and marks how far it has come', async () => {
    const lines = Array.from({ length: 1_500 }, (_, n) => event('r1', `n ${n}`));
    const request = requestOf(lines.join('\n'));
    await answerTo(request);
    expect((await stored()).map(({ text }) => text)).to.deep.equal(lines);
    expect(request.stages).to.deep.equal(['decoding', 'storing']);
  });

  it('stores more of one host than a frame can hold', async () => {
    const lines = Array.from({ length: 520 }, (_, n) => event('r1', `${n} ${'x'.repeat(65_300)}`));
    expect(await send(gzipSync(lines.join('\n'), { level: 1 }), { encoding: 'gzip' })).to.include({
      status: 'stored',
      accepted: 520,
    });
    expect(await stored()).to.have.length(520);
  });

  describe('a body with bad records', () => {
    const body = [event('r1'), '{"hostname":"r1"}', 'words', event('r2')].join('\n');

    it('parks the bad ones as they came and stores the good ones', async () => {
      const outcome = await send(body);
      expect(outcome).to.include({ status: 'stored', accepted: 2, rejected: 2 });
      expect(outcome.errors.map(({ index, code }) => [index, code])).to.deep.equal([
        [1, 'E_FIELD_MISSING'],
        [2, 'E_LINE_UNREADABLE'],
      ]);
      expect(parked.map(({ index, body: bytes }) => [index, bytes.toString()])).to.deep.equal([
        [1, '{"hostname":"r1"}'],
        [2, 'words'],
      ]);
      expect(parked[0]).to.include({ keyName: 'relay', sender: 'rsyslog', correlationId: 'c-1' });
      expect(await stored()).to.have.length(2);
      expect(stores).to.equal(2);
    });

    it('shows ten faults and counts all', async () => {
      const outcome = await send(`${event('r1')}\n${'{"hostname":"r1"}\n'.repeat(30)}`);
      expect(outcome.rejected).to.equal(30);
      expect(outcome.errors).to.have.length(10);
      expect(parked).to.have.length(30);
    });

    it('stores and parks nothing when the sender wants all or nothing', async () => {
      const outcome = await send(body, { isStrict: true });
      expect(outcome).to.include({ status: 'refused', accepted: 0, rejected: 2 });
      expect(outcome.errors).to.have.length(2);
      expect(await stored()).to.deep.equal([]);
      expect(parked).to.deep.equal([]);
    });

    it('answers only when its rejects are parked', async () => {
      const gate = Promise.withResolvers<void>();
      parking = gate.promise;
      const request = requestOf(body);
      actor.tell({ type: 'requests', requests: [request] });
      await until(() => parked.length === 2);
      await settled();
      expect(request.outcomes).to.deep.equal([]);
      gate.resolve();
      await until(() => request.outcomes.length === 1);
    });

    it('parks nothing when the good ones cannot be stored: the resend brings all again', async () => {
      store.appendFaults = Array<'refused'>(1_000).fill('refused');
      expect(await send(body)).to.include({ status: 'away' });
      expect(parked).to.deep.equal([]);
      expect(stores).to.equal(0);
    });

    it('keeps a copy of what it parks: the memory of the body is used again', async () => {
      const request = requestOf(body);
      await answerTo(request);
      request.body.fill(0);
      expect(parked[1]?.body.toString()).to.equal('words');
    });
  });

  describe('bodies with many bad records', () => {
    const many = (count: number): string => `${'{"hostname":"r1"}\n'.repeat(count)}${event('r1')}`;
    let gate: PromiseWithResolvers<void>;
    beforeEach(() => {
      gate = Promise.withResolvers();
      parking = gate.promise;
    });
    async function wait(count: number): Promise<Sent> {
      const request = requestOf(many(count));
      actor.tell({ type: 'requests', requests: [request] });
      const before = parked.length;
      await until(() => parked.length > before || request.outcomes.length > 0);
      return request;
    }

    it('are refused whole when too many of them wait, and taken again when those are through', async () => {
      const first = [await wait(99_000), await wait(99_000)];
      expect(first.map(({ outcomes }) => outcomes.length)).to.deep.equal([0, 0]);
      expect(await send(many(99_000))).to.deep.equal({
        status: 'full',
        accepted: 0,
        rejected: 0,
        errors: [],
      });
      expect(await stored()).to.have.length(2);
      expect(parked).to.have.length(2 * 99_000);
      gate.resolve();
      await until(() => first.every(({ outcomes }) => outcomes.length === 1));
      expect(await send(many(99_000))).to.include({ status: 'stored', accepted: 1, rejected: 99_000 });
    }).timeout(60_000);

    it('do not keep out a body with a few', async () => {
      await wait(99_000);
      const body = `${'{"hostname":"r1"}\n'.repeat(900)}${event('r1', 'x'.repeat(60_000))}\n`.repeat(100);
      const large = requestOf(body.repeat(3));
      actor.tell({ type: 'requests', requests: [large] });
      await until(() => large.outcomes.length === 1);
      expect(large.outcomes[0]).to.include({ status: 'full' });
      const few = await wait(3);
      expect(few.outcomes).to.deep.equal([]);
      expect(parked).to.have.length(99_003);
      gate.resolve();
      await until(() => few.outcomes.length === 1);
      expect(few.outcomes[0]).to.include({ status: 'stored', accepted: 1, rejected: 3 });
    }).timeout(60_000);
  });

  describe('a body that is no use', () => {
    it('is parked whole when nothing in it is a record', async () => {
      const outcome = await send('  \n ');
      expect(outcome).to.include({ status: 'unreadable', accepted: 0, rejected: 1 });
      expect(parked.map(({ code }) => code)).to.deep.equal(['E_BODY_EMPTY']);
    });

    it('is unreadable when not one record of it could be read, and each is parked', async () => {
      expect(await send('some words\nand more')).to.include({ status: 'unreadable', rejected: 2 });
      expect(parked.map(({ body: bytes }) => bytes.toString())).to.deep.equal(['some words', 'and more']);
      expect(await send('{"hostname":"r1"}')).to.include({ status: 'stored', accepted: 0, rejected: 1 });
    });

    it('is refused and not parked when the sender is strict', async () => {
      expect(await send(' ', { isStrict: true })).to.include({ status: 'unreadable' });
      expect(parked).to.deep.equal([]);
    });

    it('is parked raw when it has killed its decoder, without a look', async () => {
      const request = requestOf(event('r1'), { isPoison: true });
      const outcome = await answerTo(request);
      expect(outcome).to.include({ status: 'unreadable', rejected: 1 });
      expect(outcome.errors[0]?.code).to.equal('E_BODY_POISON');
      expect(parked[0]?.body.toString()).to.equal(event('r1'));
      expect(request.stages).to.deep.equal([]);
      expect(await stored()).to.deep.equal([]);
    });

    it('is parked raw when its decoder throws, and the others of the message are served', async () => {
      // No plain event, so that its text is needed.
      const bad = requestOf(event('r1.'));
      bad.body.toString = () => {
        throw new Error('a defect');
      };
      const good = requestOf(event('r2'));
      actor.tell({ type: 'requests', requests: [bad, good] });
      await until(() => bad.outcomes.length + good.outcomes.length === 2);
      expect(bad.outcomes[0]?.errors[0]?.code).to.equal('E_BODY_POISON');
      expect(good.outcomes[0]).to.include({ status: 'stored', accepted: 1 });
    });

    it('is too large when it unpacks to more than 64 MiB', async () => {
      const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024), { level: 1 });
      expect(await send(bomb, { encoding: 'gzip' })).to.include({ status: 'too_large' });
      expect(parked).to.deep.equal([]);
    });

    it('is parked with its first MiB at most', async () => {
      await send(Buffer.alloc(3 * 1024 * 1024, ' '));
      expect(parked[0]?.body).to.have.length(1024 * 1024);
    });
  });

  describe('when it cannot be stored', () => {
    it('says full at the bound of the mailbox', async () => {
      await send(event('r1'));
      bounds = { ...WIDE, entriesMax: 1 };
      expect(await send(event('r1'))).to.deep.equal({ status: 'full', accepted: 0, rejected: 0, errors: [] });
      expect(await stored()).to.have.length(1);
    });

    for (const fault of ['refused', 'request-lost', 'reply-lost'] as const) {
      it(`says away when the store does not answer for too long (${fault})`, async () => {
        store.appendFaults = Array<typeof fault>(1_000).fill(fault);
        expect(await send(event('r1'))).to.include({ status: 'away', accepted: 0 });
      });
    }

    it('says full only when nothing else went wrong', async () => {
      await send(event('r1'));
      const other = ['a', 'b', 'c', 'd', 'e'].find(
        (host) => partitionOf(host, PARTITIONS) !== partitionOf('r1', PARTITIONS),
      );
      bounds = { ...WIDE, entriesMax: 1 };
      expect(await send(`${event('r1')}\n${event(other as string)}`)).to.include({ status: 'full' });
      store.appendFaults = Array<'refused'>(1_000).fill('refused');
      expect(await send(event('r1'))).to.include({ status: 'away' });
    });

    it('answers once every part has settled', async () => {
      const gate = Promise.withResolvers<void>();
      store.hold = gate.promise;
      const request = requestOf(['r1', 'a', 'b', 'c'].map((host) => event(host)).join('\n'));
      actor.tell({ type: 'requests', requests: [request] });
      await settled();
      expect(request.outcomes).to.deep.equal([]);
      store.hold = undefined;
      gate.resolve();
      await until(() => request.outcomes.length === 1);
      expect(request.outcomes[0]).to.include({ status: 'stored', accepted: 4 });
    });
  });

  it('answers all it took before it ends', async () => {
    const gate = Promise.withResolvers<void>();
    store.hold = gate.promise;
    const request = requestOf(`${event('r1')}\nwords`);
    actor.tell({ type: 'requests', requests: [request] });
    await settled();
    const stopping = system.stopActor(actor, { deadlineMs: 1_000, drain: true });
    await settled();
    store.hold = undefined;
    gate.resolve();
    await stopping;
    expect(request.outcomes).to.have.length(1);
    expect(parked).to.have.length(1);
  });
});
