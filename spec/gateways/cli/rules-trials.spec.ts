/** The commands that try rules on events, against a server that holds them to the API’s own schemas. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { parse } from 'yaml';
import { buildProgram } from '../../../gateways/cli/program.ts';
import { CliRun, terminal } from './cli-run.ts';
import type { ContractServer } from './contract-server.ts';
import { AT, CANDIDATE, IN_FORCE, problem, RULES, serverOfRules, SET, STORED } from './rule-samples.ts';

describe('mutt rules test and backtest', () => {
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

  describe('test', () => {
    it('runs the tests inside the rules of a file', async () => {
      expect(await cli.run('rules', 'test', path), cli.err).to.equal(0);
      expect(cli.out).to.equal(
        'ok    link-down: a link that goes down\nok    link-down: tests[1]\n' +
          '2 passed, 0 failed, 0 not run; rules without tests: 1\n',
      );
    });

    it('tells which fail, why and where, and which could not be run', async () => {
      const tested = cli.file('t.yaml', `${RULES}    tests: [{line: 'I/O error'}]\n`);
      server.checkRules = problem('E_CONFIG_INVALID', [
        {
          field: 'rules[0].tests[1]',
          code: 'E_RULE_TEST_FAILED',
          why: 'the test fails: it matches',
          mend: 'Narrow it.',
        },
        { field: 'rules[1].match_string', code: 'E_RULE_INVALID', why: 'is too long', mend: 'Shorten it.' },
      ]);
      expect(await cli.run('rules', 'test', tested)).to.equal(1);
      expect(cli.out).to.equal(
        'ok    link-down: a link that goes down\n' +
          `FAIL  link-down: tests[1]\n      ${tested}:10:9: the test fails: it matches. Narrow it.\n` +
          '--    disk: tests[0]\n      the rule has faults\n' +
          `${tested}:12:5: rules[1].match_string: is too long. Shorten it.\n` +
          '1 passed, 1 failed, 1 not run; rules without tests: 0\n',
      );
      cli.out = '';
      expect(await cli.run('rules', 'test', tested, '--json')).to.equal(1);
      expect(JSON.parse(cli.out)).to.deep.include({ passed: 1, failed: 1, not_run: 1 });
    });

    it('runs those of the rules in force when no file is given, without what the node adds', async () => {
      server.rules = { rules: [{ ...STORED, suspended: null }] };
      expect(await cli.run('rules', 'test'), cli.err).to.equal(0);
      expect(cli.out).to.contain('2 passed, 0 failed');
      expect(server.checkedDocuments).to.deep.equal([{ rules: [STORED] }]);
    });

    const TESTED = {
      event_id: null,
      error: null,
      event: {
        hostname: 'core-1',
        message: 'LINK-3-UPDOWN \u001b[2Jdown',
        received_at: AT,
        event_time: AT,
        clock_skewed: false,
        text_repaired: false,
        severity: 3,
        facility: null,
        program: null,
        pid: null,
        msgid: null,
        source_ip: null,
        trap_oid: null,
        source: null,
        fields: {},
      },
      environment: 'prod',
      team: 'NETO',
      decision: 'Page_only',
      matches: [
        {
          ...IN_FORCE,
          handling: 'Page_only',
          alerts: [{ destination: 'local', signature: 'core-1::7::-', severity: 3, status: 'firing' }],
        },
      ],
      explained: [
        {
          ...CANDIDATE,
          why: 'criteria',
          criteria: [
            {
              field: 'match_string',
              outcome: 'not_held',
              wanted: 'contains "I/O error"',
              found: 'LINK',
              near: null,
            },
            { field: 'program', outcome: 'absent', wanted: 'kernel', found: null, near: null },
          ],
        },
        { ...IN_FORCE, rule_id: 9, name: 'late', why: 'not_reached', criteria: [] },
      ],
    };

    it('says what is decided about an event, by which rules, and why others do not match', async () => {
      answer('POST /api/v2/rules/test', { rule_set: SET, items: [TESTED] });
      const event = { hostname: 'core-1', message: 'x' };
      const code = await cli.run('rules', 'test', path, '--event', JSON.stringify(event), '--nearest', '2');
      expect(code, cli.err).to.equal(0);
      expect(cli.out).to.equal(
        'core-1  LINK-3-UPDOWN \ufffd[2Jdown\n' +
          '  Page_only  prod, team NETO\n' +
          '  matched  #7 link-down: Page_only; firing to local as core-1::7::-, severity 3\n' +
          '  not      rules[1] disk: match_string contains "I/O error", and it is "LINK"; program kernel, and the event has none\n' +
          '  not      #9 late: every criterion holds, but a rule before it ends the search\n',
      );
      const { rules } = parse(RULES) as { rules: object[] };
      expect(server.asked[0]?.body).to.deep.equal({ events: [event], rules, nearest: 2 });
    });

    it('asks about lines of a file, a hundred at a time', async () => {
      answer('POST /api/v2/rules/test', { rule_set: SET, items: [TESTED] });
      const lines = Array.from({ length: 150 }, (_, at) => `<13>h m${at}`);
      const file = cli.file('lines.log', `${lines.join('\r\n')}\n\n`);
      expect(await cli.run('rules', 'test', '--line', `@${file}`, '--json'), cli.err).to.equal(0);
      expect(server.asked.map(({ body }) => (body as { lines: string[] }).lines)).to.deep.equal([
        lines.slice(0, 100),
        lines.slice(100),
      ]);
      expect(JSON.parse(cli.out)).to.have.length(2);
    });

    it('finds the rule to explain by its name, and asks about recent events', async () => {
      answer('GET /api/v2/rules', { items: [{ ...STORED, id: 6, name: 'link-down-2' }, STORED], next: null });
      answer('POST /api/v2/rules/test', { rule_set: SET, items: [TESTED] });
      const call = ['rules', 'test', '--recent', '5', '--host', 'core-1', '--rule', 'link-down', '--alone'];
      expect(await cli.run(...call), cli.err).to.equal(0);
      expect(server.asked.at(-1)?.body).to.deep.equal({
        base: 'none',
        recent: { limit: 5, hostname: 'core-1' },
        rule_id: 7,
      });
      expect(await cli.run('rules', 'test', '--recent', '5', '--rule', 'nope')).to.equal(2);
      expect(cli.err).to.contain('there is no rule named "nope"');
    });

    it('is 1 when an event cannot be read, and says why', async () => {
      const error = { code: 'E_FIELD_MISSING', message: 'it has no message' };
      const none = { event: null, environment: null, team: null, decision: null, matches: [], explained: [] };
      answer('POST /api/v2/rules/test', { rule_set: SET, items: [{ event_id: null, error, ...none }] });
      expect(await cli.run('rules', 'test', '--event', '{}')).to.equal(1);
      expect(cli.out).to.equal('no event: it has no message (E_FIELD_MISSING)\n');
    });

    for (const [args, told] of [
      [['--event', '{}', '--line', 'x'], 'Give one of --event, --line and --recent'],
      [['--event', '{'], 'an event is no JSON'],
      [['--event', '@/no/such'], 'E_FILE_UNREADABLE'],
      [['--rule', '7'], 'Give --event, --line or --recent too'],
      [['--line', 'x', '--host', 'h'], '--host is of use with --recent only'],
      [['--recent', '101'], 'a whole number from 1 to 100'],
    ] as const) {
      it(`refuses ${args.join(' ')}`, async () => {
        expect(await cli.run('rules', 'test', ...args)).to.equal(2);
        expect(cli.err).to.contain(told);
        expect(server.asked).to.be.empty;
      });
    }

    it('shows faults of the changed rules with their places', async () => {
      const fault = { field: 'rules[1].match_string', why: 'is too long', mend: 'Shorten it.' };
      server.answers.set('POST /api/v2/rules/test', problem('E_CONFIG_INVALID', [fault]));
      expect(await cli.run('rules', 'test', path, '--line', 'x')).to.equal(1);
      expect(cli.err).to.contain(`${path}:12:5: rules[1].match_string: is too long. Shorten it.`);
    });
  });

  describe('backtest', () => {
    const UNMATCHED = { decision: 'Unmatched', rules: [], alerts: 0 };
    const REPLY = {
      rule_set: SET,
      window: {
        from: AT,
        to: AT,
        oldest_received_at: AT,
        newest_received_at: '2026-11-21T13:00:00.000Z',
        ended_by: 'events_max',
      },
      events: { looked_at: 1234, unreadable: 1, decided_otherwise_when_stored: 2, stored_unmatched: 3 },
      unmatched_policy: 'sample',
      caveat: 'What is gained may be more.',
      counts: { gained: 1, lost: 0, changed: 0, unchanged: 1233 },
      alerts: { before: 10, after: 11, destinations: [{ destination: 'local', before: 10, after: 11 }] },
      rules: [{ ...CANDIDATE, before: 0, after: 1, gained: 1, lost: 0, changed: 0 }],
      rules_different: 1,
      samples: {
        gained: [
          {
            event_id: 'e',
            received_at: AT,
            hostname: 'srv-1',
            message: 'I/O\u001b error',
            before: UNMATCHED,
            after: { decision: 'Ticket_only', rules: [{ ...CANDIDATE, handling: 'Ticket_only' }], alerts: 1 },
          },
        ],
        lost: [],
        changed: [],
      },
    };

    it('says what is gained, lost and changed, with examples and what is not known', async () => {
      answer('POST /api/v2/rules/backtest', REPLY);
      const code = await cli.run(
        'rules',
        'backtest',
        path,
        '--from',
        '7d',
        '--events-max',
        '2000',
        '--time-limit',
        '30s',
      );
      expect(code, cli.err).to.equal(0);
      expect(cli.out.split('\n')).to.deep.equal([
        'rules     12 active rules: 1 added, 0 changed, 0 removed',
        'events    1,234 received from 2026-11-21T12:00:00Z to 2026-11-21T13:00:00Z; older ones were left out: --events-max',
        '          1 more cannot be read',
        '          2 were decided otherwise when they came than the rules in force decide',
        'decisions gained 1, lost 0, changed 0, unchanged 1,233',
        'alerts    10 -> 11 (local 10 -> 11)',
        'note      What is gained may be more.',
        '',
        'rule           before  after  gained  lost  changed',
        'rules[1] disk       0      1       1     0        0',
        '',
        'gained, 1 of 1',
        '  2026-11-21T12:00:00Z  srv-1  I/O\ufffd error',
        '    Unmatched -> Ticket_only by rules[1] disk (1 alert)',
        '',
      ]);
      expect(server.asked[0]?.body).to.deep.include({ events_max: 2000, time_limit_seconds: 30 });
    });

    it('is 1 for a difference when asked, and not without one', async () => {
      answer('POST /api/v2/rules/backtest', REPLY);
      expect(await cli.run('rules', 'backtest', path, '--fail-on-change', '--json')).to.equal(1);
      expect(JSON.parse(cli.out)).to.deep.equal(REPLY);
      answer('POST /api/v2/rules/backtest', { ...REPLY, counts: { ...REPLY.counts, gained: 0 } });
      expect(await cli.run('rules', 'backtest', path, '--fail-on-change')).to.equal(0);
    });

    it('shows on a terminal that it takes time, and ends with 130 by Ctrl-C', async () => {
      server.answers.set('POST /api/v2/rules/backtest', 'hang');
      const running = buildProgram(terminal(cli, 80)).run(['rules', 'backtest', path]);
      while (!cli.err.includes('deciding about the events'))
        await new Promise((resolve) => setTimeout(resolve, 20));
      cli.interrupt.abort();
      expect(await running).to.equal(130);
    });

    it('is 3 while another one runs', async () => {
      server.answers.set('POST /api/v2/rules/backtest', problem('E_BACKTEST_RUNNING', [], 409));
      expect(await cli.run('rules', 'backtest', path)).to.equal(3);
    });
  });
});
