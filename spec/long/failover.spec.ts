/**
 * A whole node on a master group behind Sentinels: what it answered 200 for is found in the books, once, after the
 * master was killed under traffic and its successor frozen; and a group that could lose it is refused.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { SentinelGroup } from '../support/sentinel-group.ts';
import type { GroupServer } from '../support/sentinel-group.ts';
import { killRun } from '../product/kill-run.ts';
import type { KnownTraffic } from '../product/known-traffic.ts';

const SEED = 20_260_706;
const RECOVERY_MS = 30_000;

describe('A node on a master group', function () {
  this.timeout(120_000);
  let group: SentinelGroup;
  before(async () => {
    group = await SentinelGroup.start();
  });
  after(() => group.close());

  /** Waits until a request that is sent from now on is answered. */
  const takesEvents = async (traffic: KnownTraffic): Promise<void> => {
    const fromMs = performance.now();
    await until(
      async () => traffic.recoveryMs(fromMs) !== undefined,
      RECOVERY_MS,
      () => `no event is taken: ${JSON.stringify([...traffic.refusals])}`,
    );
  };

  /** Of the node's connections to a server: one for each of its parts, a few have several. */
  const connectionsAt = async ({ redis }: GroupServer): Promise<string[]> => {
    const list = (await redis.client('LIST')) as string;
    return [...new Set(list.match(/(?<= name=)mutt-\S+/g) ?? [])].sort();
  };

  it('has every event it answered for exactly once after one master was killed and the next frozen', async () => {
    const row = await killRun({
      seed: SEED,
      env: { REDIS_URL: group.url },
      eventsPerSecond: 1_000,
      harm: async (_, traffic) => {
        await takesEvents(traffic);
        await sleep(300);
        const first = await group.master();
        const second = group.other(first);
        const connections = await connectionsAt(first);
        expect(connections).to.include.members(['mutt-supervisor', 'mutt-watch', 'mutt-snapshot-notices']);
        first.kill('SIGKILL');
        await group.whenPromoted(second);
        // Alone it acknowledges nothing; the killed one comes back as its replica.
        await first.start();
        await group.inStep();
        await takesEvents(traffic);
        second.kill('SIGSTOP');
        await group.whenPromoted(first);
        second.kill('SIGCONT');
        await group.inStep();
        await takesEvents(traffic);
        // Also those that only listen, and those of parts with nothing to do.
        await until(
          async () => (await connectionsAt(first)).join() === connections.join(),
          RECOVERY_MS,
          () => `of ${connections.join()} not all have moved`,
        );
        return [];
      },
    });
    const { faults: _, wrong, ...figures } = row;
    console.log(`      ${JSON.stringify(figures)}`);
    expect(wrong).to.deep.equal([]);
    expect({ lost: row.lost, doubled: row.doubled }).to.deep.equal({ lost: 0, doubled: 0 });
    expect(row.balanced).to.equal(true);
    expect(row.answered).to.be.above(300);
  });

  it('does not start on a group whose master would go on without a replica', async () => {
    const { redis } = await group.master();
    await redis.config('SET', 'min-replicas-to-write', '0');
    const node = await NodeUnderTest.prepare({ REDIS_URL: group.url });
    try {
      await node.launch();
      expect(await node.exited()).to.be.above(0);
      expect(node.output).to.include('E_STORE_MIN_REPLICAS').and.to.include('Set min-replicas-to-write 1');
      expect(node.output).not.to.include('spec-password').and.not.to.include('spec-sentinel-password');
    } finally {
      await redis.config('SET', 'min-replicas-to-write', '1');
      await node.close();
    }
  });
});
