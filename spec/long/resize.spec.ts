/**
 * Every pool of a running node made larger and smaller under traffic: nothing is lost, nothing comes twice, and the
 * alerts of each host come in the order in which its events were sent.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { SettingKey } from '../../actors/settings.ts';
import { until } from '../support/node-under-test.ts';
import { queryNode } from '../product/node-database.ts';
import { OrderedRun } from '../product/ordered-run.ts';

const TIMEOUT_MS = 120_000;
const RESIZED_MS = 60_000;
const SIZES = {
  match: 'pool.match.size',
  forward: 'pool.forward.size',
  gateway: 'pool.gateway.size',
} as const satisfies Record<string, SettingKey>;

describe('Pools that are resized under traffic', function () {
  this.timeout(TIMEOUT_MS);
  let run: OrderedRun;

  before(async () => {
    run = await OrderedRun.start(
      { MUTT_FORWARD_THREADS: '2' },
      { connections: 6, hostsPerConnection: 4, eventsPerSecond: 300, eventsPerRequest: 12 },
    );
  });
  after(() => run?.close());

  /** Actors that run, by the beginning of their names. */
  async function running(prefix: string): Promise<number> {
    const actors = await run.node.actors().catch(() => []);
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
      () => `${seen} of ${size} ${prefix} run:\n${run.node.output}`,
    );
  }

  for (const [pool, steps] of [
    ['match', [3, 2, 1]],
    ['forward', [3, 1]],
    ['gateway', [3, 1]],
  ] as const) {
    for (const size of steps) {
      it(`brings ${pool} to ${size}`, async () => {
        await run.set(SIZES[pool], size);
        await whenRunning(pool, size);
        await run.whenWorked();
      });
    }
  }

  for (const size of [3, 1]) {
    it(`brings the threads of a gateway to ${size}`, async () => {
      await run.set('pool.ingest.size', size);
      await whenRunning('gateway-0-ingest', size);
      await run.whenWorked();
    });
  }

  it('takes the newest of several targets, all pools at once', async () => {
    for (const size of [5, 1, 2]) {
      for (const key of [...Object.values(SIZES), 'pool.ingest.size'] as const) await run.set(key, size);
    }
    for (const prefix of ['match', 'forward', 'gateway', 'gateway-0-ingest', 'gateway-1-ingest']) {
      await whenRunning(prefix, 2);
    }
    await run.whenWorked();
  });

  it('says of every worker that it runs the newest settings', async () => {
    await run.set('log.level', 'debug');
    await run.whenInForce();
    const { body } = await run.node.admin<{ snapshot: { applied: { worker: string }[] } }>('/api/v2/status');
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
      await run.settings.set(key, value, { guard }, { changedBy: 'spec' });
      await until(
        async () => (await run.settings.guarded()).length === 0,
        RESIZED_MS,
        () => 'the guard is not settled',
      );
      expect((await run.settings.get(key))?.value).to.equal(outcome);
      const [entry] = await queryNode<{ changed_by: string; reason: string }>(
        run.node.dir,
        'SELECT changed_by, reason FROM config_audit_log ORDER BY id DESC LIMIT 1',
      );
      expect(entry?.changed_by).to.equal('guard');
      expect(entry?.reason).to.match(/^\d+ requests, 0\.00 % failed by faults of ours, p99 \d+\.\d ms/);
    });
  }

  it('has lost nothing, doubled nothing and kept the order of every host', async () => {
    await run.expectNothingLost();
    // Only the end of a gateway breaks connections, and refuses nobody.
    expect(
      Object.keys(run.traffic.statuses).filter((status) => status !== '200' && status !== '0'),
    ).to.deep.equal([]);
  });
});
