/** Folding beside the engine's own: all characters that have cases, each asked about all. */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { caseClasses, foldName, foldText } from '../../../actors/match/fold.ts';

describe('Case folding', function () {
  this.timeout(30_000);
  let cased: string[];

  before(() => {
    const isCased = /[\p{Changes_When_Casefolded}\p{Changes_When_Lowercased}\p{Changes_When_Uppercased}]/u;
    cased = [];
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
      if (codePoint === 0xd800) codePoint = 0xe000;
      const character = String.fromCodePoint(codePoint);
      if (isCased.test(character)) cased.push(character);
    }
  });

  it('makes one of all that the engine takes for one, and of nothing else', () => {
    expect(cased.length).to.be.above(2_500);
    const all = cased.join('');
    const byForm = new Map<string, string[]>();
    for (const character of cased) {
      const form = foldName(character);
      byForm.set(form, [...(byForm.get(form) ?? []), character]);
    }
    const wrong = [...byForm.values()].filter((ones) => {
      // To be one goes both ways and on, so that one of them can speak for all.
      const taken = all.match(new RegExp(ones[0]!, 'giu'));
      return taken?.join() !== ones.join();
    });
    expect(wrong).to.deep.equal([]);
  });

  it('knows the same classes by code points, and by units where a character is one', () => {
    for (const [codePoint, ones] of caseClasses()) {
      const character = String.fromCodePoint(codePoint);
      const forms = ones.map((one) => foldName(String.fromCodePoint(one)));
      expect(new Set(forms).size, character).to.equal(1);
      if (character.length === 1) expect(foldText(character)).to.equal(String.fromCodePoint(ones[0]!));
    }
  });

  it('leaves the length of a text as it is, and half a character too', () => {
    for (const text of ['', 'İ', 'ß', '\ud801', 'x\udc00\ud801', '\u{10428}\ud801', 'ΟΔΟΣ'.repeat(20_000)]) {
      expect(foldText(text)).to.have.length(text.length);
      expect(foldName(text)).to.have.length(text.length);
    }
    expect(foldName('ΟΔΟΣ')).to.equal(foldName('οδοσ'));
    expect(foldName('a\u{10400}B')).to.equal(foldName('A\u{10428}b'));
    expect(foldName('İ')).not.to.equal(foldName('i'));
  });
});
