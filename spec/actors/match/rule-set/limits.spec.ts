/** A set past a stated limit is refused whole, where it is saved as where it is built; and hostile texts stay cheap. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  ALWAYS_RULES_MAX,
  IMAGE_BYTES_MAX,
  LITERAL_UNITS_MAX,
  RULES_MAX,
  refuseTooLarge,
} from '../../../../actors/match/rule-set/limits.ts';
import { RuleSet, buildRuleSet, ruleSetCost } from '../../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../../actors/ports.ts';
import type { CodedError } from '../../../../runtime/errors.ts';
import { eventOf, ruleOf } from '../fixtures.ts';

const rowsOf = (count: number, fields: (at: number) => Partial<RuleRow>): RuleRow[] =>
  Array.from({ length: count }, (_, at) => ruleOf({ id: at + 1, ...fields(at) }));

/** The limit that both ways name; undefined when the set is taken. */
function limitOf(rows: readonly RuleRow[]): unknown {
  const named = [(): unknown => ruleSetCost(rows), () => buildRuleSet(rows, 1)].map((way) => {
    try {
      way();
      return undefined;
    } catch (thrown) {
      const { code, mend, details } = thrown as CodedError;
      expect(code).to.equal('E_RULE_SET_TOO_LARGE');
      expect(mend).to.be.a('string').and.not.be.empty;
      return details['limit'];
    }
  });
  expect(named[0]).to.equal(named[1]);
  return named[0];
}

describe('the limits of a rule set', function () {
  this.timeout(30_000);

  it('counts rules, active or not', () => {
    expect(limitOf(rowsOf(RULES_MAX + 1, () => ({ host: 'h', is_active: false })))).to.equal('rules');
  });

  it('counts the active rules that nothing narrows', () => {
    const wide: Partial<RuleRow>[] = [
      { syslog_severity: 3 },
      { facility: 4 },
      { host: 'core-*' },
      { network: '10.0.0.0/8' },
      { match_type: 'regex', match_string: '\\d+$' },
    ];
    const rows = rowsOf(ALWAYS_RULES_MAX + 1, (at) => wide[at % wide.length]!);
    expect(limitOf(rows)).to.equal('alwaysRules');
    rows[0]!.is_active = false;
    expect(limitOf(rows)).to.equal(undefined);
    expect(ruleSetCost(rows).alwaysRules).to.equal(ALWAYS_RULES_MAX);
    expect(buildRuleSet(rows, 1).statistics.alwaysRules).to.equal(ALWAYS_RULES_MAX);
    rows[0] = ruleOf({ id: 1, match_string: 'narrow', syslog_severity: 3 });
    expect(limitOf(rows)).to.equal(undefined);
  });

  it('counts the characters of different texts', () => {
    const text = (at: number): string => `${String(at).padStart(6, '0')}${'x'.repeat(1_018)}`;
    const rows = rowsOf(Math.ceil(LITERAL_UNITS_MAX / 1_024) + 1, (at) => ({ match_string: text(at) }));
    const asOne = rows.map((row) => ({ ...row, match_string: text(1) }));
    expect(ruleSetCost(asOne).literalUnits).to.equal(1_024);
    expect(limitOf(rows)).to.equal('literalUnits');
  });

  it('counts the bytes of the image before it is built, tests in rules included', () => {
    const bare = ruleSetCost([ruleOf({ host: 'h' })]);
    const whole = ruleSetCost([ruleOf({ host: 'h', tests: [{ message: 'x'.repeat(1_000_000) }] })]);
    expect(whole.imageBytes - bare.imageBytes).to.be.within(1_000_000, 1_000_100);
    const tooLarge = { ...whole, imageBytes: IMAGE_BYTES_MAX + 1 };
    expect(() => refuseTooLarge({ ...whole, imageBytes: IMAGE_BYTES_MAX })).not.to.throw();
    expect(() => refuseTooLarge(tooLarge))
      .to.throw('536,870,913 bytes')
      .with.property('code', 'E_RULE_SET_TOO_LARGE');
  });

  it('says at most what the image then takes', () => {
    for (const count of [0, 1, 300]) {
      const rows = rowsOf(count, (at) => ({ match_string: `text ${at * 7919}`, host: at % 2 ? 'h' : null }));
      expect(ruleSetCost(rows).imageBytes).to.be.at.least(buildRuleSet(rows, 1).image.byteLength);
    }
  });
});

describe('a hostile text', function () {
  this.timeout(30_000);
  const TEXT_UNITS = 64 * 1024;
  /** A few in fact; taking each step again for each literal, or each character of one, takes hundreds. */
  const MS_MAX = 40;

  /** CPU time, the least of a few: the machine has other work. */
  function matchMs(rows: readonly RuleRow[], message: string): number {
    const view = new RuleSet(buildRuleSet(rows, 1).image);
    const times = Array.from({ length: 9 }, () => {
      const before = process.cpuUsage();
      view.match(eventOf({ message }));
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1_000;
    });
    return Math.min(...times);
  }

  it('finds literals that are each a suffix of the next without taking each of them up at each character', () => {
    const rows = rowsOf(1_000, (at) => ({ match_string: 'a'.repeat(at + 1), facility: 3 }));
    expect(matchMs(rows, 'a'.repeat(TEXT_UNITS))).to.be.below(MS_MAX);
  });

  it('finds thousands of literals in one text', () => {
    const words = Array.from({ length: 8_000 }, (_, at) => `<${at.toString(36)}>`);
    const rows = rowsOf(words.length, (at) => ({ match_string: words[at]!, facility: 3 }));
    expect(matchMs(rows, words.join('').padEnd(TEXT_UNITS))).to.be.below(MS_MAX);
  });

  it('is searched for a text of the same character in linear time', () => {
    const rows = rowsOf(1, () => ({ match_string: `b${'a'.repeat(1_023)}`, host: 'router-1.example.net' }));
    rows.push(ruleOf({ id: 2, priority: 1, match_string: 'Link', case_sensitive: true, continue: true }));
    expect(matchMs(rows, 'a'.repeat(TEXT_UNITS))).to.be.below(MS_MAX);
  });
});
