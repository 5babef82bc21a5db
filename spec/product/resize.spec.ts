/**
 * Every pool of a running node made larger and smaller under traffic: nothing is lost, nothing comes twice, and the
 * alerts of each host come in the order in which its events were sent.
 *
 * The sizes are set in PostgreSQL, as another node's API would: this node has to notice.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { checkTogether } from '../../actors/settings.ts';
import type { SettingKey } from '../../actors/settings.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresSettingsStore } from '../../gateways/postgres/settings-store.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { auditRows, databaseUrlOf, deadLetters, queryNode } from './node-database.ts';
import { ORDERED_TEXT, OrderedTraffic, orderedIn } from './ordered-traffic.ts';

const TIMEOUT_MS = 120_000;
const RESIZED_MS = 60_000;
const SIZES = {
  match: 'pool.match.size',
  forward: 'pool.forward.size',
  gateway: 'pool.gateway.size',
} as const;

describe('Pools that are resized under traffic', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let sink: Sink;
  let database: Connection;
  let settings: PostgresSettingsStore;
  let traffic: OrderedTraffic;

  before(async () => {
    sink = await Sink.start();
    node = await NodeUnderTest.start({ MUTT_FORWARD_THREADS: '2' });
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        rules: [
          {
            name: 'ordered',
            match_string: ORDERED_TEXT,
            prod_handling: 'Ticket_only',
            dev_handling: 'Ticket_only',
            team_assignment: 'SPEC',
            // Alerts of one signature leave one after another: so do those of a host.
            signature: '{host}',
          },
        ],
        destinations: [
          {
            name: 'sink',
            kind: 'moogsoft',
            url: sink.url,
            rate_per_second: 5_000,
            concurrency: 16,
            timeout_ms: 5_000,
          },
        ],
      },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    await node.whenApplied(body.snapshot_version);
    database = openConnection({
      url: databaseUrlOf(node.dir),
      connectionsMax: 1,
      applicationName: 'spec-resize',
    });
    settings = new PostgresSettingsStore(database, (values) => checkTogether(values));
    traffic = new OrderedTraffic({
      url: `http://127.0.0.1:${node.ports.ingest}/api/v2/ingest`,
      key: node.ingestKey,
      connections: 6,
      hostsPerConnection: 4,
      eventsPerSecond: 300,
    });
    traffic.start();
  });

  after(async () => {
    await traffic?.stop();
    await database?.close();
    await node?.close();
    await sink?.close();
  });

  const set = (key: SettingKey, value: number): Promise<unknown> =>
    settings.set(key, value, {}, { changedBy: 'spec' });

  /** Actors that run, by the beginning of their names. */
  async function running(prefix: string): Promise<number> {
    const actors = await node.actors().catch(() => []);
    return actors.filter(({ id, status }) => RegExp(`^${prefix}-\\d+$`).test(id) && status === 'running')
      .length;
  }

  async function whenRunning(prefix: string, size: number): Promise<void> {
    let seen = -1;
    await until(
      async () => {
        seen = await running(prefix);
        return seen === size;
      },
      RESIZED_MS,
      () => `${seen} of ${size} ${prefix} run:\n${node.output}`,
    );
  }

  /** The pools have worked at this size: events that every host has sent since have gone all the way. */
  async function whenWorked(): Promise<void> {
    const sent = new Map([...traffic.answered].map((name) => namesOf(name)));
    let behind: string[] = [];
    await until(
      async () => {
        const delivered = new Map(
          sink.received.map(({ body }) => namesOf(orderedIn(String(body['description'])))),
        );
        behind = [...sent].filter(([host, n]) => (delivered.get(host) ?? 0) <= n).map(([host]) => host);
        return sent.size > 0 && behind.length === 0;
      },
      RESIZED_MS,
      () => `no alert since from ${behind.join(', ')}: ${JSON.stringify(traffic.statuses)}`,
    );
  }

  for (const [pool, steps] of [
    ['match', [3, 2, 1]],
    ['forward', [3, 1]],
    ['gateway', [3, 1]],
  ] as const) {
    for (const size of steps) {
      it(`brings ${pool} to ${size}`, async () => {
        await set(SIZES[pool], size);
        await whenRunning(pool, size);
        await whenWorked();
      });
    }
  }

  for (const size of [3, 1]) {
    it(`brings the threads of a gateway to ${size}`, async () => {
      await set('pool.ingest.size', size);
      await whenRunning('gateway-0-ingest', size);
      await whenWorked();
    });
  }

  it('takes the newest of several targets, all pools at once', async () => {
    for (const size of [5, 1, 2]) {
      for (const key of [...Object.values(SIZES), 'pool.ingest.size'] as const) await set(key, size);
    }
    for (const prefix of ['match', 'forward', 'gateway', 'gateway-0-ingest', 'gateway-1-ingest']) {
      await whenRunning(prefix, 2);
    }
    await whenWorked();
  });

  it('says of every worker that it runs the newest settings', async () => {
    const { version } = await settings.set('log.level', 'debug', {}, { changedBy: 'spec' });
    expect(version).to.be.at.least(1);
    const [row] = await database.rows<{ snapshot_version: number }>('read_config_version');
    await node.whenApplied(row?.snapshot_version ?? Infinity);
    const { body } = await node.admin<{ snapshot: { applied: { worker: string }[] } }>('/api/v2/status');
    expect(body.snapshot.applied.map(({ worker }) => worker)).to.include.members([
      'match-0',
      'match-1',
      'forward-0',
      'forward-1',
      'remediation-0',
      'admin',
      'gateway-0',
      'gateway-1',
      'gateway-0-ingest-0',
      'gateway-1-ingest-1',
    ]);
    expect(body.snapshot.applied.map(({ worker }) => worker)).not.to.include.members([
      'match-2',
      'gateway-2',
    ]);
  });

  for (const [title, value, latencyP99MsMax, outcome] of [
    ['keeps a guarded change that does no harm', 700, 60_000, 700],
    ['takes back a guarded change under which requests are too slow, and says why', 9_000, 0.01, 700],
  ] as const) {
    it(title, async () => {
      const key = 'match.batch.eventsMax';
      const guard = { untilMs: Date.now() + 3_000, errorRateMax: null, latencyP99MsMax };
      await settings.set(key, value, { guard }, { changedBy: 'spec' });
      await until(
        async () => (await settings.guarded()).length === 0,
        RESIZED_MS,
        () => 'the guard is not settled',
      );
      expect((await settings.get(key))?.value).to.equal(outcome);
      const [entry] = await queryNode<{ changed_by: string; reason: string }>(
        node.dir,
        'SELECT changed_by, reason FROM config_audit_log ORDER BY id DESC LIMIT 1',
      );
      expect(entry?.changed_by).to.equal('guard');
      expect(entry?.reason).to.match(/^\d+ requests, 0\.00 % failed by faults of ours, p99 \d+\.\d ms/);
    });
  }

  it('has lost nothing, doubled nothing and kept the order of every host', async () => {
    await traffic.stop();
    const ledger = await node.settled();
    expect(ledger).to.include({ balanced: true, lost: 0, rejected: 0 });
    expect(await deadLetters(node.dir)).to.deep.equal([]);

    const rows = (await auditRows(node.dir))
      .map(({ raw }) => orderedIn(raw))
      .filter((name) => name !== undefined);
    const stored = new Set(rows);
    expect(rows.length, 'audit rows that came twice').to.equal(stored.size);
    expect(ledger.accepted, 'events in the ledger').to.equal(stored.size);
    expect(
      [...traffic.answered].filter((name) => !stored.has(name)),
      'answered and lost',
    ).to.deep.equal([]);
    expect(
      [...stored].filter((name) => !traffic.answered.has(name) && !traffic.unanswered.has(name)),
      'never sent',
    ).to.deep.equal([]);

    const delivered = sink.received.map(({ body }) => orderedIn(String(body['description'])) ?? 'another');
    expect(new Set(delivered), 'alerts').to.deep.equal(stored);
    expect(delivered.length, 'alerts that came twice').to.equal(stored.size);
    const last = new Map<string, number>();
    const passed: string[] = [];
    for (const [host, number] of delivered.map(namesOf)) {
      if (number <= (last.get(host) ?? 0)) passed.push(`${host}: ${number} after ${last.get(host)}`);
      last.set(host, number);
    }
    expect(passed, 'alerts out of order').to.deep.equal([]);
    // Only the end of a gateway breaks connections, and refuses nobody.
    expect(
      Object.keys(traffic.statuses).filter((status) => status !== '200' && status !== '0'),
    ).to.deep.equal([]);
    console.log(
      `      ${stored.size} events, ${traffic.unanswered.size} without an answer, replies ${JSON.stringify(traffic.statuses)}`,
    );
  });
});

function namesOf(event = ''): [host: string, number: number] {
  const [host = '', number = ''] = event.split(' ');
  return [host, Number(number)];
}
