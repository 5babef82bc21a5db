/**
 * Method: what the screen writes is carried out by a small terminal, and its picture compared with the lines.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { Screen } from '../../../gateways/cli/screen.ts';
import { VirtualTerminal } from './virtual-terminal.ts';

describe('a screen', () => {
  let terminal: VirtualTerminal;
  let screen: Screen;

  beforeEach(() => {
    terminal = new VirtualTerminal();
    screen = new Screen(terminal);
  });
  afterEach(() => screen.end());

  it('shows the lines it was given last, whatever was there before', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(fc.array(line, { maxLength: 5 }), { minLength: 1, maxLength: 6 }), (pictures) => {
        const shown = new VirtualTerminal();
        const each = new Screen(shown);
        for (const picture of pictures) {
          each.draw(picture);
          expect(shown.picture()).to.deep.equal(withoutTail(picture));
        }
        each.end();
      }),
    );
  });

  it('writes only the lines that have changed, and each picture in one piece', () => {
    screen.draw(['one', 'two', 'three']);
    terminal.written = [];
    screen.draw(['one', '2', 'three']);
    expect(terminal.written).to.have.length(1);
    expect(terminal.written[0]).to.contain('2').and.not.contain('one').and.not.contain('three');
    terminal.written = [];
    screen.draw(['one', '2', 'three']);
    expect(terminal.written).to.deep.equal([]);
  });

  it('draws everything again after a resize', () => {
    screen.draw(['one', 'two']);
    terminal.scramble();
    screen.forget();
    screen.draw(['one', 'two']);
    expect(terminal.picture()).to.deep.equal(['one', 'two']);
  });

  it('leaves the terminal as it was: first page, visible cursor', () => {
    expect(terminal).to.include({ isSecondPage: false, isCursorShown: true });
    screen.draw(['one']);
    expect(terminal).to.include({ isSecondPage: true, isCursorShown: false });
    screen.end();
    expect(terminal).to.include({ isSecondPage: false, isCursorShown: true });
  });

  it('writes nothing when nothing was drawn', () => {
    screen.forget();
    screen.end();
    expect(terminal.written).to.deep.equal([]);
  });
});

function withoutTail(lines: readonly string[]): string[] {
  const kept = lines.map((line) => line.trimEnd());
  while (kept.at(-1) === '') kept.pop();
  return kept;
}
