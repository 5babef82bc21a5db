/** `mutt send` against a real ingest server whose port keeps bodies in memory. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { LineBatcher } from '../../../gateways/cli/line-batcher.ts';
import { numberedFrame, Outbox } from '../../../gateways/cli/outbox.ts';
import { splitRecords } from '../../../actors/ingest/split-records.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { KEY, keyRecord, startIngest, until } from '../ingest/ingest-under-test.ts';
import { FULL, SocketBed } from '../ingest/socket/socket-under-test.ts';
import { CliRun } from './cli-run.ts';

const STORED = (text: string): { status: 'stored'; accepted: number; rejected: number; errors: [] } => ({
  status: 'stored',
  accepted: splitRecords(Buffer.from(text)).records.length,
  rejected: 0,
  errors: [],
});

const lines = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, at) => JSON.stringify({ n: from + at })).join('\n');

/** What stands between a client and several gateways. */
class Balancer {
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer((socket) => {
      const upstream = connect(this.target, '127.0.0.1');
      socket.pipe(upstream).pipe(socket);
      for (const each of [socket, upstream]) {
        this.#sockets.add(each);
        each.on('error', () => undefined);
        each.on('close', () => {
          this.#sockets.delete(each);
          socket.destroy();
          upstream.destroy();
        });
      }
    });
  }

  static async start(target: number, port = 0): Promise<Balancer> {
    const balancer = new Balancer(target);
    await new Promise<void>((resolve) => balancer.#server.listen(port, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.breakAll();
    this.#server.close();
  }
}

interface Summary {
  events: number;
  sent: number;
  accepted: number;
  rejected: number;
  unanswered: number;
  interrupted: boolean;
  reasons: { code: string; line?: number; message: string }[];
}

