/**
 * The whole set of faults once, at a modest size, and the command that runs it many times.
 */
import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { FAULTS } from './faults.ts';
import { isClean, RESTART_MS_MAX, runFaults, summaryOf } from './fault-run.ts';
import type { Row } from './fault-run.ts';

const ACKNOWLEDGEMENTS = 60;
const SEED_MAX = 2 ** 31;

const CLEAN: Row = {
  seed: 1,
  faults: 10,
  acknowledged: 500,
  handled: 496,
  doubled: 0,
  lost: 0,
  reported: 0,
  quarantined: 4,
  balanced: true,
  slowestRestartMs: 90,
  problems: [],
};

describe('Faults', function () {
  this.timeout(120_000);

  it('lose nothing, double nothing, and are over within their bounds [S-56] [S-57] [S-58] [S-59]', async () => {
    const seed = Math.floor(Math.random() * SEED_MAX);
    const row = await runFaults({ seed, acknowledgements: ACKNOWLEDGEMENTS });
    const said = `seed ${seed}`;
    expect(row.problems, said).to.deep.equal([]);
    expect(row, said).to.include({
      faults: Object.keys(FAULTS).length,
      lost: 0,
      doubled: 0,
      balanced: true,
      quarantined: 4,
    });
    expect(row.acknowledged, said).to.be.greaterThan(ACKNOWLEDGEMENTS * row.faults);
    expect(row.handled, said).to.be.at.least(row.acknowledged - row.reported - row.quarantined);
    expect(row.slowestRestartMs, said).to.be.within(1, RESTART_MS_MAX);
  });

  describe('the command', () => {
    const command = fileURLToPath(new URL('./run.ts', import.meta.url));
    const execute = promisify(execFile);
    const run = (...args: string[]): Promise<{ stdout: string }> =>
      execute(process.execPath, [command, ...args], { encoding: 'utf8' });

    it('prints a row for each run and one for all', async () => {
      const { stdout } = await run(
        '--runs',
        '2',
        '--seed',
        '7',
        '--faults',
        'scripts flushed,handler throws',
      );
      const lines = stdout.trimEnd().split('\n');
      expect(lines).to.have.length(4);
      expect(lines[1]).to.match(/^ +7 +2 .* yes +\d+$/);
      expect(lines[2]).to.match(/^ +8 +2 .* yes +\d+$/);
      expect(lines[3]).to.match(/^ +all +4 .* yes +\d+$/);
    });

    it('ends with code 1 when a fault is not as it must be', async () => {
      const failure = await run('--faults', 'no such fault').catch((thrown: unknown) => thrown);
      expect(failure).to.include({ code: 1 });
      expect((failure as { stdout: string }).stdout).to.contain('there is no fault no such fault');
    });
  });

  it('are judged by every figure of their row', () => {
    expect(isClean(CLEAN)).to.equal(true);
    for (const change of [{ lost: 1 }, { doubled: 1 }, { balanced: false }, { problems: ['late'] }]) {
      expect(isClean({ ...CLEAN, ...change }), JSON.stringify(change)).to.equal(false);
    }
    const all = summaryOf([CLEAN, { ...CLEAN, seed: 2, lost: 3, balanced: false, slowestRestartMs: 120 }]);
    expect(all).to.include({ acknowledged: 1_000, lost: 3, balanced: false, slowestRestartMs: 120 });
  });
});
