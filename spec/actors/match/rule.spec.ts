/** Rules as operators write them: defaults, spellings of one meaning, and every fault at once, with its remedy. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { criteriaOf } from '../../../actors/match/criteria.ts';
import { parseRule, ruleCheck, ruleSchema } from '../../../actors/match/rule.ts';
import type { RuleFault, RuleInput } from '../../../actors/match/rule.ts';
import type { CodedError } from '../../../runtime/errors.ts';
import { ruleOf } from './fixtures.ts';

const required = { prod_handling: 'Page_only', dev_handling: 'Ignore', team_assignment: 'NETO' };
const parse = (fields: Record<string, unknown>): RuleInput => parseRule({ ...required, ...fields });

function faultsOf(input: unknown): RuleFault[] {
  try {
    parseRule(input);
    return [];
  } catch (error) {
    expect((error as CodedError).code).to.equal('E_RULE_INVALID');
    return (error as CodedError).details['faults'] as RuleFault[];
  }
}
const faults = (fields: Record<string, unknown>): RuleFault[] => faultsOf({ ...required, ...fields });

describe('parseRule', () => {
  it('checks with compiled code, not with an interpreter', () => {
    expect(ruleCheck.IsAccelerated()).to.equal(true);
  });

  it('knows exactly the fields of a stored rule', () => {
    expect(Object.keys(ruleSchema.properties).sort()).to.deep.equal(Object.keys(ruleOf({})).sort());
  });

  it('completes a rule with the defaults of the contract', () => {
    const {
      id: _id,
      version: _version,
      ...row
    } = ruleOf({ match_string: 'down', prod_handling: 'Page_only' });
    expect(parse({ match_string: 'down' })).to.deep.equal(row);
    expect(parse({ match_string: 'down', host: null, tests: [], id: 3, version: 2 })).to.deep.equal({
      ...row,
      id: 3,
      version: 2,
    });
  });

  it('gives what means the same one form', () => {
    expect(parse({ syslog_severity: 'err', facility: 'local7', severity: 'crit' })).to.include({
      syslog_severity: 3,
      facility: 23,
      severity: 2,
    });
    expect(parse({ syslog_severity: 0 }).syslog_severity).to.equal(0);
    expect(parse({ trap_oid: '.1.3.06' }).trap_oid).to.equal('1.3.6');
    expect(parse({ trap_oid: '.1.3.6.*', match_type: 'oid_prefix' }).trap_oid).to.equal('1.3.6');
    expect(parse({ match_string: '1.3.6.', match_type: 'oid_prefix' }).match_string).to.equal('1.3.6');
  });

  const single: [string, Record<string, unknown>, string, RegExp, RegExp][] = [
    ['no criterion', {}, '', /at least one criterion/, /match_string, trap_oid/],
    [
      'a window as its only criterion',
      { active_from: '2024-05-01T12:00:00Z' },
      '',
      /at least one criterion/,
      /host/,
    ],
    ['an empty match_string', { match_string: '' }, 'match_string', /cannot be used/, /^Give.*not blank/],
    ['a blank host', { host: ' ' }, 'host', /cannot be used/, /^Give.*not blank/],
    [
      'an unknown handling',
      { host: 'h', prod_handling: 'page_only' },
      'prod_handling',
      /one of Page_and_ticket/,
      /mean Page_only/,
    ],
    [
      'a handling like no other',
      { host: 'h', dev_handling: 'x' },
      'dev_handling',
      /cannot be used/,
      /^Give one of Page/,
    ],
    ['an unknown field', { host: 'h', match_sting: 'x' }, 'match_sting', /not a field/, /mean match_string/],
    ['a field of nobody', { host: 'h', zzzzzzzzzz: 1 }, 'zzzzzzzzzz', /not a field/, /Leave it out/],
    ['the name of a prototype', { host: 'h', constructor: 1 }, 'constructor', /not a field/, /./],
    ['severity 8', { syslog_severity: 8 }, 'syslog_severity', /cannot be used/, /0 to 7.*such as err/],
    ['a severity by no name', { syslog_severity: 'loud' }, 'syslog_severity', /is no severity/, /emerg/],
    ['a facility by no name', { facility: 'x' }, 'facility', /is no facility/, /local7/],
    ['an override that is no severity', { host: 'h', severity: 'x' }, 'severity', /is no severity/, /emerg/],
    [
      'a comparison with nothing',
      { host: 'h', severity_op: '<=' },
      'severity_op',
      /with nothing/,
      /syslog_severity/,
    ],
    ['a broken network', { network: '10.0.0.0/33' }, 'network', /no network/, /10\.0\.0\.0\/8/],
    [
      'a broken expression',
      { match_string: '(', match_type: 'regex' },
      'match_string',
      /Unterminated group/,
      /backslash/,
    ],
    [
      'a dangerous expression',
      { match_string: '(a)\\1', match_type: 'regex' },
      'match_string',
      /refused/,
      /back-references/,
    ],
    ['no expression', { host: 'h', match_type: 'regex' }, 'match_type', /no expression/, /match_string/],
    ['no OID', { host: 'h', match_type: 'oid_prefix' }, 'match_type', /no OID/, /trap_oid/],
    [
      'two OIDs',
      { match_string: '1.3', trap_oid: '1.3', match_type: 'oid_prefix' },
      'match_string',
      /too many/,
      /out/,
    ],
    ['an OID of letters', { trap_oid: 'ifIndex' }, 'trap_oid', /no OID/, /dots/],
    ['a prefix that is not called one', { trap_oid: '1.3.6.*' }, 'trap_oid', /no OID/, /oid_prefix/],
    [
      'a prefix of letters',
      { match_string: 'x', match_type: 'oid_prefix' },
      'match_string',
      /no OID/,
      /dots/,
    ],
    ['a window that is no time', { host: 'h', active_from: 'soon' }, 'active_from', /no time/, /RFC 3339/],
    [
      'a window in epoch seconds',
      { host: 'h', active_until: '1714564800' },
      'active_until',
      /no time/,
      /RFC 3339/,
    ],
    [
      'a window that ends before it begins',
      { host: 'h', active_from: '2024-05-02T00:00:00Z', active_until: '2024-05-01T00:00:00Z' },
      'active_until',
      /not after/,
      /Swap/,
    ],
    ['a rule that clears itself', { host: 'h', id: 4, clears: 4 }, 'clears', /itself/, /./],
    [
      'an unknown placeholder',
      { host: 'h', signature: '{host}::{progam}' },
      'signature',
      /\{progam\}/,
      /\{program\}/,
    ],
    [
      'a placeholder like no other',
      { host: 'h', signature: '{severity_text}' },
      'signature',
      /stands for nothing/,
      /\{host\}/,
    ],
    [
      'a priority of half',
      { host: 'h', priority: 1.5 },
      'priority',
      /cannot be used/,
      /^Give a whole number/,
    ],
    ['tests that are no objects', { host: 'h', tests: ['x'] }, 'tests', /cannot be used/, /^Give a list/],
    [
      'an expression that is too long',
      { match_string: 'a'.repeat(1025) },
      'match_string',
      /cannot be used/,
      /^Give.*1024/,
    ],
  ];
  for (const [name, fields, field, why, mend] of single) {
    it(`refuses ${name}, once, with why and how to mend it`, () => {
      const found = faults(fields);
      expect(found.map((fault) => fault.field)).to.deep.equal([field]);
      expect(found[0]?.why).to.match(why);
      expect(found[0]?.mend).to.match(mend);
    });
  }

  it('tells refused expressions by their own codes', () => {
    expect(faults({ match_string: '(', match_type: 'regex' })[0]?.code).to.equal('E_RULE_REGEX_INVALID');
    expect(faults({ match_string: '(a)\\1', match_type: 'regex' })[0]?.code).to.equal('E_RULE_REGEX_UNSAFE');
  });

  it('reports everything at once', () => {
    const found = faultsOf({
      prod_handling: 'Pag_only',
      network: 'x',
      hosts: 'h',
      match_type: 'regexp',
      trap_oid: 5,
    });
    expect(found.map(({ field }) => field).sort()).to.deep.equal([
      'dev_handling',
      'hosts',
      'match_type',
      'network',
      'prod_handling',
      'team_assignment',
      'trap_oid',
    ]);
    const message = (() => {
      try {
        parseRule({ hosts: 1 });
        return '';
      } catch (error) {
        return (error as CodedError).message;
      }
    })();
    expect(message.split('\n').length).to.be.above(3);
    expect(message).to.include('hosts = 1: is not a field of a rule. Did you mean host?');
  });

  it('refuses what is no object', () => {
    for (const input of [null, 5, 'x', [], undefined]) expect(faultsOf(input)).to.have.length(1);
  });

  it('gives, for any input, faults or a rule that compiles', () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>(
        'regex',
        'oid_prefix',
        'contains',
        '1.3.6',
        'a+',
        '(a+)+',
        '10.0.0.0/8',
        'err',
        3,
        null,
        true,
        '<=',
      ),
      fc.string(),
      fc.jsonValue({ maxDepth: 1 }),
    );
    const fields = fc.dictionary(fc.constantFrom(...Object.keys(ruleSchema.properties)), value, {
      maxKeys: 5,
    });
    let taken = 0;
    fc.assert(
      fc.property(fields, fc.boolean(), (given, complete) => {
        const input = complete ? { host: 'h', ...given, ...required } : given;
        if (faultsOf(input).length > 0) return;
        taken++;
        const rule = parseRule(input);
        expect(criteriaOf({ ...rule, id: 1, version: 1 })).not.to.be.empty;
      }),
      { numRuns: 1000 },
    );
    expect(taken).to.be.above(20);
  }).timeout(10_000);
});
