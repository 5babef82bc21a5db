/** The partition of a host: fixed for ever, so known values are written down. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { hostnameHash, partitionOf } from '../../../actors/ingest/partition.ts';

describe('partitionOf', () => {
  it('is the published FNV-1a of the case-folded name', () => {
    // Test vectors of the authors of FNV.
    expect(hostnameHash('')).to.equal(0x811c9dc5);
    expect(hostnameHash('a')).to.equal(0xe40c292c);
    expect(hostnameHash('foobar')).to.equal(0xbf9cf968);
    expect(hostnameHash('FooBar')).to.equal(0xbf9cf968);
  });

  it('is the same in whatever case the name is written, and within bounds', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 64 }),
        (hostname, partitions) => {
          const partition = partitionOf(hostname, partitions);
          expect(partition).to.be.within(0, partitions - 1);
          expect(partitionOf(hostname.toLowerCase(), partitions)).to.equal(partition);
        },
      ),
    );
  });

  it('hashes the UTF-8 bytes of names beyond ASCII', () => {
    expect(hostnameHash('Grün')).to.equal(hostnameHash('grün'));
    expect(hostnameHash('grün')).to.not.equal(hostnameHash('gr\u00c3\u00bcn'));
  });

  it('spreads a network of hosts over eight partitions within a third of the mean', () => {
    const counts = new Array<number>(8).fill(0);
    for (let host = 0; host < 8000; host++) counts[partitionOf(`router-${host}.example.net`, 8)]!++;
    expect(Math.min(...counts)).to.be.above(667);
    expect(Math.max(...counts)).to.be.below(1333);
  });
});
