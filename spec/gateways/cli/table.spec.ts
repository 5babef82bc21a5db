import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { table } from '../../../gateways/cli/table.ts';
import type { Column } from '../../../gateways/cli/table.ts';
import { displayWidth } from '../../../gateways/cli/terminal-text.ts';

type Row = readonly string[];
const COLUMNS: readonly Column<Row>[] = [
  { head: 'key', cell: (row) => row[0] ?? '', shrinks: true },
  { head: 'n', cell: (row) => row[1] ?? '', align: 'right' },
  { head: 'text', cell: (row) => row[2] ?? '', shrinks: true },
];
const plain = { bold: (text: string) => text };

function draw(rows: readonly Row[], width?: number): string[] {
  return table(COLUMNS, rows, { ...plain, width });
}

describe('a table', () => {
  it('has a header, columns two blanks apart, numbers to the right, and - for nothing', () => {
    expect(
      draw([
        ['pool.match.size', '4', ''],
        ['a', '12', 'two words'],
      ]),
    ).to.deep.equal([
      'key               n  text',
      'pool.match.size   4  -',
      'a                12  two words',
    ]);
  });

  it('takes from the widest column what a terminal has no room for', () => {
    expect(draw([['a-rather-long-key', '4', 'a text that is longer still']], 30)).to.deep.equal([
      'key           n  text',
      'a-rather-lo…  4  a text that …',
    ]);
  });

  it('fits every terminal, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string(), fc.string({ unit: 'grapheme' })), {
          maxLength: 5,
        }),
        fc.integer({ min: 1, max: 120 }),
        (rows, width) => {
          for (const line of draw(rows, width)) expect(displayWidth(line)).to.be.at.most(width);
        },
      ),
    );
  });

  it('gives a script every column of every row, whatever is in it', () => {
    const value = fc.string({ unit: 'grapheme', maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value, value), { maxLength: 5 }), (rows) => {
        for (const line of draw(rows)) expect(line.trim().split(/ {2,}/)).to.have.length(3);
      }),
    );
  });

  it('lets no control character through', () => {
    expect(draw([['\u001b[2Jx', '1', 'a\nb']]).slice(1)).to.deep.equal(['\ufffd[2Jx  1  a b']);
  });
});
