/** As spec/runtime/durable/spill.spec.ts and outbox.spec.ts, with many more deaths. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { ownDatabase } from '../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../gateways/postgres/own-database.ts';
import { describeOutbox } from '../product/outbox-run.ts';
import { FAST, SLOW, SpillRun } from '../runtime/durable/spill-run.ts';
import { openRedisStore } from '../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../support/servers.ts';

const SEEDS = 60;
const EVENTS = 200;
const OWNERS_MAX = 60;

describe('What full lanes cannot take, under very many deaths', function () {
  this.timeout(900_000);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  it('is neither lost nor doubled nor out of order', async () => {
    for (let seed = 1_000; seed < 1_000 + SEEDS; seed += 1) {
      await database.sql('TRUNCATE alert_outbox');
      const opened = await openRedisStore(await specRedisUrl());
      const run = new SpillRun({ database, store: opened.store });
      try {
        await run.torment(seed, EVENTS, OWNERS_MAX);
        for (const lane of [SLOW, FAST]) {
          expect(run.received.get(lane), `seed ${seed}, ${lane}`).to.deep.equal(run.sent.get(lane));
        }
        expect(run.missing, `seed ${seed}`).to.equal(0);
      } finally {
        await opened.close();
      }
    }
  });
});

const KILLS = ['kill match-0', 'kill redis', 'kill postgres', 'kill node'] as const;

describeOutbox({ spilling: KILLS, returning: KILLS });
