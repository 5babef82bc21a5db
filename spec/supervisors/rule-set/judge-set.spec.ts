/** Whoever saves a rule waits for the judge with everything locked. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { buildRuleSet, ruleSetCost, setCost } from '../../../actors/match/rule-set/rule-set.ts';
import { costInForce } from '../../../supervisors/rule-set/build-rules.ts';
import type { RuleRow } from '../../../actors/ports.ts';
import { RuleBuilder } from '../../../supervisors/rule-set/rule-builder.ts';
import { setJudge } from '../../../supervisors/rule-set/judge-set.ts';
import { ruleOf } from '../../actors/match/fixtures.ts';
import { rejectionOf } from '../../support/rejection.ts';

const RULES = 10_000;

describe('the judge of rule sets', function () {
  this.timeout(60_000);
  let builder: RuleBuilder;
  let asked: number[];
  let judge: (rules: readonly RuleRow[]) => Promise<void>;

  beforeEach(() => {
    builder = new RuleBuilder();
    asked = [];
    judge = setJudge({
      costs: (rules) => {
        asked.push((JSON.parse(rules) as unknown[]).length);
        return builder.costs(rules);
      },
    });
  });
  afterEach(() => builder.close());

  const expressionOf = (id: number, fields: Partial<RuleRow> = {}): RuleRow =>
    ruleOf({ id, match_type: 'regex', match_string: `port ${id}/\\d+ (failed|lost)`, host: 'r*', ...fields });

  it('judges a rule once: after a change of one among ten thousand, that one', async () => {
    const rules = Array.from({ length: RULES }, (_, at) => expressionOf(at + 1));
    await judge(rules);
    expect(asked).to.deep.equal([RULES]);
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      rules[round] = expressionOf(round + 1, { version: 2 });
      const before = process.cpuUsage();
      await judge([...rules]);
      const { user, system } = process.cpuUsage(before);
      times.push((user + system) / 1_000);
    }
    expect(asked).to.deep.equal([RULES]);
    expect(Math.min(...times)).to.be.below(100);
  });

  it('refuses what the builder would refuse, and takes it again when one rule is another', async () => {
    const wide = Array.from({ length: 501 }, (_, at) => ruleOf({ id: at + 1, facility: at % 24 }));
    const refusals = [await rejectionOf(judge(wide)), await rejectionOf(judge(wide))];
    for (const refused of refusals) {
      expect(refused).to.include({ code: 'E_RULE_SET_TOO_LARGE' });
      expect(refused['details']).to.deep.include({ limit: 'alwaysRules', value: 501 });
    }
    expect(asked).to.deep.equal([501]);
    const suspended = { at: '', reason: '', event_id: '' };
    await judge([...wide.slice(1), ruleOf({ id: 1, facility: 0, suspended })]);
    await judge([...wide.slice(1), ruleOf({ id: 1, facility: 0, host: 'r1' })]);
    expect(asked).to.deep.equal([501]);
  });

  it('finds what the whole set costs from what each rule does', () => {
    const rules = [
      ...Array.from({ length: 60 }, (_, at) => expressionOf(at + 1)),
      ruleOf({ id: 70, program: 'sshd', match_string: 'a' }),
      ruleOf({ id: 71, program: 'sshd', host: 'r1' }),
      ruleOf({ id: 72, match_type: 'regex', match_string: '(' }),
      ruleOf({ id: 73, match_string: 'off', is_active: false, tests: [{ message: 'x'.repeat(99) }] }),
      ruleOf({ id: 74, network: '10.0.0.0/8' }),
    ];
    const cost = setCost(rules.map(costInForce));
    expect(cost).to.deep.equal(ruleSetCost(rules.map((rule) => ({ ...rule }))));
    expect(cost.alwaysRules).to.equal(buildRuleSet(rules, 1).statistics.alwaysRules);
  });
});
