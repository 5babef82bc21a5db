/** What a session promises about order, acks, refusals and credit. */
import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { until } from '../ingest-under-test.ts';
import { ackOf, FULL, numbered, sendBinary, SocketBed, sum, told } from './socket-under-test.ts';

describe('A session of the ingest socket', function () {
  this.timeout(20_000);
  let bed: SocketBed;
  beforeEach(() => {
    bed = new SocketBed();
  });
  afterEach(() => bed.close());

  it('begins with credit, the limit of a message, and the ids', async () => {
    const client = await bed.open({ 'Mutt-Session': 's-1', 'X-Correlation-ID': 'corr-1' });
    expect(client.messages).to.deep.equal([
      { credit: 32, session: 's-1', correlation_id: 'corr-1', message_bytes_max: 262_144 },
    ]);
    expect(bed.ingest.count('mutt_ingest_sockets')).to.equal(1);
  });

  it('stores objects, arrays, lines and binary messages as they are, and acks them by their count', async () => {
    const client = await bed.open({ 'User-Agent': 'vector/1' });
    const bodies = ['{"a":1}', '[{"a":1},{"a":2}]', '{"a":1}\n{"a":2}\n', '<13>Oct 11 22:14:15 r1 x: y'];
    for (const body of bodies) client.send(body);
    sendBinary(client, Buffer.from([0xff, 0x00, 0x80]));
    await until(() => ackOf(client) === 5);
    expect(bed.bodies.slice(0, 4)).to.deep.equal(bodies);
    expect([...(bed.ingest.store.stored[4]?.body ?? [])]).to.deep.equal([0xff, 0x00, 0x80]);
    const [first] = bed.ingest.store.stored;
    expect(first).to.include({ keyName: 'spec', sender: 'vector', encoding: 'identity', isStrict: false });
    // Without numbers of its own, a message is not known again on another connection.
    expect(first?.idempotencyKey).to.equal(undefined);
    expect(told(client, 'ack').at(-1)).to.include({ accepted: 5, rejected: 0 });
  });

  it('takes numbers from any on, names each message by session and number, and acks by them', async () => {
    const client = await bed.open({ 'Mutt-Session': 'abc' });
    for (const seq of [41, 42, 43]) client.send(numbered(seq, `e${seq}`));
    await until(() => ackOf(client) === 43);
    expect(bed.bodies).to.deep.equal(['[{"n":"e41"}]', '[{"n":"e42"}]', '[{"n":"e43"}]']);
    expect(bed.ingest.store.stored.map(({ idempotencyKey }) => idempotencyKey)).to.deep.equal([
      'ws:abc:41',
      'ws:abc:42',
      'ws:abc:43',
    ]);
  });

  it('acks nothing before it is stored, and keeps one run of a session under way', async () => {
    bed.ingest.store.isHolding = true;
    const client = await bed.open();
    client.send(numbered(1, 'a'));
    await until(() => bed.ingest.store.held === 1);
    client.send(numbered(2, 'b'));
    client.send(numbered(3, 'c'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(told(client, 'ack')).to.deep.equal([]);
    expect(bed.bodies).to.have.length(1);
    bed.ingest.store.answerHeld();
    await until(() => bed.ingest.store.held === 2);
    expect(ackOf(client)).to.equal(1);
    bed.ingest.store.answerHeld();
    await until(() => ackOf(client) === 3);
    expect(told(client, 'ack')).to.have.length(2);
  });

  it('hands each run over in one batch, though all runs of a turn do not fit into one', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => bed.open()));
    const batchesOf = clients.map(() => new Set<number>());
    bed.ingest.store.isHolding = true;
    for (const client of clients) client.send(numbered(1, 'first'));
    await until(() => bed.ingest.store.held === 8);
    bed.ingest.store.judge = ({ body }) => {
      const at = Number(/"n":"(\d+) /.exec(body.toString())?.[1]);
      batchesOf[at]?.add(bed.ingest.store.batchSizes.length);
      return { status: 'stored', accepted: 1, rejected: 0, errors: [] };
    };
    for (const [at, client] of clients.entries()) {
      for (let seq = 2; seq <= 32; seq++) client.send(numbered(seq, `${at} ${'x'.repeat(8_000)}`));
    }
    await until(() => bed.ingest.count('mutt_ingest_socket_messages_total') === 8 * 32);
    bed.ingest.store.isHolding = false;
    bed.ingest.store.answerHeld();
    await until(() => clients.every((client) => ackOf(client) === 32));
    expect(batchesOf.map(({ size }) => size)).to.deep.equal(clients.map(() => 1));
    expect(new Set(batchesOf.flatMap((some) => [...some])).size).to.be.greaterThan(1);
  });

  it('stores the messages of each session in order, whatever others send', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => bed.open()));
    const sendAll = async (client: (typeof clients)[0], at: number): Promise<void> => {
      for (let seq = 1; seq <= 200; seq++) {
        await until(() => sum(client, 'credit') >= seq, 10_000);
        client.send(numbered(seq, `${at}.${seq} ${'x'.repeat(randomInt(20_000))}`));
      }
      await until(() => ackOf(client) === 200, 10_000);
    };
    await Promise.all(clients.map(sendAll));
    const seen = bed.bodies.map((body) => /"n":"(\d+)\.(\d+) /.exec(body) ?? []);
    for (const at of clients.keys()) {
      const numbers = seen.filter(([, client]) => Number(client) === at).map(([, , seq]) => Number(seq));
      expect(numbers).to.deep.equal(Array.from({ length: 200 }, (_, index) => index + 1));
    }
  });

  it('counts rejects as acked, with what was wrong, since they are parked', async () => {
    bed.ingest.store.judge = ({ body }) =>
      body.includes('bad')
        ? {
            status: 'unreadable',
            accepted: 0,
            rejected: 1,
            errors: [{ index: 0, code: 'E_X', message: 'm' }],
          }
        : { status: 'stored', accepted: 1, rejected: 0, errors: [] };
    const client = await bed.open();
    client.send('good');
    client.send('bad');
    client.send('good');
    await until(() => ackOf(client) === 3);
    expect(told(client, 'ack').at(-1)).to.include({ accepted: 2, rejected: 1 });
    expect(told(client, 'errors').flatMap(({ errors }) => errors)).to.deep.equal([
      { seq: 2, index: 0, code: 'E_X', message: 'm' },
    ]);
  });

  it('says in its acks how many numbers came before with another content', async () => {
    bed.ingest.store.judge = ({ body }) => ({
      status: 'stored',
      accepted: 1,
      rejected: 0,
      errors: [],
      ...(body.includes('again') ? { isKeyReused: true } : {}),
    });
    const client = await bed.open({ 'Mutt-Session': 's' });
    client.send(numbered(1, 'new'));
    await until(() => ackOf(client) === 1);
    expect(told(client, 'ack').at(-1)).to.not.have.property('reused');
    for (const seq of [2, 3]) client.send(numbered(seq, 'again'));
    await until(() => ackOf(client) === 3);
    expect(told(client, 'ack').at(-1)).to.include({ accepted: 3, reused: 2 });
  });

  it('refuses from the first message that found no room, offers one credit later, then all of it again', async () => {
    let isFull = true;
    bed.ingest.store.judge = ({ body }) =>
      isFull && body.includes('"b"') ? FULL : { status: 'stored', accepted: 1, rejected: 0, errors: [] };
    const client = await bed.open({ 'Mutt-Session': 's' });
    bed.ingest.store.isHolding = true;
    for (const [at, event] of ['a', 'b', 'c'].entries()) client.send(numbered(at + 1, event));
    await until(() => bed.ingest.store.held > 0);
    bed.ingest.store.isHolding = false;
    while (told(client, 'nack').length === 0) {
      bed.ingest.store.answerHeld();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(ackOf(client)).to.equal(1);
    const [nack] = told(client, 'nack');
    expect(nack).to.include({ nack: 2, code: 'E_MAILBOX_FULL' });
    expect(nack?.['retry_after_ms']).to.be.within(2_000, 3_000);
    // Sent before it could know: left unread, and no fault of it.
    client.send(numbered(4, 'd'));
    const before = sum(client, 'credit');
    isFull = false;
    await until(() => sum(client, 'credit') > before, 5_000);
    expect(client.messages.at(-1)).to.deep.equal({ credit: 1 });
    expect(bed.bodies.filter((body) => body.includes('"d"'))).to.deep.equal([]);
    client.send(numbered(2, 'b'));
    await until(() => ackOf(client) === 2);
    await until(() => sum(client, 'credit') === before + 1 + 32);
    client.send(numbered(3, 'c'));
    client.send(numbered(4, 'd'));
    await until(() => ackOf(client) === 4);
    expect(bed.ingest.count('mutt_ingest_socket_nacks_total')).to.equal(1);
  });

  it('ends a session without numbers at a refusal, after all that came before is acked', async () => {
    bed.ingest.store.judge = ({ body }) =>
      body.includes('b') ? FULL : { status: 'stored', accepted: 1, rejected: 0, errors: [] };
    const client = await bed.open();
    client.send('a');
    client.send('b');
    await client.closed();
    expect(client.closeCode).to.equal(1013);
    expect(ackOf(client)).to.equal(1);
    expect(told(client, 'nack')[0]).to.include({ nack: 2, code: 'E_MAILBOX_FULL' });
    expect(bed.ended('later')).to.equal(1);
  });

  it('says so when the threads are gone or give no verdict', async () => {
    bed.ingest.store.isBroken = true;
    const client = await bed.open();
    client.send(numbered(1, 'a'));
    await until(() => told(client, 'nack').length === 1);
    expect(told(client, 'nack')[0]).to.include({ nack: 1, code: 'E_STORE_AWAY' });
  });

  it('gives no more credit than the window, and closes a sender that goes beyond it', async () => {
    bed.ingest.store.isHolding = true;
    const client = await bed.open();
    for (let seq = 1; seq <= 32; seq++) client.send(numbered(seq, 'x'));
    await until(() => bed.ingest.count('mutt_ingest_socket_messages_total') === 32);
    expect(sum(client, 'credit')).to.equal(32);
    expect(client.isClosed).to.equal(false);
    client.send(numbered(33, 'x'));
    await client.closed();
    expect(client.closeCode).to.equal(1008);
    expect(bed.ended('credit')).to.equal(1);
    bed.ingest.store.answerHeld();
    // Stored for somebody who was gone.
    expect(bed.ingest.count('mutt_ingest_unclaimed_events_total')).to.be.greaterThan(0);
    expect(bed.ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
  });

  for (const [title, messages] of [
    ['a gap', [numbered(1, 'a'), numbered(3, 'c')]],
    ['a repetition', [numbered(1, 'a'), numbered(1, 'a')]],
    ['a number after none', ['{"a":1}', numbered(1, 'a')]],
    ['none after a number', [numbered(1, 'a'), '{"a":1}']],
  ] as const) {
    it(`ends at ${title}`, async () => {
      const client = await bed.open();
      for (const message of messages) client.send(message);
      await client.closed();
      expect(client.closeCode).to.equal(1008);
      expect(bed.ended('sequence')).to.equal(1);
    });
  }

  it('ends for one that goes on sending as if nothing had been refused', async () => {
    bed.ingest.store.judge = () => FULL;
    const client = await bed.open();
    client.send(numbered(1, 'a'));
    await until(() => told(client, 'nack').length === 1);
    for (let seq = 2; seq < 40; seq++) client.send(numbered(seq, 'x'));
    await client.closed();
    expect(bed.ended('sequence')).to.equal(1);
  });

  it('ends for one that does not wait for credit after a refusal', async () => {
    bed.ingest.store.judge = () => FULL;
    const client = await bed.open();
    client.send(numbered(1, 'a'));
    await until(() => told(client, 'nack').length === 1);
    client.send(numbered(1, 'a'));
    await client.closed();
    expect(bed.ended('credit')).to.equal(1);
  });
});
