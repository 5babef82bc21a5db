/** The automaton against searching for every literal, on texts of few characters: there literals overlap in every way. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { foldText } from '../../../../actors/match/fold.ts';
import { RuleSet, buildRuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import { eventOf, ruleOf } from '../fixtures.ts';

const characters = fc.constantFrom('a', 'B', 'k', '\u212a', 's', '\u017f', 'Ж', 'ж', '😀', 'ß', '𐐀');
const text = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.array(characters, { minLength, maxLength }).map((all) => all.join(''));

function foundIn(view: RuleSet, message: string): string[] {
  return view.match(eventOf({ message })).map((row) => row.match_string!);
}

describe('the automaton over the literals', () => {
  it('finds exactly the literals that a text holds, whatever they have in common', () => {
    let asked = 0;
    let found = 0;
    const literals = fc.uniqueArray(text(1, 7), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(literals, fc.array(text(0, 40), { minLength: 1, maxLength: 8 }), (all, messages) => {
        const rows = all.map((literal, at) => ruleOf({ id: at + 1, match_string: literal, continue: true }));
        const view = new RuleSet(buildRuleSet(rows, 1).image);
        for (const message of messages) {
          const held = all.filter((literal) => new RegExp(literal, 'iu').test(message));
          expect(foundIn(view, message)).to.deep.equal(held);
          asked += all.length;
          found += held.length;
        }
      }),
      { numRuns: 120 },
    );
    expect(found / asked, 'share of literals that are found').to.be.within(0.02, 0.9);
  }).timeout(60_000);

  it('finds them also where it has more units and edges than a row is laid out for', () => {
    const all = Array.from({ length: 3_000 }, (_, at) => {
      const [a, b] = [String.fromCharCode(0x4e00 + at), String.fromCharCode(0x4e00 + ((at * 7) % 3_000))];
      return `中文${a}${b}${at}`;
    });
    const rows = all.map((literal, at) => ruleOf({ id: at + 1, match_string: literal, continue: true }));
    const view = new RuleSet(buildRuleSet(rows, 1).image);
    for (const at of [0, 1, 1_499, 2_998, 2_999]) {
      const message = `中文中${all[at]} ${all[(at + 1) % 3_000]!.slice(0, 3)}`;
      const held = all.filter((literal) => foldText(message).includes(foldText(literal)));
      expect(foundIn(view, message)).to.deep.equal(held).and.include(all[at]);
    }
  });
});
