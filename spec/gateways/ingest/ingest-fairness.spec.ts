/** What waits for the threads, in whose turn it goes, and what becomes of it when its sender goes. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { WINDOW_WORK } from '../../../gateways/ingest/handover-window.ts';
import { BINARY, RawWebSocket } from '../admin/stream/raw-websocket.ts';
import { repliesIn } from '../http/raw-http.ts';
import { KEY, keyRecord, postHead, startIngest, until } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';
import { ackOf, numbered, SOCKET_PATH } from './socket/socket-under-test.ts';

const LOUD = '127.0.0.2';
const QUIET = '127.0.0.3';
const QUIET_KEY = 'the-quiet-key';

/** One request on a connection of its own. */
class Sender {
  readonly socket: Socket;
  text = '';

  constructor(port: number, localAddress: string, body: string, headers: Record<string, string> = {}) {
    this.socket = connect({ port, host: '127.0.0.1', localAddress });
    this.socket.on('error', () => undefined).on('data', (data) => (this.text += data.toString('latin1')));
    this.socket.write(postHead(body.length, headers) + body);
  }

  get status(): number | undefined {
    return repliesIn(this.text)[0]?.status;
  }
}

describe('The intake before busy threads', function () {
  this.timeout(20_000);
  let ingest: IngestUnderTest;
  const senders: Sender[] = [];
  beforeEach(() => {
    ingest = startIngest();
    ingest.keys.replace([keyRecord('spec', KEY), keyRecord('quiet', QUIET_KEY)]);
  });
  afterEach(() => {
    for (const { socket } of senders.splice(0)) socket.destroy();
    ingest.server.close();
  });
  function send(localAddress: string, body: string, headers?: Record<string, string>): Sender {
    const sender = new Sender(ingest.port, localAddress, body, headers);
    senders.push(sender);
    return sender;
  }
  const queued = (): number => ingest.count('mutt_ingest_queued_requests');
  const bodies = (): string[] => ingest.store.stored.map(({ body }) => body.toString().slice(0, 20));

  /** A body that the threads keep for long; behind it everything waits. */
  async function closeWindow(): Promise<void> {
    ingest.store.isHolding = true;
    send(LOUD, 'x'.repeat(WINDOW_WORK + 1));
    await until(() => ingest.store.held === 1);
  }
  function openWindow(): void {
    ingest.store.isHolding = false;
    ingest.store.answerHeld();
  }
  async function queue(
    localAddress: string,
    names: string[],
    headers?: Record<string, string>,
  ): Promise<Sender[]> {
    const before = queued();
    const sent = names.map((name) => send(localAddress, name.padEnd(20).padEnd(30_000, 'x'), headers));
    await until(() => queued() === before + names.length);
    return sent;
  }
  const loud = (count: number): string[] => Array.from({ length: count }, (_, n) => `loud ${n}`);

  it('hands over what another address sends before the backlog of a loud one', async () => {
    await closeWindow();
    await queue(LOUD, loud(60));
    const [quiet] = await queue(QUIET, ['quiet']);
    expect(ingest.count('mutt_ingest_queued_sources')).to.equal(2);
    expect(ingest.count('mutt_ingest_queued_bytes')).to.equal(61 * 30_000);
    openWindow();
    await until(() => quiet?.status === 200 && queued() === 0);
    // Each has one turn of some bodies first.
    expect(bodies().findIndex((name) => name.startsWith('quiet'))).to.be.within(1, 4);
    expect(ingest.count('mutt_ingest_delayed_requests_total')).to.equal(61);
    expect(ingest.count('mutt_ingest_delay_seconds_total')).to.be.greaterThan(0);
  });

  it('hands over what another key sends from the same address before the backlog of a loud one', async () => {
    await closeWindow();
    await queue(LOUD, loud(60));
    await queue(LOUD, ['quiet'], { 'X-API-KEY': QUIET_KEY });
    openWindow();
    await until(() => queued() === 0);
    expect(bodies().findIndex((name) => name.startsWith('quiet'))).to.be.within(1, 4);
  });

  it('does not store what nobody waits for any more', async () => {
    await closeWindow();
    const [gone] = await queue(LOUD, ['gone']);
    await queue(LOUD, ['stays']);
    const before = ingest.server.inFlight.bytes;
    gone?.socket.destroy();
    await until(() => ingest.count('mutt_ingest_aborted_requests_total', { stage: 'queued' }) === 1);
    expect(ingest.server.inFlight.bytes).to.equal(before - 30_000);
    openWindow();
    await until(() => ingest.server.inFlight.requests === 0);
    expect(bodies().map((name) => name.trim())).to.deep.equal(['x'.repeat(20), 'stays']);
  });

  it('makes room for others after a moment, whatever keeps the threads from answering', async () => {
    await closeWindow();
    const [quiet] = await queue(QUIET, ['quiet']);
    await until(() => ingest.store.stored.length === 2);
    expect(quiet?.status).to.equal(undefined);
    openWindow();
    await until(() => quiet?.status === 200);
  });

  it('keeps whole what comes in pieces and large while it waits', async () => {
    await closeWindow();
    const large = 'y'.repeat(700_000);
    const sender = send(QUIET, large);
    await until(() => queued() === 1);
    openWindow();
    await until(() => sender.status === 200);
    expect(ingest.store.stored.at(-1)?.body.toString()).to.equal(large);
  });

  it('answers all that waits before it ends', async () => {
    await closeWindow();
    const waiting = await queue(LOUD, loud(20));
    const drained = ingest.server.drain(5_000);
    openWindow();
    expect(await drained).to.deep.equal({ abandoned: 0 });
    await until(() => waiting.every(({ status }) => status === 200));
  });

  it('answers 503 to what still waits at the deadline, and stores none of it', async () => {
    await closeWindow();
    const waiting = await queue(LOUD, loud(3));
    expect(await ingest.server.drain(20)).to.deep.equal({ abandoned: 4 });
    await until(() => waiting.every(({ status }) => status === 503));
    openWindow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(bodies()).to.have.length(1);
    expect(ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
  });

  it('refuses a source over its share a moment later, or when it ends, and others not', async () => {
    ingest.server.close();
    ingest = startIngest({ limits: { requestsMax: 9 } });
    ingest.keys.replace([keyRecord('spec', KEY), keyRecord('quiet', QUIET_KEY)]);
    ingest.store.isHolding = true;
    for (let at = 0; at < 3; at++) send(LOUD, '{}');
    await until(() => ingest.store.held === 3);
    const refused = send(LOUD, '{}');
    const taken = send(LOUD, '{}', { 'X-API-KEY': QUIET_KEY });
    await until(() => ingest.store.held === 4);
    expect(refused.status).to.equal(undefined);
    const drained = ingest.server.drain(5_000);
    await until(() => refused.status === 503, 500);
    openWindow();
    await drained;
    await until(() => taken.status === 200);
  });

  describe('and a socket', () => {
    const open = (): Promise<RawWebSocket> =>
      RawWebSocket.open(ingest.port, { 'X-API-KEY': QUIET_KEY }, SOCKET_PATH);

    it('has its messages stored in their order, in its turn', async () => {
      await closeWindow();
      await queue(LOUD, loud(60));
      const client = await open();
      for (const seq of [1, 2, 3]) client.send(numbered(seq, `s${seq}`));
      await until(() => queued() > 60);
      openWindow();
      await until(() => ackOf(client) === 3);
      const stored = bodies();
      expect(stored.filter((name) => name.startsWith('[{'))).to.deep.equal(
        [1, 2, 3].map((seq) => `[{"n":"s${seq}"}]`),
      );
      expect(stored.findIndex((name) => name.startsWith('[{'))).to.be.within(1, 4);
      client.close();
    });

    it('that has gone has nothing of it stored', async () => {
      await closeWindow();
      const client = await open();
      client.sendFrame(Buffer.from(numbered(1, 'gone')), BINARY);
      await until(() => queued() === 1);
      client.close();
      await until(() => ingest.server.sockets === 0);
      openWindow();
      await until(() => ingest.server.inFlight.requests === 0);
      expect(bodies()).to.have.length(1);
      expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(0);
    });
  });
});
