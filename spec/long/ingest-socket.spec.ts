/** WebSocket ingest on a real node: what was acked is stored, whichever gateway dies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { RawWebSocket } from '../gateways/admin/stream/raw-websocket.ts';
import { CliRun } from '../gateways/cli/cli-run.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { queryNode } from '../product/node-database.ts';
import { orderedIn } from '../product/ordered-traffic.ts';
import { SocketTraffic } from '../product/socket-traffic.ts';

const TIMEOUT_MS = 180_000;
const SOCKET_PATH = '/api/v2/ingest/ws';
const SESSIONS = 8;
const MESSAGES = 250;
const EVENTS = 4;
const KILLS = 4;
const IDLE = 1_000;
const GATEWAY_BYTES_PER_SOCKET_MAX = 64 * 1024;

describe('WebSocket ingest of a node', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  before(async () => {
    node = await NodeUnderTest.start({ MUTT_GATEWAYS: '2', MUTT_AUDIT_UNMATCHED: 'all' });
  });
  after(() => node?.close());

  const traffic = (session: string, more: object = {}): SocketTraffic =>
    new SocketTraffic({
      port: node.ports.ingest,
      key: node.ingestKey,
      session,
      messages: MESSAGES,
      eventsPerMessage: EVENTS,
      pauseMs: 4,
      ...more,
    });

  /** Known events that are stored, in the order in which they were: that of their ids, whatever page a row went to. */
  async function stored(like: string): Promise<string[]> {
    const rows = await queryNode<{ raw: string }>(
      node.dir,
      `SELECT raw_message AS raw FROM event_audit_log WHERE raw_message LIKE $1
        ORDER BY left(event_id, 36), substr(event_id, 38)::integer`,
      [`%${like}%`],
    );
    return rows.flatMap(({ raw }) => orderedIn(raw) ?? []);
  }

  /** Of a gateway that runs: none has the number 0, which would stand for this process and all around it. */
  async function gatewayPid(at: number): Promise<number> {
    let pid: number | undefined;
    await until(
      async () => (pid = (await node.actor(`gateway-${at}`)).pid) !== undefined && pid > 0,
      10_000,
      () => `gateway-${at} does not run`,
    );
    return pid as unknown as number;
  }
  const open = (key = node.ingestKey): Promise<RawWebSocket> =>
    RawWebSocket.open(node.ports.ingest, { 'X-API-KEY': key }, SOCKET_PATH);

  it('stores the messages of a session in their order, once, and the ledger balances', async () => {
    const one = traffic('calm', { pauseMs: 0 });
    await one.run();
    expect(one.connections).to.equal(1);
    const ledger = await node.settled();
    expect(ledger.balanced).to.equal(true);
    const wanted = Array.from({ length: MESSAGES }, (_, at) => one.idsOf(at + 1)).flat();
    expect(await stored('ordered-calm ')).to.deep.equal(wanted);
  });

  it('finds every acked message after gateways were killed in mid-stream, and sessions go on elsewhere', async () => {
    const sessions = Array.from({ length: SESSIONS }, (_, at) => traffic(`kill${at}`));
    const running = Promise.all(sessions.map((each) => each.run()));
    const total = (): number => sessions.reduce((sum, { acked }) => sum + acked, 0);
    const ackedAtKill: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const before = total();
      await until(
        async () => total() > before + 60 || total() === SESSIONS * MESSAGES,
        30_000,
        () => `nothing more is acked: ${total()}`,
      );
      const pid = await gatewayPid(kill % 2);
      ackedAtKill.push(total());
      process.kill(pid, 'SIGKILL');
      await sleep(150);
    }
    await running;
    await node.settled();
    expect(ackedAtKill.at(-1), 'killed while sending').to.be.below(SESSIONS * MESSAGES);
    expect(
      sessions.filter(({ connections }) => connections > 1).length,
      'sessions that were broken',
    ).to.be.greaterThan(0);
    for (const [at, session] of sessions.entries()) {
      const wanted = Array.from({ length: session.acked }, (_, seq) => session.idsOf(seq + 1)).flat();
      const found = await stored(`ordered-kill${at} `);
      // What was stored and not acked came again; what comes first of each is in order.
      expect([...new Set(found)]).to.deep.equal(wanted);
    }
  });

  it('is fed by `mutt send --ws`, which goes on after a killed gateway', async () => {
    const cli = new CliRun(`http://127.0.0.1:${node.ports.ingest}`, {
      readIngestKey: async () => node.ingestKey,
    });
    try {
      const events = 4_000;
      cli.stdin = async function* () {
        for (let n = 1; n <= events; n++) {
          const timestamp = new Date().toISOString();
          yield Buffer.from(
            `${JSON.stringify({ hostname: 'ordered-cli', message: `known id=ordered-cli ${n};`, timestamp })}\n`,
          );
          if (n % 20 === 0) await sleep(5);
        }
      };
      const done = cli.run('send', '--ws', '--json');
      await until(
        async () => (await stored('ordered-cli ')).length > 200,
        30_000,
        () => 'nothing is stored',
      );
      for (const at of [0, 1]) {
        process.kill(await gatewayPid(at), 'SIGKILL');
        await sleep(300);
      }
      expect(await done, cli.err).to.equal(0);
      expect(JSON.parse(cli.out)).to.include({ events, accepted: events, unanswered: 0 });
      await node.settled();
      const wanted = Array.from({ length: events }, (_, at) => `ordered-cli ${at + 1}`);
      expect([...new Set(await stored('ordered-cli '))]).to.deep.equal(wanted);
    } finally {
      cli.close();
    }
  });

  it('parks what is no event and goes on', async () => {
    const client = await open();
    client.send('{"seq":1}\nnonsense');
    client.send(
      '{"seq":2,"events":[{"hostname":"x"},{"hostname":"x","message":"m","timestamp":1700000000}]}',
    );
    await until(
      async () => client.messages.some((message) => message['ack'] === 2),
      10_000,
      () => JSON.stringify(client.messages),
    );
    const acks = client.messages.filter((message) => 'ack' in message);
    expect(acks.at(-1)).to.include({ accepted: 1, rejected: 2 });
    const errors = acks.flatMap((ack) => (ack['errors'] ?? []) as { seq: number; code: string }[]);
    expect(errors.map(({ seq, code }) => `${seq} ${code}`)).to.include('2 E_FIELD_MISSING');
    client.close();
  });

  it('keeps a thousand idle sockets in bounded memory, on the gateways that share the port', async () => {
    const pids = [await gatewayPid(0), await gatewayPid(1)];
    const memory = async (): Promise<number> => {
      const { readFileSync } = await import('node:fs');
      const kilobytes = pids.map((pid) =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
      );
      return kilobytes.reduce((sum, each) => sum + each * 1_024, 0);
    };
    const before = await memory();
    const clients: RawWebSocket[] = [];
    for (let at = 0; at < IDLE; at += 100) {
      clients.push(...(await Promise.all(Array.from({ length: 100 }, () => open()))));
    }
    expect(clients.filter(({ status }) => status === 101)).to.have.length(IDLE);
    await until(
      async () => (await openSockets()) >= IDLE,
      10_000,
      () => 'the gauge does not show them',
    );
    expect((await memory()) - before).to.be.below(IDLE * GATEWAY_BYTES_PER_SOCKET_MAX);
    for (const client of clients) client.close();
  });

  async function openSockets(): Promise<number> {
    const { body } = await node.admin<string>('/metrics');
    return Number(/^mutt_ingest_sockets(?:\{.*\})? (\d+)$/m.exec(body)?.[1] ?? 0);
  }

  it('ends the sockets of a key within a second of its being revoked', async () => {
    const made = await node.admin<{ key: string }>('/api/v2/keys', {
      method: 'POST',
      body: { name: 'socket-relay', scopes: ['ingest'] },
    });
    await until(
      async () => (await open(made.body.key)).status === 101,
      10_000,
      () => 'the new key is not known',
    );
    const client = await open(made.body.key);
    expect(client.status).to.equal(101);
    const { status } = await node.admin('/api/v2/keys/socket-relay', {
      method: 'DELETE',
      headers: { 'if-match': '*' },
    });
    expect(status).to.be.oneOf([200, 204]);
    const startedMs = performance.now();
    await until(
      async () => client.closeCode !== undefined,
      10_000,
      () => 'the socket is still open',
    );
    expect(performance.now() - startedMs).to.be.below(1_500);
    expect(client.closeCode).to.equal(1008);
  });

  it('closes with 1012 when the node stops, with everything it took acked or left to be sent again', async () => {
    const one = traffic('stop', { messages: 100_000, pauseMs: 1 });
    const running = one.run();
    await until(
      async () => one.acked > 50,
      20_000,
      () => 'nothing is acked',
    );
    expect(await node.stop()).to.equal(0);
    expect(one.closeCodes).to.include(1012);
    one.stop();
    await running;
    const { acked } = one;
    await node.start();
    await node.settled();
    const found = new Set(await stored('ordered-stop '));
    for (let seq = 1; seq <= acked; seq++)
      for (const id of one.idsOf(seq)) expect(found.has(id), id).to.equal(true);
    // In order, nothing was under way when it closed: what was not acked is not stored.
    expect(found.size).to.equal(acked * EVENTS);
  });
});
