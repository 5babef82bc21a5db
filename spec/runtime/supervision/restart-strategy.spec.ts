import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { planRestart, RESTART_STRATEGIES } from '../../../runtime/supervision/restart-strategy.ts';

const CHILDREN = ['a', 'b', 'c', 'd'];

describe('planRestart', () => {
  it('touches nobody else under oneForOne [S-31]', () => {
    expect(planRestart('oneForOne', CHILDREN, 'b')).to.deep.equal({ stop: [], start: ['b'] });
  });

  it('stops all others in reverse order and starts all in order under oneForAll [S-31]', () => {
    expect(planRestart('oneForAll', CHILDREN, 'b')).to.deep.equal({ stop: ['d', 'c', 'a'], start: CHILDREN });
  });

  it('touches only those started later under restForOne [S-31]', () => {
    expect(planRestart('restForOne', CHILDREN, 'b')).to.deep.equal({
      stop: ['d', 'c'],
      start: ['b', 'c', 'd'],
    });
  });

  it('always starts the failed child, never stops it, and stops whom it starts in reverse', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...RESTART_STRATEGIES),
        fc.uniqueArray(fc.string(), { minLength: 1 }),
        fc.nat(),
        (strategy, children, pick) => {
          const failed = children[pick % children.length] as string;
          const { stop, start } = planRestart(strategy, children, failed);
          expect(start).to.include(failed);
          expect(stop).to.deep.equal(start.filter((child) => child !== failed).reverse());
          expect(start).to.deep.equal(children.filter((child) => start.includes(child)));
        },
      ),
    );
  });
});
