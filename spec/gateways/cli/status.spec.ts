import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Ledger, NodeStatus } from '../../../gateways/cli/admin-documents.ts';
import { statusView } from '../../../gateways/cli/status.ts';
import { displayWidth, paletteFor } from '../../../gateways/cli/terminal-text.ts';
import { CliRun } from './cli-run.ts';
import { ContractServer } from './contract-server.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12, 0, 0);
const NODE: NodeStatus = {
  ready: true,
  version: '3.0.0',
  pid: 4711,
  uptime_seconds: 3_723,
  addresses: { ingest: 'http://127.0.0.1:8080', admin: 'http://127.0.0.1:8090' },
  snapshot: { version: 5, applied: [{ worker: 'match-0', version: 5 }] },
  actors: {
    id: 'node',
    status: 'running',
    epoch: 1,
    restarts: 0,
    since: '2026-11-21T10:57:57.000Z',
    children: [
      {
        id: 'gateway-0',
        status: 'running',
        epoch: 2,
        restarts: 1,
        since: '2026-11-21T11:59:30.000Z',
        children: [],
      },
      {
        id: 'match-0',
        status: 'waiting',
        epoch: 7,
        restarts: 6,
        since: '2026-11-21T11:59:59.000Z',
        exits: [
          { at: '2026-11-21T11:59:50.000Z', reason: 'exited with code 1' },
          { at: '2026-11-21T11:59:59.000Z', reason: 'failed: E_DISK_FULL: the disk is full' },
        ],
      },
    ],
  },
};
const LEDGER: Ledger = {
  accepted: 2_512,
  replayed: 0,
  terminal: { forwarded: 131, unmatched: 2_370, handled: 0 },
  in_flight: 11,
  rejected: 2,
  balanced: true,
  lost: 0,
  partitions: [{ partition: 0, accepted: 2_512, in_flight: 11, balanced: true, lost: 0 }],
};
const MEASURED = { ledger: LEDGER, rates: { accepted: 201.34, done: 9.5 } };
const paint = paletteFor({
  io: { isTTY: false },
  env: {},
});

