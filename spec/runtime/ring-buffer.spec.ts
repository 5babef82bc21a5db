import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RingBuffer } from '../../runtime/ring-buffer.ts';
import { thrownBy } from '../support/rejection.ts';

describe('RingBuffer', () => {
  it('holds no slots before the first item and doubles as it grows', () => {
    const ring = new RingBuffer<number>(100);
    expect(ring.slotCount).to.equal(0);
    const seen = new Set<number>();
    for (let item = 0; item < 100; item++) {
      ring.push(item);
      seen.add(ring.slotCount);
    }
    expect([...seen]).to.deep.equal([4, 8, 16, 32, 64, 128]);
  });

  it('takes exactly as many as its bound, also when that is no power of two', () => {
    const ring = new RingBuffer<number>(5);
    const taken = [1, 2, 3, 4, 5, 6].map((item) => ring.push(item));
    expect(taken).to.deep.equal([true, true, true, true, true, false]);
    expect([...ring]).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('refuses a bound that is no whole number above zero', () => {
    for (const bound of [0, -1, 1.5, Number.NaN]) {
      expect(thrownBy(() => new RingBuffer(bound)).code).to.equal('E_ASSERT');
    }
  });

  it('does what an array with a bound does, whatever the order of calls', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(
          fc.oneof(
            fc.record({ push: fc.integer() }),
            fc.record({ unshift: fc.integer() }),
            fc.constant('shift' as const),
          ),
          { maxLength: 200 },
        ),
        (bound, calls) => {
          const ring = new RingBuffer<number>(bound);
          const model: number[] = [];
          for (const call of calls) {
            if (call === 'shift') {
              expect(ring.shift()).to.equal(model.shift());
            } else if ('unshift' in call) {
              const hasRoom = model.length < bound;
              if (hasRoom) model.unshift(call.unshift);
              expect(ring.unshift(call.unshift)).to.equal(hasRoom);
            } else {
              const hasRoom = model.length < bound;
              if (hasRoom) model.push(call.push);
              expect(ring.push(call.push)).to.equal(hasRoom);
            }
            expect(ring.length).to.equal(model.length);
            expect([...ring]).to.deep.equal(model);
          }
        },
      ),
    );
  });
});