describe('mutt send', function () {
  this.timeout(30_000);
  let bed: SocketBed;
  let run: CliRun;
  beforeEach(() => {
    bed = new SocketBed();
    bed.ingest.store.judge = ({ body }) => STORED(body.toString());
    run = new CliRun(`http://127.0.0.1:${bed.ingest.port}`, { readIngestKey: async () => `${KEY}\n` });
  });
  afterEach(() => {
    run.close();
    bed.close();
  });

  const numbers = (): number[] =>
    bed.bodies.flatMap((body) => [...body.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n)));
  const summary = (): Summary => JSON.parse(run.out) as Summary;
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

  for (const how of [['--ws'], []]) {
    describe(how[0] ?? 'without --ws', () => {
      it('sends files in order, each line once, and says what became of them', async () => {
        const files = [run.file('a.ndjson', lines(700)), run.file('b.gz', gzipSync(lines(700, 700)))];
        expect(await run.run('send', ...how, '--batch', '30', '--json', ...files)).to.equal(0);
        expect(numbers()).to.deep.equal(upTo(1_400));
        expect(summary()).to.include({ events: 1_400, sent: 1_400, accepted: 1_400, rejected: 0 });
      });

      it('sends standard input as it comes, and ends with it', async () => {
        const gate = Promise.withResolvers<void>();
        run.stdin = async function* () {
          yield Buffer.from('{"n":0}\n{"n":1}\n{"n"');
          await gate.promise;
          yield Buffer.from(':2}\n');
        };
        const done = run.run('send', '-', ...how, '--json');
        await until(() => numbers().length === 2);
        gate.resolve();
        expect(await done).to.equal(0);
        expect(numbers()).to.deep.equal(upTo(3));
      });

      it('ends by Ctrl-C while standard input stays open', async () => {
        run.stdin = async function* (signal) {
          yield Buffer.from('{"n":0}\n');
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        };
        const done = run.run('send', ...how, '--json');
        await until(() => numbers().length === 1);
        await new Promise((resolve) => setTimeout(resolve, 100));
        run.interrupt.abort();
        expect(await done).to.equal(130);
        expect(summary()).to.include({ accepted: 1, unanswered: 0, interrupted: true });
      });

      it('with --wait: waits for a server that is not there yet, and for the key in its file to be good', async () => {
        const [port = 0] = await freePorts(1);
        const keyFile = run.file('key', 'an-old-key');
        run.stdin = async function* () {
          yield Buffer.from(lines(3));
        };
        const url = `http://127.0.0.1:${port}`;
        const done = run.run('send', ...how, '--wait', '--json', '--url', url, '--key-file', keyFile);
        await until(() => run.err.includes('away'));
        const balancer = await Balancer.start(bed.ingest.port, port);
        try {
          await until(() => run.err.includes('key is refused'), 10_000);
          expect(bed.bodies).to.deep.equal([]);
          run.file('key', KEY);
          expect(await done).to.equal(0);
          expect(numbers()).to.deep.equal(upTo(3));
        } finally {
          balancer.close();
        }
      });

      it('with --trap: reads traps while it cannot send them, and sends them in order', async () => {
        const [port = 0] = await freePorts(1);
        let read = 0;
        run.stdin = async function* () {
          for (; read < 50; read++) {
            const varbind = `.1.3.6.1.2.1.2.2.1.1.${read} = INTEGER: ${read}`;
            yield Buffer.from(
              `mutt-trap\t1795299503\tUDP: [192.0.2.1]:1\tr1\t0.0.0.0\t0.0.0.0\t0\t.\t0\t0\t${varbind}\n`,
            );
          }
        };
        const url = `http://127.0.0.1:${port}`;
        const keyFile = run.file('key', KEY);
        const done = run.run(
          'send',
          ...how,
          '--trap',
          '--wait',
          '--json',
          '--url',
          url,
          '--key-file',
          keyFile,
        );
        await until(() => read === 50 && run.err.includes('away'));
        const balancer = await Balancer.start(bed.ingest.port, port);
        try {
          expect(await done).to.equal(0);
          const found = bed.bodies.flatMap((body) =>
            [...body.matchAll(/"value":(\d+)/g)].map(([, n]) => Number(n)),
          );
          expect(found).to.deep.equal(upTo(50));
          expect(summary()).to.include({ events: 50, accepted: 50, rejected: 0 });
        } finally {
          balancer.close();
        }
      });

      it('refuses a wrong key at once, and an absent server', async () => {
        bed.ingest.keys.replace([keyRecord('other', 'another-key')]);
        const file = run.file('a.ndjson', lines(1));
        expect(await run.run('send', ...how, file)).to.equal(2);
        expect(run.err).to.include('E_KEY_REFUSED');
        bed.ingest.server.close();
        expect(await run.run('send', ...how, file)).to.equal(3);
        expect(run.err).to.include('E_UNREACHABLE');
        expect(bed.bodies).to.deep.equal([]);
      });
    });
  }

  it('over a socket: goes over to the new value of its key while the old one has just ended', async () => {
    const aMinuteAgo = Date.now() - 60_000;
    bed.ingest.keys.replace([
      keyRecord('relay', 'an-old-key', ['ingest'], aMinuteAgo),
      keyRecord('relay-new', KEY),
    ]);
    const keyFile = run.file('key', 'an-old-key');
    run.stdin = async function* () {
      yield Buffer.from(lines(3));
    };
    const url = `http://127.0.0.1:${bed.ingest.port}`;
    const done = run.run('send', '--ws', '--wait', '--json', '--url', url, '--key-file', keyFile);
    await until(() => run.err.includes('key is refused'), 10_000);
    run.file('key', KEY);
    expect(await done).to.equal(0);
    expect(numbers()).to.deep.equal(upTo(3));
  });

  it('over a socket: resends what has no ack after a connection that broke, and nothing else', async () => {
    const balancer = await Balancer.start(bed.ingest.port);
    try {
      bed.ingest.store.isHolding = true;
      const file = run.file('a.ndjson', lines(400));
      const done = run.run('send', '--ws', '--batch', '1', '--json', '--url', balancer.url, file);
      const heldAgain = (): Promise<void> => until(() => bed.ingest.store.held > 0, 5_000);
      for (let round = 0; round < 3; round++) {
        await heldAgain();
        bed.ingest.store.answerHeld();
        await heldAgain();
      }
      await until(() => bed.ingest.count('mutt_ingest_socket_acks_total') === 3);
      const [firstUnacked = 0] = numbers().slice(-bed.ingest.store.held);
      balancer.breakAll();
      await until(() => bed.ingest.server.sockets === 0);
      const storedOnce = numbers();
      bed.ingest.store.isHolding = false;
      bed.ingest.store.answerHeld();
      expect(await done).to.equal(0);
      // What was stored and never acked comes twice; what was acked does not.
      const again = numbers().slice(storedOnce.length);
      expect(again).to.deep.equal(upTo(400).slice(firstUnacked));
      expect(storedOnce).to.deep.equal(upTo(storedOnce.length));
      expect(summary()).to.include({ accepted: 400, unanswered: 0 });
    } finally {
      balancer.close();
    }
  });

  it('over a socket: goes on at another gateway after 1012, without a gap and in order', async () => {
    const other = startIngest({});
    other.store.judge = bed.ingest.store.judge;
    const balancer = await Balancer.start(bed.ingest.port);
    try {
      let sent = 0;
      run.stdin = async function* () {
        for (; sent < 300; sent++) {
          yield Buffer.from(`{"n":${sent}}\n`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      const done = run.run('send', '--ws', '--json', '--url', balancer.url);
      await until(() => numbers().length > 50, 10_000);
      balancer.target = other.port;
      await bed.ingest.server.drain(5_000);
      expect(await done).to.equal(0);
      const first = numbers();
      const second = other.store.stored.map(({ body }) => Number(/\d+/.exec(body.toString())));
      expect(first.length).to.be.within(50, 299);
      expect(second.length).to.be.greaterThan(0);
      expect([...first, ...second]).to.deep.equal(upTo(300));
      expect(summary()).to.include({ events: 300, accepted: 300, unanswered: 0 });
      expect(other.store.stored[0]?.idempotencyKey).to.match(/^ws:send-[0-9a-f-]+:\d+$/);
    } finally {
      balancer.close();
      other.server.close();
    }
  });

  it('over a socket: waits as it is told when the node is full, then goes on where it was refused', async () => {
    let refusals = 2;
    bed.ingest.store.judge = ({ body }) =>
      body.includes('"n":100}') && refusals-- > 0 ? FULL : STORED(body.toString());
    const file = run.file('a.ndjson', lines(200));
    expect(await run.run('send', '--ws', '--batch', '7', '--json', file)).to.equal(0);
    expect(summary()).to.include({ accepted: 200, unanswered: 0 });
    expect(new Set(numbers()).size).to.equal(200);
    expect(run.err).to.include('the server says later');
    expect(bed.ended('credit') + bed.ended('sequence')).to.equal(0);
  });

  it('over a socket: gives up when nothing is acked for its patience, and says what may be stored', async () => {
    bed.ingest.store.isHolding = true;
    const file = run.file('a.ndjson', lines(10));
    expect(await run.run('send', '--ws', '--timeout', '1', '--json', file)).to.equal(3);
    expect(summary()).to.include({ accepted: 0, unanswered: 10 });
    expect(run.err).to.include('E_REPLY_LATE');
  });

  it('over a socket: names the line of a reject, and counts a batch that was unreadable by its lines', async () => {
    bed.ingest.store.judge = ({ body }) =>
      body.includes('"n":3}')
        ? { status: 'stored', accepted: 1, rejected: 1, errors: [{ index: 1, code: 'E_X', message: 'm' }] }
        : STORED(body.toString());
    const file = run.file('a.ndjson', `${lines(4)}\n`);
    expect(await run.run('send', '--ws', '--batch', '2', '--json', file)).to.equal(1);
    expect(summary()).to.include({ accepted: 3, rejected: 1 });
    expect(summary().reasons).to.deep.equal([{ code: 'E_X', message: 'm', file, line: 4 }]);
    bed.ingest.store.judge = () => ({ status: 'unreadable', accepted: 0, rejected: 1, errors: [] });
    run.out = '';
    expect(await run.run('send', '--ws', '--json', file)).to.equal(1);
    expect(summary()).to.include({ accepted: 0, rejected: 4, unanswered: 0 });
  });

  it('over a socket: cuts batches to what a message may hold, and leaves out a line that is too long', async () => {
    bed.close();
    bed = new SocketBed({ sockets: { messageBytesMax: 2_000 } });
    bed.ingest.store.judge = ({ body }) => STORED(body.toString());
    const url = `http://127.0.0.1:${bed.ingest.port}`;
    const long = JSON.stringify({ n: 0, x: 'x'.repeat(3_000) });
    const file = run.file('a.ndjson', `${lines(500)}\n${long}\n${lines(3, 500)}`);
    expect(await run.run('send', '--ws', '--json', '--url', url, file)).to.equal(1);
    expect(numbers()).to.deep.equal(upTo(503));
    expect(summary()).to.include({ accepted: 503, rejected: 1 });
    expect(summary().reasons[0]).to.include({ code: 'E_LINE_TOO_LONG' });
  });
});

describe('The outbox', () => {
  it('keeps every batch until its ack and gives them in order, whatever breaks in between', () => {
    const step = fc.oneof(
      fc.constant('add' as const),
      fc.constant('take' as const),
      fc.constant('break' as const),
      fc.nat(20).map((ack) => ({ ack })),
      fc.nat(20).map((refuse) => ({ refuse })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const outbox = new Outbox();
        let added = 0;
        let acked = 0;
        let lastTaken = 0;
        let expectedNext = 1;
        for (const each of steps) {
          if (each === 'add') {
            outbox.add({ kind: 'json', body: Buffer.from(String(++added)), events: 1 });
          } else if (each === 'take') {
            const next = outbox.take();
            if (next === undefined) expect(expectedNext).to.equal(added + 1);
            else {
              expect(next.seq).to.equal(expectedNext);
              expect(numberedFrame(next).toString()).to.equal(`{"seq":${next.seq}}\n${next.seq}`);
              lastTaken = Math.max(lastTaken, next.seq);
              expectedNext = next.seq + 1;
            }
          } else if (each === 'break') {
            outbox.rewind();
            expectedNext = acked + 1;
          } else if ('ack' in each) {
            // A server acks only what it was sent on this connection.
            const seq = Math.min(expectedNext - 1, acked + each.ack);
            outbox.ack(seq);
            acked = Math.max(acked, seq);
          } else {
            const seq = Math.min(expectedNext, acked + 1 + each.refuse);
            outbox.rewind(seq);
            expectedNext = seq;
          }
          expect(outbox.size).to.equal(added - acked);
          expect(outbox.unanswered).to.equal(lastTaken - acked);
        }
      }),
    );
  });
});

describe('A line batcher that keeps the order', () => {
  it('gives all lines back in it, whatever their kinds', () => {
    const line = fc.constantFrom('{"a":1}', '[{"a":1},{"b":2}]', '<13>text', 'plain');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (some, linesMax) => {
        const batcher = new LineBatcher({ linesMax, bytesMax: 10_000, isOrdered: true });
        const batches = [...some.flatMap((each) => batcher.add(Buffer.from(each))), ...batcher.flush()];
        expect(batches.flatMap(({ body }) => body.toString().split('\n'))).to.deep.equal(some);
      }),
    );
  });
});