describe('the view of mutt status', () => {
  it('looks like this at 80 columns', () => {
    expect(statusView(NODE, MEASURED, { width: 80, nowMs: NOW_MS, paint })).to.deep.equal([
      'ready',
      'version     3.0.0',
      'pid         4711',
      'up for      1:02:03',
      'ingest      http://127.0.0.1:8080',
      'admin       http://127.0.0.1:8090',
      'rates       201 in/s  9.5 done/s',
      'ledger      balanced: 2,512 in = 2,501 done + 11 in flight',
      '            forwarded 131 · unmatched 2,370',
      'rejected    2',
      'rule set    version 5 on 1 worker',
      '',
      'actor        state    epoch  restarts      for  memory  waiting  last exit',
      'node         running      1         0  1:02:03       -        -  -',
      '  gateway-0  running      2         1     0:30       -        -  -',
      '  match-0    waiting      7         6     0:01       -        -  failed: E_DISK…',
      '',
      'partition     accepted    in flight     balanced         lost',
      '        0        2,512           11          yes            0',
    ]);
  });

  it('fits every width', () => {
    const node: NodeStatus = {
      ...NODE,
      ready: false,
      reasons: ['the event store is away: connection refused'],
    };
    for (let width = 12; width <= 120; width++) {
      for (const line of statusView(node, MEASURED, { width, nowMs: NOW_MS, paint })) {
        expect(displayWidth(line), line).to.be.at.most(width);
      }
    }
  });

  it('shows the pools, and why one is not of its size', () => {
    const pools = [
      { pool: 'gateway', size: 1, target: 1, problem: null },
      { pool: 'match', size: 1, target: 4, problem: 'no memory\u001b[2J' },
      { pool: 'forward', size: 2, target: 1 },
    ];
    const view = { width: 100, nowMs: NOW_MS, paint };
    expect(statusView({ ...NODE, pools }, MEASURED, view)).to.include(
      'pools       gateway 1 · match 1 of 4: no memory\ufffd[2J · forward 2 of 1: on its way',
    );
  });

  it('names the destinations that are not well, with the reason', () => {
    const destinations = [
      { name: 'noc', state: 'down', last_error: 'ECONNREFUSED: refused', since: '2026-11-21T11:00:00.000Z' },
      {
        name: 'ops',
        state: 'secret_unreadable',
        last_error: 'E_SECRET_UNAVAILABLE: \u001b[31m',
        since: '2026-11-21T11:30:00.000Z',
      },
    ];
    expect(
      statusView({ ...NODE, destinations }, MEASURED, { width: 120, nowMs: NOW_MS, paint }),
    ).to.include.members([
      'delivery    noc down since 2026-11-21T11:00:00.000Z: ECONNREFUSED: refused',
      '            ops secret unreadable since 2026-11-21T11:30:00.000Z: E_SECRET_UNAVAILABLE: \ufffd[31m',
    ]);
  });

  it('says how long the stages of the way took, and what is wrong with the node itself', () => {
    const node: NodeStatus = {
      ...NODE,
      latency: {
        stages: {
          received_to_stored: { count: 9, p50_ms: 1.25, p99_ms: 1_234.4 },
          stored_to_matched: { count: 0, p50_ms: null, p99_ms: null },
          received_to_accepted: { count: 1, p50_ms: 20, p99_ms: 20 },
        },
      },
      own_alerts: [
        {
          signature: 'mutt::redis_away::n1',
          description: 'Redis does not answer\u001b[2J.',
          since: '2026-11-21T11:00:00.000Z',
        },
      ],
    };
    expect(statusView(node, MEASURED, { width: 120, nowMs: NOW_MS, paint })).to.include.members([
      'latency     stored 1.3/1,234 · end to end 20/20 ms (p50/p99)',
      'trouble     Redis does not answer\ufffd[2J. Since 2026-11-21T11:00:00.000Z.',
    ]);
  });

  it('names the queues that are held back, with the reason, and how long others will take', () => {
    const away = { reason: 'database_away', detail: 'PostgreSQL is away: \u001b[31m', since: null };
    const down = { reason: 'worker_down', detail: 'match-0 does not run', since: null };
    const idle = { reason: 'destination_down', detail: 'noc takes nothing', since: null };
    const partitions = [away, down, away].map((paused, partition) => ({
      partition,
      mailboxes: [
        { mailbox: 'ingest', depth: 5, eta_seconds: null, paused },
        { mailbox: 'alert:noc', depth: 0, eta_seconds: 0, paused: idle },
        { mailbox: 'alert:ops', depth: 10, eta_seconds: partition * 60, paused: null },
      ],
    }));
    const lines = statusView(NODE, { ...MEASURED, partitions }, { width: 100, nowMs: NOW_MS, paint });
    expect(lines).to.include.members([
      'paused      ingest in 2 partitions: database_away: PostgreSQL is away: \ufffd[31m',
      'empty in    alert:ops 2:00',
    ]);
    expect(lines.join()).to.not.include('alert:noc');
  });

  it('says how much waits in the outbox', () => {
    const outbox = { 'alert:noc': { alerts: 1_200, bytes: 9 }, 'alert:ops': { alerts: 34, bytes: 9 } };
    const ledger = {
      ...LEDGER,
      partitions: LEDGER.partitions.slice(0, 1).map((each) => ({ ...each, outbox })),
    };
    expect(statusView(NODE, { ...MEASURED, ledger }, { width: 100, nowMs: NOW_MS, paint })).to.include(
      'outbox      1,234 alerts of full mailboxes wait in PostgreSQL',
    );
  });

  it('names the workers that are behind', () => {
    const snapshot = { version: 6, applied: [{ worker: 'match-0', version: 5 }] };
    expect(
      statusView(
        { ...NODE, snapshot },
        { ledger: undefined, rates: undefined },
        { width: 80, nowMs: NOW_MS, paint },
      ),
    ).to.include.members(['rule set    version 6, behind: match-0 (5)', 'ledger      cannot be read now']);
  });
});

describe('mutt status', () => {
  let server: ContractServer;
  let cli: CliRun;

  beforeEach(async () => {
    server = await ContractServer.start();
    cli = new CliRun(server.url);
    server.status = { ...NODE };
  });
  afterEach(async () => {
    cli.close();
    await server.close();
  });

  it('is 0 when ready', async () => {
    expect(await cli.run('status')).to.equal(0);
    expect(cli.out).to.match(/^ready\n/);
  });

  it('is 1 when not ready, and says why', async () => {
    server.status = { ready: false, reasons: ['the event store is away'] };
    expect(await cli.run('status')).to.equal(1);
    expect(cli.out).to.match(/^not ready\n {2}the event store is away\n/);
  });

  it('is 3 when it does not run, and says how to start it', async () => {
    await server.close();
    expect(await cli.run('status')).to.equal(3);
    expect(cli.err).to.contain('mutt start');
    server = await ContractServer.start();
  });

  it('gives everything as JSON', async () => {
    expect(await cli.run('status', '--json')).to.equal(0);
    const document = JSON.parse(cli.out) as { pid: number; ledger: { balanced: boolean } };
    expect(document.pid).to.equal(4_711);
    expect(document.ledger.balanced).to.equal(true);
  });

  it('says that a key file cannot be read', async () => {
    expect(await cli.run('status', '--admin-key-file', '/no/such.key')).to.equal(2);
    expect(cli.err).to.contain('/no/such.key cannot be read: ENOENT').and.to.contain('--admin-key-file');
  });

  it('says how to find the admin port when another port of the node was given', async () => {
    expect(await cli.run('status', '--admin-url', `${server.url}/not-here`)).to.equal(2);
    expect(cli.err).to.contain('E_ROUTE_UNKNOWN').and.contain('no admin port').and.contain('--admin-url');
  });

  it('says that something else listens there', async () => {
    server.status = 'hello' as never;
    expect(await cli.run('status')).to.equal(3);
    expect(cli.err).to.contain('E_REPLY_INVALID');
  });
});
