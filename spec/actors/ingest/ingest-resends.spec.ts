/** Requests and events that come again: stored once, answered the same, counted once. */
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { INGEST_LANE, cutFrame, ingestActor, withoutEvents } from '../../../actors/ingest/ingest-actor.ts';
import type {
  FramePart,
  IngestMessage,
  IngestOutcome,
  IngestRequest,
  ParkedPart,
  Resend,
} from '../../../actors/ingest/ingest-actor.ts';
import { hostnameHash, partitionOfHash } from '../../../actors/ingest/partition.ts';
import { partMark, requestIdentity } from '../../../actors/ingest/resend-marks.ts';
import { uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import type { Writer } from '../../../runtime/durable/writer.ts';
import { WIDE, WINDOW } from '../../runtime/durable/store-under-test.ts';

const PARTITIONS = 2;
const event = (hostname: string, message: string, more: object = {}): string =>
  JSON.stringify({ hostname, message, timestamp: '2024-05-01T12:00:00Z', ...more });
const partitionOf = (host: string): number => partitionOfHash(hostnameHash(host), PARTITIONS);
/** One host in each partition. */
const HOSTS = [0, 1].map((partition) =>
  Array.from({ length: 20 }, (_, n) => `r${n}`).find((host) => partitionOf(host) === partition)!,
);

describe('IngestActor, resends', () => {
  const store = { current: createMemoryStore() };
  let system: ActorSystem;
  let fullPartitions: Set<number>;
  let parked: ParkedPart[];
  let counted: number;
  let resends: Resend[];
  let writers: Writer<FramePart, string>[];
  let now: number;

  beforeEach(() => {
    store.current = createMemoryStore();
    system = new ActorSystem();
    fullPartitions = new Set();
    parked = [];
    resends = [];
    writers = [];
    counted = 0;
    now = 0;
  });
  afterEach(async () => {
    await system.stop(100);
    await Promise.all(writers.map((writer) => writer.close()));
  });

  /** Another thread each time, perhaps of another gateway. */
  function startThread(): ActorRef<IngestMessage> {
    const newFrameId = uuidV7Maker(systemClock, (bytes) => bytes.fill((now += 1)));
    const writer = createWriter<FramePart, string>({
      store: store.current,
      bounds: ({ partition }) => (fullPartitions.has(partition) ? { ...WIDE, entriesMax: 1 } : WIDE),
      cut: (submissions) => cutFrame(newFrameId, 1_700_000_000_000, submissions),
      without: withoutEvents,
      markWindow: () => WINDOW,
      onStoreOlder: () => Promise.reject(new Error('not expected')),
    });
    writers.push(writer);
    return system.spawn(
      ingestActor({
        partitions: PARTITIONS,
        writer,
        parking: {
          park: async (count, at) => {
            for (let nth = 0; nth < count; nth++) parked.push(at(nth));
          },
        },
        count: (events) => (counted += events),
        onResend: (resend) => resends.push(resend),
      }),
    );
  }
  function send(
    body: string | Buffer,
    rest: Partial<IngestRequest> = {},
    thread = startThread(),
  ): Promise<IngestOutcome> {
    return new Promise((resolve) => {
      const request: IngestRequest = {
        body: Buffer.from(body),
        encoding: 'identity',
        dialect: 'native',
        hint: '',
        isStrict: false,
        keyName: 'relay',
        idempotencyKey: 'k-1',
        sender: 'rsyslog',
        correlationId: 'c-1',
        isPoison: false,
        mark: () => undefined,
        answer: resolve,
        ...rest,
      };
      thread.tell({ type: 'requests', requests: [request] });
    });
  }
  async function stored(): Promise<string[]> {
    const positions = [0, 1].map((partition) => ({ partition, lane: INGEST_LANE, afterId: '0-0' }));
    const entries = await store.current.read(positions, { entriesMax: 10_000, blockMs: 0 });
    const texts = entries.flatMap(({ payload }) =>
      decodeFrame(payload).records.map(({ bytes }) => bytes.toString()),
    );
    return texts.toSorted();
  }
  async function accepted(): Promise<number> {
    const question = { terminal: [], inputLanes: [INGEST_LANE] };
    const ledgers = await Promise.all([0, 1].map((partition) => store.current.ledger(partition, question)));
    return ledgers.reduce((sum, ledger) => sum + ledger.accepted, 0);
  }

  const events = HOSTS.flatMap((host) => ['a', 'b'].map((text) => event(host, text)));
  const body = events.join('\n');

  it('answers a resend as the first time, and stores nothing', async () => {
    const first = await send(body);
    expect(first).to.deep.equal({ status: 'stored', accepted: 4, rejected: 0, errors: [] });
    expect(await send(body)).to.deep.equal({ ...first, stored: 0 });
    expect(await stored()).to.deep.equal(events.toSorted());
    expect([counted, await accepted()]).to.deep.equal([4, 4]);
    expect(resends).to.deep.equal([{ keyName: 'relay', duplicates: 4, isKeyReused: false, idsReused: 0 }]);
  });

  it('knows the same events however they are compressed', async () => {
    await send(body);
    expect(await send(gzipSync(body), { encoding: 'gzip' })).to.include({ accepted: 4, stored: 0 });
  });

  it('makes one of the same request that comes twice at the same time', async () => {
    const thread = startThread();
    const outcomes = await Promise.all([send(body, {}, thread), send(body, {}, thread), send(body)]);
    expect(outcomes.map((outcome) => outcome.accepted)).to.deep.equal([4, 4, 4]);
    expect(await stored()).to.deep.equal(events.toSorted());
    expect([counted, await accepted()]).to.deep.equal([4, 4]);
  });

  it('stores what is missing of a request of which part was stored', async () => {
    fullPartitions.add(1);
    await send(event(HOSTS[1]!, 'fills it'), { idempotencyKey: 'other' });
    expect(await send(body)).to.deep.equal({
      status: 'full',
      accepted: 0,
      rejected: 0,
      errors: [],
      stored: 2,
    });
    fullPartitions.clear();
    expect(await send(body)).to.include({ status: 'stored', accepted: 4, stored: 2 });
    expect(await stored()).to.deep.equal([...events, event(HOSTS[1]!, 'fills it')].toSorted());
    expect([counted, await accepted()]).to.deep.equal([5, 5]);
  });

  it('answers what is stored though there is no more room', async () => {
    await send(body);
    fullPartitions.add(0).add(1);
    expect(await send(body)).to.include({ status: 'stored', accepted: 4, stored: 0 });
    expect(await send(event(HOSTS[0]!, 'new'), { idempotencyKey: 'k-2' })).to.include({ status: 'full' });
  });

  it('takes the same key with another body for another request, and says so each time it comes', async () => {
    await send(body);
    const other = event(HOSTS[0]!, 'c');
    expect(await send(other)).to.deep.equal({
      status: 'stored',
      accepted: 1,
      rejected: 0,
      errors: [],
      isKeyReused: true,
    });
    expect(await send(other)).to.include({ accepted: 1, stored: 0, isKeyReused: true });
    expect(await send(body))
      .to.include({ accepted: 4, stored: 0 })
      .and.not.have.property('isKeyReused');
    expect(await stored()).to.deep.equal([...events, other].toSorted());
    expect(resends.filter(({ isKeyReused }) => isKeyReused)).to.have.length(2);
  });

  it('says it also to each of two that come at the same time', async () => {
    await send(body);
    const thread = startThread();
    const other = event(HOSTS[0]!, 'c');
    const outcomes = await Promise.all([send(other, {}, thread), send(other, {}, thread)]);
    expect(outcomes.map(({ isKeyReused, stored: fresh }) => [isKeyReused, fresh])).to.deep.equal([
      [true, undefined],
      [true, 0],
    ]);
    expect(resends.map(({ idsReused }) => idsReused)).to.deep.equal([0, 0]);
  });

  it('stores the same body under another key, API key or host beside it again', async () => {
    const bare = 'link down';
    await send(bare, { hint: 'r1' });
    for (const rest of [{ idempotencyKey: 'k-2' }, { keyName: 'other' }, { hint: 'r2' }]) {
      expect(await send(bare, { hint: 'r1', ...rest }))
        .to.include({ accepted: 1 })
        .and.not.have.property('stored');
    }
    expect(await accepted()).to.equal(4);
  });

  it('stores a body without a key as often as it comes', async () => {
    for (const _ of [1, 2]) await send(body, { idempotencyKey: undefined });
    expect(await accepted()).to.equal(8);
    expect(resends).to.deep.equal([]);
  });

  it('knows every part of a large request', async () => {
    const many = Array.from({ length: 1_500 }, (_, n) => event(HOSTS[n % 3 === 0 ? 0 : 1]!, `n${n}`)).join(
      '\n',
    );
    await send(many);
    expect(await send(many)).to.include({ accepted: 1_500, stored: 0 });
    expect(await accepted()).to.equal(1_500);
  });

  it('takes a part that was cut otherwise for another one: nothing is lost by it', () => {
    const identity = requestIdentity(
      { keyName: 'relay', idempotencyKey: 'k', dialect: 'native', hint: '' },
      Buffer.from('body'),
    );
    const part = (count: number, byteLength: number) =>
      partMark(identity, 0, { inputs: Array(count), byteLength });
    expect(part(2, 10)).to.deep.equal(part(2, 10));
    for (const other of [part(3, 10), part(2, 11)]) {
      expect(other.key.equals(part(2, 10).key)).to.equal(true);
      expect(other.content.equals(part(2, 10).content)).to.equal(false);
    }
  });

  describe('rejects', () => {
    const mixed = `${event(HOSTS[0]!, 'good')}\n{"hostname":"r1"}\nno event`;

    it('are parked under the same ids when they come again', async () => {
      const first = await send(mixed);
      expect(await send(mixed)).to.deep.equal({ ...first, stored: 0 });
      const ids = parked.map(({ id }) => id);
      expect(ids).to.have.length(4);
      expect(ids.slice(2)).to.deep.equal(ids.slice(0, 2));
      expect(new Set(ids)).to.have.property('size', 2);
      for (const id of ids)
        expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    });

    it('of another body are others', async () => {
      await send(mixed);
      await send(`${mixed}\n`);
      expect(new Set(parked.map(({ id }) => id))).to.have.property('size', 4);
    });

    it('are known when nothing at all can be read', async () => {
      for (const _ of [1, 2]) await send('{', { encoding: 'gzip' });
      expect(parked.map(({ id }) => id)).to.deep.equal([parked[0]!.id, parked[0]!.id]);
      expect(parked[0]!.id).to.be.a('string');
    });

    it('have no such id without a key', async () => {
      await send(mixed, { idempotencyKey: undefined });
      expect(parked.map((part) => 'id' in part)).to.deep.equal([false, false]);
    });
  });

  describe('ids of events', () => {
    const ofKey = { hasEventIds: true, idempotencyKey: undefined };
    const [one, two, three] = [1, 2, 3].map((id) => event(HOSTS[0]!, 'm', { id })) as [
      string,
      string,
      string,
    ];

    it('are known one by one, whatever request brings them', async () => {
      await send([one, two].join('\n'), ofKey);
      expect(await send([three, two, one].join('\n'), ofKey)).to.include({ accepted: 3, stored: 1 });
      expect(await send(`[${one},${three}]`, ofKey)).to.include({ accepted: 2, stored: 0 });
      expect(await stored()).to.deep.equal([one, two, three]);
      expect([counted, await accepted()]).to.deep.equal([3, 3]);
    });

    it('say nothing where the API key does not opt in', async () => {
      for (const _ of [1, 2]) await send(one, { idempotencyKey: undefined });
      expect(await accepted()).to.equal(2);
    });

    it('of another content, another host or another type name another event', async () => {
      await send(one, ofKey);
      expect(await send(event(HOSTS[0]!, 'other', { id: 1 }), ofKey)).to.not.have.property('stored');
      expect(resends).to.deep.equal([{ keyName: 'relay', duplicates: 0, isKeyReused: false, idsReused: 1 }]);
      await send(event('elsewhere', 'm', { id: 1 }), ofKey);
      await send(event(HOSTS[0]!, 'm', { id: '1' }), ofKey);
      expect(await accepted()).to.equal(4);
      expect(resends).to.have.length(1);
    });

    it('that are none are no reason to leave an event out', async () => {
      for (const id of [null, '', {}, true, 'x'.repeat(257)]) {
        for (const _ of [1, 2]) await send(event(HOSTS[0]!, 'm', { id }), ofKey);
      }
      for (const _ of [1, 2]) await send('<13>Oct 11 22:14:15 r1 su: it failed', ofKey);
      expect(await accepted()).to.equal(12);
    });

    it('and the key of the request go together', async () => {
      const both = { hasEventIds: true };
      await send(one, ofKey);
      expect(await send([one, two].join('\n'), both)).to.include({ accepted: 2, stored: 1 });
      expect(await send([one, two].join('\n'), both)).to.include({ accepted: 2, stored: 0 });
      expect(await stored()).to.deep.equal([one, two]);
    });
  });
});
