import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import { FairShare } from '../../../gateways/ingest/fair-share.ts';

const BYTES_MAX = 90_000;
const PLACES_MAX = 900;

describe('FairShare', () => {
  let shares: FairShare;
  beforeEach(() => {
    shares = new FairShare({ bytesMax: BYTES_MAX, placesMax: PLACES_MAX });
  });
  /** Takes requests of so many bytes until one is refused; gives how many were taken. */
  function fill(key: string, network: string, bytes: number): number {
    for (let taken = 0; ; taken++) {
      const source = shares.source(key, network);
      if (shares.shortage(source, bytes, 1) !== undefined) return taken;
      shares.charge(source, bytes, 1);
    }
  }
  const bytesOf = (key: string, network: string): number => shares.source(key, network).bytes;

  it('stops a lone source at a third of the bytes', () => {
    fill('a', '1', 1_000);
    expect(bytesOf('a', '1')).to.equal(BYTES_MAX / 3);
    expect(shares.shortage(shares.source('a', '1'), 1_000, 1)).to.equal('share');
  });

  it('stops a lone source at a third of the places', () => {
    expect(fill('a', '1', 1)).to.equal(PLACES_MAX / 3);
  });

  it('lets a lone source hold most places where they are idle, and leaves some to others', () => {
    shares = new FairShare({ bytesMax: BYTES_MAX, placesMax: PLACES_MAX, placesFactor: 8 });
    expect(fill('a', '1', 0)).to.equal(Math.floor((64 * PLACES_MAX) / 73));
    expect(fill('a', '2', 0)).to.be.greaterThan(5);
    expect(fill('b', '1', 0)).to.be.greaterThan(50);
  });

  it('finds room for a source of another key, and of the same key, beside a heavy one', () => {
    fill('a', '1', 1_000);
    expect(fill('b', '1', 500)).to.be.greaterThan(20);
    expect(fill('a', '2', 50)).to.be.greaterThan(5);
  });

  it('lets each hold what is left for it, so sources of a key are equal, and a key alone has more', () => {
    for (let round = 0; round < 200; round++) {
      for (const [key, network] of [
        ['a', '1'],
        ['a', '2'],
        ['b', '1'],
      ] as const) {
        const source = shares.source(key, network);
        if (shares.shortage(source, 250, 1) === undefined) shares.charge(source, 250, 1);
      }
    }
    expect([bytesOf('a', '1'), bytesOf('a', '2'), bytesOf('b', '1')]).to.deep.equal([15_000, 15_000, 20_000]);
  });

  it('refuses nobody a small part, however heavy the others of the key are, as long as there is any', () => {
    for (let network = 0; network < 30; network++) fill('a', `heavy ${network}`, 1_000);
    const source = shares.source('a', 'late');
    expect(shares.shortage(source, 1_000, 1)).to.equal('share');
    expect(shares.shortage(source, Math.floor(BYTES_MAX / 256), 1)).to.equal(undefined);
  });

  it('says when the whole is taken, whoever asks', () => {
    shares.charge(undefined, BYTES_MAX, 1);
    expect(shares.shortage(shares.source('a', '1'), 1, 1)).to.equal('bytes');
    expect(shares.shortage(undefined, 0, PLACES_MAX)).to.equal('places');
  });

  it('is calm until an eighth is taken, and charges a source later with what it has', () => {
    expect(shares.staysCalm(BYTES_MAX / 8, 1)).to.equal(true);
    expect(shares.staysCalm(BYTES_MAX / 8 + 1, 1)).to.equal(false);
    expect(shares.staysCalm(0, PLACES_MAX / 8 + 1)).to.equal(false);
    shares.charge(undefined, 700, 1);
    const source = shares.source('a', '1');
    shares.attribute(source, 700, 1);
    expect([shares.bytes, bytesOf('a', '1')]).to.deep.equal([700, 700]);
    shares.charge(source, -700, -1);
    expect([shares.bytes, bytesOf('a', '1')]).to.deep.equal([0, 0]);
  });

  it('never gives out more than there is, and is as new when all is given back', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      network: fc.constantFrom('1', '2', '3'),
      bytes: fc.integer({ min: 0, max: 40_000 }),
      isReturn: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        shares = new FairShare({ bytesMax: BYTES_MAX, placesMax: PLACES_MAX });
        const held: [key: string, network: string, bytes: number][] = [];
        const giveBack = (): void => {
          const [key, network, bytes] = held.pop() as [string, string, number];
          shares.charge(shares.source(key, network), -bytes, -1);
        };
        for (const { key, network, bytes, isReturn } of steps) {
          const source = shares.source(key, network);
          if (isReturn && held.length > 0) giveBack();
          else if (shares.shortage(source, bytes, 1) === undefined) {
            shares.charge(source, bytes, 1);
            held.push([key, network, bytes]);
          }
          const total = held.reduce((sum, [, , more]) => sum + more, 0);
          expect(shares.bytes).to.equal(total);
          expect(total).to.be.at.most(BYTES_MAX);
        }
        while (held.length > 0) giveBack();
        expect(fill('a', '1', 1_000)).to.equal(BYTES_MAX / 3 / 1_000);
      }),
    );
  });
});
