import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  QUARANTINED_BYTES_MAX,
  QUARANTINED_MAX,
  RingQuarantine,
} from '../../../runtime/remote/ring-quarantine.ts';

const RECORD = { from: 'a', to: 'b', target: 1, isAsk: false, payload: undefined, history: [] };

describe('RingQuarantine', () => {
  it('keeps as many as it says, and then the oldest makes room [S-115]', () => {
    const quarantine = new RingQuarantine();
    for (let n = 0; n < QUARANTINED_MAX; n++) quarantine.add(RECORD);
    expect(quarantine.list().map(({ id }) => id)).to.have.lengthOf(QUARANTINED_MAX);
    expect(quarantine.displaced).to.equal(0);
    quarantine.add(RECORD);
    expect(quarantine.list().map(({ id }) => id)).to.deep.equal(
      Array.from({ length: QUARANTINED_MAX }, (_, index) => index + 2),
    );
    expect([quarantine.total, quarantine.displaced]).to.deep.equal([QUARANTINED_MAX + 1, 1]);
  });

  it('keeps as many bytes as it says, a largest one too [S-115]', () => {
    const quarantine = new RingQuarantine();
    const half = Buffer.alloc(QUARANTINED_BYTES_MAX / 2);
    for (let n = 0; n < 3; n++) quarantine.add({ ...RECORD, payload: half });
    expect(quarantine.list().map(({ id }) => id)).to.deep.equal([2, 3]);
    quarantine.add({ ...RECORD, payload: Buffer.alloc(QUARANTINED_BYTES_MAX) });
    expect(quarantine.list().map(({ id }) => id)).to.deep.equal([4]);
    expect(quarantine.take(4)?.id).to.equal(4);
    quarantine.add({ ...RECORD, payload: half });
    expect(quarantine.list().map(({ id }) => id)).to.deep.equal([5]);
    expect([quarantine.total, quarantine.displaced]).to.deep.equal([5, 3]);
  });
});
