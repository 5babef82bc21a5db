/** Clients that send again what they have no answer to, over HTTP and over WebSockets that break. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { RawWebSocket } from '../admin/stream/raw-websocket.ts';
import { KEY, until } from './ingest-under-test.ts';
import { RelayBed } from './relay-bed.ts';
import { ackOf, SOCKET_PATH, told } from './socket/socket-under-test.ts';

const event = (message: string, hostname = 'r1'): object => ({
  hostname,
  message,
  timestamp: '2026-01-01T00:00:00Z',
});

describe('Resends', function () {
  this.timeout(20_000);
  let bed: RelayBed;
  let clients: RawWebSocket[];
  beforeEach(() => {
    bed = new RelayBed();
    clients = [];
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await bed.close();
  });

  const messages = async (): Promise<string[]> => (await bed.events()).map(({ message }) => message);
  const post = async (body: unknown, headers: Record<string, string>): Promise<Record<string, unknown>> => {
    const reply = await bed.ingest.post(JSON.stringify(body), headers);
    expect(reply.status).to.equal(200);
    return JSON.parse(reply.body) as Record<string, unknown>;
  };
  const connect = async (session: string): Promise<RawWebSocket> => {
    const headers = { 'X-API-KEY': KEY, 'Mutt-Session': session };
    const client = await RawWebSocket.open(bed.ingest.port, headers, SOCKET_PATH);
    clients.push(client);
    await until(() => client.messages.length > 0);
    return client;
  };
  const numbered = (seq: number, text: string): string => JSON.stringify({ seq, events: [event(text)] });

  describe('by requests', () => {
    const body = ['a', 'b', 'c'].map((text) => event(text, `host-${text}`));
    const key = { 'Idempotency-Key': 'k-1', 'X-Correlation-ID': 'c-1' };

    it('are answered as the first time, and stored once', async () => {
      const first = await post([...body, { hostname: 'r1' }], key);
      expect(first).to.include({ accepted: 3, rejected: 1 });
      expect(await post([...body, { hostname: 'r1' }], key)).to.deep.equal(first);
      expect(await messages()).to.deep.equal(['a', 'b', 'c']);
      expect(bed.ingest.count('mutt_ingest_accepted_events_total')).to.equal(3);
      expect(new Set(bed.parked.map(({ id }) => id))).to.have.property('size', 1);
    });

    it('are stored and flagged when the body is another', async () => {
      await post(body, key);
      const reply = await post([event('d', 'host-a')], key);
      expect(reply).to.include({ accepted: 1, idempotency_key_reused: true });
      expect(await messages()).to.deep.equal(['a', 'b', 'c', 'd']);
    });

    it('under a key that cannot be used are stored as often as they come', async () => {
      for (const _ of [1, 2]) await post(event('a'), { 'Idempotency-Key': 'with blanks' });
      expect(await messages()).to.deep.equal(['a', 'a']);
    });
  });

  describe('over WebSockets', () => {
    it('of what has no ack yet are stored once in a named session, and acked like the rest', async () => {
      const first = await connect('s-1');
      for (const seq of [1, 2, 3]) first.send(numbered(seq, `m${seq}`));
      await until(() => ackOf(first) === 3);
      first.close();
      // As if the ack of 2 and 3 had been lost on the way.
      const second = await connect('s-1');
      for (const seq of [2, 3, 4]) second.send(numbered(seq, `m${seq}`));
      await until(() => ackOf(second) === 4);
      expect(await messages()).to.deep.equal(['m1', 'm2', 'm3', 'm4']);
      expect(told(second, 'ack').at(-1)).to.deep.equal({ ack: 4, accepted: 3, rejected: 0 });
      expect(bed.ingest.count('mutt_ingest_accepted_events_total')).to.equal(4);
    });

    it('are stored and told when a number bears another content', async () => {
      const first = await connect('s-1');
      first.send(numbered(1, 'one'));
      await until(() => ackOf(first) === 1);
      const second = await connect('s-1');
      second.send(numbered(1, 'other'));
      await until(() => ackOf(second) === 1);
      expect(told(second, 'ack').at(-1)).to.include({ accepted: 1, reused: 1 });
      expect(await messages()).to.deep.equal(['one', 'other']);
    });

    it('of another session are other messages', async () => {
      for (const session of ['s-1', 's-2']) {
        const client = await connect(session);
        client.send(numbered(1, 'm'));
        await until(() => ackOf(client) === 1);
      }
      expect(await messages()).to.deep.equal(['m', 'm']);
    });
  });
});
