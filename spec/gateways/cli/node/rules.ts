import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type {
  BacktestReply,
  Coverage,
  RuleVersion,
  TestedEvent,
} from '../../../../gateways/cli/rule-documents.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json, LINK_DOWN, sendEvent } from './bed.ts';
import type { GivenNode } from './bed.ts';

const RULE = `rules:
  - name: spec-fan
    match_string: FAN-2-FAILED
    syslog_severity: err
    priority: 4040
    prod_handling: Ignore
    dev_handling: Ignore
    team_assignment: NETO
    tests:
      - {name: a fan that fails, line: '<11>Oct 11 22:14:15 core-1 FAN-2-FAILED', handling: Ignore}
`;

export function describeRules(node: GivenNode): void {
  describe('mutt rules, as software', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    it('lints a file, runs the tests inside it, and names what the node finds by its place', async () => {
      const file = cli.file('good.yaml', RULE);
      expect(await cli.run('rules', 'lint', file), cli.err + cli.out).to.equal(0);
      expect(cli.out).to.equal(`${file}: 1 rule, 0 faults\n`);
      cli.out = '';
      expect(await cli.run('rules', 'test', file), cli.err + cli.out).to.equal(0);
      expect(cli.out).to.contain('ok    spec-fan: a fan that fails\n1 passed');
      const bad = cli.file('bad.yaml', RULE.replace('match_string: FAN', 'match_string: PSU'));
      cli.out = '';
      expect(await cli.run('rules', 'test', bad)).to.equal(1);
      expect(cli.out).to.match(/FAIL {2}spec-fan: a fan that fails\n {6}\S+bad\.yaml:10:9: .*PSU-2-FAILED/);
      cli.out = '';
      expect(await cli.run('rules', 'lint', bad)).to.equal(1);
      expect(cli.out).to.contain(`${bad}:10:9: rules[0].tests[0]: `);
    });

    it('applies, changes, and goes back, with who was there in between', async () => {
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', RULE)), cli.err).to.equal(0);
      expect(await cli.run('rules', 'diff', cli.file('r.yaml', RULE), '--exit-code'), cli.out).to.equal(0);
      cli.out = '';
      expect(await cli.run('rules', 'export', '--with-versions')).to.equal(0);
      const mine = cli.file('mine.yaml', cli.out.replace('priority: 4040', 'priority: 4042'));
      const theirs = cli.file('theirs.yaml', RULE.replace('priority: 4040', 'priority: 4041'));
      expect(await cli.run('rules', 'apply', theirs, '--reason', 'CHG-41'), cli.err).to.equal(0);
      expect(await cli.run('rules', 'apply', mine)).to.equal(1);
      expect(cli.err)
        .to.match(/mine\.yaml:\d+:5: rules\[\d+\]\.expected_version: .* is at version 2 by now/)
        .and.to.match(/It was changed by admin at 2\S+Z: CHG-41\n/)
        .and.to.contain('E_VERSION_CONFLICT');
      cli.out = '';
      expect(await cli.run('rules', 'diff', mine, '--exit-code')).to.equal(1);
      expect(cli.out).to.match(/^updated {3}rule spec-fan\n {2}priority: 4041 -> 4042\n0 created, 1 updated/);
      cli.out = '';
      expect(await cli.run('rules', 'rollback', 'spec-fan', '--reason', 'CHG-41 back'), cli.err).to.equal(0);
      expect(cli.out).to.match(
        /^rule #\d+ spec-fan: version 2 -> 3\n {2}priority: 4041 -> 4040\nin force on every worker/,
      );
      cli.out = '';
      expect(await cli.run('rules', 'versions', 'spec-fan', '--json')).to.equal(0);
      const versions = json<RuleVersion[]>(cli);
      expect(versions.map(({ version, reason }) => [version, reason])).to.deep.equal([
        [3, 'CHG-41 back'],
        [2, 'CHG-41'],
        [1, null],
      ]);
      expect(await cli.run('rules', 'rollback', 'spec-fan', '--to-version', '9')).to.not.equal(0);
      expect(cli.err).to.contain('E_RULE_VERSION_UNKNOWN');
    });

    it('says what is decided about an event and why, and what a changed set would have decided', async () => {
      expect(
        await cli.run('rules', 'test', '--line', `<187>Oct 11 22:14:15 core-9 ${LINK_DOWN}`, '--json'),
        cli.err,
      ).to.equal(0);
      const [tested] = json<TestedEvent[]>(cli);
      expect(tested?.decision).to.equal('Page_and_ticket');
      const near = ['--event', '{"message": "FAN-2-FIXED", "severity": 3}', '--alone'];
      expect(await cli.run('rules', 'test', cli.file('r.yaml', RULE), ...near), cli.err).to.equal(0);
      expect(cli.out).to.match(
        /not {6}.* spec-fan: match_string contains "FAN-2-FAILED", and it is "FAN-2-FIXED"/,
      );
      await sendEvent(node(), 'backtest-1');
      await until(
        async () => {
          cli.out = '';
          await cli.run('audit', 'events', '--host', 'backtest-1', '--json');
          return json<object[]>(cli).length > 0;
        },
        20_000,
        () => `the event is not in the audit log: ${cli.err}`,
      );
      const none = cli.file('none.yaml', 'rules: []\n');
      const call = ['rules', 'backtest', none, '--alone', '--from', '1h', '--fail-on-change', '--json'];
      expect(await cli.run(...call), cli.err).to.equal(1);
      const reply = json<BacktestReply>(cli);
      expect(reply.counts.lost).to.be.greaterThan(0);
      expect(reply.samples.lost[0]?.after).to.deep.include({ decision: 'Unmatched' });
      expect(await cli.run('rules', 'backtest', none, '--fail-on-change'), cli.err).to.equal(0);
    });

    it('finds rules that never fired, and has a schema of the file', async () => {
      expect(await cli.run('rules', 'coverage', '--kind', 'never_fired', '--json'), cli.err).to.equal(0);
      expect(json<Coverage>(cli).items.map(({ kind }) => kind)).to.include('never_fired');
      expect(await cli.run('rules', 'schema'), cli.err).to.equal(0);
      expect(json<object>(cli)).to.have.property('$schema');
    });
  });
}
