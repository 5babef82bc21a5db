/** That a torture ends cleanly when somebody ends it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { pidsWithEnvironment } from '../../supervisors/process-identity.mjs';
import { until } from '../support/node-under-test.ts';

const ENTRY = fileURLToPath(new URL('../../supervisors/mutt.ts', import.meta.url));
const BEGUN_MS = 240_000;
const GONE_MS = 60_000;
const SPARE_MS = 30_000;

describe('A torture', function () {
  this.timeout(BEGUN_MS + GONE_MS + SPARE_MS);

  it('leaves no process and no directory when it is ended by Ctrl-C', async () => {
    const child = spawn(process.execPath, [ENTRY, 'torture', '--seed', '1', '--only', 'redis-stop'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    try {
      let directory = '';
      await until(
        async () => {
          expect(child.exitCode, output).to.equal(null);
          directory = /^in (\S+)$/m.exec(output)?.[1] ?? '';
          return output.includes('redis-stop at');
        },
        BEGUN_MS,
        () => output,
      );
      expect(existsSync(directory), directory).to.equal(true);
      expect(pidsWithEnvironment('MUTT_TORTURE_RUN', directory)).to.have.length.above(2);
      child.kill('SIGINT');
      await until(
        async () => child.exitCode !== null,
        GONE_MS,
        () => output,
      );
      expect(child.exitCode, output).to.equal(130);
      expect(existsSync(directory)).to.equal(false);
      expect(pidsWithEnvironment('MUTT_TORTURE_RUN', directory)).to.deep.equal([]);
    } finally {
      // What it leaves when it did not end is ended with the run of the specs.
      child.kill('SIGKILL');
    }
  });
});
