import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { KEPT_BYTES_MAX, RecentAlertRing } from '../../../gateways/admin/recent-alerts.ts';
import { thrownBy } from '../../support/rejection.ts';
import { ManualClock } from '../http/manual-clock.ts';

describe('RecentAlertRing', () => {
  let ring: RecentAlertRing;
  let clock: ManualClock;
  beforeEach(() => {
    clock = new ManualClock();
    ring = new RecentAlertRing(clock);
  });
  const take = (document: unknown): void => ring.take(Buffer.from(JSON.stringify(document)));
  const idsAfter = (n: number): unknown[] => ring.after(n).alerts.map(({ alert }) => alert.id);

  it('gives what came after a number, oldest first, and the number to ask with next', () => {
    take({ id: 1 });
    take({ events: [{ id: 2 }, { id: 3 }] });
    const { alerts, next } = ring.after(0);
    expect(alerts.map(({ alert }) => alert.id)).to.deep.equal([1, 2, 3]);
    expect(idsAfter(next)).to.deep.equal([]);
    expect(ring.after(next).next).to.equal(next);
    take({ id: 4 });
    expect(idsAfter(next)).to.deep.equal([4]);
    expect(alerts[0]?.received_at).to.equal(new Date(clock.wallMs()).toISOString());
  });

  it('gives long lists in pages', () => {
    take({ events: Array.from({ length: 450 }, (_, id) => ({ id })) });
    const seen: unknown[] = [];
    let n = 0;
    for (let page = 0; page < 3; page++) {
      const { alerts, next } = ring.after(n);
      expect(alerts.length).to.be.at.most(200);
      seen.push(...alerts.map(({ alert }) => alert.id));
      n = next;
    }
    expect(seen).to.deep.equal(Array.from({ length: 450 }, (_, id) => id));
  });

  it('keeps the latest thousand', () => {
    for (let batch = 0; batch < 3; batch++) {
      take({ events: Array.from({ length: 500 }, (_, id) => ({ id: batch * 500 + id })) });
    }
    expect(idsAfter(0)[0]).to.equal(500);
  });

  it('goes on with higher numbers after a restart, so that a follower misses nothing', () => {
    take({ id: 'before' });
    const { next } = ring.after(0);
    clock.advance(5_000);
    ring = new RecentAlertRing(clock);
    take({ id: 'after' });
    expect(idsAfter(next)).to.deep.equal(['after']);
  });

  it('begins where nothing was taken yet, and goes on from there', () => {
    const { next } = ring.after(0);
    take({ id: 1 });
    expect(ring.after(next)).to.deep.include({ next: next + 1, missed: 0 });
    expect(idsAfter(next)).to.deep.equal([1]);
  });

  it('says how many it has forgotten since it was asked', () => {
    const { next } = ring.after(0);
    take({ events: Array.from({ length: 1_250 }, (_, id) => ({ id })) });
    expect(ring.after(0).missed).to.equal(250);
    expect(ring.after(next).missed).to.equal(250);
    expect(ring.after(next + 100).missed).to.equal(150);
    expect(ring.after(next + 400).missed).to.equal(0);
  });

  it('gives all it has to whoever asks with the number of an earlier one that was ahead', () => {
    const ahead = ring.after(0).next + 1_000_000;
    take({ id: 1 });
    const { alerts, next } = ring.after(ahead);
    expect(alerts.map(({ alert }) => alert.id)).to.deep.equal([1]);
    expect(next).to.be.lessThan(ahead);
  });

  it('keeps no more bytes than its bound, the latest ones', () => {
    const text = 'x'.repeat(1024 * 1024);
    for (let id = 0; id < 40; id++) take({ id, text });
    const { alerts, missed } = ring.after(0);
    expect(alerts.at(-1)?.alert.id).to.equal(39);
    expect(alerts.length + missed).to.equal(40);
    expect(Buffer.byteLength(JSON.stringify(alerts))).to.be.within(KEPT_BYTES_MAX / 2, KEPT_BYTES_MAX * 1.1);
  });

  for (const body of [
    '',
    '{',
    '[]',
    '5',
    'null',
    '"x"',
    '{"events":[{"id":1},5]}',
    '{"events":[{"id":1},null]}',
    '{"events":[[]]}',
  ]) {
    it(`refuses ${JSON.stringify(body)} and keeps nothing of it`, () => {
      expect(thrownBy(() => ring.take(Buffer.from(body))).code).to.equal('E_BODY_INVALID');
      expect(idsAfter(0)).to.deep.equal([]);
    });
  }
});
