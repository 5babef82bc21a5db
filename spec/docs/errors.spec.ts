/**
 * The page of error codes names the codes of the sources, all of them and no others.
 *
 * Method: a code is a text in quotes in the product's own folders. What is only written in comments (in backticks) or
 * put together at run time is not seen; the one prefix that is put together is named on the page in words.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isCode, readTree } from '../support/source-files.ts';
import { codesOfPage, codesOfSources } from './error-codes.ts';

const tree = readTree();
const page = tree.get('docs/reference/errors.md') ?? '';

describe('The page of error codes', () => {
  it('names every code of the sources', () => {
    const listed = new Set(codesOfPage(page));
    expect(codesOfSources(tree).filter((code) => !listed.has(code))).to.deep.equal([]);
  });

  it('names no code that the sources do not have', () => {
    const used = new Set(codesOfSources(tree));
    expect(codesOfPage(page).filter((code) => !used.has(code))).to.deep.equal([]);
  });

  it('names each code once, with a meaning and how to mend it', () => {
    const codes = codesOfPage(page);
    expect(codes).to.deep.equal([...new Set(codes)]);
    const rows = page.split('\n').filter((line) => /^\| `E_/.test(line));
    expect(
      rows.filter((row) => row.split('|').filter((cell) => cell.trim() !== '').length !== 3),
    ).to.deep.equal([]);
  });

  it('is checked against a reading that sees quoted codes, and neither comments nor prefixes', () => {
    const planted = new Map([
      [
        'actors/a.ts',
        "throw new CodedError('E_PLANTED', ''); // `E_IN_A_COMMENT`\ncode.startsWith('E_RULE_');",
      ],
      ['spec/a.spec.ts', "'E_ONLY_IN_A_SPEC'"],
    ]);
    expect([...planted.keys()].every(isCode)).to.equal(true);
    expect(codesOfSources(planted)).to.deep.equal(['E_PLANTED']);
  });
});
