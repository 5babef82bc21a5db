/** Identifiers that only rise, whatever the clock does. */
import { randomFillSync } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { formatUuid, uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';

describe('uuidV7Maker', () => {
  it('makes identifiers of version 7 and variant 10 that carry the time', () => {
    const next = uuidV7Maker({ wallMs: () => 0x017f22e279b0 }, (bytes) => randomFillSync(bytes));
    const text = formatUuid(next());
    expect(text).to.match(/^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('rises with every identifier, though the clock stands still or steps back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 2 }), (times) => {
        let at = 0;
        const next = uuidV7Maker({ wallMs: () => times[at++ % times.length]! }, (bytes) =>
          randomFillSync(bytes),
        );
        let last = next();
        for (let made = 0; made < 20; made++) {
          const uuid = next();
          expect(Buffer.compare(uuid, last)).to.equal(1);
          last = uuid;
        }
      }),
    );
  });

  it('borrows the next millisecond when more identifiers are made than one can number', () => {
    const next = uuidV7Maker({ wallMs: () => 1000 }, (bytes) => bytes.fill(0xff));
    const made = Array.from({ length: 5000 }, () => next());
    expect(new Set(made.map(formatUuid))).to.have.length(5000);
    expect(made.at(-1)?.readUIntBE(0, 6)).to.equal(1001);
  });
});
