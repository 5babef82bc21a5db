import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { Observable, Subject } from 'rxjs';
import type { TapFilter, TappedEvent } from '../../../../actors/match/messages.ts';
import { Admission } from '../../../../gateways/admin/admission.ts';
import type { CountersDocument, StreamPort, TapNews } from '../../../../gateways/admin/stream/stream-port.ts';
import { STREAM_LIMITS, STREAM_PATH, StreamServer } from '../../../../gateways/admin/stream/stream-server.ts';
import { BRAKE_FAILURES_MAX } from '../../../../gateways/http/failure-brake.ts';
import { KeyRing } from '../../../../gateways/http/key-ring.ts';
import type { KeyRecord } from '../../../../gateways/http/key-ring.ts';
import type { RateLimits } from '../../../../gateways/http/rate-limiter.ts';
import { HttpServer } from '../../../../gateways/http/server.ts';
import { systemClock } from '../../../../runtime/clock.ts';
import { until } from '../../../support/node-under-test.ts';
import { rawExchange } from '../../http/raw-http.ts';
import { BINARY, RawWebSocket } from './raw-websocket.ts';

const PEPPER = Buffer.alloc(32, 7);
const keyOf = (name: string): string => `key-of-${name}-0123456789`;
const recordOf = (name: string, scopes: KeyRecord['scopes'], expiresAt: number | null = null): KeyRecord => ({
  name,
  scopes,
  hmacSha256: createHmac('sha256', PEPPER).update(keyOf(name)).digest('hex'),
  expiresAt,
});
const READER = recordOf('reader', ['read']);
const ADMIN = recordOf('admin', ['admin']);
const INGEST = recordOf('ingest', ['ingest']);
const OLD = recordOf('old', ['read'], 1);

const EVENT: TappedEvent = {
  received_at: '2026-05-01T12:00:00.000Z',
  hostname: 'r1',
  program: null,
  severity: 3,
  message: 'link down',
  decision: 'Page_only',
  rule_id: 1,
  rule_version: 2,
  team: 'NETO',
  correlation_id: 'c',
  event_id: 'e-0',
};

