/**
 * Every kind of garbage against a real gateway: nothing of it is stored, every answer is a right one, and good events are
 * taken beside it as ever.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { knownText } from '../../supervisors/torture/known-event.ts';
import { WIRE_GARBAGE, WIRE_GARBAGE_NAMES } from '../../supervisors/torture/wire-garbage-kinds.ts';
import type { WireGarbageName } from '../../supervisors/torture/wire-garbage-kinds.ts';
import { sendGarbage, wrongAnswers } from '../../supervisors/torture/wire-garbage.ts';
import { ownDatabase } from '../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../gateways/postgres/own-database.ts';
import { until } from '../support/node-under-test.ts';
import { startGateway } from '../supervisors/gateway/gateway-under-test.ts';
import type { GatewayUnderTest } from '../supervisors/gateway/gateway-under-test.ts';

const GOOD_EVERY_MS = 50;

describe('Garbage on the wire', function () {
  this.timeout(120_000);
  let database: OwnDatabase;
  let gateway: GatewayUnderTest;
  const answers = new Map<WireGarbageName, number[]>();
  const wrong: string[] = [];
  let made = 0;

  const figure = (metric: string): number =>
    gateway.collector
      .collect()
      .filter(({ name }) => name === metric)
      .flatMap(({ values }) => values)
      .reduce((sum, { value }) => sum + value, 0);
  const stored = (): number => figure('mutt_ingest_stored_events_total');

  function document(host: string): Record<string, string> {
    const message = knownText({ host, sequence: made++ }, false);
    return { hostname: host, message, timestamp: new Date().toISOString() };
  }

  async function send(name: WireGarbageName): Promise<void> {
    let n = 0;
    const statuses = await sendGarbage(name, {
      port: gateway.port,
      key: gateway.keys['relay'] ?? '',
      random: () => (n = (n + 0.618_034) % 1),
      signal: new AbortController().signal,
      make: () => document('wire'),
      complain: (text) => wrong.push(text),
    });
    answers.set(name, statuses);
  }

  async function sendGood(): Promise<number> {
    const reply = await fetch(`http://127.0.0.1:${gateway.port}/api/v2/ingest`, {
      method: 'POST',
      headers: { 'x-api-key': gateway.keys['relay'] ?? '' },
      body: JSON.stringify(document('good')),
    });
    await reply.arrayBuffer();
    return reply.status;
  }

  before(async () => {
    database = await ownDatabase();
    gateway = await startGateway(database.url);
  });
  after(async () => {
    gateway.child.kill('the spec is over');
    await gateway.child.exited;
    await database.drop();
  });

  it('is never stored, is answered rightly, and costs good events nothing', async () => {
    const kinds = WIRE_GARBAGE_NAMES.filter((name) => WIRE_GARBAGE[name].mayBeStored !== true);
    const good: number[] = [];
    let isOver = false;
    const sending = Promise.all(kinds.map(send)).finally(() => (isOver = true));
    while (!isOver) {
      good.push(await sendGood());
      await new Promise((resolve) => setTimeout(resolve, GOOD_EVERY_MS));
    }
    await sending;
    expect(wrong).to.deep.equal([]);
    expect(new Set(good)).to.have.keys([200]);
    // Also what was still being read when its sender went.
    await until(
      async () => figure('mutt_ingest_in_flight_requests') === 0,
      30_000,
      () => 'requests are in flight',
    );
    // Its figures come a moment after its answers.
    await until(
      async () => stored() >= good.length,
      30_000,
      () => `${stored()} of ${good.length} are counted`,
    );
    expect(stored()).to.equal(good.length);
    expect(figure('mutt_ingest_rejected_events_total')).to.be.above(100);
  });

  it('may be stored where its sender went away after it was whole, and then at most once', async () => {
    const before = stored();
    const madeBefore = made;
    await Promise.all((['lost-answers', 'pipelines', 'socket-lost-acks'] as const).map(send));
    await until(
      async () => figure('mutt_ingest_in_flight_requests') === 0,
      30_000,
      () => 'requests are in flight',
    );
    expect(wrong).to.deep.equal([]);
    expect(stored() - before).to.be.at.most(made - madeBefore);
    expect(await sendGood()).to.equal(200);
  });

  it('is what it says it is: each kind gets the answers that are for it', () => {
    const expected: Partial<Record<WireGarbageName, number[]>> = {
      noise: [505],
      'giant-heads': [431],
      'wrong-lengths': [400, 413],
      'bad-chunks': [400],
      'wrong-keys': [401],
      'wrong-paths': [404, 405],
      'hostile-json': [200, 400],
      'hostile-msgpack': [200, 400],
      'hostile-compression': [400, 413],
      'hostile-protobuf': [204, 400, 413],
      'socket-upgrades': [400, 401, 426],
      'socket-halves': [101],
      'socket-lost-acks': [101],
      'socket-garbage': [101],
      'socket-silence': [101],
    };
    for (const [name, statuses] of Object.entries(expected)) {
      const got = [...new Set(answers.get(name as WireGarbageName))].sort();
      expect(got, name).to.deep.equal(statuses);
    }
  });

  it('is complained of when an answer is a wrong one', () => {
    const reply = (status: number, body = ''): string => `HTTP/1.1 ${status} X\r\n\r\n${body}`;
    expect(wrongAnswers(reply(400) + reply(503), false)).to.deep.equal([]);
    expect(wrongAnswers(reply(200, '{"accepted":0}'), false)).to.deep.equal([]);
    expect(wrongAnswers(reply(200, '{"accepted":2}'), true)).to.deep.equal([]);
    expect(wrongAnswers(reply(500) + reply(302) + reply(200, '{"accepted":2}'), false)).to.deep.equal([
      'answered with 500',
      'answered with 302',
      'answered with "accepted":2',
    ]);
  });
});
