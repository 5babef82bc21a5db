import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { CodedError } from '../../../runtime/errors.ts';
import { laneFull } from '../../../runtime/durable/store-errors.ts';
import { PartitionWaits } from '../../../supervisors/threads/partition-waits.ts';
import type { PartitionWait } from '../../../supervisors/threads/partition-waits.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const AWAY = new CodedError('E_DATABASE_AWAY', `PostgreSQL is away: ${'x'.repeat(1_000)}`, {
  kind: 'transient',
});

describe('PartitionWaits', () => {
  let clock: FakeClock;
  let told: (readonly PartitionWait[])[];
  let waits: PartitionWaits;
  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    waits = new PartitionWaits(clock, (report) => told.push(report.waits));
  });

  it('takes back at once what the thread before it has said', () => {
    expect(told).to.deep.equal([[]]);
  });

  it('tells which mailbox waits for what, since when, and that it does no more', () => {
    const since = new Date(clock.wallMs()).toISOString();
    waits.set(3, [{ mailbox: 'ingest', error: laneFull('alert:noc') }]);
    clock.advance(1_000);
    waits.set(4, [{ mailbox: 'ingest', error: AWAY }]);
    clock.advance(1_000);
    expect(told.at(-1)).to.have.length(2);
    expect(told.at(-1)?.[0]).to.deep.equal({
      partition: 3,
      mailbox: 'ingest',
      code: 'E_LANE_FULL',
      message: 'output lane alert:noc is full',
      full: 'alert:noc',
      since,
    });
    expect(told.at(-1)?.[1]?.message).to.have.length(300);
    waits.set(3, []);
    waits.set(4, []);
    clock.advance(1_000);
    expect(told.at(-1)).to.deep.equal([]);
  });

  it('counts from the first time of the same wait, and says nothing twice', () => {
    for (let tries = 0; tries < 5; tries++) {
      waits.set(0, [{ mailbox: 'ingest', error: AWAY }]);
      clock.advance(1_000);
    }
    expect(told).to.have.length(2);
    waits.set(0, [{ mailbox: 'ingest', error: laneFull('alert:noc') }]);
    clock.advance(1_000);
    expect(Date.parse(told.at(-1)?.[0]?.since ?? '')).to.equal(clock.wallMs() - 1_000);
  });

  it('is not told hundreds of times a second of a wait that comes and goes', () => {
    for (let batch = 0; batch < 1_000; batch++) {
      waits.set(0, batch % 2 === 0 ? [{ mailbox: 'ingest', error: AWAY }] : []);
      clock.advance(1);
    }
    expect(told.length).to.be.at.most(12);
  });

  it('forgets those of an incarnation that is no more, and is silent when it is closed', () => {
    waits.set(0, [{ mailbox: 'ingest', error: AWAY }]);
    clock.advance(1_000);
    waits.clear();
    clock.advance(1_000);
    expect(told.at(-1)).to.deep.equal([]);
    waits.set(0, [{ mailbox: 'ingest', error: AWAY }]);
    waits.close();
    expect(clock.pending).to.equal(0);
  });
});
