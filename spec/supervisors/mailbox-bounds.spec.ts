import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { MARK_BYTES_MAX } from '../../runtime/durable/durable-store.ts';
import { BOUNDS_SHARE_MAX } from '../../runtime/durable/store-safety.ts';
import { mailboxBounds } from '../../supervisors/mailbox-bounds.ts';

const GIB = 1024 ** 3;

describe('mailboxBounds', () => {
  it('stays below the share that the store allows, and uses most of it, whatever there is of everything', () => {
    const sizes = fc.record({
      maxmemoryBytes: fc.integer({ min: 64 * 1024 ** 2, max: 512 * GIB }),
      partitions: fc.integer({ min: 1, max: 256 }),
      destinations: fc.integer({ min: 0, max: 64 }),
    });
    fc.assert(
      fc.property(sizes, (options) => {
        const { ingest, overflow, alert, retry, dead, resendKeysMax, bytesTotal } = mailboxBounds(options);
        const lanes = Math.max(1, options.destinations);
        const sum =
          options.partitions *
          (ingest.bytesMax +
            overflow.bytesMax +
            dead.bytesMax +
            lanes * (alert.bytesMax + retry.bytesMax) +
            2 * resendKeysMax * MARK_BYTES_MAX);
        expect(bytesTotal).to.equal(sum);
        expect(sum).to.be.at.most(options.maxmemoryBytes * BOUNDS_SHARE_MAX);
        expect(sum).to.be.at.least(options.maxmemoryBytes * BOUNDS_SHARE_MAX * 0.9);
        expect(resendKeysMax).to.be.at.least(1);
        for (const { bytesMax, entriesMax } of [ingest, overflow, alert, retry, dead]) {
          expect(entriesMax).to.be.at.least(1);
          expect(Number.isSafeInteger(bytesMax) && bytesMax > 0).to.equal(true);
          // Entries of one byte each cost the store more than their bytes.
          expect(entriesMax * 256).to.be.at.most(Math.max(256, bytesMax));
        }
      }),
    );
  });

  it('gives events that wait the most', () => {
    const { ingest, alert, dead } = mailboxBounds({ maxmemoryBytes: GIB, partitions: 8, destinations: 1 });
    expect(ingest.bytesMax).to.be.greaterThan(alert.bytesMax);
    expect(alert.bytesMax).to.be.greaterThan(dead.bytesMax);
  });
});
