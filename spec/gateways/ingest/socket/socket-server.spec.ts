/** Who may open an ingest socket, how many there may be, and what ends one. */
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { BRAKE_FAILURES_MAX } from '../../../../gateways/http/failure-brake.ts';
import type { IngestServerOptions } from '../../../../gateways/ingest/ingest-server.ts';
import { rawExchange } from '../../http/raw-http.ts';
import { KEY, keyRecord, until } from '../ingest-under-test.ts';
import { ackOf, FULL, numbered, sendBinary, SocketBed, SOCKET_PATH, told } from './socket-under-test.ts';

const TEXT = 0x1;
const OTHER_KEY = 'another-key';
const IDLE_SOCKETS = 1_200;
const IDLE_BYTES_MAX = 30_000;

describe('SocketServer', function () {
  this.timeout(60_000);
  let bed: SocketBed;
  function start(options: Partial<IngestServerOptions> = {}): SocketBed {
    return (bed = new SocketBed(options));
  }
  afterEach(() => bed.close());

  describe('judges the upgrade', () => {
    for (const [title, headers, status, code] of [
      ['without a key', { 'X-API-KEY': '' }, 401, 'E_KEY_MISSING'],
      ['with a wrong key', { 'X-API-KEY': 'nobody-knows-this' }, 401, 'E_KEY_UNKNOWN'],
      ['with two keys', { Authorization: 'Bearer another' }, 401, 'E_KEY_UNKNOWN'],
      ['with a key without the scope', { 'X-API-KEY': 'a-reader' }, 403, 'E_SCOPE_MISSING'],
      ['with a key that has just expired', { 'X-API-KEY': 'just-old' }, 503, 'E_KEY_ROTATED'],
      ['with a key that expired long ago', { 'X-API-KEY': 'very-old' }, 401, 'E_KEY_EXPIRED'],
      ['with a session id of no shape', { 'Mutt-Session': 'a b' }, 400, 'E_SESSION_INVALID'],
      ['with a session id that is too long', { 'Mutt-Session': 'x'.repeat(129) }, 400, 'E_SESSION_INVALID'],
    ] as const) {
      it(`as that of a POST: ${title}`, async () => {
        start();
        bed.ingest.keys.replace([
          keyRecord('spec', KEY),
          keyRecord('reader', 'a-reader', ['read']),
          keyRecord('just-old', 'just-old', ['ingest'], Date.now() - 1_000),
          keyRecord('very-old', 'very-old', ['ingest'], 1),
        ]);
        const client = await bed.open(headers);
        expect(client.status).to.equal(status);
        expect(client.problem).to.include({ code });
        expect(bed.ingest.server.sockets).to.equal(0);
      });
    }

    it('takes the session from the query, once, and nothing else there, a key least of all', async () => {
      start();
      const client = await bed.open({}, '?session=a%2Fb');
      expect(client.messages[0]).to.include({ session: 'a/b' });
      for (const query of ['?session=', '?session=a&session=b', `?session=a&api_key=${KEY}`, '?x=1']) {
        expect((await bed.open({}, query)).problem).to.include({ code: 'E_SESSION_INVALID' });
      }
      expect((await bed.open({ 'Mutt-Session': 'a' }, '?session=b')).status).to.equal(400);
    });

    it('takes Authorization: Bearer', async () => {
      start();
      const client = await bed.open({ 'X-API-KEY': '', Authorization: `Bearer ${KEY}` });
      expect(client.status).to.equal(101);
    });

    it('answers a request that is no upgrade', async () => {
      start();
      const { replies } = await rawExchange(bed.ingest.port, [
        `GET ${SOCKET_PATH} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${KEY}\r\n\r\n`,
      ]);
      expect(replies[0]?.status).to.equal(426);
      expect(replies[0]?.headers['upgrade']).to.equal('websocket');
      expect(replies[0]?.body).to.include('E_UPGRADE_REQUIRED');
    });

    it('slows down whoever guesses keys', async () => {
      start({ brake: { delayMs: 400 } });
      for (let at = 0; at < BRAKE_FAILURES_MAX; at++) await bed.open({ 'X-API-KEY': `guess-${at}` });
      const startedMs = performance.now();
      expect((await bed.open({ 'X-API-KEY': 'guess' })).status).to.equal(401);
      expect(performance.now() - startedMs).to.be.greaterThan(350);
      expect((await bed.open()).status).to.equal(101);
    });

    it('answers 503 to one too many, and takes it when another has gone', async () => {
      start({ sockets: { socketsMax: 2 } });
      bed.ingest.keys.replace([keyRecord('spec', KEY), keyRecord('other', OTHER_KEY)]);
      const [first] = [await bed.open(), await bed.open({ 'X-API-KEY': OTHER_KEY })];
      const refused = await bed.open();
      expect(refused.status).to.equal(503);
      expect(refused.problem).to.include({ code: 'E_SOCKETS_FULL' });
      expect(refused.answer).to.match(/Retry-After: 5/);
      expect((await bed.ingest.post('{}')).status).to.equal(200);
      first?.close();
      await until(() => bed.ingest.server.sockets === 1);
      expect((await bed.open()).status).to.equal(101);
    });
  });

  describe('ends a socket', () => {
    it('within a second of its key being revoked, and not those of other keys', async () => {
      start();
      bed.ingest.keys.replace([keyRecord('spec', KEY), keyRecord('other', OTHER_KEY)]);
      const [client, other] = [await bed.open(), await bed.open({ 'X-API-KEY': 'another-key' })];
      const startedMs = performance.now();
      bed.ingest.keys.replace([keyRecord('other', OTHER_KEY)]);
      await client.closed();
      expect(performance.now() - startedMs).to.be.below(1_000);
      expect(client.closeCode).to.equal(1008);
      expect(bed.ended('key')).to.equal(1);
      other.send('{}');
      await until(() => ackOf(other) === 1);
    });

    it('with "later" when its key has expired a short while ago', async () => {
      start();
      const client = await bed.open();
      bed.ingest.keys.replace([keyRecord('spec', KEY, ['ingest'], Date.now() - 1)]);
      await client.closed();
      expect(client.closeCode).to.equal(1013);
      expect(bed.ended('grace')).to.equal(1);
    });

    it('for a message over the limit, with 1009 if it is near it', async () => {
      start({ sockets: { messageBytesMax: 1_000 } });
      const client = await bed.open();
      sendBinary(client, Buffer.alloc(1_000, 'x'));
      await until(() => ackOf(client) === 1);
      sendBinary(client, Buffer.alloc(1_001, 'x'));
      await client.closed();
      expect(client.closeCode).to.equal(1009);
      expect(bed.ended('too_large')).to.equal(1);
      const other = await bed.open();
      sendBinary(other, Buffer.alloc(200_000, 'x'));
      await other.closed();
      expect(bed.ended('lost')).to.equal(1);
      expect(bed.bodies).to.have.length(1);
    });

    it('for a text that is no UTF-8, and for frames that no WebSocket may hold', async () => {
      start();
      const text = await bed.open();
      text.sendFrame(Buffer.from([0x61, 0xff, 0xfe]), TEXT);
      await text.closed();
      const garbage = await bed.open();
      garbage.socket.write(Buffer.from([0xff, 0xff, 0x00, 0x13, 0x37, 0x13, 0x37, 0x00]));
      await garbage.closed();
      expect(bed.bodies).to.deep.equal([]);
      expect(bed.ingest.server.sockets).to.equal(0);
      const client = await bed.open();
      client.send('{}');
      await until(() => ackOf(client) === 1);
    });

    it('when nothing is heard of its peer, and not of one that answers pings', async () => {
      start({ sockets: { silentMs: 1_200 } });
      const alive = await bed.open();
      const mute = await bed.open();
      // Reads, and answers nothing.
      mute.sendFrame = () => undefined;
      await mute.closed();
      expect(mute.closeCode).to.equal(1013);
      expect(bed.ended('silent')).to.equal(1);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(alive.isClosed).to.equal(false);
    });

    it('whose peer does not read, after keeping no more than one ack for it', async () => {
      start({ sockets: { slowMs: 1_500, bufferedBytesMax: 64, windowMessages: 100_000 } });
      // Big answers fill the system's own buffers soon.
      const message = 'y'.repeat(200);
      bed.ingest.store.judge = () => ({
        status: 'stored',
        accepted: 1,
        rejected: 9,
        errors: Array.from({ length: 10 }, (_, index) => ({ index, code: 'E_X', message })),
      });
      const client = await bed.open();
      client.socket.pause();
      const pump = setInterval(() => {
        for (let at = 0; at < 50; at++) client.socket.writable && client.send('{}');
      }, 1);
      try {
        await until(() => bed.ended('slow') + bed.ended('lost') === 1, 40_000);
      } finally {
        clearInterval(pump);
      }
      expect(bed.ended('slow')).to.equal(1);
      const acks = bed.ingest.count('mutt_ingest_socket_acks_total');
      expect(bed.ingest.count('mutt_ingest_socket_messages_total')).to.be.greaterThan(acks);
    });
  });

  it('takes no more than its share of sockets from one source', async () => {
    start({ sockets: { socketsMax: 9 } });
    // 64 of 73 parts; see placesFactor.
    for (let at = 0; at < 7; at++) expect((await bed.open()).status).to.equal(101);
    const refused = await bed.open();
    expect(refused.status).to.equal(503);
    expect(refused.problem).to.include({ code: 'E_SHARE_FULL' });
    bed.ingest.keys.replace([keyRecord('spec', KEY), keyRecord('other', OTHER_KEY)]);
    expect((await bed.open({ 'X-API-KEY': OTHER_KEY })).status).to.equal(101);
  });

  it('holds the bytes of a source that wait in sessions to its share', async () => {
    start({ sockets: { queuedBytesMax: 300_000 } });
    bed.ingest.store.isHolding = true;
    const client = await bed.open();
    client.send(numbered(1, 'x'));
    await until(() => bed.ingest.store.held === 1);
    for (let seq = 2; seq <= 6; seq++) client.send(numbered(seq, 'x'.repeat(30_000)));
    await until(() => told(client, 'nack').length === 1);
    expect(told(client, 'nack')[0]).to.include({ nack: 5, code: 'E_SHARE_FULL' });
    bed.ingest.store.answerHeld();
    await until(() => ackOf(client) === 1);
    client.close();
    await until(() => bed.ingest.server.sockets === 0);
    expect(bed.ingest.count('mutt_ingest_socket_queued_bytes')).to.equal(0);
  });

  it('keeps over a thousand idle sockets at little cost each, and serves among them', async () => {
    start();
    global.gc?.();
    const before = process.memoryUsage.rss();
    for (let at = 0; at < IDLE_SOCKETS; at += 100)
      await Promise.all(Array.from({ length: 100 }, () => bed.open()));
    expect(bed.ingest.server.sockets).to.equal(IDLE_SOCKETS);
    // Both ends of each are in this process.
    expect((process.memoryUsage.rss() - before) / IDLE_SOCKETS).to.be.below(IDLE_BYTES_MAX * 2);
    const client = await bed.open();
    const startedMs = performance.now();
    client.send(numbered(1, 'x'));
    await until(() => ackOf(client) === 1);
    expect(performance.now() - startedMs).to.be.below(1_000);
  });

  describe('drains', () => {
    it('by storing and telling what it has, and closing with 1012 one by one', async () => {
      start({ sockets: { leaveJitterMs: 600 } });
      const clients = await Promise.all(Array.from({ length: 20 }, () => bed.open()));
      bed.ingest.store.isHolding = true;
      for (const client of clients) client.send(numbered(1, 'x'));
      await until(() => bed.ingest.store.held === 20);
      for (const client of clients) client.send(numbered(2, 'y'));
      await until(() => bed.ingest.count('mutt_ingest_socket_messages_total') === 40);
      const endedMs = clients.map(async (client) => {
        await until(() => client.closeCode !== undefined, 10_000);
        return performance.now();
      });
      const drained = bed.ingest.server.drain(10_000);
      bed.ingest.store.isHolding = false;
      bed.ingest.store.answerHeld();
      expect(await drained).to.deep.equal({ abandoned: 0 });
      await until(() => clients.every(({ isClosed }) => isClosed));
      expect(clients.map(({ closeCode }) => closeCode)).to.deep.equal(clients.map(() => 1012));
      expect(clients.map(ackOf)).to.deep.equal(clients.map(() => 2));
      const times = await Promise.all(endedMs);
      expect(Math.max(...times) - Math.min(...times)).to.be.greaterThan(150);
      expect(bed.ended('restart')).to.equal(20);
    });

    it('does not ack what has no verdict at the deadline', async () => {
      start({ sockets: { leaveJitterMs: 0 } });
      bed.ingest.store.isHolding = true;
      const client = await bed.open();
      client.send(numbered(1, 'x'));
      await until(() => bed.ingest.store.held === 1);
      expect(await bed.ingest.server.drain(100)).to.deep.equal({ abandoned: 1 });
      await client.closed();
      expect(ackOf(client)).to.equal(0);
    });

    it('takes nothing that comes while it leaves', async () => {
      start({ sockets: { leaveJitterMs: 400 } });
      const client = await bed.open();
      const drained = bed.ingest.server.drain(5_000);
      client.send(numbered(1, 'x'));
      await drained;
      expect(bed.bodies).to.deep.equal([]);
      expect(client.closeCode).to.equal(1012);
    });
  });

  it('refuses a full node to each session by itself', async () => {
    start();
    bed.ingest.store.judge = ({ keyName }) =>
      keyName === 'spec' ? FULL : { status: 'stored', accepted: 1, rejected: 0, errors: [] };
    bed.ingest.keys.replace([keyRecord('spec', KEY), keyRecord('other', OTHER_KEY)]);
    const [client, other] = [await bed.open(), await bed.open({ 'X-API-KEY': 'another-key' })];
    client.send(numbered(1, 'x'));
    other.send(numbered(1, 'y'));
    await until(() => ackOf(other) === 1 && told(client, 'nack').length === 1);
  });
});
