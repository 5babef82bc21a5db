/**
 * A node that a command started for itself must not outlive the command.
 */
import { spawn } from 'node:child_process';
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

  it('ends with the command, also when that is left at once by a second Ctrl-C', async () => {
    const command = spawn(process.execPath, [ENTRY, 'demo'], { env: node.environment, stdio: 'ignore' });
    const exited = once(command, 'exit');
    await until(
      async () => existsSync(join(node.dir, 'lock')),
      60_000,
      () => 'no node is started',
    );
    command.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, SAME_REQUEST_MS));
    command.kill('SIGINT');
    expect((await exited)[0]).to.equal(130);
    await until(
      async () => processesOf(node.dir).length === 0,
      60_000,
      () => `still there: ${processesOf(node.dir).join(', ')}`,
    );
  });
});
