/**
 * A node that a command started for itself must not outlive the command.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { NodeUnderTest, processesOf, until } from '../support/node-under-test.ts';

const ENTRY = fileURLToPath(new URL('../../supervisors/mutt.ts', import.meta.url));
/** The command takes two signals within a second for one. */
const SAME_REQUEST_MS = 1_200;

describe('the node of a command', function () {
  this.timeout(120_000);
  let node: NodeUnderTest;
  beforeEach(async () => {
    node = await NodeUnderTest.prepare();
  });
  afterEach(() => node.close());

  const startDemo = async (): Promise<{ command: ChildProcess; exited: Promise<unknown[]> }> => {
    const command = spawn(process.execPath, [ENTRY, 'demo'], { env: node.environment, stdio: 'ignore' });
    const exited = once(command, 'exit');
    await until(
      async () => existsSync(join(node.dir, 'lock')),
      60_000,
      () => 'no node is started',
    );
    return { command, exited };
  };
  const whenReady = (): Promise<void> =>
    until(
      () => node.isReady(),
      60_000,
      () => 'the node is not ready',
    );
  const allGone = (): Promise<void> =>
    until(
      async () => processesOf(node.dir).length === 0,
      60_000,
      () => `still there: ${processesOf(node.dir).join(', ')}`,
    );

  it('ends with the command when its terminal closes', async () => {
    const { command, exited } = await startDemo();
    await whenReady();
    command.kill('SIGHUP');
    await exited;
    expect(processesOf(node.dir)).to.deep.equal([]);
  });

  for (const [when, isReady] of [
    ['while it starts', false],
    ['when it runs', true],
  ] as const) {
    it(`ends by itself when the command is killed ${when}`, async () => {
      const { command, exited } = await startDemo();
      if (isReady) await whenReady();
      command.kill('SIGKILL');
      await exited;
      await allGone();
    });
  }

  it('ends with the command, also when that is left at once by a second Ctrl-C', async () => {
    const { command, exited } = await startDemo();
    command.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, SAME_REQUEST_MS));
    command.kill('SIGINT');
    expect((await exited)[0]).to.equal(130);
    await allGone();
  });
});
