/**
 * Thousands of sockets at one gateway: those that live are served while others keep silent, stop in the middle of a message or
 * never read; those are ended, and what they cost in the meantime is bounded.
 */
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import type { RawWebSocket } from '../../admin/stream/raw-websocket.ts';
import { until } from '../ingest-under-test.ts';
import { ackOf, numbered, SocketBed } from './socket-under-test.ts';

const LIVING = 1_000;
const MUTE = 800;
const HALF = 600;
const UNREADING = 600;
const ALL = LIVING + MUTE + HALF + UNREADING;
const AT_ONCE = 200;
/** As many messages as a client may send without having read of its acks. */
const WINDOW = 32;
const SILENT_MS = 6_000;
const ENDED_MS = 30_000;
const HALF_MESSAGE_BYTES = 16 * 1024;
const ANSWER_MS_MAX = 1_000;
/** Of both ends, which are in this process: half messages, keys, buffers and objects. */
const BYTES_PER_SOCKET_MAX = 128 * 1024;
const TEXT_NOT_FINAL = 0x01;
const MASKED_16_BITS = 0x80 | 126;

describe('A crowd of sockets', function () {
  this.timeout(120_000);
  let bed: SocketBed;
  afterEach(() => bed.close());

  async function openMany(count: number): Promise<RawWebSocket[]> {
    const clients: RawWebSocket[] = [];
    while (clients.length < count) {
      const some = Math.min(AT_ONCE, count - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: some }, () => bed.open()))));
    }
    return clients;
  }

  const unanswering = (clients: readonly RawWebSocket[]): void => {
    for (const client of clients) client.sendFrame = () => undefined;
  };

  it('of three thousand is served as far as it lives, and the rest of it is ended within bounds', async () => {
    bed = new SocketBed({ sockets: { silentMs: SILENT_MS, windowMessages: WINDOW } });
    global.gc?.();
    const rssBefore = process.memoryUsage.rss();
    const living = await openMany(LIVING);
    const mute = await openMany(MUTE);
    const half = await openMany(HALF);
    const unreading = await openMany(UNREADING);
    expect(bed.ingest.server.sockets).to.equal(ALL);

    for (const client of unreading) {
      client.socket.pause();
      for (let seq = 1; seq <= WINDOW; seq++) client.send(numbered(seq, 'unread'));
    }
    unanswering(mute);
    unanswering(half);
    const head = Buffer.from([TEXT_NOT_FINAL, MASKED_16_BITS, 0, 0, 0, 0, 0, 0]);
    head.writeUInt16BE(2 * HALF_MESSAGE_BYTES, 2);
    for (const { socket } of half) socket.write(Buffer.concat([head, Buffer.alloc(HALF_MESSAGE_BYTES, 'x')]));
    const taken = (): number => bed.ingest.count('mutt_ingest_socket_messages_total');
    await until(() => taken() === UNREADING * WINDOW, ENDED_MS);

    const startedMs = performance.now();
    for (const client of living) client.send(numbered(1, 'alive'));
    await until(() => living.every((client) => ackOf(client) === 1), ENDED_MS);
    expect((performance.now() - startedMs) / LIVING, 'per answer').to.be.below(ANSWER_MS_MAX / 100);
    const one = living[0] as RawWebSocket;
    const oneMs = performance.now();
    one.send(numbered(2, 'alive'));
    await until(() => ackOf(one) === 2);
    expect(performance.now() - oneMs).to.be.below(ANSWER_MS_MAX);
    expect((process.memoryUsage.rss() - rssBefore) / ALL).to.be.below(BYTES_PER_SOCKET_MAX);

    // Who does not read answers no ping either.
    await until(() => bed.ended('silent') === ALL - LIVING, ENDED_MS);
    expect(bed.ingest.server.sockets).to.equal(LIVING);
    expect(living.filter(({ isClosed }) => isClosed)).to.have.length(0);
    expect(bed.ingest.count('mutt_ingest_socket_queued_bytes')).to.equal(0);
    for (const client of living) client.send(numbered(client === one ? 3 : 2, 'still'));
    await until(() => living.every((client) => ackOf(client) >= 2), ENDED_MS);
  });
});
