import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseConfiguration } from '../../../actors/match/configuration.ts';
import type { CodedError } from '../../../runtime/errors.ts';

const BASE = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'NETO' };

interface Fault {
  field: string;
  code: string;
  why: string;
  mend: string;
}

function faultsOf(...rules: object[]): Fault[] {
  try {
    parseConfiguration({ rules: rules.map((rule) => ({ ...BASE, ...rule })) });
    return [];
  } catch (thrown) {
    return (thrown as CodedError).details['faults'] as Fault[];
  }
}

describe('The tests of a rule', () => {
  it('pass as events or lines, that it matches or not, with what it decides', () => {
    const rule = {
      match_string: '^link (\\w+) down',
      match_type: 'regex',
      host: 'core-*',
      facility: 'auth',
      tests: [
        { name: 'an event', event: { hostname: 'Core-1.', message: 'LINK eth0 down', syslog_facility: 4 } },
        { line: '<34>Oct 11 22:14:15 edge-2 kernel: link eth0 down', match: false },
        { line: '<34>Oct 11 22:14:15 core-2 kernel: link eth0 down', handling: 'Page_only' },
        { line: '{"hostname":"core-3","message":"link x down","timestamp":1,"facility":"auth"}' },
        {
          event: { hostname: 'core-1', message: 'link e down', syslog_facility: 'auth' },
          environment: 'dev',
          handling: 'Ignore',
        },
        { event: { message: 'link e down' }, match: false },
      ],
    };
    expect(faultsOf(rule)).to.deep.equal([]);
  });

  it('that fail refuse the rule, and say which, what was expected, and which criterion did not hold', () => {
    const faults = faultsOf(
      { host: 'a' },
      {
        match_string: 'link down',
        host: 'core-1',
        tests: [
          { event: { hostname: 'core-1', message: 'link down' } },
          { name: 'elsewhere', event: { hostname: 'edge-1', message: 'link dow' } },
          { event: { hostname: 'core-1', message: 'a link down' }, match: false },
          { event: { hostname: 'core-1', message: 'link down' }, handling: 'Ignore' },
          { event: { hostname: 'core-1', message: 'link down' }, environment: 'dev', handling: 'Page_only' },
          { line: 'no line of syslog' },
          { event: { hostname: 'core-1' } },
        ],
      },
    );
    expect(faults.map(({ field, code }) => `${field} ${code}`)).to.deep.equal(
      [1, 2, 3, 4, 5, 6].map((at) => `rules[1].tests[${at}] E_RULE_TEST_FAILED`),
    );
    expect(faults[0]?.why).to.equal(
      'the test "elsewhere" fails: the rule must match and does not: host (core-1) does not hold for "edge-1"; ' +
        'match_string (contains "link down") does not hold for "link dow", of which it has "link dow"',
    );
    expect(faults[1]?.why).to.include('must not match and does');
    expect(faults[2]?.why).to.include('prod_handling must be Ignore and is Page_only');
    expect(faults[3]?.why).to.include('dev_handling must be Page_only and is Ignore');
    expect(faults[4]?.why).to.include('syslog line');
    expect(faults[5]?.why).to.include('message is missing');
    for (const { mend } of faults) expect(mend).to.match(/\.$/);
  });

  it('are received while the rule is active, unless they say when', () => {
    const event = { message: 'link down' };
    const window = { active_from: '2031-01-01T00:00:00Z', active_until: '2031-01-02T00:00:00Z' };
    expect(faultsOf({ match_string: 'link', ...window, tests: [{ event }] })).to.deep.equal([]);
    expect(
      faultsOf({ match_string: 'link', active_until: '2001-01-01T00:00:00Z', tests: [{ event }] }),
    ).to.deep.equal([]);
    const late = { event, received_at: '2031-01-02T00:00:00Z' };
    expect(faultsOf({ match_string: 'link', ...window, tests: [{ ...late, match: false }] })).to.deep.equal(
      [],
    );
    expect(faultsOf({ match_string: 'link', ...window, tests: [late] })[0]?.why).to.include('active_until');
  });

  it('of a rule that is off are run too', () => {
    const tests = [{ event: { message: 'up' } }];
    expect(faultsOf({ match_string: 'down', is_active: false, tests })).to.have.length(1);
    expect(faultsOf({ match_string: 'up', is_active: false, tests })).to.have.length(0);
  });

  for (const [what, test, field, mend] of [
    ['an unknown field', { event: {}, mach: true }, '.mach', 'Did you mean match?'],
    ['no event', { name: 'x' }, '', 'Give event'],
    ['both', { event: { message: 'a' }, line: 'b' }, '.line', 'one of the two'],
    ['an event that is a text', { event: 'link down' }, '.event', 'as it is sent'],
    ['a line that is none', { line: 1 }, '.line', 'in quotes'],
    ['a match in quotes', { event: { message: 'a' }, match: 'true' }, '.match', 'without quotes'],
    [
      'another environment',
      { line: 'x', environment: 'test', handling: 'Ignore' },
      '.environment',
      'prod or dev',
    ],
    ['a misspelt handling', { line: 'x', handling: 'page_only' }, '.handling', 'Page_only'],
    [
      'a handling of what must not match',
      { line: 'x', match: false, handling: 'Ignore' },
      '.handling',
      'out',
    ],
    ['an environment alone', { line: 'x', environment: 'dev' }, '.environment', 'handling too'],
    ['a time that is none', { line: 'x', received_at: 'now' }, '.received_at', 'RFC 3339'],
    ['an empty name', { line: 'x', name: ' ' }, '.name', '1 to 200'],
  ] as const) {
    it(`with ${what} are refused by field`, () => {
      const faults = faultsOf({ host: 'h', tests: [{ line: '<1>Oct 11 22:14:15 h a: b' }, test] });
      const fault = faults.find((each) => each.field === `rules[0].tests[1]${field}`);
      expect(fault?.mend, JSON.stringify(faults)).to.include(mend);
      expect(fault?.code).to.equal('E_RULE_INVALID');
    });
  }

  it('are bounded: an event of 64 KiB, a hundred of them', () => {
    const long = { event: { message: 'x'.repeat(70_000) } };
    expect(faultsOf({ match_string: 'x', tests: [long] })[0]?.why).to.include('65536');
    const many = Array.from({ length: 101 }, () => ({ event: { message: 'x' } }));
    expect(faultsOf({ match_string: 'x', tests: many })[0]?.field).to.equal('rules[0].tests');
  });

  it('are not run while something else is wrong with the rule', () => {
    const tests = [{ event: { message: 'up' } }];
    expect(faultsOf({ match_string: 'down', network: 'x', tests }).map(({ field }) => field)).to.deep.equal([
      'rules[0].network',
    ]);
  });
});
