/** What the expressions of rules mean (what V8 says), and which are refused. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { caseClasses } from '../../../../actors/match/fold.ts';
import { REGEX_CHARS_MAX, compileExpression } from '../../../../actors/match/regex/expression.ts';
import { EDGES_MAX, POSITIONS_MAX } from '../../../../actors/match/regex/positions.ts';
import { PROPERTIES_MAX } from '../../../../actors/match/regex/syntax.ts';
import { codeOf, messageOf } from '../../../../runtime/errors.ts';
import { compareWithV8 } from './differential.ts';

const FUZZED_PAIRS = 30_000;

function verdict(source: string, caseSensitive = false): string {
  try {
    compileExpression(source, caseSensitive);
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
}

describe('compileExpression', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);

  it(`means what V8 says, and requires no literal that a match lacks (seed ${seed})`, () => {
    const { pairs, matches, withLiterals, differences } = compareWithV8(seed, FUZZED_PAIRS);
    expect(differences).to.deep.equal([]);
    expect(matches / pairs).to.be.within(0.2, 0.8);
    expect(withLiterals).to.be.greaterThan(20);
  }).timeout(60_000);

  it('takes every character for what V8 takes it for, whatever the set and the case', () => {
    // All characters with cases, those next to them, and the ends of what sets are made of.
    const points = new Set([0, 0x2f, 0x30, 0x39, 0x3a, 0x5f, 0x60, 0x85, 0xa0, 0x2028, 0xfeff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0x10ffff]); // prettier-ignore
    for (const point of caseClasses().keys())
      for (const near of [point - 1, point, point + 1]) points.add(near);
    const characters = [...points].map((point) => String.fromCodePoint(point));
    const sets = ['.', '\\w', '\\W', '\\s', '\\S', '\\d', '\\D', '\\p{Lu}', '\\P{Lu}', '[^\\p{Lu}]', '[^\\W]', '[^\\u{10400}-\\u{10410}K]', '[\\ud800-\\udbffk]', '\\p{Script=Greek}']; // prettier-ignore
    for (const set of sets) {
      for (const caseSensitive of [false, true]) {
        const ours = compileExpression(`^${set}$`, caseSensitive);
        const oracle = new RegExp(`^${set}$`, caseSensitive ? 'u' : 'iu');
        const wrong = characters.filter((character) => ours.test(character) !== oracle.test(character));
        expect(wrong, `${set} ${caseSensitive}`).to.deep.equal([]);
      }
    }
  }).timeout(20_000);

  it('asks of neighbours what assertions ask', () => {
    for (const [source, text] of [
      ['\\bdown\\b', 'is down.'],
      ['\\bdown\\b', 'shutdown'],
      ['\\bs', '\u017fs'],
      ['\\B.\\B', 'k\u212ak'],
      ['^$', ''],
      ['^$', 'a'],
      ['(?:^|,)b(?:,|$)', 'a,b'],
      ['(?:^|,)b(?:,|$)', 'ab'],
      ['a$|^b', 'ba'],
      ['a\\b', 'a\u{1f600}'],
      ['(?:\\b|x)+y', 'xxy'],
      ['$^', ''],
      ['a$\\n?', 'a\n'],
      ['\\B', 'a\u{1f600}a'],
    ] as const) {
      for (const caseSensitive of [false, true]) {
        const expected = new RegExp(source, caseSensitive ? 'u' : 'iu').test(text);
        expect(compileExpression(source, caseSensitive).test(text), `${source} on ${text}`).to.equal(
          expected,
        );
      }
    }
  });

  it('gives the same answer whichever texts it was run on before', () => {
    const expression = compileExpression('user=\\w+ (failed|locked)', false);
    const texts = [
      'user=bob failed',
      'USER=\u017f LOCKED',
      'user= failed',
      'Übung user=é failed',
      'user=é user=a locked\n',
    ];
    const oracle = /user=\w+ (failed|locked)/iu;
    for (let round = 0; round < 3; round++) {
      for (const text of round === 1 ? texts.toReversed() : texts) {
        expect(expression.test(text), text).to.equal(oracle.test(text));
      }
    }
  });

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

  it('refuses what V8 does not take, and what is too long', () => {
    for (const source of [
      '(',
      'a{',
      '[',
      '\\',
      '*a',
      '\\-',
      '(?<x>a)(?<x>b)',
      '\\p{Nonsense}',
      'a{2,1}',
      '[b-a]',
    ]) {
      expect(verdict(source), source).to.equal('E_RULE_REGEX_INVALID');
    }
    expect(verdict('a'.repeat(REGEX_CHARS_MAX))).to.equal('taken');
    expect(verdict('a'.repeat(REGEX_CHARS_MAX + 1))).to.equal('E_RULE_REGEX_UNSAFE');
  });

  it('refuses counted repeats that are too large, and says why', () => {
    expect(verdict(`a{${POSITIONS_MAX}}`)).to.equal('taken');
    for (const source of [
      `a{${POSITIONS_MAX + 1}}`,
      '(?:a{50}){50}',
      'a{0,99999999999}',
      '(?:(?:a{9}){9}){9}x{1999}',
    ]) {
      expect(verdict(source), source).to.equal('E_RULE_REGEX_UNSAFE');
    }
    expect(verdict('(?:^|\\b){99999999999}x')).to.equal('taken');
    expect(() => compileExpression('a{5000}', false)).to.throw(`more than ${POSITIONS_MAX} characters`);
  });

  it('refuses rows of parts of which each may follow each, and too many Unicode properties', () => {
    expect(EDGES_MAX).to.be.greaterThan((300 * 300) / 2);
    expect(verdict('a?'.repeat(300))).to.equal('taken');
    expect(verdict('a?'.repeat(500))).to.equal('E_RULE_REGEX_UNSAFE');
    const properties = ['L', 'Lu', 'Ll', 'N', 'P', 'S', 'Z', 'M', 'C'].map((name) => `\\p{${name}}`);
    expect(verdict(properties.slice(0, PROPERTIES_MAX).join(''))).to.equal('taken');
    expect(verdict(properties.join(''))).to.equal('E_RULE_REGEX_UNSAFE');
  }).timeout(20_000);

  it('takes nested repeats', () => {
    for (const source of ['(a+)+$', '(a|a)*b', '(\\w+\\s?)*$', '.*a.*b.*c.*d.*e', '((a{1,3}){1,3}){1,3}b']) {
      expect(verdict(source), source).to.equal('taken');
    }
  });

  it('is done quickly whatever the expression', () => {
    const long = [
      '(a|b)*',
      'a?',
      '.*',
      '(?:ab|cd)+',
      '[a-z]{1,9}',
      '\\w+\\s',
      '(a',
      'word|',
      '(?:',
      '[^é]',
      '(?:a|',
    ];
    for (const unit of long) {
      for (const suffix of ['', ')+', '){1,9}']) {
        const times = Math.floor(
          REGEX_CHARS_MAX / (unit.length + (unit.startsWith('(') ? suffix.length : 0)),
        );
        const opens = unit.startsWith('(') && !unit.includes(')');
        const source = unit.repeat(times) + (opens ? `${suffix || ')'}`.repeat(times) : '');
        const startedAt = process.cpuUsage();
        try {
          const expression = compileExpression(source, false);
          expect(expression.requiredLiterals.every(({ length }) => length >= 2)).to.equal(true);
          expression.test('ab');
        } catch (error) {
          expect(codeOf(error), messageOf(error)).to.match(/^E_RULE_REGEX/);
        }
        expect(process.cpuUsage(startedAt).user / 1000, `${unit} ${suffix}`).to.be.below(2500);
      }
    }
  }).timeout(60_000);
});
