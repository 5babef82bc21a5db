/**
 * A node whose ingest port speaks TLS and asks for client certificates, while its files are renewed, spoilt and mended.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { trustOnly } from '../../gateways/cli/client-tls.ts';
import { CliRun } from '../gateways/cli/cli-run.ts';
import { makeAuthority } from '../support/certificates.ts';
import type { Authority, Identity } from '../support/certificates.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { tlsRequest } from '../support/tls-request.ts';
import type { TlsReply, TlsRequest } from '../support/tls-request.ts';

const GATEWAYS = 2;
const RENEWED_MS = 15_000;
/** So many connections in a row that no gateway is left out: each takes half of them. */
const CONNECTIONS = 20;

describe('A node with TLS and client certificates', function () {
  this.timeout(60_000);
  let dir: string;
  let node: NodeUnderTest;
  let authority: Authority;
  let client: Identity;
  const servers: Identity[] = [];
  let sent = 0;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mutt-tls-spec-'));
    authority = await makeAuthority('ours');
    client = await authority.issue('client');
    for (const days of [2, 3]) servers.push(await authority.issue('server', { from: -1, until: days }));
    put('clients.crt', authority.certificate);
    putServer(0);
    node = await NodeUnderTest.start({
      MUTT_GATEWAYS: String(GATEWAYS),
      MUTT_INGEST_THREADS: '1',
      MUTT_INGEST_TLS_CERT_FILE: join(dir, 'server.crt'),
      MUTT_INGEST_TLS_KEY_FILE: join(dir, 'server.key'),
      MUTT_INGEST_TLS_CLIENT_CA_FILE: join(dir, 'clients.crt'),
    });
  });
  after(async () => {
    await node.close();
    rmSync(dir, { recursive: true });
  });

  const server = (at: number): Identity => servers[at] ?? client;
  function put(name: string, text: string): void {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
  }
  function putServer(at: number): void {
    put('server.crt', server(at).certificate);
    put('server.key', server(at).key);
  }
  const post = (options: Partial<TlsRequest> = {}): Promise<TlsReply> =>
    tlsRequest({
      port: node.ports.ingest,
      path: '/api/v2/ingest',
      method: 'POST',
      headers: { 'x-api-key': node.ingestKey },
      ca: authority.certificate,
      identity: client,
      body: eventOf(++sent),
      ...options,
    });
  const eventOf = (id: number): string =>
    JSON.stringify({ hostname: 'fw-01', message: `event ${id}`, timestamp: new Date().toISOString() });
  async function isServedByAll(at: number): Promise<boolean> {
    const { fingerprint256 } = new X509Certificate(server(at).certificate);
    const replies = await Promise.all(Array.from({ length: CONNECTIONS }, () => post()));
    return replies.every(({ status, fingerprint }) => status === 200 && fingerprint === fingerprint256);
  }
  async function metric(name: string): Promise<number> {
    const { body } = await node.admin<string>('/metrics');
    return Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(body)?.[1]);
  }

  it('takes events from clients with a certificate and a key, and from nobody else', async () => {
    expect(await post()).to.include({ status: 200 });
    expect(await post({ headers: {} })).to.include({ status: 401 });
    expect(await post({ identity: undefined })).to.include({ status: 0 });
    await until(
      async () => (await metric('mutt_ingest_uncertified_requests_total')) === 1,
      10_000,
      () => 'it is not counted',
    );
    expect((await node.post(eventOf(0))).status, 'plain HTTP').to.equal(0);
    const greeting = `POST events to  https://127.0.0.1:${node.ports.ingest}/api/v2/ingest`;
    await until(
      async () => node.output.includes(greeting),
      10_000,
      () => node.output,
    );
  });

  it('is reached by the commands through its own certificate file', async () => {
    const cli = new CliRun(`https://127.0.0.1:${node.ports.ingest}`, {
      ingestTls: trustOnly(join(dir, 'server.crt')),
      readIngestKey: async () => node.ingestKey,
    });
    try {
      const events = cli.file('events', `${eventOf(++sent)}\n`);
      const identity = [
        ...['--tls-cert-file', cli.file('client.crt', client.certificate)],
        ...['--tls-key-file', cli.file('client.key', client.key)],
      ];
      for (const way of [[], ['--ws']])
        expect(await cli.run('send', ...way, ...identity, events), cli.err).to.equal(0);
    } finally {
      cli.close();
    }
  });

  it('puts renewed files into force in all gateways, and fails no request', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${node.ports.ingest}/api/v2/ingest/ws`, {
      ca: authority.certificate,
      cert: client.certificate,
      key: client.key,
      headers: { 'x-api-key': node.ingestKey },
    });
    const acks: number[] = [];
    socket.on('message', (data: Buffer) => {
      const { ack } = JSON.parse(data.toString()) as { ack?: number };
      if (ack !== undefined) acks.push(ack);
    });
    await once(socket, 'open');
    const replies: TlsReply[] = [];
    let isOver = false;
    const keepPosting = async (): Promise<void> => {
      while (!isOver) replies.push(await post());
    };
    const posting = Promise.all([keepPosting(), keepPosting(), keepPosting()]);
    for (const at of [1, 0]) {
      // One after the other, as certificate tools do it.
      put('server.crt', server(at).certificate);
      await new Promise((resolve) => setTimeout(resolve, 50));
      put('server.key', server(at).key);
      await until(
        () => isServedByAll(at),
        RENEWED_MS,
        () => `the renewed certificate is not in force: ${node.output}`,
      );
    }
    isOver = true;
    await posting;
    expect(replies.filter(({ status }) => status !== 200)).to.deep.equal([]);
    expect(new Set(replies.map(({ fingerprint }) => fingerprint)).size).to.equal(2);
    socket.send(`{"seq":1,"events":[${eventOf(++sent)}]}`);
    await until(
      async () => acks.at(-1) === 1,
      10_000,
      () => 'the WebSocket has not gone on',
    );
    socket.close();
    await until(
      async () => (await metric('mutt_ingest_tls_renewals_total{status="success"}')) === 2 * GATEWAYS,
      10_000,
      () => 'not every renewal is counted',
    );
  });

  it('keeps the last good files, also for a gateway that starts anew, and shows that they are spoilt', async () => {
    put('server.key', server(1).key);
    await until(
      async () => (await metric('mutt_tls_files_unusable')) === 1,
      RENEWED_MS,
      () => 'nothing shows it',
    );
    const { pid, epoch } = await node.actor('gateway-0');
    process.kill(pid ?? 0, 'SIGKILL');
    await until(
      async () => {
        const gateway = await node.actor('gateway-0');
        return gateway.epoch > epoch && gateway.status === 'running';
      },
      30_000,
      () => 'no gateway came',
    );
    expect(await isServedByAll(0)).to.equal(true);
    putServer(1);
    await until(
      () => isServedByAll(1),
      RENEWED_MS,
      () => 'the mended files are not in force',
    );
    expect(await metric('mutt_tls_files_unusable')).to.equal(0);
    const expiryMs = (await metric('mutt_tls_certificate_expiry_timestamp_seconds')) * 1_000;
    expect(expiryMs).to.equal(new X509Certificate(server(1).certificate).validToDate.getTime());
  });

  it('wrote no key into its log, and told every change', () => {
    const log = readFileSync(join(node.dir, 'log', 'mutt.log'), 'utf8');
    for (const { key } of servers) {
      for (const line of key.split('\n').filter((text) => text.length > 40)) {
        expect(log.includes(line) || node.output.includes(line)).to.equal(false);
      }
    }
    expect(log).to.include('E_TLS_KEY_MISMATCH').and.include('new TLS certificate');
  });
});
