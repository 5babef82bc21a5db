/**
 * What a running node tells its operators without being asked: destinations that do not take alerts, rejects that were
 * many, and nothing secret with it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { queryNode } from './node-database.ts';

const SECRET = 'a-very-secret-token';
/**
 * Of one request: more than a queue of rejects takes in turn (8 MiB, 529 bytes a reject), and few enough that a slow
 * machine stores them within the 18 s after which a request hands over no more.
 */
const UNUSABLE_LINES = 30_000;
/** On a machine that has much else to do; alone they take seconds. */
const PARKED_MS = 60_000;
const BODY = 'these are the words of the destination';

/** Ways of a destination not to take an alert, and the words that the log must have for each. */
const WAYS: Record<string, { text: string; answer: (socket: Socket) => void }> = {
  hangs: { text: 'ETIMEDOUT', answer: () => undefined },
  reset: { text: 'ECONNRESET', answer: (socket) => socket.resetAndDestroy() },
  garbage: { text: 'HPE_', answer: (socket) => socket.end(`${BODY}\r\n\r\n`) },
  broken: { text: 'HTTP 500', answer: (socket) => socket.end(reply('500 Oops')) },
  elsewhere: { text: 'HTTP 302', answer: (socket) => socket.end(reply('302 Found')) },
  stranger: { text: 'HTTP 401', answer: (socket) => socket.end(reply('401 Who')) },
  refusing: { text: 'HTTP 400', answer: (socket) => socket.end(reply('400 No')) },
};

