/**
 * The public face of the runtime: the page of its names and the module that exports them agree, and what it exports is
 * there when it is loaded.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as face from '../../runtime/index.ts';
import { exportNames } from '../support/export-names.ts';
import { readTree } from '../support/source-files.ts';

const tree = readTree();
const INDEX = 'runtime/index.ts';

/** In backticks in the first cells of tables. */
function namesOfPage(page: string): string[] {
  const cells = [...page.matchAll(/^\| (`[^|]*)\|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
}

describe('The public face of the runtime', () => {
  const exported = exportNames(INDEX, tree.get(INDEX) ?? '');
  const listed = namesOfPage(tree.get('docs/reference/runtime.md') ?? '');

  it('has a line for every name on its page, and for no other', () => {
    expect(exported.filter((name) => !listed.includes(name))).to.deep.equal([]);
    expect(listed.filter((name) => !exported.includes(name))).to.deep.equal([]);
  });

  it('names everything once', () => {
    expect(exported).to.deep.equal([...new Set(exported)]);
    expect(listed).to.deep.equal([...new Set(listed)]);
  });

  it('exports every value that it names', () => {
    expect(exported).to.include.members(Object.keys(face));
    expect(Object.values(face)).to.not.include(undefined);
  });

  it('is read by a reading that sees types and values, and refuses what is not named', () => {
    expect(
      exportNames('a.ts', "export { a, b as c } from './b.ts';\nexport type { D } from './d.ts';"),
    ).to.deep.equal(['a', 'c', 'D']);
    expect(() => exportNames('a.ts', "export * from './b.ts';")).to.throw('does not name');
    expect(namesOfPage('| names | for |\n| --- | --- |\n| `a` `B` | the `c` |\n')).to.deep.equal(['a', 'B']);
  });
});
