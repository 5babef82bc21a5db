/** Which expressions rules may use: known catastrophic ones are refused, everyday ones are not, and none hangs the lint. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { REGEX_CHARS_MAX, compileSafeRegex } from '../../../actors/match/lint-regex.ts';
import { codeOf } from '../../../runtime/errors.ts';

function verdict(source: string, caseSensitive = false): string {
  try {
    compileSafeRegex(source, caseSensitive);
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
}

const catastrophic = [
  '(a+)+$', '(a*)*b', '(a|a)*b', '(a|aa)+$', '([a-zA-Z]+)*$', '(\\w+\\s?)*$', '(x+x+)+y', '(?:a?){30}a{30}', '(.*a){10}',
  '^(([a-z])+.)+[A-Z]([a-z])+$', '(\\d+|\\d+x)+', '((|)a)+b', '(a?b?)*c', '(a|b|ab)*c', '(\\s|.)*x', '^(\\w+\\.?)+@',
  '([^"\\\\]+|\\\\.)*"'.replace('[^"\\\\]+', '[^"]+'), '(.+)+x', '(?:(?:a*)b*)*c', '(a{1,20}){1,20}b', '(\\d*)*', '(-?\\d*)*x',
  '(ab|a|b)+c', '(?<part>a+)+b', '(?:\\u0061|a)+b', '(?:\\x61|[a-c])*d', '(?:[^a]|b)*c', '(?:\\d|\\w)+x', '(?:\\p{L}|a)*b',
  '((a|b)+|c+)*d', '(([^,]*),?)+x', '(\\S+\\S+)*y', '(?:(?:(?:a?){3}){2,3}){3}', `${'a?'.repeat(30)}${'a'.repeat(30)}`, '(?:a|aa)'.repeat(30), '((a{1,3}){1,3}){1,3}b', '(?:.|\\u{1F600})*z',
]; // prettier-ignore

const everyday = [
  'Interface .* changed state to (down|up)', '%LINK-3-UPDOWN: Interface (\\S+), changed', '(\\d{1,3}\\.){3}\\d{1,3}',
  '^(?:foo|bar)+$', 'error.*timeout.*retry', '(?<name>abc)', '[^,]+,[^,]+,[^,]+,[^,]+,[^,]+,[^,]+', '(ab)*', '(a?)*b',
  '(\\[\\d+\\] )*x', 'BGP-5-ADJCHANGE.*(Down|Up)', '(?:\\w+ )+x', 'temp(erature)? (high|low)', '\\p{L}+ down', '',
  '(?:[a-z]+\\d)*', 'a{2,5}b', '^$', '\\bdown\\b', '[\\]\\-a]+x', '(a|ab)*c', '"(?:[^"\\\\]|\\\\.)*"', '(?:\\r\\n|\\n)+',
  '(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)\\.){3}', '(?:https?|ftp)://[^\\s/]+', 'snmp[dt]\\[\\d+\\]:', '\\cA\\0\\u{1F600}',
]; // prettier-ignore

describe('compileSafeRegex', () => {
  for (const source of catastrophic) {
    it(`refuses ${source}`, () => {
      expect(verdict(source)).to.equal('E_RULE_REGEX_UNSAFE');
    });
  }

  for (const source of everyday) {
    it(`takes ${source === '' ? 'the empty expression' : source}`, () => {
      expect(verdict(source)).to.equal('taken');
    });
  }

  it('refuses look-around, back-references and references to named groups', () => {
    for (const source of [
      '(?=a)b',
      '(?!a)b',
      '(?<=a)b',
      '(?<!a)b',
      '(a)\\1',
      '(?<x>a)\\k<x>',
      '(?:(a)|b)\\1',
    ]) {
      expect(verdict(source), source).to.equal('E_RULE_REGEX_UNSAFE');
    }
  });

  it('refuses a long row of repeats that can take the same text, and takes a short one', () => {
    expect(verdict('.*a.*b.*c.*d')).to.equal('taken');
    expect(verdict('.*a.*b.*c.*d.*e')).to.equal('E_RULE_REGEX_UNSAFE');
    expect(verdict('\\S+\\S+\\S+\\S+\\S+y')).to.equal('E_RULE_REGEX_UNSAFE');
    expect(verdict('(a.*b|c.*d|e.*f|g.*h|i.*j|k.*l)')).to.equal('taken');
  });

  it('judges with the case folded unless the case counts', () => {
    for (const source of ['(a|A)+b', '(é|É)+x', '(k|\\u212a)+x', '(s|\\u017f)+x', '([A-Z]|[a-z])+1']) {
      expect(verdict(source), source).to.equal('E_RULE_REGEX_UNSAFE');
      expect(verdict(source, true), source).to.equal('taken');
    }
  });

  it('refuses what V8 does not take, and what is too long', () => {
    for (const source of ['(', 'a{', '[', '\\', '*a', '\\-', '(?i:a)', '(?<x>a)(?<x>b)']) {
      expect(verdict(source), source).to.be.oneOf(['E_RULE_REGEX_INVALID']);
    }
    expect(verdict('a'.repeat(REGEX_CHARS_MAX))).to.equal('taken');
    expect(verdict('a'.repeat(REGEX_CHARS_MAX + 1))).to.equal('E_RULE_REGEX_UNSAFE');
  });

  it('runs with simple Unicode folding, without m and s', () => {
    expect(compileSafeRegex('^straße.$', false).flags).to.equal('iu');
    expect(compileSafeRegex('\u212a', false).test('k')).to.equal(true);
    expect(compileSafeRegex('a.b', false).test('a\nb')).to.equal(false);
    expect(compileSafeRegex('^b', false).test('a\nb')).to.equal(false);
    expect(compileSafeRegex('A', true).test('a')).to.equal(false);
  });

  const part = fc.constantFrom(
    'a',
    'b',
    '.',
    '\\d',
    '\\w',
    '[ab]',
    '[^a]',
    'a|b',
    '(?:a|b)',
    'a?',
    'b*',
    'a+',
    '\\b',
    '^',
  );
  const { source: generated } = fc.letrec<{ source: string }>((tie) => ({
    source: fc.oneof(
      { depthSize: 'small' },
      part,
      fc.tuple(tie('source'), tie('source')).map(([a, b]) => `${a}${b}`),
      fc
        .tuple(tie('source'), fc.constantFrom('*', '+', '?', '{2,3}', '{3}'))
        .map(([a, mark]) => `(?:${a})${mark}`),
    ),
  }));

  it('takes no expression that takes exponential time on the texts that break such expressions', () => {
    fc.assert(
      fc.property(generated, (source) => {
        if (verdict(source) !== 'taken') return;
        const expression = compileSafeRegex(source, false);
        for (const unit of ['a', 'b', 'ab', '1', 'aab']) {
          const startedAt = process.cpuUsage();
          expression.test(`${unit.repeat(24)}!`);
          new RegExp(`(?:${source})!x`, 'iu').test(`${unit.repeat(24)}!`);
          expect(process.cpuUsage(startedAt).user / 1000, `${source} on ${unit}`).to.be.below(200);
        }
      }),
      { numRuns: 500 },
    );
  }).timeout(20_000);

  it('is done quickly whatever the expression', () => {
    const long = ['(a|b)*', 'a?', '.*', '(?:ab|cd)+', '[a-z]{1,9}', '\\w+\\s', '(a', 'word|'];
    for (const unit of long) {
      for (const wrap of [(body: string) => body, (body: string) => `(?:${body})*x`]) {
        const startedAt = process.cpuUsage();
        verdict(wrap(unit.repeat((REGEX_CHARS_MAX - 8) / unit.length)));
        expect(process.cpuUsage(startedAt).user / 1000, unit).to.be.below(1500);
      }
    }
  }).timeout(20_000);
});
