/** A million random pairs of rule and event: the compiled rule set decides as the plain loop does. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { buildRuleSet, RuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../actors/ports.ts';
import { eventOf, ruleOf } from './fixtures.ts';
import { judge } from './judge.ts';
import type { Build } from './judge.ts';
import { plainCriteria, plainLoop, inOrder } from './plain-loop.ts';

const seed = Date.now() % 1_000_000_007;

describe(`The compiled rule set and the plain loop, seed ${seed}`, function () {
  this.timeout(120_000);

  it('agree on a million pairs and more, of which one in twenty matches', () => {
    const verdict = judge({ seed, sets: 5, rulesPerSet: 300, eventsPerSet: 720 });
    expect(verdict.pairs).to.be.at.least(1_000_000);
    expect(verdict.matching / verdict.pairs, 'share of pairs that match').to.be.within(0.05, 0.5);
    expect(verdict.chains / verdict.events, 'share of events that several rules match').to.be.above(0.1);
    expect(verdict.unsafe / verdict.rules, 'share of rules that are not allowed').to.be.below(0.1);
  });

  it('agree on messages of 64 KiB', () => {
    const verdict = judge({ seed, sets: 1, rulesPerSet: 100, eventsPerSet: 12, isLong: true });
    expect(verdict.matching)
      .to.be.above(0.05 * verdict.pairs)
      .and.below(verdict.pairs);
  });

  /** Ways in which matchers go wrong; each must be found out. */
  const mistaken: Record<string, (row: RuleRow) => RuleRow | undefined> = {
    'compares in lower case': (row) =>
      row.match_type === 'contains' && row.match_string !== null && !row.case_sensitive
        ? { ...row, match_type: 'regex', match_string: asciiCaseless(row.match_string), case_sensitive: true }
        : row,
    'takes <= for <': (row) =>
      row.severity_op === '<=' ? { ...row, syslog_severity: (row.syslog_severity ?? 0) - 1 } : row,
    'knows no window': (row) => ({ ...row, active_until: null }),
    'leaves out a rule': (row) => (row.id % 97 === 0 ? undefined : row),
    'forgets continue': (row) => ({ ...row, continue: row.continue && row.id % 5 !== 0 }),
  };
  for (const [name, change] of Object.entries(mistaken)) {
    it(`disagree when one of them ${name}`, () => {
      const build: Build = (rows) => {
        const changed = rows.map(change).filter((row) => row !== undefined);
        const ordered = inOrder(changed).map((row) => ({ row, holds: plainCriteria(row) }));
        return (event) => {
          const holding = new Set(ordered.filter(({ holds }) => holds(event)).map(({ row }) => row));
          return plainLoop(
            ordered.map(({ row }) => row),
            (row) => holding.has(row),
          );
        };
      };
      const options = { seed: 7, sets: 3, rulesPerSet: 200, eventsPerSet: 60, build };
      expect(() => judge(options)).to.throw(/disagrees with the plain loop: it gave \[.*\] for\n\{/s);
    });
  }

  it('agree on what a suspended rule leaves to the others', () => {
    const rows = [ruleOf({ id: 1, match_string: 'link' }), ruleOf({ id: 2, match_string: 'down' })];
    const ruleSet = new RuleSet(buildRuleSet(rows, 1).image);
    expect(ruleSet.match(eventOf({})).map(({ id }) => id)).to.deep.equal([1]);
    ruleSet.suspend(1);
    expect(ruleSet.match(eventOf({})).map(({ id }) => id)).to.deep.equal([2]);
  });
});

/** `text` as an expression that takes it in any case, as far as ASCII goes. */
function asciiCaseless(text: string): string {
  return [...text]
    .map((character) =>
      /[a-z]/i.test(character)
        ? `[${character.toLowerCase()}${character.toUpperCase()}]`
        : character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'),
    )
    .join('');
}
