import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type {
  ChangeDocument,
  EffectiveConfiguration,
  SettingDocument,
} from '../../../../gateways/cli/admin-documents.ts';
import { SETTINGS } from '../../../../actors/settings.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

const KEY = 'match.batch.eventsMax';

export function describeConfig(node: GivenNode): void {
  describe('mutt config', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(async () => {
      await cli.run('config', 'unset', KEY);
      cli.close();
    });

    async function setting(key = KEY): Promise<SettingDocument> {
      cli.out = '';
      expect(await cli.run('config', 'get', key, '--json'), cli.err).to.equal(0);
      return json<SettingDocument>(cli);
    }

    it('lists every setting with value, unit and source, in columns that a script finds', async () => {
      expect(await cli.run('config', 'list')).to.equal(0);
      const [head = [], ...rows] = cli.out
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/));
      expect(head.slice(0, 4)).to.deep.equal(['key', 'value', 'unit', 'source']);
      expect(rows.map(([key]) => key)).to.have.members(SETTINGS.map(({ key }) => key));
      for (const row of rows) expect(row).to.have.length(head.length);
    });

    it('lists only those that were set when asked', async () => {
      expect(await cli.run('config', 'list', '--set', '--json')).to.equal(0);
      expect(json(cli)).to.deep.equal([]);
      await cli.run('config', 'set', KEY, '3000');
      cli.out = '';
      expect(await cli.run('config', 'list', '--set', '--json')).to.equal(0);
      expect(json<SettingDocument[]>(cli).map(({ key }) => key)).to.deep.equal([KEY]);
    });

    it('shows what is known of one setting', async () => {
      expect(await cli.run('config', 'get', KEY)).to.equal(0);
      expect(cli.out)
        .to.match(/^match\.batch\.eventsMax +2000 events\n/)
        .and.to.contain('integer from 1 to 20000')
        .and.to.match(/\ntakes effect +\w/);
    });

    it('sets a value, and says when every worker has it', async () => {
      expect(await cli.run('config', 'set', KEY, '4000', '--reason', 'CHG-1'), cli.err).to.equal(0);
      expect(cli.out).to.match(
        /^match\.batch\.eventsMax: 2000 -> 4000 events \(version \d+\)\nin force on every worker after [\d,]+ ms\n$/,
      );
      cli.out = '';
      expect(await cli.run('config', 'effective', '--json')).to.equal(0);
      const effective = json<EffectiveConfiguration>(cli);
      expect(effective.settings[KEY]).to.equal(4_000);
      expect(effective.workers.map(({ worker }) => worker)).to.include.members([
        'match-0',
        'gateway-0',
        'admin',
      ]);
      for (const { version } of effective.workers) expect(version).to.equal(effective.snapshot_version);
    });

    it('shows what is in effect as two tables', async () => {
      expect(await cli.run('config', 'effective')).to.equal(0);
      expect(cli.out)
        .to.match(/^key +value\n/)
        .and.to.match(/\nmatch\.batch\.eventsMax +2000\n/)
        .and.to.match(/\nversion \d+ is the latest\nworker +version +state\n/)
        .and.to.match(/\nmatch-0 +\d+ {2}in force\n/);
    });

    for (const [value, why] of [
      ['0', 'is not a whole number from 1 to 20000'],
      ['many', 'is not a whole number from 1 to 20000'],
      ['', 'is not a whole number from 1 to 20000'],
      ['1e999', 'is not a whole number from 1 to 20000'],
      ["1'; DROP TABLE settings; --", 'is not a whole number from 1 to 20000'],
    ] as const) {
      it(`tells why the node refuses the value ${JSON.stringify(value)}, and is 1`, async () => {
        expect(await cli.run('config', 'set', KEY, value)).to.equal(1);
        expect(cli.err).to.contain(why).and.to.contain('E_SETTING_INVALID');
        expect((await setting()).value).to.equal(2_000);
      });
    }

    it('tells which settings contradict each other, and is 1', async () => {
      expect(await cli.run('config', 'set', 'forward.retry.delayMaxMs', '10')).to.equal(1);
      expect(cli.err).to.contain('E_SETTINGS_CONTRADICT').and.to.contain('forward.retry.baseMs');
    });

    it('names the nearest setting when there is none of this name, and is 2', async () => {
      for (const args of [['get'], ['set'], ['unset'], ['history'], ['rollback']]) {
        cli.err = '';
        const value = args[0] === 'set' ? ['4'] : [];
        expect(await cli.run('config', ...args, 'match.btch.eventsMax', ...value), args[0]).to.equal(2);
        expect(cli.err).to.contain('Did you mean match.batch.eventsMax?').and.to.contain('E_SETTING_UNKNOWN');
      }
    });

    it('changes only the version it was told to', async () => {
      await cli.run('config', 'set', KEY, '3000');
      const { version } = await setting();
      expect(await cli.run('config', 'set', KEY, '3001', '--if-version', String(version + 7))).to.equal(1);
      expect(cli.err).to.contain('E_VERSION_STALE');
      expect(await cli.run('config', 'set', KEY, '3002', '--if-version', '0')).to.equal(1);
      expect((await setting()).value).to.equal(3_000);
      expect(await cli.run('config', 'set', KEY, '3003', '--if-version', String(version))).to.equal(0);
      expect((await setting()).value).to.equal(3_003);
    });

    it('goes back to the value before, to that of a version, and to the default', async () => {
      await cli.run('config', 'set', KEY, '3000');
      const { version } = await setting();
      await cli.run('config', 'set', KEY, '4000');
      cli.out = '';
      expect(await cli.run('config', 'rollback', KEY), cli.err).to.equal(0);
      expect(cli.out).to.contain('4000 -> 3000 events');
      await cli.run('config', 'set', KEY, '5000');
      expect(await cli.run('config', 'rollback', KEY, '--to-version', String(version))).to.equal(0);
      expect((await setting()).value).to.equal(3_000);
      expect(await cli.run('config', 'rollback', KEY, '--to-version', '999999')).to.equal(2);
      expect(cli.err).to.contain('E_NO_EARLIER_VALUE');
      cli.out = '';
      expect(await cli.run('config', 'unset', KEY, '--reason', 'done')).to.equal(0);
      expect(cli.out).to.contain('3000 -> 2000 events (default)');
      cli.out = '';
      expect(await cli.run('config', 'unset', KEY)).to.equal(0);
      expect(cli.out).to.equal('match.batch.eventsMax is not set: 2000 events (default)\n');
    });

    it('lists the changes of a setting, with who and why', async () => {
      await cli.run('config', 'set', KEY, '3000', '--reason', 'CHG-7');
      cli.out = '';
      expect(await cli.run('config', 'history', KEY, '--limit', '1', '--json')).to.equal(0);
      const [change, ...more] = json<ChangeDocument[]>(cli);
      expect(more).to.deep.equal([]);
      expect(change).to.include({ changed_by: 'admin', record_key: KEY, reason: 'CHG-7' });
      expect(await cli.run('config', 'history', KEY, '--limit', '1')).to.equal(0);
      expect(cli.out).to.match(/^id +at +by +.*\n *\d+ {2}\S+Z {2}admin +CREATE +settings .*value: 3000\n$/);
    });

    it('guards a change: the node goes back by itself', async () => {
      const guard = ['--guard', '2s', '--error-rate-max', '1%', '--p99-max', '200ms'];
      expect(await cli.run('config', 'set', KEY, '6000', ...guard), cli.err).to.equal(0);
      expect(cli.err).to.contain('guarded for 2 s');
      const { guard: kept } = await setting();
      expect(kept).to.include({ error_rate_max: 0.01, latency_p99_ms_max: 200 });
      await until(
        async () => (await setting()).guard === null,
        30_000,
        () => 'the guard does not settle',
      );
    });

    it('wants a guard to have limits, and limits a guard', async () => {
      expect(await cli.run('config', 'set', KEY, '6000', '--guard', '2s')).to.equal(2);
      expect(cli.err).to.contain('--error-rate-max');
      expect(await cli.run('config', 'set', KEY, '6000', '--p99-max', '2s')).to.equal(2);
      expect(cli.err).to.contain('--guard 60s');
      expect((await setting()).value).to.equal(2_000);
    });

    it('waits its turn when its key has used up its requests, and gives up when that takes long', async () => {
      const rates = ['api.rate.requestsPerSecond', 'api.rate.burst'];
      try {
        expect(await cli.run('config', 'set', 'api.rate.requestsPerSecond', '1'), cli.err).to.equal(0);
        expect(await cli.run('config', 'set', 'api.rate.burst', '1'), cli.err).to.equal(0);
        const codes = await Promise.all(Array.from({ length: 12 }, () => cli.run('config', 'list')));
        expect([...new Set(codes)]).to.have.members([0, 3]);
        expect(cli.err)
          .to.contain('E_RATE_LIMITED')
          .and.to.match(/Try again in \d+ s/);
      } finally {
        for (const rate of rates) expect(await cli.run('config', 'unset', rate), cli.err).to.equal(0);
      }
    }).timeout(180_000);

    it('resizes a pool, and has it in force when it says so', async () => {
      const running = async (): Promise<string[]> =>
        (await node().actors()).filter(({ status }) => status === 'running').map(({ id }) => id);
      try {
        expect(await cli.run('config', 'set', 'pool.match.size', '2'), cli.err).to.equal(0);
        expect(cli.out).to.match(
          /pool\.match\.size: 1 -> 2 threads \(version \d+\)\nin force on every worker after/,
        );
        expect(await running()).to.include('match-1');
      } finally {
        expect(await cli.run('config', 'unset', 'pool.match.size'), cli.err).to.equal(0);
      }
      await until(
        async () => !(await running()).includes('match-1'),
        30_000,
        () => 'the second match thread stays',
      );
    });
  });
}
