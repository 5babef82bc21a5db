/**
 * A start that is interrupted, and a node whose terminal closes: nothing is left behind, and nothing unfinished.
 */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';
import { specDatabaseUrl } from '../support/servers.ts';

const WAIT_MS = 60_000;

describe('mutt start', function () {
  this.timeout(2 * WAIT_MS);
  let node: NodeUnderTest;
  afterEach(() => node.close());

  it('drains when its terminal closes, however often that is said, and leaves nothing running', async () => {
    node = await NodeUnderTest.start();
    const event = { hostname: 'h', message: 'm', timestamp: new Date().toISOString() };
    expect((await node.post(JSON.stringify(event))).status).to.equal(200);
    const toAll = (): void => {
      try {
        process.kill(-node.pid, 'SIGHUP');
      } catch {
        // The last of them has just ended.
      }
    };
    toAll();
    // The shell says it and the system again, at any distance.
    const again = setInterval(toAll, 600);
    try {
      expect(await node.exited(WAIT_MS), node.output).to.equal(0);
    } finally {
      clearInterval(again);
    }
    expect(node.output).to.include('stopped');
    expect(processesOf(node.dir)).to.deep.equal([]);
  });

  it('drains as soon as it is ready, though its last part has not started', async () => {
    node = await NodeUnderTest.start();
    node.kill('SIGTERM');
    expect(await node.exited(WAIT_MS), node.output).to.equal(0);
    expect(node.output)
      .to.include('stopped')
      .and.not.to.match(/E_[A-Z]/);
    expect(processesOf(node.dir)).to.deep.equal([]);
  });

  it('is interrupted while it waits for a Redis that takes connections and says nothing', async () => {
    let connections = 0;
    const silent = createServer(() => void (connections += 1));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      node = await NodeUnderTest.prepare({
        REDIS_URL: `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`,
        DATABASE_URL: await specDatabaseUrl(),
      });
      await node.launch();
      await until(
        async () => connections > 0,
        WAIT_MS,
        () => node.output,
      );
      node.kill('SIGINT');
      expect(await node.exited(), node.output).to.equal(130);
      expect(node.output).not.to.include('E_REDIS_UNREACHABLE').and.not.to.include('is ready');
    } finally {
      silent.close();
    }
  });

  // From the first server on until the first gateway: each moment has another part that is starting.
  for (const file of ['redis/start.log', 'postgres/start.log', 'snapshot.json']) {
    it(`is interrupted as soon as there is ${file}, and leaves nothing running`, async () => {
      // Many threads to start after the last of these moments, so that the node is not ready by then.
      node = await NodeUnderTest.prepare({ MUTT_MATCH_THREADS: '8' });
      await node.launch();
      await until(
        async () => existsSync(join(node.dir, file)),
        WAIT_MS,
        () => node.output,
      );
      process.kill(-node.pid, 'SIGINT');
      expect(await node.exited(WAIT_MS), node.output).to.equal(130);
      expect(node.output)
        .not.to.include('is ready')
        .and.not.to.match(/E_[A-Z]/);
      expect(processesOf(node.dir)).to.deep.equal([]);
    });
  }
});
