import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { TEMPLATE_CHARS_MAX, TemplateMask } from '../../../actors/match/template.ts';

const mask = new TemplateMask();
const templateOf = (message: string): string => {
  mask.mask(message);
  return mask.text;
};

describe('The template of a message', () => {
  const table: [message: string, template: string][] = [
    [
      'Interface GigabitEthernet0/1, changed state to down',
      'Interface GigabitEthernet#, changed state to down',
    ],
    ['%LINK-3-UPDOWN: ge-0/0/1.0   down', '%LINK-#-UPDOWN: ge-# down'],
    ['from 10.1.2.3 port 51234', 'from # port #'],
    ['at 2026-05-01T12:00:01.123Z', 'at #Z'],
    ['neighbour fe80::1 and fe80::aa:bb/64 lost', 'neighbour # and # lost'],
    ['2001:db8:0:0:1:0:0:1 and a:b:c', '# and a:b:c'],
    ['mac de:ad:be:ef:aa:cc and DE-AD-BE-EF-00-01', 'mac # and #'],
    ['mac aabb.cc01.ddee', 'mac #'],
    ['request 017f22e2-79b0-7cc3-98c4-dc0c0c07398f done', 'request # done'],
    ['pid 0x7f3a 0XBEEF deadbeef1 x9f3kq2 45ms 45c', 'pid # # # # #ms #'],
    ['eth0 bce0 v1.2.3 task_1_of_2', 'eth# bce# v# task_#_of_#'],
    ['face the facade at cafe', 'face the facade at cafe'],
    ['ratio 3/4, 5%', 'ratio #, #%'],
    ['Fehler 5 in Gerät é7: „aus“', 'Fehler # in Gerät é#: „aus“'],
    ['tab\there  and\n\nthere', 'tab here and there'],
    ['', ''],
  ];
  for (const [message, template] of table) {
    it(`of ${JSON.stringify(message)} is ${JSON.stringify(template)}`, () =>
      expect(templateOf(message)).to.equal(template));
  }

  it('is the same whatever the numbers are, and different for other words', () => {
    const number = fc.nat({ max: 99_999 });
    const word = fc.stringMatching(/^[g-z]{1,8}$/);
    fc.assert(
      fc.property(word, word, number, number, (one, other, a, b) => {
        const of = (first: string, x: number, y: number): string =>
          templateOf(`${first} on port ${x} of 10.0.${x % 256}.${y % 256}: ${y}ms`);
        expect(of(one, a, b)).to.equal(of(one, b, a));
        if (one !== other) expect(of(one, a, b)).not.to.equal(of(other, a, b));
      }),
    );
  });

  it('has no digit of ASCII, two blanks in a row, or more than its bound, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (message) => {
        const template = templateOf(message);
        expect(template).not.to.match(/[0-9]| {2}/);
        expect(template.length).to.be.at.most(TEMPLATE_CHARS_MAX);
      }),
      { numRuns: 500 },
    );
  });

  it('hashes alike when it is recalled, and otherwise with another seed', () => {
    for (const [message, template] of table) {
      mask.mask(message, 7);
      const hash = { ...mask.hash };
      mask.recall(template, 7);
      expect(mask.hash).to.deep.equal(hash);
      mask.recall(template, 8);
      expect(mask.hash).not.to.deep.equal(hash);
    }
  });

  it('of a message of 64 KiB is made of its beginning, fast', () => {
    const began = performance.now();
    for (const unit of ['a', '1', 'a1', '1:', ' ', '::']) {
      for (let n = 0; n < 200; n++) templateOf(unit.repeat(65_536 / unit.length));
    }
    expect(performance.now() - began).to.be.lessThan(1_000);
    expect(templateOf('x'.repeat(600))).to.equal('x'.repeat(TEMPLATE_CHARS_MAX));
  });
});
