import { expect } from 'chai';
import { describe, it } from 'mocha';
import { UnmatchedAudit } from '../../../actors/match/audit-policy.ts';
import { TemplateMask } from '../../../actors/match/template.ts';
import { seedOf } from '../../../actors/match/unmatched-table.ts';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { eventOf, receivedAtMs } from './fixtures.ts';

const HOUR_MS = 3_600_000;
let next = 0;
/** Each with an id of its own. */
const fresh = (fields: Partial<NormalizedEvent>): NormalizedEvent =>
  eventOf({ id: `017f22e2-79b0-7cc3-98c4-dc0c0c07398f-${(next += 1)}`, ...fields });
const mask = new TemplateMask();
const keeps = (audit: UnmatchedAudit, event: NormalizedEvent): boolean => {
  mask.mask(event.message, seedOf(event.program, event.trapOid));
  return audit.keeps(event, mask.hash.high);
};
const keptOf = (audit: UnmatchedAudit, events: readonly NormalizedEvent[]): number =>
  events.filter((event) => keeps(audit, event)).length;

describe('UnmatchedAudit', () => {
  it('keeps none or all when told so', () => {
    const events = Array.from({ length: 200 }, (_, n) => fresh({ message: `m ${n}` }));
    expect(keptOf(new UnmatchedAudit(() => 'none'), events)).to.equal(0);
    expect(keptOf(new UnmatchedAudit(() => 'all'), events)).to.equal(200);
  });

  it('keeps about one in a hundred, and the first of each template', () => {
    const audit = new UnmatchedAudit(() => 'sample');
    const events = Array.from({ length: 10_000 }, (_, n) => fresh({ message: `link ${n} down` }));
    expect(keeps(audit, events[0] as NormalizedEvent)).to.equal(true);
    expect(keptOf(audit, events.slice(1))).to.be.within(60, 150);
    expect(keeps(audit, fresh({ message: 'fan failed' }))).to.equal(true);
    expect(keeps(audit, fresh({ message: 'fan failed', program: 'other' }))).to.equal(true);
  });

  it('decides alike about the same event again: the first attempt’s row may never have been stored', () => {
    const audit = new UnmatchedAudit(() => 'sample');
    const events = Array.from({ length: 500 }, (_, n) => fresh({ message: `word${'x'.repeat(n % 7)} ${n}` }));
    const once = events.map((event) => keeps(audit, event));
    expect(events.map((event) => keeps(audit, event))).to.deep.equal(once);
    expect(once.filter(Boolean).length).to.be.lessThan(30);
  });

  it('begins anew with each hour', () => {
    const audit = new UnmatchedAudit(() => 'sample');
    const messages = Array.from({ length: 20 }, () => 'link down');
    const at = (ms: number) => messages.map((message) => fresh({ message, receivedAtMs: ms }));
    expect(keptOf(audit, at(receivedAtMs))).to.be.within(1, 3);
    expect(keptOf(audit, at(receivedAtMs + HOUR_MS))).to.be.within(1, 3);
  });

  it('holds a bounded number of templates, and then keeps more rather than fewer', () => {
    const audit = new UnmatchedAudit(() => 'sample');
    const word = (n: number): string => n.toString(2).replaceAll('0', 'x').replaceAll('1', 'y');
    const flood = Array.from({ length: 45_000 }, (_, n) => fresh({ message: `${word(n)} happened` }));
    expect(keptOf(audit, flood)).to.equal(45_000);
    expect(keeps(audit, fresh({ message: `${word(0)} happened` }))).to.equal(true);
  });
});
