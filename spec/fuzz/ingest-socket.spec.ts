/**
 * The real ingest server on a socket, fed what no HTTP client sends: garbage, torn and pipelined requests, heads without
 * end, lengths that lie. It survives, stores only what it was given whole, and holds on to nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { rawExchange } from '../gateways/http/raw-http.ts';
import type { RawExchange, RawPart } from '../gateways/http/raw-http.ts';
import { KEY, postHead, startIngest, until } from '../gateways/ingest/ingest-under-test.ts';
import type { IngestUnderTest } from '../gateways/ingest/ingest-under-test.ts';
import { heldBytes } from '../support/heap.ts';
import { hostileBody } from './bodies.ts';

const MIB = 1024 * 1024;
/** What relays would take for "drop it" or "go elsewhere": never sent, whatever comes. */
const FORBIDDEN = [410, 416, 422, 424, 425, 428, 429, 451, 501, 504, 508];
const HEAD_END = '\r\n\r\n';

function chunked(body: Buffer, sizes: readonly number[]): Buffer {
  const head = postHead(0, { 'Content-Length': '', 'Transfer-Encoding': 'chunked' });
  const parts: Buffer[] = [Buffer.from(head, 'latin1')];
  for (let at = 0, next = 0; at < body.length; next++) {
    const chunk = body.subarray(at, at + sizes[next % sizes.length]!);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
    at += chunk.length;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** `bytes` in pieces, with a turn of the loop between; the request line stays whole, which the native parser needs. */
function torn(bytes: Buffer, cuts: readonly number[]): RawPart[] {
  const lineEnd = Math.max(0, bytes.indexOf('\n') + 1);
  const places = [lineEnd, ...cuts.map((cut) => lineEnd + (cut % (bytes.length - lineEnd + 1)))].sort(
    (a, b) => a - b,
  );
  const pieces = places.map((place, at) => bytes.subarray(at === 0 ? 0 : places[at - 1], place));
  return [...pieces, bytes.subarray(places.at(-1))]
    .filter(({ length }) => length > 0)
    .flatMap((piece) => [piece, 1]);
}

const cuts = fc.array(fc.nat(100_000), { maxLength: 4 });
const sizes = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 4 });
const body = hostileBody.filter(({ length }) => length > 0);

/** A whole request, then broken: a piece flipped, doubled, cut out or cut off, or its length a lie. */
const brokenRequest = fc
  .tuple(
    body,
    fc.constantFrom(
      'flip',
      'double',
      'remove',
      'end',
      'longer',
      'shorter',
      'huge head',
      'headers',
      'pipelined',
      'garbage',
    ),
    fc.nat(100_000),
    fc.integer({ min: 1, max: 200 }),
    cuts,
  )
  .map(([sent, how, place, size, tears]): RawPart[] => {
    const whole = Buffer.concat([Buffer.from(postHead(sent.length), 'latin1'), sent]);
    const at = place % whole.length;
    const part = whole.subarray(at, at + size);
    switch (how) {
      case 'flip':
        whole[at]! ^= 1 << (size % 8);
        return torn(whole, tears);
      case 'double':
        return torn(Buffer.concat([whole.subarray(0, at), part, whole.subarray(at)]), tears);
      case 'remove':
        return torn(Buffer.concat([whole.subarray(0, at), whole.subarray(at + size)]), tears);
      case 'end':
        return torn(whole.subarray(0, at), tears);
      case 'longer':
        return [postHead(sent.length + size), sent];
      case 'shorter':
        return [postHead(Math.max(0, sent.length - size)), sent];
      case 'huge head':
        return [postHead(sent.length).slice(0, -2) + `X: ${'x'.repeat(size * 400)}${HEAD_END}`, sent];
      case 'headers':
        return [postHead(sent.length).slice(0, -2) + 'X: y\r\n'.repeat(size) + '\r\n', sent];
      case 'pipelined':
        return [Buffer.concat([whole, whole, sent, whole])];
      default:
        return [sent, `POST /ingest HTTP/1.1\r\nX-API-KEY: ${KEY}${HEAD_END}`];
    }
  });

describe('IngestServer fed from bare sockets', function () {
  this.timeout(60_000);
  let ingest: IngestUnderTest;
  before(() => {
    ingest = startIngest();
  });
  after(() => ingest.server.close());

  const isIdle = (): boolean => ingest.server.inFlight.requests === 0 && ingest.server.inFlight.bytes === 0;

  it('stores exactly the body of a request, with a length or in chunks, wherever it is torn', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(body, sizes, fc.boolean(), cuts), { minLength: 1, maxLength: 6 }),
        async (requests) => {
          ingest.store.stored.length = 0;
          const exchanges = requests.map(([sent, chunks, isChunked, tears]) => {
            const whole = isChunked
              ? chunked(sent, chunks)
              : Buffer.concat([Buffer.from(postHead(sent.length), 'latin1'), sent]);
            return rawExchange(ingest.port, torn(whole, tears));
          });
          const statuses = (await Promise.all(exchanges)).map(({ replies }) => replies[0]?.status);
          expect(statuses).to.deep.equal(requests.map(() => 200));
          const hex = (buffer: Buffer): string => buffer.toString('hex');
          expect(ingest.store.stored.map((row) => hex(row.body)).sort()).to.deep.equal(
            requests.map(([sent]) => hex(sent)).sort(),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('answers or closes, stores at least what it answered 200, and comes to rest', async () => {
    let heldBefore = 0;
    let runs = 0;
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.array(brokenRequest, { minLength: 1, maxLength: 8 }), async (requests) => {
        ingest.store.stored.length = 0;
        const exchanges: RawExchange[] = await Promise.all(
          requests.map((parts) => rawExchange(ingest.port, parts, { waitMs: 40, replies: 9 })),
        );
        const replied = exchanges.flatMap(({ replies }) => replies.map(({ status }) => status));
        for (const status of replied) statuses.add(status);
        expect(
          replied.filter((status) => FORBIDDEN.includes(status) || (status >= 300 && status < 400)),
        ).to.deep.equal([]);
        await until(isIdle);
        expect(ingest.store.stored.length).to.be.at.least(replied.filter((status) => status === 200).length);
        runs++;
        if (runs === 50) heldBefore = heldBytes();
      }),
      { numRuns: 200 },
    );
    // Only if the server is met at every depth does this test anything.
    expect([...statuses]).to.include.members([200, 400, 401, 431]);
    await delay(50);
    ingest.store.stored.length = 0;
    expect(heldBytes() - heldBefore).to.be.below(16 * MIB);
    expect(ingest.count('mutt_ingest_requests_total', { reason: 'error' })).to.equal(0);
    expect(ingest.logged).to.deep.equal([]);
    expect((await ingest.post('{"a":1}')).status).to.equal(200);
  });
});
