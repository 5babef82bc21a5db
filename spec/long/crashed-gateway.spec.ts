/** What a node says of its workers after a gateway has died: nobody may wait for what is no more. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { ActorRecord } from '../../runtime/shared/black-box.ts';
import { NodeUnderTest, until } from '../support/node-under-test.ts';

interface Exit {
  child: string;
  reason: string;
  blackBox?: (ActorRecord & { source: string })[];
}

const TIMEOUT_MS = 120_000;
const WAIT_MS = 60_000;

interface Status {
  snapshot: { version: number; applied: { worker: string; version: number }[] };
}

describe('A gateway that dies while its threads are to become fewer', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  before(async () => {
    node = await NodeUnderTest.start({ MUTT_INGEST_THREADS: '3', MUTT_HANG_AFTER_MS: '20000' });
  });
  after(() => node?.close());

  const snapshot = async (): Promise<Status['snapshot']> =>
    (await node.admin<Status>('/api/v2/status')).body.snapshot;

  it('comes back without them, and every worker runs the newest settings', async () => {
    await until(
      async () => (await snapshot()).applied.some(({ worker }) => worker === 'gateway-0-ingest-2'),
      WAIT_MS,
      () => 'not all threads of the gateway run',
    );
    const before = await snapshot();
    const pid = (await node.actor('gateway-0')).pid ?? 0;
    expect(pid).to.be.greaterThan(0);
    // Frozen, it can neither take the change nor say that its threads have left.
    process.kill(pid, 'SIGSTOP');
    const { status } = await node.admin('/api/v2/config/pool.ingest.size', {
      method: 'PUT',
      body: { value: 1 },
    });
    expect(status).to.equal(200);
    await until(
      async () => (await snapshot()).version > before.version,
      WAIT_MS,
      () => 'the change is not in force',
    );
    process.kill(pid, 'SIGKILL');
    const { version } = await snapshot();
    await node.whenApplied(version, WAIT_MS);
    const workers = (await snapshot()).applied.map(({ worker }) => worker);
    expect(workers).to.include.members(['gateway-0', 'gateway-0-ingest-0']);
    expect(workers).not.to.include.members(['gateway-0-ingest-1']);
  });

  it('leaves in the log what its actors did last, by type, time and outcome [S-88]', () => {
    const exit = readFileSync(join(node.dir, 'log', 'mutt.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"child exited"'))
      .map((line) => JSON.parse(line) as Exit)
      .find(({ child }) => child === 'gateway-0');
    expect(exit?.reason).to.equal('ended by SIGKILL');
    const records = exit?.blackBox ?? [];
    expect(records.map(({ source }) => source)).to.include('gateway-0-ingest-0');
    const entries = records.flatMap(({ last }) => last);
    expect(entries.length).to.be.greaterThan(0);
    for (const entry of entries) {
      expect(entry).to.have.all.keys('n', 'type', 'atMs', 'tookMs', 'outcome');
    }
  });
});
