import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import { systemClock } from '../../runtime/clock.ts';
import { Acknowledgements } from '../../supervisors/acknowledgements.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from '../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../gateways/postgres/own-database.ts';
import { until } from '../runtime/durable/store-under-test.ts';

describe('Acknowledgements', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresWitnessStore;
  let acknowledgements: Acknowledgements;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresWitnessStore(database.connection, 'here');
  });
  after(() => database.drop());
  beforeEach(async () => {
    await database.sql('TRUNCATE witness, ledger_losses');
    acknowledgements = new Acknowledgements(systemClock, { error: () => undefined } as never);
  });
  afterEach(() => acknowledgements.stop());

  const lostPartitions = async (): Promise<number[]> =>
    (await store.losses(100)).map(({ partition }) => partition).sort();

  it('passes on what the gateways acknowledged, the last of it when it stops', async () => {
    acknowledgements.note([[0, 5]]);
    acknowledgements.note([
      [0, 3],
      [1, 9],
    ]);
    acknowledgements.keepIn(store);
    await acknowledgements.stop();
    expect((await store.list()).map(({ partition, sequence }) => [partition, sequence])).to.deep.equal([
      [0, 5],
      [1, 9],
    ]);
  });

  it('records a loss that was found before there was a PostgreSQL', async () => {
    acknowledgements.lost([{ partition: 3, from: 1, to: 4 }]);
    acknowledgements.keepIn(store);
    await until(async () => (await lostPartitions()).length === 1);
  });

  it('records a loss until PostgreSQL has it, and several in one', async () => {
    let failures = 2;
    acknowledgements.keepIn({
      report: (reports) => store.report(reports),
      recordLosses: async (losses) => {
        if (failures-- > 0) throw new Error('away');
        await store.recordLosses(losses);
      },
    });
    acknowledgements.lost([{ partition: 1, from: 1, to: 4 }]);
    acknowledgements.lost([{ partition: 2, from: 1, to: 4 }]);
    await until(async () => (await lostPartitions()).length === 2);
  });

  it('goes on recording after the ground was replaced, with what was found meanwhile', async () => {
    acknowledgements.keepIn(store);
    await acknowledgements.stop();
    acknowledgements.lost([{ partition: 5, from: 1, to: 4 }]);
    acknowledgements.keepIn(store);
    await until(async () => (await lostPartitions()).length === 1);
    acknowledgements.lost([{ partition: 6, from: 1, to: 4 }]);
    await until(async () => (await lostPartitions()).length === 2);
  });
});