describe('StreamServer', function () {
  this.timeout(60_000);
  let http: HttpServer;
  let streams: StreamServer;
  let ring: KeyRing;
  let port: number;
  let faults: unknown[];
  let counters: Subject<CountersDocument>;
  let tree: Subject<object>;
  /** Open taps. */
  let taps: Map<TapFilter, (news: TapNews) => void>;
  const clients: RawWebSocket[] = [];

  function serve(
    limits: Partial<typeof STREAM_LIMITS> = {},
    rate: RateLimits = { requestsPerSecond: 1_000, burst: 1_000 },
  ): void {
    faults = [];
    counters = new Subject();
    tree = new Subject();
    taps = new Map();
    const feed: StreamPort = {
      counters,
      tree,
      tap: (filter) =>
        new Observable<TapNews>((client) => {
          taps.set(filter, (news) => client.next(news));
          return () => taps.delete(filter);
        }),
    };
    ring = new KeyRing([READER, ADMIN, INGEST, OLD], { pepper: PEPPER, clock: systemClock });
    const log = { warn: () => undefined, error: (...entry: unknown[]) => void faults.push(entry) };
    http = new HttpServer({ connectionsMax: 200, onFault: (fault) => faults.push(fault) });
    streams = new StreamServer({
      port: feed,
      admission: new Admission({ keys: ring, clock: systemClock, rate }),
      keys: ring,
      clock: systemClock,
      log,
      limits,
    });
    streams.attach(http);
    http.route('any', '/*', (response) => void response.end('nothing'));
    port = http.listen(0, '127.0.0.1');
  }

  beforeEach(() => serve());
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    streams.close();
    http.close();
    expect(faults).to.deep.equal([]);
    await until(
      async () => streams.clients === 0 && taps.size === 0,
      10_000,
      () => 'something is left of the clients',
    );
  });

  async function open(
    key = 'reader',
    headers: Record<string, string> = { 'x-api-key': keyOf(key) },
  ): Promise<RawWebSocket> {
    const client = await RawWebSocket.open(port, headers);
    clients.push(client);
    return client;
  }
  async function subscribed(message: object, key = 'reader'): Promise<RawWebSocket> {
    const client = await open(key);
    client.send(message);
    await client.next('subscribed');
    return client;
  }
  function restart(limits: Partial<typeof STREAM_LIMITS>, rate?: RateLimits): void {
    streams.close();
    http.close();
    serve(limits, rate);
  }

  describe('before the upgrade', () => {
    for (const [title, headers, status, code] of [
      ['no key', {}, 401, 'E_KEY_MISSING'],
      ['a wrong key', { 'x-api-key': 'wrong' }, 401, 'E_KEY_UNKNOWN'],
      ['an expired key', { 'x-api-key': keyOf('old') }, 401, 'E_KEY_EXPIRED'],
      ['a key without the scope', { 'x-api-key': keyOf('ingest') }, 403, 'E_SCOPE_MISSING'],
      ['a wrong bearer token', { authorization: 'Bearer wrong' }, 401, 'E_KEY_UNKNOWN'],
    ] as const) {
      it(`refuses ${title} with ${status} ${code}`, async () => {
        const client = await open('', { ...headers });
        expect(client.status).to.equal(status);
        expect(client.problem).to.include({ status, code });
        expect(client.answer).to.include('application/problem+json');
        expect(streams.clients).to.equal(0);
      });
    }

    it('refuses a key in the address', async () => {
      const client = await RawWebSocket.open(
        port,
        { 'x-api-key': keyOf('reader') },
        `${STREAM_PATH}?api_key=x`,
      );
      expect(client.problem).to.include({ status: 400, code: 'E_PARAMETER_UNKNOWN' });
    });

    it('takes the key from either header', async () => {
      expect((await open('reader')).status).to.equal(101);
      expect((await open('', { authorization: `Bearer ${keyOf('admin')}` })).status).to.equal(101);
    });

    it('slows down whoever guesses', async () => {
      for (let guess = 0; guess < BRAKE_FAILURES_MAX; guess++) await open('', { 'x-api-key': 'wrong' });
      const began = performance.now();
      expect((await open('', { 'x-api-key': 'wrong' })).status).to.equal(401);
      expect(performance.now() - began).to.be.greaterThan(200);
    });

    it('says to whoever sends no upgrade that it is a WebSocket, after the key', async () => {
      const get = (headers: string): string => `GET ${STREAM_PATH} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
      const [bare] = (await rawExchange(port, [get('')])).replies;
      expect(bare?.status).to.equal(401);
      const [reply] = (await rawExchange(port, [get(`X-API-KEY: ${keyOf('reader')}\r\n`)])).replies;
      expect(reply?.status).to.equal(426);
      expect(reply?.headers.upgrade).to.equal('websocket');
      expect(reply?.body).to.include('E_UPGRADE_REQUIRED');
    });

    it('serves a bounded number of clients, and of one key, and takes others when one has gone', async () => {
      restart({ clientsMax: 3, clientsOfKeyMax: 2 });
      const first = await open('reader');
      await open('reader');
      const third = await open('reader');
      expect(third.problem).to.include({ status: 503, code: 'E_STREAMS_FULL' });
      expect(third.answer).to.match(/retry-after: 5/i);
      expect((await open('admin')).status).to.equal(101);
      expect((await open('admin')).problem).to.include({ code: 'E_STREAMS_FULL' });
      first.close();
      await until(
        async () => streams.clients === 2,
        10_000,
        () => 'still counted',
      );
      expect((await open('admin')).status).to.equal(101);
    });
  });

  describe('messages', () => {
    it('show what was subscribed to, and nothing else', async () => {
      const client = await subscribed({ subscribe: ['tree'] });
      counters.next({} as CountersDocument);
      tree.next({ event: 'childStarted', child: 'match-0' });
      expect(await client.next('tree')).to.deep.equal({
        type: 'tree',
        event: { event: 'childStarted', child: 'match-0' },
      });
      expect(client.messages.map(({ type }) => type)).to.deep.equal(['subscribed', 'tree']);
    });

    it('replace the subscription; an empty one ends it', async () => {
      const client = await subscribed({ subscribe: ['tap'], filter: { host: 'r*', rule: 7 } });
      expect([...taps.keys()]).to.deep.equal([{ host: 'r*', rule: 7 }]);
      client.send({ subscribe: ['tap', 'counters'] });
      await client.next('subscribed', 1);
      expect([...taps.keys()]).to.deep.equal([{}]);
      for (const show of taps.values()) show({ event: EVENT });
      expect(await client.next('tap')).to.deep.equal({ type: 'tap', event: EVENT });
      for (const show of taps.values()) show({ dropped: 17 });
      expect(await client.next('dropped')).to.deep.equal({ type: 'dropped', count: 17 });
      client.send({ subscribe: [] });
      await client.next('subscribed', 2);
      expect([...taps.keys()]).to.deep.equal([]);
      expect(counters.observed).to.equal(false);
    });

    it('end with the client that asked for them', async () => {
      const client = await subscribed({ subscribe: ['tap', 'tree'] });
      client.close();
      await until(
        async () => taps.size === 0 && !tree.observed,
        10_000,
        () => 'the tap is still open',
      );
    });

    for (const [title, text] of [
      ['no JSON', '{"subscribe":'],
      ['no object', '[]'],
      ['null', 'null'],
      ['nothing', ''],
      ['an unknown channel', '{"subscribe":["events"]}'],
      ['no subscription', '{}'],
      ['an unknown field', '{"subscribe":[],"evil":1}'],
      ['an unknown criterion', '{"subscribe":["tap"],"filter":{"hots":"a"}}'],
      ['a criterion of the wrong kind', '{"subscribe":["tap"],"filter":{"rule":"1"}}'],
      ['a decision that there is not', '{"subscribe":["tap"],"filter":{"decision":"Nope"}}'],
      ['a filter without the tap', '{"subscribe":["tree"],"filter":{"host":"a"}}'],
      ['too many channels', JSON.stringify({ subscribe: Array.from({ length: 17 }, () => 'tree') })],
      ['deep nesting', `${'['.repeat(500)}${']'.repeat(500)}`],
      ['U+0000', '{"subscribe":["tap"],"filter":{"host":"a\\u0000"}}'],
    ] as const) {
      it(`that hold ${title} are answered with an error, and the stream goes on`, async () => {
        const client = await open();
        client.send(text);
        const error = await client.next('error');
        expect(error['code']).to.equal('E_MESSAGE_INVALID');
        expect(error['message']).to.be.a('string').and.not.equal('');
        expect(error['mend']).to.be.a('string').and.not.equal('');
        client.send({ subscribe: ['tree'] });
        await client.next('subscribed');
      });
    }

    it('that are binary are answered with an error', async () => {
      const client = await open();
      client.sendFrame(Buffer.from('{"subscribe":[]}'), BINARY);
      expect(await client.next('error')).to.include({ code: 'E_MESSAGE_INVALID' });
    });

    it('name the field that is wrong, and the nearest word', async () => {
      const client = await open();
      client.send({ subscribe: ['counter'] });
      const { errors } = await client.next('error');
      expect(errors).to.be.an('array').with.length(1);
      expect((errors as { field: string; mend: string }[])[0]).to.include({
        field: 'subscribe[0]',
        mend: 'Did you mean counters?',
      });
    });

    it('over the limit of size end the connection, and no other', async () => {
      const other = await subscribed({ subscribe: ['tree'] });
      const client = await open();
      client.send('x'.repeat(STREAM_LIMITS.messageBytesMax + 1));
      await client.closed();
      tree.next({ event: 'childStarted' });
      await other.next('tree');
    });

    it('cost a request of the key each; beyond its rate they change nothing', async () => {
      restart({}, { requestsPerSecond: 1, burst: 3 });
      const client = await open();
      for (let sent = 0; sent < 10; sent++)
        client.send({ subscribe: sent % 2 === 0 ? ['tree'] : ['counters'] });
      const error = await client.next('error');
      expect(error).to.include({ code: 'E_RATE_LIMITED' });
      await client.next('error', 7);
      expect(client.ofType('subscribed')).to.have.length(2);
      expect(client.isClosed).to.equal(false);
    });
  });

  describe('clients that do not keep up', () => {
    const LARGE = { ...EVENT, message: 'x'.repeat(32 * 1024) };
    const fill = (count: number): void => {
      for (let sent = 0; sent < count; sent++) for (const show of taps.values()) show({ event: LARGE });
    };

    it('miss what does not fit, are told how much, and hold up nobody', async () => {
      const slow = await subscribed({ subscribe: ['tap'] });
      const quick = await subscribed({ subscribe: ['tree'] });
      slow.socket.pause();
      const sent = 2_000;
      fill(sent);
      tree.next({ event: 'childStarted' });
      await quick.next('tree');
      slow.socket.resume();
      const { count } = (await slow.next('dropped')) as unknown as { count: number };
      await until(
        async () => {
          const dropped = slow.ofType('dropped').map((message) => message['count'] as number);
          return slow.ofType('tap').length + dropped.reduce((sum, each) => sum + each, 0) === sent;
        },
        20_000,
        () => `of ${sent}, ${slow.ofType('tap').length} came`,
      );
      expect(count).to.be.greaterThan(0);
      expect(slow.ofType('tap').length).to.be.greaterThan(0);
      fill(1);
      await slow.next('tap', slow.ofType('tap').length);
    });

    it('and do not read at all are closed, and cost no more than their buffer', async () => {
      restart({ stalledMs: 1_000 });
      const deaf = await subscribed({ subscribe: ['tap'] });
      const alive = await subscribed({ subscribe: ['tree'] });
      deaf.socket.pause();
      const before = process.memoryUsage().rss;
      fill(4_000);
      // 128 MiB were offered; what the kernel and the buffer hold is far less.
      expect(process.memoryUsage().rss - before).to.be.lessThan(64 * 1024 * 1024);
      await until(
        async () => streams.clients === 1,
        20_000,
        () => 'it is still there',
      );
      expect(taps.size).to.equal(0);
      expect(alive.isClosed).to.equal(false);
    });

    it('but have nothing to read stay', async () => {
      restart({ stalledMs: 300 });
      const client = await subscribed({ subscribe: ['tree'] });
      client.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(streams.clients).to.equal(1);
    });
  });

  describe('a key', () => {
    it('that is revoked ends its streams within a second, and no others', async () => {
      const reader = await subscribed({ subscribe: ['tap'] });
      const admin = await subscribed({ subscribe: ['tree'] }, 'admin');
      const began = performance.now();
      ring.replace([ADMIN]);
      await reader.closed();
      expect(performance.now() - began).to.be.lessThan(1_000);
      expect(reader.closeCode).to.equal(1008);
      expect(taps.size).to.equal(0);
      tree.next({ event: 'childStarted' });
      await admin.next('tree');
    });

    it('that expires, or loses the scope, ends its streams', async () => {
      const reader = await subscribed({ subscribe: ['tree'] });
      const admin = await subscribed({ subscribe: ['tree'] }, 'admin');
      ring.replace([{ ...READER, expiresAt: Date.now() + 300 }, recordOf('admin', ['ingest'])]);
      await Promise.all([reader.closed(), admin.closed()]);
      expect([reader.closeCode, admin.closeCode]).to.deep.equal([1008, 1008]);
    });

    it('that is gone changes nothing any more, even before the next look', async () => {
      const client = await subscribed({ subscribe: ['tree'] });
      ring.replace([]);
      client.send({ subscribe: ['tap'] });
      await client.closed();
      expect(client.ofType('subscribed')).to.have.length(1);
    });
  });

  it('tells its clients to come again when it stops', async () => {
    const client = await subscribed({ subscribe: ['tap'] });
    streams.close();
    await client.closed();
    expect(client.closeCode).to.equal(1012);
    expect(taps.size).to.equal(0);
  });

  it('outlives clients that break off in the middle of anything', async () => {
    for (let round = 0; round < 20; round++) {
      const client = await open('reader');
      client.send({ subscribe: ['tap', 'tree', 'counters'] });
      if (round % 2 === 0) client.socket.resetAndDestroy();
      else client.socket.end(Buffer.from([0x81, 0xfe, 0xff]));
    }
    fillAll();
    const client = await subscribed({ subscribe: ['tree'] });
    tree.next({ event: 'childStarted' });
    await client.next('tree');
    function fillAll(): void {
      for (const show of [...taps.values()]) show({ event: EVENT });
      tree.next({});
    }
  });
});
