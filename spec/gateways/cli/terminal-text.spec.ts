import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  counted,
  cut,
  displayWidth,
  duration,
  fit,
  paletteFor,
  printable,
  sparkline,
} from '../../../gateways/cli/terminal-text.ts';

describe('terminal text', () => {
  it('lets no control character of a stranger through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).to.not.match(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      }),
    );
    expect(printable('a\u001b[2Jb\r\nc\u202ed')).to.equal('a\ufffd[2Jb c\ufffdd');
  });

  it('fits any text into exactly the columns there are, wide characters counted twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (text, columns) => {
        expect(displayWidth(cut(text, columns))).to.be.at.most(columns);
        expect(displayWidth(fit(text, columns))).to.equal(columns);
      }),
    );
    expect(fit('日本語', 5)).to.equal('日本…');
    expect(cut('anything', 0)).to.equal('');
  });

  it('writes numbers and times for people', () => {
    expect(counted(1, 'line')).to.equal('1 line');
    expect(counted(12_345, 'line')).to.equal('12,345 lines');
    expect([duration(7_900), duration(3_723_000), duration(180_000_000)]).to.deep.equal([
      '0:07',
      '1:02:03',
      '2 d 2:00:00',
    ]);
    expect(sparkline([0, 50, 100])).to.equal('▁▅█');
  });

  it('colours only a terminal that has not asked for none', () => {
    const io = (isTTY: boolean): Parameters<typeof paletteFor>[0]['io'] => ({ isTTY });
    expect(paletteFor({ io: io(true), env: {} }).red('x')).to.equal('\u001b[31mx\u001b[0m');
    expect(paletteFor({ io: io(true), env: { NO_COLOR: '' } }).red('x')).to.not.equal('x');
    expect(paletteFor({ io: io(true), env: { NO_COLOR: '1' } }).red('x')).to.equal('x');
    expect(paletteFor({ io: io(false), env: {} }).red('x')).to.equal('x');
  });
});
