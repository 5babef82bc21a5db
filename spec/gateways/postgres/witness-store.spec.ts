import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { PostgresWitnessStore } from '../../../gateways/postgres/witness-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const NOW_MS = 1_900_000_000_000;

describe('PostgresWitnessStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresWitnessStore;
  before(async () => {
    database = await ownDatabase();
    store = new PostgresWitnessStore(database.connection, 'here');
  });
  beforeEach(() => database.sql('TRUNCATE witness, ledger_losses'));
  after(() => database.drop());

  it('keeps the highest sequence per partition, whatever the order of the reports', async () => {
    await store.report([]);
    await store.report([
      { partition: 1, sequence: 5, reportedAtMs: NOW_MS },
      { partition: 0, sequence: 9_007_199_254_740_991, reportedAtMs: NOW_MS },
      { partition: 1, sequence: 7, reportedAtMs: NOW_MS + 1 },
    ]);
    await store.report([{ partition: 1, sequence: 6, reportedAtMs: NOW_MS + 2 }]);
    expect(await store.list()).to.deep.equal([
      { partition: 0, sequence: 9_007_199_254_740_991, reportedAtMs: NOW_MS },
      { partition: 1, sequence: 7, reportedAtMs: NOW_MS + 1 },
    ]);
  });

  it('goes back before a recorded loss and no longer believes reports from before it', async () => {
    await store.report([{ partition: 1, sequence: 100, reportedAtMs: NOW_MS }]);
    const loss = { partition: 1, from: 41, to: 100, detectedAtMs: NOW_MS + 10 };
    await store.recordLosses([]);
    await store.recordLosses([loss]);
    await store.recordLosses([loss]);
    await store.report([{ partition: 1, sequence: 100, reportedAtMs: NOW_MS + 9 }]);
    expect((await store.list())[0]?.sequence).to.equal(40);
    await store.report([{ partition: 1, sequence: 42, reportedAtMs: NOW_MS + 11 }]);
    expect((await store.list())[0]?.sequence).to.equal(42);
    expect(await store.losses(10)).to.deep.equal([loss]);
  });

  it('knows nothing of other stores, but shows the losses of before stores had names', async () => {
    const other = new PostgresWitnessStore(database.connection, 'there');
    const nameless = new PostgresWitnessStore(database.connection, '');
    const report = (sequence: number) => ({ partition: 1, sequence, reportedAtMs: NOW_MS });
    const lossAt = (detectedAtMs: number) => ({ partition: 1, from: 1, to: 4, detectedAtMs });
    await store.report([report(5)]);
    await other.report([report(900)]);
    await nameless.report([report(70)]);
    await other.recordLosses([lossAt(NOW_MS + 1)]);
    await nameless.recordLosses([lossAt(NOW_MS)]);
    expect(await store.list()).to.deep.equal([report(5)]);
    expect(await store.losses(10)).to.deep.equal([lossAt(NOW_MS)]);
    expect(await other.losses(10)).to.deep.equal([lossAt(NOW_MS + 1), lossAt(NOW_MS)]);
  });

  it('lists losses, the newest finding first', async () => {
    const losses = [1, 2, 3].map((n) => ({ partition: n, from: n, to: n, detectedAtMs: NOW_MS + n }));
    await store.recordLosses(losses);
    expect(await store.losses(2)).to.deep.equal([losses[2], losses[1]]);
  });
});