describe('What a node tells without being asked', function () {
  this.timeout(120_000);
  let secretFile: string;
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let node: NodeUnderTest;
  let isMended = false;

  before(async () => {
    const names = [...Object.keys(WAYS), 'secretless'];
    const urls = await Promise.all(names.map((name) => serve(name)));
    node = await NodeUnderTest.start();
    secretFile = join(node.dir, 'secrets', 'noc.key');
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        rules: [
          {
            name: 'all',
            match_string: 'ALERT',
            prod_handling: 'Page_only',
            dev_handling: 'Page_only',
            team_assignment: 'NOC',
          },
        ],
        destinations: names.map((name, index) => ({
          name,
          kind: 'webhook',
          url: urls[index],
          timeout_ms: 1_000,
          concurrency: 2,
          ...(name === 'secretless' ? { secret_ref: `file:${secretFile}` } : {}),
        })),
      },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    await node.whenApplied(body.snapshot_version);
  });
  after(async () => {
    await node.close();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  async function serve(name: string): Promise<string> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        if (!chunk.includes('{')) return;
        if (isMended) socket.end(reply('200 OK'));
        else WAYS[name]?.answer(socket);
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
  }

  interface Line {
    level: string;
    msg: string;
    destination?: string;
    last_error?: string;
    count?: number;
  }
  const logText = (): string => readFileSync(join(node.dir, 'log', 'mutt.log'), 'utf8');
  const lines = (): Line[] =>
    logText()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  const told = (destination: string, level: string): Line[] =>
    lines().filter((line) => line.destination === destination && line.level === level);
  async function destinations(): Promise<Record<string, string>> {
    const { body } = await node.admin<{ destinations: { name: string; state: string }[] }>('/api/v2/status');
    return Object.fromEntries(body.destinations.map(({ name, state }) => [name, state]));
  }

  /** Why mailboxes of destinations are held back, in any partition where alerts wait. */
  async function pauses(): Promise<Record<string, string>> {
    interface Mailbox {
      mailbox: string;
      depth: number;
      paused: { reason: string; detail: string } | null;
    }
    const { body } = await node.admin<{ items: { mailboxes: Mailbox[] }[] }>('/api/v2/partitions');
    const paused = body.items
      .flatMap(({ mailboxes }) => mailboxes)
      .flatMap(({ mailbox, depth, paused: why }) =>
        why === null || depth === 0 ? [] : [[mailbox, why.reason]],
      );
    return Object.fromEntries(paused) as Record<string, string>;
  }

  it('warns once of every destination that does not take alerts, with the reason, and lists them in its status', async () => {
    const events = Array.from({ length: 6 }, (_, n) => ({
      hostname: `h${n}`,
      message: `ALERT ${n}`,
      timestamp: new Date().toISOString(),
    }));
    expect((await node.post(JSON.stringify(events))).status).to.equal(200);
    const names = [...Object.keys(WAYS), 'secretless'];
    await until(
      async () => names.every((name) => told(name, 'warn').length > 0),
      60_000,
      () => `not told: ${names.filter((name) => told(name, 'warn').length === 0).join(', ')}`,
    );
    for (const [name, { text }] of Object.entries(WAYS)) {
      expect(
        told(name, 'warn').some(({ last_error }) => last_error?.includes(text)),
        name,
      ).to.equal(true);
    }
    expect(told('refusing', 'warn')[0]?.msg).to.equal('alerts became dead letters');
    expect(told('secretless', 'warn')[0]?.last_error)
      .to.include('E_SECRET_UNAVAILABLE')
      .and.include(secretFile);
    await until(
      async () => Object.keys(await destinations()).length === 7,
      30_000,
      () => 'the status does not list them',
    );
    expect(await destinations()).to.include({ stranger: 'unauthorized', secretless: 'secret_unreadable' });
    expect(await destinations()).not.to.have.property('refusing');
    expect(await pauses()).to.include({
      'alert:stranger': 'destination_unauthorized',
      'alert:secretless': 'secret_unreadable',
      'alert:broken':
        (await destinations())['broken'] === 'down' ? 'destination_down' : 'destination_failing',
    });
    expect(await pauses()).not.to.have.property('alert:refusing');
    expect(logText()).not.to.include(BODY);
  });

  it('tells when they take alerts again, and says no secret', async () => {
    isMended = true;
    writeFileSync(secretFile, SECRET);
    await until(
      async () => Object.keys(await destinations()).length === 0,
      60_000,
      () => 'they are not well',
    );
    expect(await pauses()).to.deep.equal({});
    const names = [...Object.keys(WAYS), 'secretless'].filter((name) => name !== 'refusing');
    await until(
      async () => names.every((name) => told(name, 'info').length > 0),
      60_000,
      () => `not told: ${names.filter((name) => told(name, 'info').length === 0).join(', ')}`,
    );
    for (const name of names) expect(told(name, 'warn').length, name).to.be.at.most(4);
    expect(logText()).not.to.include(SECRET);
  });

  it('parks every record of two requests of 30,000 unusable lines at once, and drops none', async () => {
    const bad = '{"hostname":"r1"}\n'.repeat(UNUSABLE_LINES);
    const good = '{"hostname":"r1","message":"good","timestamp":"2026-01-01T00:00:00Z"}\n';
    const bound = await node.admin('/api/v2/config/rejects.key.rejectsMax', {
      method: 'PUT',
      headers: { 'if-match': '*' },
      body: { value: 45_000 },
    });
    expect(bound.status).to.equal(200);
    await node.whenInForce();
    const startedMs = performance.now();
    const posts = Promise.all(Array.from({ length: 2 }, () => post(good + bad)));
    // Beside them a request with one is answered as ever.
    const beside = await node.post(`{"hostname":"r1"}\n${good}`);
    expect(beside).to.deep.include({ status: 200 });
    const replies = await posts;
    console.log(`        answered after ${(performance.now() - startedMs).toFixed(0)} ms`);
    let parked = 0;
    for (const { status, body } of replies) {
      expect({ status, accepted: body.accepted, rejected: body.rejected }).to.deep.equal({
        status: 200,
        accepted: 1,
        rejected: UNUSABLE_LINES,
      });
    }
    const expected = 2 * UNUSABLE_LINES + 1;
    await until(
      async () => {
        parked = await counter('mutt_ingest_parked_rejects_total');
        // One that is dropped is never parked: no use in waiting for it.
        expect(await counter('mutt_ingest_dropped_rejects_total')).to.equal(0);
        return parked === expected;
      },
      PARKED_MS,
      () => `of ${expected} ${parked} are parked`,
    );
    const [kept] = await queryNode<{ rows: number }>(node.dir, 'SELECT count(*)::int AS rows FROM rejects');
    expect((kept?.rows ?? 0) + (await counter('mutt_ingest_evicted_rejects_total'))).to.equal(expected);
    const evictions = lines().filter(({ msg }) => msg.includes('bound of their API key'));
    expect(evictions.reduce((sum, { count }) => sum + (count ?? 0), 0)).to.be.above(0);
  }).timeout(2 * PARKED_MS);

  /** As a relay does: what is answered 503 comes again. */
  async function post(body: string): Promise<{ status: number; body: Record<string, unknown> }> {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`, {
        method: 'POST',
        headers: { 'x-api-key': node.ingestKey },
        body,
        signal: AbortSignal.timeout(PARKED_MS),
      });
      const document = (await answer.json()) as Record<string, unknown>;
      if (answer.status !== 503) return { status: answer.status, body: document };
      expect(document).to.include({ code: 'E_MAILBOX_FULL' });
      await new Promise((resolve) => setTimeout(resolve, Number(answer.headers.get('retry-after')) * 1_000));
    }
  }

  async function counter(name: string): Promise<number> {
    const { body } = await node.admin<string>('/metrics');
    const found = [...body.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'gm'))];
    return found.reduce((sum, [, value]) => sum + Number(value), 0);
  }
});

function reply(status: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${BODY.length}\r\nLocation: /there\r\nConnection: close\r\n\r\n${BODY}`;
}
