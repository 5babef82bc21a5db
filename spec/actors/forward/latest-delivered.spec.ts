import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LatestDelivered } from '../../../actors/forward/latest-delivered.ts';
import { alertOf } from './alerts.ts';

const at = (second: number, fields = {}) =>
  alertOf(`a${second}`, { signature: 's', received_at: new Date(second * 1_000).toISOString(), ...fields });

describe('LatestDelivered', () => {
  it('knows of a later alert of the same signature and destination, and of no other', () => {
    const latest = new LatestDelivered(0);
    latest.note(at(20), 100);
    latest.note(at(10), 200);
    expect(latest.isLaterThan(at(19))).to.equal(true);
    expect(latest.isLaterThan(at(20))).to.equal(false);
    expect(latest.isLaterThan(at(1, { signature: 't' }))).to.equal(false);
    expect(latest.isLaterThan(at(1, { destination: 'mail' }))).to.equal(false);
  });

  it('tells events of one frame apart', () => {
    const frame = '018f3e2a-7b1c-7d5e-9f00-1234567890ab';
    const nth = (index: number) => at(20, { event_ids: [`${frame}-${index}`] });
    const latest = new LatestDelivered(0);
    latest.note(nth(10), 100);
    expect(latest.isLaterThan(nth(9))).to.equal(true);
    expect(latest.isLaterThan(nth(10))).to.equal(false);
    expect(latest.isLaterThan(nth(100))).to.equal(false);
  });

  it('says since when it knows: from its beginning on, and from the last one that it forgot', () => {
    const latest = new LatestDelivered(10_000, 2);
    expect(latest.covers(12_000)).to.equal(false);
    expect(latest.covers(16_000)).to.equal(true);
    for (const [nth, signature] of ['s', 't', 's', 'u', 'v'].entries())
      latest.note(at(nth, { signature }), 20_000 + nth);
    // The one of t went first, then that of s, which came again meanwhile.
    expect(latest.covers(25_001)).to.equal(false);
    expect(latest.covers(25_003)).to.equal(true);
    expect(latest.isLaterThan(at(0, { signature: 'v' }))).to.equal(true);
    expect(latest.isLaterThan(at(0, { signature: 's' }))).to.equal(false);
  });
});
