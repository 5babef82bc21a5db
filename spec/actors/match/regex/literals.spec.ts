/** The literals an expression requires: which are found, and that they are the telling ones. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { foldText } from '../../../../actors/match/fold.ts';
import { compileExpression } from '../../../../actors/match/regex/expression.ts';
import { LITERALS_MAX, LITERAL_UNITS_MAX } from '../../../../actors/match/regex/literals.ts';

const literalsOf = (source: string, caseSensitive = true): readonly string[] =>
  compileExpression(source, caseSensitive).requiredLiterals.toSorted();

describe('requiredLiterals', () => {
  for (const [source, literals] of [
    ['down', ['down']],
    ['Interface \\S+, changed state to (down|up)', [', changed state to down', ', changed state to up']],
    ['failed.*port \\d+', ['failed']],
    ['^%[A-Z]+-[0-3]-', ['-0-', '-1-', '-2-', '-3-']],
    ['user=\\w+\\b', ['user=']],
    ['colou?r', ['color', 'colour']],
    ['(?:error|fail(?:ed|ure))', ['error', 'failed', 'failure']],
    ['(?:error \\d+|fatal \\w)', ['error ', 'fatal ']],
    ['(?:error \\d+|\\w)', []],
    ['ab{3}c', ['abbbc']],
    ['(?:ab)+c', ['abc']],
    ['x(?:ab\\w)+yz', ['xab']],
    ['eth[0-9]', ['eth']],
    ['\\d+', []],
    ['.*', []],
    ['(?:down)?', []],
    ['a', []],
    ['[0-9]:', ['0:', '1:', '2:', '3:', '4:', '5:', '6:', '7:', '8:', '9:']],
    ['(?:down|shutdown)', ['down']],
    ['[]abc', ['abc']],
    ['(?:^|\\b)up$', ['up']],
    ['\\u{1f600}', ['\u{1f600}']],
  ] as const) {
    it(`of ${source} are ${literals.join(' | ') || 'unknown'}`, () => {
      expect(literalsOf(source)).to.deep.equal(literals);
    });
  }

  it('are folded where the case is ignored', () => {
    expect(literalsOf('Ma\u017fk', false)).to.deep.equal([foldText('mask')]);
    expect(literalsOf('Ma\u017fk')).to.deep.equal(['Ma\u017fk']);
    // Beyond the basic plane units are not folded, so both cases are named.
    expect(literalsOf('\u{10400}', false)).to.deep.equal(['\u{10400}', '\u{10428}']);
  });

  it('are few, and none is long', () => {
    const sources = [
      '(?:a|b){20}',
      'x'.repeat(500),
      `(?:${Array.from({ length: 90 }, (_, at) => `w${at}`).join('|')})`,
    ];
    for (const source of sources) {
      const literals = literalsOf(source);
      expect(literals.length).to.be.at.most(LITERALS_MAX);
      for (const literal of literals) expect(literal.length).to.be.within(2, LITERAL_UNITS_MAX);
    }
  });
});
