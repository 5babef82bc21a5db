/** Senders that come slowly, stop, or do not read, against a real gateway: each ends in time, and costs others nothing. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { quantileMs, sendQuietly } from '../../gateways/ingest/flood.ts';
import type { Answer } from '../../gateways/ingest/flood.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { until } from '../../support/node-under-test.ts';
import { eventsRequest, startGateway } from './gateway-under-test.ts';
import type { GatewayUnderTest } from './gateway-under-test.ts';

const SLOW = '127.0.0.2';
const GOOD = '127.0.0.3';
const EACH = 20;
const IDLE = 1_500;
const MIB = 1_048_576;
const AT_ONCE = 200;
/** The library looks every four seconds or so. */
const ENDED_MS = 16_000;
/** One body of 16 MiB, and what connections and heads cost. */
const GROWN_MIB_MAX = 120;

/** What a slow sender does once a second, after what it sent at first. */
interface Kind {
  name: string;
  count: number;
  first: (key: string) => string;
  eachSecond?: string;
  isDeaf?: boolean;
}

const head = (key: string, length: number): string =>
  `POST /ingest HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${key}\r\nContent-Length: ${length}\r\n\r\n`;
const KINDS: readonly Kind[] = [
  { name: 'says nothing', count: IDLE, first: () => '' },
  {
    name: 'sends a head byte by byte',
    count: EACH,
    first: () => 'POST /ingest HTTP/1.1\r\nX: ',
    eachSecond: 'x',
  },
  {
    name: 'sends headers without end',
    count: EACH,
    first: () => 'POST /ingest HTTP/1.1\r\nHost: a\r\n',
    eachSecond: 'X-More: 1\r\n',
  },
  {
    name: 'sends a body of 1 KB a second',
    count: EACH,
    first: (key) => head(key, MIB),
    eachSecond: 'x'.repeat(1_000),
  },
  { name: 'stops within a body', count: EACH, first: (key) => head(key, 100_000) + 'x'.repeat(50_000) },
  // Together four times the budget of bytes.
  { name: 'announces 16 MiB and trickles', count: 16, first: (key) => head(key, 16 * MIB), eachSecond: 'x' },
  {
    name: 'asks on and on and reads no answer',
    count: EACH,
    first: () => 'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20_000),
    isDeaf: true,
  },
];

/** Opens and goes on as its kind does; says when the server ended it. */
class SlowSender {
  readonly kind: Kind;
  endedMs: number | undefined;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(kind: Kind, port: number, key: string) {
    this.kind = kind;
    const startedMs = performance.now();
    this.#socket = connect({ port, host: '127.0.0.1', localAddress: SLOW });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.endedMs = performance.now() - startedMs;
      clearInterval(this.#timer);
    });
    if (kind.isDeaf !== true) this.#socket.resume();
    this.#socket.write(kind.first(key));
    const { eachSecond } = kind;
    // Without reading, Node notices an end only when it writes.
    if (eachSecond !== undefined || kind.isDeaf === true) {
      this.#timer = setInterval(() => this.#socket.write(eachSecond ?? 'x'), 1_000);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

describe('the gateway and slow senders', function () {
  this.timeout(120_000);
  let database: OwnDatabase;
  let gateway: GatewayUnderTest;
  const senders: SlowSender[] = [];
  let answers: Answer[] = [];
  let large: Answer[] = [];
  let grownMiB = 0;
  const rssMiB = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]) / 1024;
  const gauge = (name: string): number =>
    gateway.collector.collect().find((sample) => sample.name === name)?.values[0]?.value ?? NaN;

  before(async () => {
    database = await ownDatabase();
    gateway = await startGateway(database.url);
    const { port, keys } = gateway;
    const key = keys['relay'] ?? '';
    const good = { port, localAddress: GOOD };
    await sendQuietly({ ...good, request: eventsRequest(key, 1), everyMs: 10, times: 20 });
    const before = rssMiB();
    // In small groups: what overruns the queue of a listening port was never taken, and only its client does not know.
    for (const kind of KINDS) {
      for (let opened = 0; opened < kind.count; opened += AT_ONCE) {
        const group = Math.min(AT_ONCE, kind.count - opened);
        for (let at = 0; at < group; at++) senders.push(new SlowSender(kind, port, key));
        const taken = senders.length;
        const isTaken = async (): Promise<boolean> => gauge('mutt_ingest_connections') >= taken;
        await until(isTaken, 5_000, () => '').catch(() => undefined);
      }
    }
    const watching = setInterval(() => (grownMiB = Math.max(grownMiB, rssMiB() - before)), 100);
    [answers, large] = await Promise.all([
      sendQuietly({ ...good, request: eventsRequest(key, 1), everyMs: 100, times: 110 }),
      sendQuietly({ ...good, request: eventsRequest(key, 5_000), everyMs: 2_000, times: 5 }),
    ]);
    const isOver = async (): Promise<boolean> => senders.every(({ endedMs }) => endedMs !== undefined);
    await until(isOver, 30_000, () => '').catch(() => undefined);
    clearInterval(watching);
  });
  after(async () => {
    for (const sender of senders) sender.close();
    gateway.child.kill('the spec is over');
    await gateway.child.exited;
    await database.drop();
  });

  for (const { name } of KINDS) {
    it(`ends one that ${name}`, () => {
      const ended = senders.filter(({ kind }) => kind.name === name).map(({ endedMs }) => endedMs);
      const times = ended.map((ms) => (ms === undefined ? Infinity : Math.round(ms))).sort((a, b) => a - b);
      expect(times.at(-1), name).to.be.at.most(ENDED_MS);
    });
  }

  it('answers a good sender at once meanwhile, and refuses it nothing', () => {
    expect([...answers, ...large].filter(({ status }) => status !== 200)).to.deep.equal([]);
    const p99 = Math.round(quantileMs(answers, 0.99));
    console.log(
      `      p99 ${p99} ms, large ${Math.round(quantileMs(large, 1))} ms; grown by ${Math.round(grownMiB)} MiB`,
    );
    expect(p99).to.be.at.most(1_000);
  });

  it('keeps its memory bounded, and nothing of them afterwards', async () => {
    expect(grownMiB).to.be.below(GROWN_MIB_MAX);
    const isAtRest = async (): Promise<boolean> =>
      gauge('mutt_ingest_in_flight_requests') === 0 && gauge('mutt_ingest_in_flight_bytes') === 0;
    await until(isAtRest, 5_000, () => 'something is still in flight');
    await until(
      async () => gauge('mutt_ingest_connections') < 20,
      5_000,
      () => 'connections are still open',
    );
  });
});
