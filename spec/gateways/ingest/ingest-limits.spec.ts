import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { systemClock } from '../../../runtime/clock.ts';
import type { IngestLimits } from '../../../gateways/ingest/limits.ts';
import { ManualClock } from '../http/manual-clock.ts';
import { rawExchange } from '../http/raw-http.ts';
import { KEY, postHead, postOf, startIngest, until } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';

const CHUNKED = `POST /ingest HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n`;
const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`;

describe('IngestServer limits', () => {
  const started: IngestUnderTest[] = [];
  const sockets: Socket[] = [];
  function start(
    limits: Partial<IngestLimits> = {},
    clock: ManualClock | typeof systemClock = systemClock,
  ): IngestUnderTest {
    const ingest = startIngest({ limits, clock });
    started.push(ingest);
    return ingest;
  }
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const { server } of started.splice(0)) server.close();
  });
  /** Sends and keeps the connection open. */
  async function open(ingest: IngestUnderTest, text: string): Promise<Socket> {
    const socket = connect(ingest.port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(text);
    await new Promise((resolve) => socket.on('connect', resolve));
    return socket;
  }

  describe('body size', () => {
    it('answers 413 to a body announced too large, and the client gets to read it', async () => {
      const ingest = start({ bodyBytesMax: 100_000 });
      for (const size of [100_001, 5_000_000]) {
        const { replies } = await rawExchange(ingest.port, [postHead(size), Buffer.alloc(size)]);
        expect(replies[0]?.status).to.equal(413);
        expect(replies[0]?.body).to.include('E_BODY_TOO_LARGE');
      }
      const inStep = await rawExchange(
        ingest.port,
        [postHead(200_000), Buffer.alloc(200_000), postOf('{}')],
        { replies: 2 },
      );
      expect(inStep.replies.map(({ status }) => status)).to.deep.equal([413, 200]);
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'too_large' })).to.equal(3);
    });

    it('closes the connection after the reply when the rest would be too long to throw away', async () => {
      const ingest = start();
      const { replies, isClosed } = await rawExchange(ingest.port, [postHead(70_000_000)], {
        untilClosed: true,
      });
      expect(replies[0]?.status).to.equal(413);
      expect(isClosed).to.equal(true);
    });

    it('answers 413 to a chunked body at the chunk that passes the limit, and closes', async () => {
      const ingest = start({ bodyBytesMax: 100_000 });
      const { replies, isClosed } = await rawExchange(
        ingest.port,
        [CHUNKED, chunk(60_000), 20, chunk(60_000)],
        {
          untilClosed: true,
        },
      );
      expect(replies[0]?.status).to.equal(413);
      expect(isClosed).to.equal(true);
      expect(ingest.store.stored).to.have.length(0);
      expect(ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
    });
  });

  describe('bytes in flight', () => {
    it('answers 503 before reading a body over the share of its source, and takes it when there is room', async () => {
      const ingest = start({ inFlightBytesMax: 3_000 });
      ingest.store.isHolding = true;
      await open(ingest, postOf('x'.repeat(600)));
      await until(() => ingest.store.held === 1);
      const { replies } = await rawExchange(ingest.port, [postHead(401)]);
      expect(replies[0]?.status).to.equal(503);
      expect(replies[0]?.headers['retry-after']).to.match(/^\d+$/);
      expect(ingest.server.inFlight.bytes).to.equal(600);
      ingest.store.answerHeld();
      ingest.store.isHolding = false;
      expect((await ingest.post('x'.repeat(1_000))).status).to.equal(200);
      expect(ingest.server.inFlight.bytes).to.equal(0);
      expect(replies[0]?.body).to.include('E_SHARE_FULL');
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'share' })).to.equal(1);
    });

    it('counts an announced body before it comes, and a chunked one as it comes', async () => {
      const ingest = start({ inFlightBytesMax: 3_000 });
      const announced = await open(ingest, postHead(900));
      await until(() => ingest.server.inFlight.bytes === 900);
      expect((await ingest.post('x'.repeat(101))).status).to.equal(503);
      const { replies } = await rawExchange(ingest.port, [CHUNKED, chunk(60), 10, chunk(60)], {
        untilClosed: true,
      });
      expect(replies[0]?.status).to.equal(503);
      announced.destroy();
      await until(() => ingest.server.inFlight.bytes === 0);
      expect((await ingest.post('x'.repeat(1_000))).status).to.equal(200);
    });

    it('stay charged for a client that went away until the threads are done', async () => {
      const ingest = start({ inFlightBytesMax: 3_000 });
      ingest.store.isHolding = true;
      (await open(ingest, postOf('x'.repeat(900)))).destroy();
      await until(() => ingest.count('mutt_ingest_aborted_requests_total', { stage: 'waiting' }) === 1);
      expect((await ingest.post('x'.repeat(200))).status).to.equal(503);
      ingest.store.answerHeld();
      expect(ingest.server.inFlight.bytes).to.equal(0);
    });
  });

  it('answers 503 when too many requests of a source are in flight', async () => {
    const ingest = start({ requestsMax: 9 });
    for (let at = 0; at < 3; at++) await open(ingest, postHead(5));
    await until(() => ingest.server.inFlight.requests === 3);
    expect((await ingest.post('{}')).status).to.equal(503);
    sockets.pop()?.destroy();
    await until(() => ingest.server.inFlight.requests === 2);
    expect((await ingest.post('{}')).status).to.equal(200);
  });

  it('breaks off a body that does not arrive in time, and only that', async () => {
    const clock = new ManualClock();
    const ingest = start({ bodyTimeoutMs: 30_000 }, clock);
    const slow = await open(ingest, postHead(5));
    await until(() => ingest.server.inFlight.requests === 1);
    clock.advance(29_000);
    const quick = await open(ingest, postHead(5));
    await until(() => ingest.server.inFlight.requests === 2);
    const closed = new Promise((resolve) => slow.on('close', resolve));
    clock.advance(3_000);
    await closed;
    expect(ingest.server.inFlight.requests).to.equal(1);
    expect(ingest.count('mutt_ingest_requests_total', { reason: 'slow' })).to.equal(1);
    expect(ingest.count('mutt_ingest_aborted_requests_total')).to.equal(0);
    const answer = new Promise<string>((resolve) => quick.on('data', (data) => resolve(data.toString())));
    quick.write('hello');
    expect(await answer).to.match(/^HTTP\/1\.1 200 OK/);
  });

  it('answers 503 when a verdict does not come in time, and a late one answers nobody', async () => {
    const clock = new ManualClock();
    const ingest = start({ verdictTimeoutMs: 30_000 }, clock);
    ingest.store.isHolding = true;
    const reply = ingest.post('late');
    await until(() => ingest.store.held === 1);
    clock.advance(32_000);
    expect((await reply).status).to.equal(503);
    expect((await reply).body).to.include('E_VERDICT_LATE');
    const next = ingest.post('next');
    await until(() => ingest.store.held === 2);
    ingest.store.answerHeld();
    expect((await next).status).to.equal(200);
    expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(1);
    expect(ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
  });

  describe('batches', () => {
    it('hold everything that arrived in one turn of the loop', async () => {
      const ingest = start();
      await Promise.all(Array.from({ length: 300 }, (_, at) => ingest.post(`{"n":${at}}`)));
      const bodies = ingest.store.stored.map(({ body }) => body.toString());
      expect(new Set(bodies).size).to.equal(300);
      expect(ingest.store.batchSizes.length).to.be.below(150);
      expect(ingest.count('mutt_ingest_batches_total')).to.equal(ingest.store.batchSizes.length);
    });

    it('keep each body, id and key apart while memory is used again and again', async function () {
      this.timeout(10_000);
      const ingest = start();
      const sizes = [0, 1, 290, 5_000, 262_144, 262_145, 700_000];
      for (let round = 0; round < 12; round++) {
        await Promise.all(
          sizes.map(async (size, at) => {
            const id = `r${round}-${at}`;
            const reply = await ingest.post(Buffer.alloc(size, id), {
              'X-Correlation-ID': id,
              'Idempotency-Key': `k${id}`,
            });
            expect(JSON.parse(reply.body)).to.include({ correlation_id: id, accepted: 1 });
          }),
        );
      }
      expect(ingest.store.stored).to.have.length(12 * sizes.length);
      for (const { body, correlationId, idempotencyKey } of ingest.store.stored) {
        expect(idempotencyKey).to.equal(`k${correlationId}`);
        expect(body.equals(Buffer.alloc(body.length, correlationId))).to.equal(true);
      }
    });

    it('are cut when full, within one turn', async () => {
      const ingest = start();
      const body = Buffer.alloc(200_000, 'x');
      await Promise.all(Array.from({ length: 30 }, () => ingest.post(body)));
      expect(ingest.store.stored.filter((row) => row.body.equals(body))).to.have.length(30);
    });
  });

  it('holds thousands of connections to its limit', async function () {
    this.timeout(10_000);
    const ingest = start({ connectionsMax: 500 });
    const results = await Promise.all(
      Array.from({ length: 2_000 }, () =>
        rawExchange(ingest.port, [postOf('{}'), 300], { waitMs: 3_000, replies: 2 }),
      ),
    );
    const answered = results.filter(({ replies }) => replies[0]?.status === 200).length;
    expect(answered).to.be.at.least(500);
    expect(ingest.count('mutt_ingest_refused_connections_total')).to.equal(2_000 - answered);
    await until(() => ingest.server.connections === 0);
    expect((await ingest.post('{}')).status).to.equal(200);
  });

  describe('drain', () => {
    it('answers what is in flight, closes after the next reply, and takes no new connection', async () => {
      const ingest = start();
      ingest.store.isHolding = true;
      const inFlight = rawExchange(ingest.port, [postOf('{"a":1}')], { untilClosed: true });
      await until(() => ingest.store.held === 1);
      const keptAlive = await open(ingest, '');
      const drained = ingest.server.drain(5_000);
      expect(ingest.server.listening).to.equal(false);
      expect((await rawExchange(ingest.port, [postOf('{}')], { waitMs: 200 })).replies).to.have.length(0);
      let late = '';
      keptAlive.on('data', (data) => (late += data.toString()));
      keptAlive.write(postOf('{"late":1}'));
      await until(() => ingest.store.held === 2);
      ingest.store.answerHeld();
      const { replies, isClosed } = await inFlight;
      expect(replies[0]?.status).to.equal(200);
      expect(replies[0]?.headers.connection).to.equal('close');
      expect(isClosed).to.equal(true);
      expect(await drained).to.deep.equal({ abandoned: 0 });
      expect(late).to.match(/^HTTP\/1\.1 200 OK[^]*Connection: close/);
    });

    it('closes idle connections soon, not at the deadline', async () => {
      const ingest = start();
      const idle = await open(ingest, '');
      const closed = new Promise((resolve) => idle.on('close', resolve));
      const startedMs = performance.now();
      expect(await ingest.server.drain(10_000)).to.deep.equal({ abandoned: 0 });
      await closed;
      expect(performance.now() - startedMs).to.be.below(1_000);
    });

    it('answers 503 at the deadline to what has no verdict', async () => {
      const ingest = start();
      ingest.store.isHolding = true;
      const waiting = rawExchange(ingest.port, [postOf('{}')], { untilClosed: true });
      const half = rawExchange(ingest.port, [postHead(10), 'x'], { untilClosed: true });
      await until(() => ingest.store.held === 1 && ingest.server.inFlight.requests === 2);
      expect(await ingest.server.drain(100)).to.deep.equal({ abandoned: 2 });
      for (const exchange of [waiting, half]) {
        const { replies, isClosed } = await exchange;
        expect(replies[0]?.status).to.equal(503);
        expect(replies[0]?.headers['retry-after']).to.equal('1');
        expect(isClosed).to.equal(true);
      }
      ingest.store.answerHeld();
      expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(1);
    });
  });
});
