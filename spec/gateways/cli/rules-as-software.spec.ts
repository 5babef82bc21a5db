/** The commands that lint, compare and look back at rules, against a server that holds them to the API’s own schemas. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { parse } from 'yaml';
import { CliRun } from './cli-run.ts';
import type { ContractServer } from './contract-server.ts';
import { AT, LINK, problem, RULES, serverOfRules, STORED } from './rule-samples.ts';

describe('mutt rules, as software', () => {
  let server: ContractServer;
  let cli: CliRun;
  let path: string;

  beforeEach(async () => {
    server = await serverOfRules();
    cli = new CliRun(server.url);
    path = cli.file('r.yaml', RULES);
  });
  afterEach(async () => {
    cli.close();
    await server.close();
  });

  function answer(call: string, body: unknown): void {
    server.answers.set(call, { status: 200, body });
  }

  describe('lint', () => {
    const NOTHING = {
      next: null,
      snapshot_version: 5,
      rules: 2,
      totals: { never_fired: 0, shadowed: 0, overlapping: 0 },
      at: AT,
      pairs_compared: 1,
      all_pairs_compared: true,
      sample: { events: 0, oldest_received_at: null, newest_received_at: null },
    };

    it('finds nothing wrong with a sound file, and says so', async () => {
      answer('GET /api/v2/rules/coverage', { items: [], ...NOTHING });
      expect(await cli.run('rules', 'lint', path), cli.err).to.equal(0);
      expect([cli.out, cli.err]).to.deep.equal([`${path}: 2 rules, 0 faults\n`, '']);
      expect(server.checkedDocuments).to.deep.equal([parse(RULES)]);
    });

    it('names all faults, its own and the node’s, in the order of the file and with their places', async () => {
      const text = RULES.replace('match_string: I/O', 'match_strng: I/O').replace('Page_only', 'Page');
      server.checkRules = problem('E_CONFIG_INVALID', [
        { field: 'rules[1].match_strng', why: 'is not a field of a rule', mend: 'Leave it out.' },
        { field: 'rules[0].prod_handling', why: 'is no \u001b[31mhandling', mend: 'Did you mean Page_only?' },
      ]);
      const bad = cli.file('bad.yaml', text);
      expect(await cli.run('rules', 'lint', bad)).to.equal(1);
      expect(cli.out).to.equal(
        `${bad}:4:5: rules[0].prod_handling: is no \ufffd[31mhandling. Did you mean Page_only?\n` +
          `${bad}:12:5: rules[1].match_strng: there is no such field. Did you mean match_string?\n` +
          `${bad}: 2 rules, 2 faults\n`,
      );
    });

    it('gives every place where the YAML is broken, as JSON too', async () => {
      const bad = cli.file('bad.yaml', 'rules:\n  - name: a\n    name: b\n  - match_string: "open\n');
      expect(await cli.run('rules', 'lint', bad, '--json')).to.equal(1);
      const { valid, faults } = JSON.parse(cli.out) as { valid: boolean; faults: object[] };
      expect(valid).to.equal(false);
      expect(faults[0]).to.deep.include({ why: 'Map keys must be unique', line: 3, column: 5 });
      expect(server.checkedDocuments).to.be.empty;
    });

    it('warns of rules in force that never decide, unless the file changes one of the two', async () => {
      const other = { rule_id: 7, rule_version: 3, name: 'link-down', priority: 100 };
      const disk = { ...STORED, id: 8, name: 'disk', match_string: 'I/O error', tests: [] };
      server.rules = {
        rules: [STORED, { ...disk, prod_handling: 'Ticket_only', team_assignment: 'SYSOPS' }],
      };
      const finding = { kind: 'shadowed', rule_id: 8, rule_version: 1, name: 'disk', priority: 100 };
      answer('GET /api/v2/rules/coverage', {
        ...NOTHING,
        items: [{ ...finding, other, events: null, event_id: null }],
      });
      expect(await cli.run('rules', 'lint', path), cli.err).to.equal(0);
      expect(cli.out).to.contain(
        `${path}:11:5: rules[1]: warning: it never decides: rule #7 link-down goes before`,
      );
      expect(cli.out).to.contain('2 rules, 0 faults, 1 warning\n');
      server.rules = {
        rules: [
          { ...STORED, priority: 1 },
          { ...disk, id: 8 },
        ],
      };
      cli.out = '';
      expect(await cli.run('rules', 'lint', path)).to.equal(0);
      expect(cli.out).to.equal(`${path}: 2 rules, 0 faults\n`);
    });

    it('says that only the shape was checked when no node is there, but not of one that was named', async () => {
      const away = new CliRun('http://127.0.0.1:9');
      expect(await away.run('rules', 'lint', path)).to.equal(0);
      expect(away.err).to.contain('no node answers here, so only the shape was checked');
      expect(await away.run('rules', 'lint', path, '--admin-url', 'http://127.0.0.1:9')).to.equal(3);
      away.close();
      const text = RULES.replace('team_assignment: NETO', '').replace('Ticket_only', 'Tickets');
      const bad = cli.file('bad.yaml', text);
      expect(await cli.run('rules', 'lint', bad, '--offline')).to.equal(1);
      expect(cli.out)
        .to.contain(`${bad}:2:5: rules[0].team_assignment: is missing`)
        .and.to.contain('rules[1].prod_handling: is no handling. Give one of');
      expect(cli.err).to.equal(
        'mutt: only the shape was checked: no expressions, values or tests of rules\n',
      );
      expect(server.checkedDocuments).to.be.empty;
    });

    it('takes a large file', async () => {
      const rule = (at: number): string =>
        `  - {name: r${at}, match_string: x${at}, prod_handling: Ignore, dev_handling: Ignore, team_assignment: N}\n`;
      const large = cli.file(
        'large.yaml',
        `rules:\n${Array.from({ length: 2_000 }, (_, at) => rule(at)).join('')}`,
      );
      expect(await cli.run('rules', 'lint', large, '--offline'), cli.err).to.equal(0);
      expect(cli.out).to.contain('2,000 rules, 0 faults');
    }).timeout(60_000);
  });

  it('diff shows what would change field by field, by what the node makes of the file', async () => {
    server.rules = { rules: [{ ...STORED, priority: 20, syslog_severity: 3, tests: [] }] };
    const rules = [{ name: 'link-down', match_string: 'LINK-3-UPDOWN', syslog_severity: 'err', ...LINK }];
    server.checkRules.body = {
      valid: true,
      rules: [
        { ...rules[0], syslog_severity: 3 },
        { name: 'new', ...LINK },
      ],
    };
    const file = cli.file('d.yaml', JSON.stringify({ rules }));
    expect(await cli.run('rules', 'diff', file, '--exit-code'), cli.err).to.equal(1);
    expect(cli.out).to.equal(
      'updated   rule link-down\n  priority: 20 -> 100\ncreated   rule new\n1 created, 1 updated, 0 unchanged\n',
    );
    server.checkRules = problem('E_CONFIG_INVALID', [{ field: 'rules[0].match_string', why: 'is too long' }]);
    expect(await cli.run('rules', 'diff', file)).to.equal(1);
    expect(cli.err).to.contain(`${file}:1:`).and.to.contain('rules[0].match_string: is too long');
  });

  describe('a file with versions', () => {
    it('is what export writes when asked, with a line for editors', async () => {
      server.rules = { rules: [STORED] };
      const call = ['rules', 'export', '--with-versions', '--schema', './rules.schema.json'];
      expect(await cli.run(...call), cli.err).to.equal(0);
      expect(cli.out).to.match(
        /^# yaml-language-server: \$schema=\.\/rules\.schema\.json\n# Rules of this MUTT/,
      );
      expect((parse(cli.out) as { rules: unknown[] }).rules[0]).to.include({
        name: 'link-down',
        expected_version: 3,
      });
    });

    it('is refused when somebody was faster, with who it was', async () => {
      server.rules = { rules: [{ ...STORED, version: 5 }] };
      const why = 'of rule link-down is 3, and the rule is at version 5 by now';
      server.putRules = problem(
        'E_VERSION_CONFLICT',
        [{ field: 'rules[0].expected_version', value: '3', why }],
        409,
      );
      const version = {
        version: 5,
        changed_at: AT,
        changed_by: 'eve',
        operation: 'UPDATE',
        reason: 'CHG-9',
        correlation_id: null,
        audit_id: 17,
        rule: STORED,
      };
      answer('GET /api/v2/rules/7/versions', { items: [version], next: 'more' });
      const file = cli.file('v.yaml', RULES.replace('link-down\n', 'link-down\n    expected_version: 3\n'));
      expect(await cli.run('rules', 'apply', file)).to.equal(1);
      expect(cli.err).to.contain(
        `${file}:3:5: rules[0].expected_version: ${why}. It was changed by eve at 2026-11-21T12:00:00Z: CHG-9\n`,
      );
      expect(cli.err).to.contain('(E_VERSION_CONFLICT)').and.to.contain('Nothing was changed.');
      cli.err = '';
      server.checkRules = { status: 200, body: { valid: true } };
      server.rules = { rules: [{ ...STORED, version: 5, priority: 9 }] };
      expect(await cli.run('rules', 'diff', file)).to.equal(0);
      expect(cli.err).to.contain('rule link-down is at version 5 by now, the file is of version 3');
    });
  });

  it('coverage lists what never decides, as many pages as asked for', async () => {
    const finding = { rule_id: 8, rule_version: 1, name: 'disk', priority: 100, event_id: null };
    const other = { rule_id: 7, rule_version: 3, name: 'link-down', priority: 1 };
    answer('GET /api/v2/rules/coverage', {
      items: [
        { kind: 'never_fired', ...finding, other: null, events: null },
        { kind: 'overlapping', ...finding, other, events: 12 },
      ],
      next: 'more',
      snapshot_version: 5,
      rules: 40,
      totals: { never_fired: 1, shadowed: 0, overlapping: 9 },
      at: AT,
      pairs_compared: 1,
      all_pairs_compared: false,
      sample: { events: 5000, oldest_received_at: AT, newest_received_at: AT },
    });
    expect(await cli.run('rules', 'coverage', '--limit', '2', '--kind', 'shadowed'), cli.err).to.equal(0);
    expect(cli.out).to.equal(
      'finding      rule     other         events\n' +
        'never_fired  #8 disk  -                  -\n' +
        'overlapping  #8 disk  #7 link-down      12\n',
    );
    expect(cli.err)
      .to.contain(
        '40 active rules: 1 never fired, 0 shadowed; 9 pairs overlapping in 5,000 events since 2026',
      )
      .and.to.contain('not all pairs were compared')
      .and.to.contain('a greater --limit');
    expect(server.asked[0]?.query).to.deep.equal({ limit: '2', kind: 'shadowed' });
    expect(await cli.run('rules', 'coverage', '--kind', 'odd')).to.equal(2);
  });

  it('versions tells what each change of a rule was', async () => {
    const version = (number: number, rule: object | null): object => ({
      version: number,
      changed_at: AT,
      changed_by: 'admin',
      operation: rule === null ? 'DELETE' : 'UPDATE',
      reason: number === 3 ? 'CHG-1' : null,
      correlation_id: null,
      audit_id: 10 + number,
      rule,
    });
    const items = [version(4, null), version(3, { ...STORED, priority: 5 }), version(2, STORED)];
    answer('GET /api/v2/rules/7/versions', { items, next: null });
    expect(await cli.run('rules', 'versions', '7', '--limit', '2'), cli.err).to.equal(0);
    expect(cli.out.split('\n').map((line) => line.trim().split(/ {2,}/))).to.deep.equal([
      ['version', 'at', 'by', 'operation', 'audit', 'reason', 'change'],
      ['4', '2026-11-21T12:00:00Z', 'admin', 'DELETE', '14', '-', '-'],
      ['3', '2026-11-21T12:00:00Z', 'admin', 'UPDATE', '13', 'CHG-1', 'priority: 100 -> 5'],
      [''],
    ]);
    expect(await cli.run('rules', 'versions', '99')).to.equal(2);
    expect(cli.err).to.contain('E_NOT_FOUND');
  });

  it('rollback goes back for the version that was read, says what became different, and waits', async () => {
    server.status = { ready: true, snapshot: { version: 9, applied: [{ worker: 'match-0', version: 9 }] } };
    server.rules = { version: 9, rules: [] };
    answer('GET /api/v2/rules/7', STORED);
    answer('POST /api/v2/rules/7/rollback', { ...STORED, version: 4, priority: 50 });
    const call = ['rules', 'rollback', '7', '--to-version', '2', '--reason', 'CHG-2'];
    expect(await cli.run(...call), cli.err).to.equal(0);
    expect(server.asked.at(-1)).to.deep.include({ body: { to_version: 2, reason: 'CHG-2' }, ifMatch: '"3"' });
    expect(cli.out).to.match(
      /^rule #7 link-down: version 3 -> 4\n {2}priority: 100 -> 50\nin force on every worker after \d+ ms\n$/,
    );
    server.answers.set('POST /api/v2/rules/7/rollback', problem('E_VERSION_STALE', [], 412));
    expect(await cli.run('rules', 'rollback', '7', '--if-version', '2')).to.equal(1);
    expect(server.asked.at(-1)?.ifMatch).to.equal('"2"');
  });

  it('schema prints what editors take', async () => {
    const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Rules' };
    answer('GET /api/v2/rules/schema', schema);
    expect(await cli.run('rules', 'schema'), cli.err).to.equal(0);
    expect(JSON.parse(cli.out)).to.deep.equal(schema);
  });
});
