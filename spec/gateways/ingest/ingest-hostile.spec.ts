import { expect } from 'chai';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { rawExchange } from '../http/raw-http.ts';
import type { RawPart } from '../http/raw-http.ts';
import { KEY, postHead, postOf, startIngest, until } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';

const EVENT = '{"hostname":"r1","timestamp":"2026-01-01T00:00:00Z","message":"m"}';
const KEYED = `Host: a\r\nX-API-KEY: ${KEY}\r\n`;
const CHUNKED = `POST /ingest HTTP/1.1\r\n${KEYED}Transfer-Encoding: chunked\r\n\r\n`;

/** The request line in one piece (the native parser takes a torn one for another version), then byte by byte. */
function byByte(request: string): RawPart[] {
  const lineEnd = request.indexOf('\r\n') + 2;
  return [request.slice(0, lineEnd), ...[...request.slice(lineEnd)].flatMap((byte) => [0, byte])];
}

describe('IngestServer against hostile input', () => {
  let ingest: IngestUnderTest;
  beforeEach(() => {
    ingest = startIngest();
  });
  afterEach(() => ingest.server.close());

  async function servesOn(): Promise<void> {
    const before = ingest.store.stored.length;
    expect((await ingest.post(EVENT)).status).to.equal(200);
    expect(ingest.store.stored.length).to.equal(before + 1);
    await until(() => ingest.server.inFlight.requests === 0 && ingest.server.inFlight.bytes === 0);
  }

  // Status 0: the server says nothing, and closes or waits for more.
  const MALFORMED: [name: string, bytes: RawPart, status: number][] = [
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + 'a'.repeat(200), 505],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['HTTP/1.0', `POST /ingest HTTP/1.0\r\n${KEYED}Content-Length: 2\r\n\r\n{}`, 505],
    ['HTTP/0.9', 'GET /ingest\r\n', 0],
    ['bare line feeds', `POST /ingest HTTP/1.1\n${KEYED}Content-Length: 2\n\n{}`, 505],
    ['zeros', new Uint8Array(3_000), 505],
    ['no Host', `POST /ingest HTTP/1.1\r\nX-API-KEY: ${KEY}\r\nContent-Length: 2\r\n\r\n{}`, 400],
    ['a header without a colon', 'POST /ingest HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n', 0],
    ['a space before the colon', 'POST /ingest HTTP/1.1\r\nHost : a\r\n\r\n', 0],
    ['a NUL in a header', 'POST /ingest HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n', 0],
    ['an 8 KB header', `POST /ingest HTTP/1.1\r\n${KEYED}X: ${'x'.repeat(8_192)}\r\n\r\n`, 431],
    ['150 headers', `POST /ingest HTTP/1.1\r\n${KEYED}${'X: y\r\n'.repeat(150)}\r\n`, 431],
    ['an endless path', `POST /${'x'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ['a negative length', postHead(0, { 'Content-Length': '-3' }), 400],
    ['a length in words', postHead(0, { 'Content-Length': 'many' }), 400],
    ['a length with a sign', postHead(0, { 'Content-Length': '+2' }) + '{}', 400],
    ['a hexadecimal length', postHead(0, { 'Content-Length': '0x2' }) + '{}', 400],
    ['a length beyond all numbers', postHead(0, { 'Content-Length': '9'.repeat(30) }), 400],
    ['two lengths', postHead(2, { 'content-length': '4' }) + '{}{}', 400],
    ['a length and chunks', `${CHUNKED.slice(0, -2)}Content-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
    ['a chunk size that is none', `${CHUNKED}zz\r\n{}\r\n0\r\n\r\n`, 400],
    ['a chunk size beyond all numbers', `${CHUNKED}ffffffffffffffffff\r\n{}`, 400],
    [
      'a request smuggled behind a body',
      postHead(0, { 'Content-Length': '2', 'content-length': '2' }) + '{}',
      400,
    ],
  ];
  for (const [name, bytes, status] of MALFORMED) {
    it(`stores nothing of ${name} and serves on`, async () => {
      const { replies } = await rawExchange(ingest.port, [bytes], { waitMs: 250 });
      expect(replies[0]?.status ?? 0).to.equal(status);
      expect(ingest.store.stored).to.have.length(0);
      await servesOn();
    });
  }

  it('takes chunked bodies, in any pieces', async () => {
    for (const parts of [
      [`${CHUNKED}4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n`],
      [CHUNKED, 10, '4\r\n{"', 10, 'a"\r\n3\r\n:1}\r\n0\r\n', 10, '\r\n'],
      byByte(`${CHUNKED}7\r\n{"a":1}\r\n0\r\n\r\n`),
    ]) {
      expect((await rawExchange(ingest.port, parts)).replies[0]?.status).to.equal(200);
      expect(ingest.store.stored.at(-1)?.body.toString()).to.equal('{"a":1}');
    }
    const big = 'x'.repeat(700_000);
    const pieces = Array.from(
      { length: 7 },
      () => `${(100_000).toString(16)}\r\n${big.slice(0, 100_000)}\r\n`,
    );
    const { replies } = await rawExchange(ingest.port, [CHUNKED, ...pieces, '0\r\n\r\n']);
    expect(replies[0]?.status).to.equal(200);
    expect(ingest.store.stored.at(-1)?.body.toString()).to.equal(big);
  });

  it('lets clients that expect "100 Continue" go on, and tells them at once when it refuses', async () => {
    const expecting = postHead(7, { Expect: '100-continue' });
    const taken = await rawExchange(ingest.port, [expecting, 50, '{"a":1}']);
    expect(taken.text).to.match(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    const refused = await rawExchange(ingest.port, [
      postHead(7, { Expect: '100-continue', 'X-API-KEY': 'no' }),
    ]);
    expect(refused.replies[0]?.status).to.equal(401);
  });

  it('drops a request whose client goes away in the middle of its body', async () => {
    for (const sent of [0, 1, 1_000, 300_000]) {
      await rawExchange(ingest.port, [postHead(400_000), 'x'.repeat(sent)], { waitMs: 30 });
    }
    await until(() => ingest.count('mutt_ingest_aborted_requests_total', { stage: 'reading' }) === 4);
    expect(ingest.store.stored).to.have.length(0);
    await servesOn();
  });

  it('keeps the place of a request whose client goes away before the verdict, and counts its events', async () => {
    ingest.store.isHolding = true;
    await rawExchange(ingest.port, [postOf(EVENT)], { waitMs: 50 });
    await until(() => ingest.count('mutt_ingest_aborted_requests_total', { stage: 'waiting' }) === 1);
    expect(ingest.server.inFlight).to.deep.equal({ requests: 1, bytes: EVENT.length });
    ingest.store.isHolding = false;
    ingest.store.answerHeld();
    expect(ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
    expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(1);
    await servesOn();
  });

  it('closes a connection that does not wait for its answer, and answers those that do', async () => {
    ingest.store.isHolding = true;
    const { replies, isClosed } = await rawExchange(ingest.port, [postOf(EVENT) + postOf(EVENT)], {
      waitMs: 300,
    });
    expect(replies).to.have.length(0);
    expect(isClosed).to.equal(true);
    ingest.store.isHolding = false;
    ingest.store.answerHeld();
    const inStep = await rawExchange(ingest.port, [postOf(EVENT), 50, postOf(EVENT), 50, postOf(EVENT)], {
      replies: 3,
    });
    expect(inStep.replies.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    await servesOn();
  });

  it('takes a request whose every byte after the request line comes alone', async () => {
    expect((await rawExchange(ingest.port, byByte(postOf(EVENT)))).replies[0]?.status).to.equal(200);
    expect(ingest.store.stored.at(-1)?.body.toString()).to.equal(EVENT);
  });

  it('ignores an Idempotency-Key it cannot use, and says so only to strict clients', async () => {
    for (const key of ['a b', 'aéb', 'x'.repeat(257)]) {
      expect((await ingest.post(EVENT, { 'Idempotency-Key': key })).status).to.equal(200);
      expect(ingest.store.stored.at(-1)?.idempotencyKey).to.equal(undefined);
      expect(
        (await ingest.post(EVENT, { 'Idempotency-Key': key, Prefer: 'handling=strict' })).status,
      ).to.equal(400);
    }
    expect((await ingest.post(EVENT, { 'Idempotency-Key': 'a', 'idempotency-key': 'b' })).status).to.equal(
      200,
    );
    expect(ingest.store.stored.at(-1)?.idempotencyKey).to.equal(undefined);
  });

  it('answers 503 when the threads refuse a batch, and serves on', async () => {
    ingest.store.isBroken = true;
    const reply = await ingest.post(EVENT);
    expect(reply.status).to.equal(503);
    expect(ingest.logged).to.have.length(1);
    ingest.store.isBroken = false;
    await servesOn();
  });

  it('ignores verdicts that nobody waits for', async () => {
    const verdict = { status: 'stored', accepted: 1, rejected: 0, errors: [] } as const;
    ingest.store.send([0, 1, 65_536, 4_294_967_295].map((request) => ({ request, ...verdict })));
    expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(4);
    await servesOn();
  });

  it('survives any bytes', async function () {
    this.timeout(15_000);
    const piece = fc.oneof(
      {
        weight: 2,
        arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      },
      fc.constantFrom(
        'POST /ingest HTTP/1.1\r\n',
        'GET / HTTP/1.1\r\n',
        KEYED,
        'Content-Length: 5\r\n',
        'Content-Length: 70000\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Expect: 100-continue\r\n',
        'Connection: close\r\n',
        'Upgrade: websocket\r\nConnection: Upgrade\r\n',
        '\r\n',
        '\r\n\r\n',
        '5\r\nabcde\r\n',
        '0\r\n\r\n',
        'hello',
        postOf(EVENT),
        postOf(EVENT).slice(0, -10),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 9, arbitrary: piece }, fc.constant(1)), { maxLength: 8 }),
        async (parts) => {
          await rawExchange(ingest.port, parts, { waitMs: 8, replies: 99 });
        },
      ),
      { numRuns: 300 },
    );
    await servesOn();
    expect(ingest.count('mutt_ingest_requests_total', { reason: 'error' })).to.equal(0);
  });
});
