import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { parse } from 'yaml';
import { buildProgram } from '../../../gateways/cli/program.ts';
import { CliRun, fastClock } from './cli-run.ts';
import { ContractServer } from './contract-server.ts';

const RULES = `# two rules
rules:
  - name: link-down
    match_string: LINK-3-UPDOWN
    prod_handling: Page_only
    dev_handling: Ignore
    team_assignment: NETO
  - name: disk
    match_string: I/O error
    prod_handling: Ticket_only
    dev_handling: Ignore
    team_assignment: SYSOPS
development_hosts: [srv-dev-01]
`;
const STORED = {
  id: 7,
  version: 3,
  name: 'link-down',
  match_string: 'LINK-3-UPDOWN',
  match_type: 'contains',
  case_sensitive: false,
  trap_oid: null,
  syslog_severity: null,
  severity_op: '=',
  priority: 20,
  continue: false,
  prod_handling: 'Page_only',
  dev_handling: 'Ignore',
  team_assignment: 'NETO',
  is_active: true,
  tests: [],
};

describe('mutt rules', () => {
  let server: ContractServer;
  let cli: CliRun;

  beforeEach(async () => {
    server = await ContractServer.start();
    cli = new CliRun(server.url);
  });
  afterEach(async () => {
    cli.close();
    await server.close();
  });

  describe('apply', () => {
    beforeEach(() => {
      server.putRules = { status: 200, body: { created: 1, updated: 1, unchanged: 1, snapshot_version: 5 } };
      server.status = { ready: true, snapshot: { version: 5, applied: [{ worker: 'match-0', version: 5 }] } };
    });

    it('sends the file with its reason, and waits until every worker has it', async () => {
      server.status = { ready: true, snapshot: { version: 5, applied: [{ worker: 'match-0', version: 4 }] } };
      setTimeout(() => {
        server.status = {
          ready: true,
          snapshot: { version: 5, applied: [{ worker: 'match-0', version: 5 }] },
        };
      }, 300);
      const code = await cli.run('rules', 'apply', cli.file('r.yaml', RULES), '--reason', 'CHG-1');
      expect(server.appliedDocuments).to.deep.equal([{ ...(parse(RULES) as object), reason: 'CHG-1' }]);
      expect(cli.out).to.match(
        /^1 created, 1 updated, 1 unchanged; rule set version 5\nin force on every worker after [\d,]+ ms\n$/,
      );
      expect(code).to.equal(0);
    });

    it('says which workers are behind after five seconds', async () => {
      server.status = {
        ready: true,
        snapshot: {
          version: 5,
          applied: [
            { worker: 'match-0', version: 5 },
            { worker: 'match-1', version: 4 },
          ],
        },
      };
      const program = buildProgram({ ...cli.context, clock: fastClock(10) });
      expect(await program.run(['rules', 'apply', cli.file('r.yaml', RULES)])).to.equal(1);
      expect(cli.err).to.contain('not in force after 5 s on: match-1');
    });

    it('shows the faults the node finds with their place in the file', async () => {
      server.putRules = {
        status: 400,
        body: {
          status: 400,
          code: 'E_RULES_INVALID',
          detail: 'Two rules cannot be used.',
          errors: [
            {
              field: 'rules[1].match_string',
              value: '',
              why: 'is empty',
              mend: 'Leave it out or give a text.',
            },
            { field: 'rules[0].priority', value: null, why: 'is \u001b[31mmissing' },
          ],
        },
      };
      const path = cli.file('r.yaml', RULES);
      expect(await cli.run('rules', 'apply', path)).to.equal(1);
      expect(cli.err).to.contain(
        `${path}:9:5: rules[1].match_string: is empty. Leave it out or give a text.\n` +
          `${path}:3:5: rules[0].priority: is \ufffd[31mmissing\n`,
      );
      expect(cli.err).to.contain('nothing was changed');
    });

    it('gives the line of broken YAML, and sends nothing', async () => {
      const path = cli.file('r.yaml', 'rules:\n  - name: a\n    name: b\n  - match_string: "open\n');
      expect(await cli.run('rules', 'apply', path)).to.equal(1);
      expect(cli.err).to.contain(`${path}:3:5: Map keys must be unique`);
      expect(cli.err).to.match(/r\.yaml:5:1: Missing closing "quote/);
      expect(server.appliedDocuments).to.be.empty;
    });

    for (const [what, text, told] of [
      [
        'an unknown field',
        'rules:\n  - match_strng: x\n',
        ':2:5: rules[0].match_strng: there is no such field. Did you mean match_string?',
      ],
      ['an unknown section', 'ruls: []\n', ':1:1: ruls: there is no such section. Did you mean rules?'],
      ['a section of another form', 'rules: {a: 1}\n', ':1:1: rules: is not a list'],
      [
        'a name given twice',
        'rules:\n  - name: a\n  - name: a\n',
        ':3:5: rules[1].name: is the name of rules[0] too',
      ],
      [
        'an id given twice',
        'rules:\n  - {id: 7, name: a}\n  - {id: 7, name: b}\n',
        ':3:6: rules[1].id: is the id of rules[0] too',
      ],
      ['a rule that is no mapping', 'rules:\n  - just text\n', ':2:5: rules[0]: is not a mapping of fields'],
      ['a file that is no mapping', '- a\n', 'is not a mapping with the section rules'],
      ['an empty file', '', 'is not a mapping with the section rules'],
    ] as const) {
      it(`refuses ${what} by name, line and remedy`, async () => {
        expect(await cli.run('rules', 'apply', cli.file('r.yaml', text))).to.equal(1);
        expect(cli.err).to.contain(told);
        expect(server.appliedDocuments).to.be.empty;
      });
    }

    it('tells what the node finds in a file with faults of its own together with those, each once', async () => {
      server.checkRules = {
        status: 400,
        body: {
          status: 400,
          code: 'E_CONFIG_INVALID',
          detail: 'no',
          errors: [
            { field: 'rules[0].match_strng', why: 'is not a field of a rule', mend: 'Leave it out.' },
            { field: 'rules[1].clears', value: '99999', why: 'is the id of no rule', mend: 'Give one.' },
          ],
        },
      };
      const text = 'rules:\n  - match_strng: x\n  - name: b\n    clears: 99999\n';
      const path = cli.file('r.yaml', text);
      expect(await cli.run('rules', 'apply', path)).to.equal(1);
      expect(cli.err).to.contain(`${path}:4:5: rules[1].clears: is the id of no rule. Give one.`);
      expect(cli.err.match(/match_strng:/g)).to.have.length(1);
      expect(server.checkedDocuments).to.deep.equal([parse(text)]);
      expect(server.appliedDocuments).to.be.empty;
    });

    it('tells the faults of the file when no node answers', async () => {
      await server.close();
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', 'ruls: []\n'))).to.equal(1);
      expect(cli.err).to.contain('there is no such section').and.not.to.contain('E_UNREACHABLE');
      server = await ContractServer.start();
    });

    it('refuses anchors that would blow the file up', async () => {
      const text =
        'a: &a [x,x,x,x,x,x,x,x,x]\n' +
        'bcdef'
          .split('')
          .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcde'[index]}`).join(',')}]\n`)
          .join('');
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', text))).to.equal(1);
      expect(cli.err).to.contain('uses its anchors');
    });

    it('refuses a file that is too large, or not there', async () => {
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', `# ${'x'.repeat(34_000_000)}`))).to.equal(2);
      expect(cli.err).to.contain('E_FILE_TOO_LARGE');
      expect(await cli.run('rules', 'apply', '/no/such.yaml')).to.equal(2);
      expect(cli.err).to.contain('E_FILE_UNREADABLE');
    });

    it('tells in a dry run what would change, and changes nothing', async () => {
      server.rules = { rules: [STORED], development_hosts: ['SRV-DEV-01'] };
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', RULES), '--dry-run')).to.equal(0);
      expect(cli.out).to.equal(
        'updated   rule link-down: priority\n' +
          'created   rule disk\n' +
          'Dry run, nothing was changed. It would be: 1 created, 1 updated, 1 unchanged.\n',
      );
      expect(server.appliedDocuments).to.be.empty;
    });

    it('is 1 in a dry run when apply would refuse a version that the file expects', async () => {
      server.rules = { rules: [{ ...STORED, version: 4 }] };
      const file = cli.file('v.yaml', RULES.replace('link-down\n', 'link-down\n    expected_version: 3\n'));
      expect(await cli.run('rules', 'apply', file, '--dry-run')).to.equal(1);
      expect(cli.err).to.contain('is at version 4 by now');
    });

    it('refuses tags that no reader of rules knows', async () => {
      for (const tag of ['!env', '!!js/function']) {
        const file = cli.file('t.yaml', RULES.replace('NETO', `${tag} NETO`));
        expect(await cli.run('rules', 'apply', file)).to.equal(1);
        expect(cli.err).to.match(/t\.yaml:7:\d+: .*tag/);
      }
      expect(server.appliedDocuments).to.be.empty;
    });

    it('applies the sample rules', async () => {
      const path = fileURLToPath(new URL('../../../gateways/cli/sample-rules.yaml', import.meta.url));
      expect(await cli.run('rules', 'apply', path, '--json')).to.equal(0);
      expect(server.appliedDocuments).to.deep.equal([parse(readFileSync(path, 'utf8'))]);
      expect(JSON.parse(cli.out)).to.deep.include({ snapshot_version: 5, applied_everywhere: true });
    });
  });

  it('lists rules, in columns that scripts can rely on', async () => {
    server.rules = {
      rules: [
        STORED,
        {
          ...STORED,
          id: 8,
          name: null,
          match_string: null,
          syslog_severity: 2,
          severity_op: '<=',
          is_active: false,
        },
      ],
    };
    expect(await cli.run('rules', 'list')).to.equal(0);
    expect(cli.out.split('\n')).to.deep.equal([
      'id  version  priority  handling   team  name       matches',
      ' 7        3        20  Page_only  NETO  link-down  LINK-3-UPDOWN',
      ' 8        3        20  Page_only  NETO  -          (off) severity <= 2',
      '',
    ]);
  });

  it('exports a file that changes nothing when it is applied', async () => {
    server.rules = {
      rules: [STORED, { ...STORED, id: 8, name: null, severity: 2 }],
      teams: { 'fw-01': 'SECOPS' },
    };
    expect(await cli.run('rules', 'export')).to.equal(0);
    const path = cli.file('out.yaml', cli.out);
    expect(cli.out).to.contain('name: link-down\n').and.to.contain('id: 8\n').and.not.contain('match_type');
    cli.out = '';
    expect(await cli.run('rules', 'apply', path, '--dry-run')).to.equal(0);
    expect(cli.out).to.contain('0 created, 0 updated, 3 unchanged');
  });
});
