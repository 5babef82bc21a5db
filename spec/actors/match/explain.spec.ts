import { expect } from 'chai';
import { describe, it } from 'mocha';
import { explainRule, nearestRules, shortcomings } from '../../../actors/match/explain.ts';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import { eventOf, ruleOf } from './fixtures.ts';

describe('The explanation of a rule', () => {
  it('says of each criterion, in order, whether it held, and what the event has there', () => {
    const rule = ruleOf({
      host: 'core-*',
      program: 'sshd',
      syslog_severity: 3,
      severity_op: '<=',
      match_string: 'link down on fibre',
      active_from: '2030-01-01T00:00:00Z',
    });
    const event = eventOf({ hostname: 'core-7', severity: 5, message: 'Port 3: LINK DOWN on copper' });
    const { matched, why, criteria } = explainRule(rule, event);
    expect({ matched, why }).to.deep.equal({ matched: false, why: 'criteria' });
    expect(criteria.map(({ field, outcome, found, near }) => [field, outcome, found, near])).to.deep.equal([
      ['active_from', 'not_held', '2024-05-01T12:00:00.000Z', null],
      ['syslog_severity', 'not_held', '5', null],
      ['program', 'absent', null, null],
      ['host', 'held', 'core-7', null],
      ['match_string', 'not_held', 'Port 3: LINK DOWN on copper', 'link down on '],
    ]);
    expect(criteria.map(({ wanted }) => wanted)).to.deep.equal([
      'received at 2030-01-01T00:00:00Z or later',
      '<= 3',
      'sshd',
      'core-*',
      'contains "link down on fibre"',
    ]);
    expect(shortcomings(explainRule(rule, event))).to.include('of which it has "link down on "');
  });

  it('finds the parts of an expression that stand for themselves, and none of what may be absent', () => {
    const near = (expression: string, message: string): unknown =>
      explainRule(ruleOf({ match_string: expression, match_type: 'regex' }), eventOf({ message })).criteria[0]
        ?.near;
    expect(near('^interface \\S+ is (down|failed)$', 'Interface eth0 is up')).to.equal('interface ');
    expect(near('a\\.b\\.c[xyz]{2}tail', 'it has a.b.c')).to.equal('a.b.c');
    expect(near('(?:colou?r|shade) table', 'no colour here')).to.equal('colo');
    expect(near('\\p{Lu}\\d+', 'none')).to.equal(null);
    expect(near('x*y?z', 'nothing')).to.equal(null);
  });

  it('is true where the matcher says so, and where the rule is off or does not compile', () => {
    const event = eventOf({ trapOid: '1.3.6.1.4.1.9', sourceIp: '10.1.2.3' });
    for (const [rule, why] of [
      [ruleOf({ match_type: 'oid_prefix', trap_oid: '1.3.6.1.4' }), 'matched'],
      [ruleOf({ trap_oid: '1.3.6.1.4' }), 'criteria'],
      [ruleOf({ network: '10.0.0.0/8', match_string: 'LINK' }), 'matched'],
      [ruleOf({ network: '10.0.0.0/8', is_active: false }), 'inactive'],
      [ruleOf({ match_type: 'regex', match_string: '(' }), 'not_compiled'],
      [ruleOf({ match_string: 'Link', case_sensitive: true }), 'criteria'],
    ] as const) {
      const explanation = explainRule(rule, event);
      expect(explanation.why, JSON.stringify(rule)).to.equal(why);
      expect(explanation.matched).to.equal(
        new RuleSet(buildRuleSet([rule], 1).image).match(event).length === 1,
      );
    }
  });

  it('looks at hostile texts in bounded time', () => {
    const rule = ruleOf({ match_string: 'ab'.repeat(512) });
    const startedMs = performance.now();
    const { criteria } = explainRule(
      rule,
      eventOf({ message: `${'a'.repeat(20_000)}${'ba'.repeat(20_000)}` }),
    );
    expect(criteria[0]?.outcome).to.equal('held');
    const missed = explainRule(rule, eventOf({ message: 'ba'.repeat(400) + 'x'.repeat(60_000) }));
    expect(missed.criteria[0]?.near).to.have.length(800);
    expect(performance.now() - startedMs).to.be.lessThan(2_000);
  });
});

describe('The nearest rules', () => {
  it('are those of which most holds, nearest first, none that match and none of which nothing holds', () => {
    const event = eventOf({ hostname: 'core-1', program: 'bgpd', message: 'neighbor 10.0.0.1 went down' });
    const rules = [
      ruleOf({ id: 1, match_string: 'neighbor 10.0.0.1 went' }),
      ruleOf({ id: 2, match_string: 'power supply failed' }),
      ruleOf({ id: 3, host: 'core-*', program: 'ospfd', match_string: 'neighbor' }),
      ruleOf({ id: 4, host: 'edge-*', program: 'ospfd', match_string: 'neighbor' }),
      ruleOf({ id: 5, match_string: 'neighbor 10.0.0.1 came up' }),
      ruleOf({ id: 6, host: 'core-1', match_string: 'neighbor', program: 'x', is_active: false }),
    ];
    const nearest = nearestRules(rules, event, 3);
    expect(nearest.map(({ row }) => row.id)).to.deep.equal([5, 3, 4]);
    expect(nearestRules(rules, event, 1).map(({ row }) => row.id)).to.deep.equal([5]);
    expect(nearestRules(rules, event, 0)).to.deep.equal([]);
    expect(nearestRules([rules[1]!], event, 5)).to.deep.equal([]);
  });

  it('are found among ten thousand for little', () => {
    const rules = Array.from({ length: 10_000 }, (_, at) =>
      ruleOf({ id: at + 1, match_string: `module ${at} failed with code ${at % 97}` }),
    );
    const event = eventOf({ hostname: 'host-1', message: 'module 4711 failed with cod 55' });
    const startedMs = performance.now();
    const [first] = nearestRules(rules, event, 3);
    expect(first?.row.id).to.equal(4712);
    expect(performance.now() - startedMs).to.be.lessThan(5_000);
  });
});
