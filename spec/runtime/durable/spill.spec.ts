/** What full lanes cannot take, with a real Redis and a real PostgreSQL. */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { Shedding, SpillBounds } from '../../../runtime/durable/spill.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { FAST, SHED, SLOW, SpillRun, worthOf } from './spill-run.ts';
import { WIDE, openRedisStore, until as untilWithin } from './store-under-test.ts';
import type { OpenedStore } from './store-under-test.ts';

const SEEDS = [1, 2, 3, 4];
const EVENTS = 120;
const OWNERS_MAX = 25;
const WAIT_MS = 60_000;
const until = (condition: () => boolean | Promise<boolean>): Promise<void> => untilWithin(condition, WAIT_MS);

describe('What full lanes cannot take', function () {
  this.timeout(180_000);
  let database: OwnDatabase;
  let opened: OpenedStore;
  let bounds: SpillBounds;
  let run: SpillRun;
  before(async () => {
    database = await ownDatabase();
  });
  beforeEach(async () => {
    await database.sql('TRUNCATE alert_outbox');
    opened = await openRedisStore(await specRedisUrl());
    bounds = { messagesMax: 1_000, bytesMax: 10_000_000 };
    run = new SpillRun({ database, store: opened.store, bounds: () => bounds });
  });
  afterEach(async () => {
    await run.close();
    await opened.close();
  });
  after(() => database.drop());

  async function expectAllInOrder(): Promise<void> {
    for (const lane of [SLOW, FAST]) expect(run.received.get(lane), lane).to.deep.equal(run.sent.get(lane));
    const ledger = await run.ledger();
    const waiting = Object.values(ledger.spilled).map(({ messages, bytes }) => [messages, bytes]);
    expect(waiting.flat().every((figure) => figure === 0)).to.equal(true);
    expect(ledger.problems.filter((problem) => !problem.startsWith('accepted'))).to.deep.equal([]);
  }
  /**
   * So many have been sent to it: some are in it, all others outside. Resolves to how many are in it: a batch that it has
   * no room for goes outside as a whole.
   */
  async function whenFull(sent: number): Promise<number> {
    let inLane = 0;
    await until(async () => {
      inLane = (await run.ledger()).measured.lanes[SLOW]?.entries ?? 0;
      return inLane > 0 && inLane + (await run.outside()) === sent;
    });
    return inLane;
  }
  const rows = (): Promise<unknown[]> => database.sql('SELECT FROM alert_outbox');

  it('wait outside, in order, while the other lanes go on', async () => {
    const { consumer, ended } = await run.own();
    await run.send(...Array.from({ length: 30 }, () => [SLOW, FAST]).flat());
    await until(async () => {
      await run.read(FAST, 100);
      return run.received.get(FAST)?.length === 30;
    });
    expect(run.received.get(SLOW)).to.deep.equal([]);
    await whenFull(30);
    await run.drain();
    await until(async () => (await rows()).length === 0);
    await consumer.stop();
    expect(await ended).to.equal(undefined);
    expect(run.refilled).to.equal(run.spilled);
    await expectAllInOrder();
  });

  it('make the partition wait only where there is no room outside either, until there is', async () => {
    bounds = { messagesMax: 10, bytesMax: 10_000_000 };
    const { consumer, ended } = await run.own();
    await run.send(...Array.from({ length: 40 }, () => SLOW), FAST);
    await until(() => run.waits.includes('E_SPILL_FULL'));
    expect(await run.outside()).to.be.within(6, 10);
    await run.read(FAST, 1);
    expect(run.received.get(FAST)).to.deep.equal([]);
    // A greater bound is enough, and none is what it was without.
    bounds = { ...bounds, messagesMax: 1_000 };
    await until(async () => {
      await run.read(FAST, 1);
      return run.received.get(FAST)?.length === 1;
    });
    bounds = { ...bounds, messagesMax: 0 };
    run.waits = [];
    await run.send(SLOW, FAST);
    await until(() => run.waits.includes('E_LANE_FULL'));
    await run.drain();
    await consumer.stop();
    await ended;
    await expectAllInOrder();
  });

  it('are missed when PostgreSQL has lost them: the others come, and the ledger says so', async () => {
    const { consumer, ended } = await run.own();
    await run.send(...Array.from({ length: 20 }, () => SLOW));
    // They have room for none of the others until they are read.
    const inLane = await whenFull(20);
    const all = run.sent.get(SLOW) ?? [];
    const gone = [0, 4, 5, all.length - inLane - 1].map((at) => all[at + inLane] ?? '');
    await database.sql('DELETE FROM alert_outbox WHERE alert_id = ANY ($1)', [gone]);
    const left = all.filter((id) => !gone.includes(id));
    await until(async () => {
      await run.read(SLOW, 100);
      return run.missing === 4 && run.received.get(SLOW)?.length === left.length;
    });
    await consumer.stop();
    await ended;
    expect(run.received.get(SLOW)).to.deep.equal(left);
    const { problems, spilled } = await run.ledger();
    expect(problems.join()).to.include('4 commits named something that was not there');
    expect(spilled[SLOW]).to.include({ messages: 0, bytes: 0 });
  });

  describe('where some of it may be shed', () => {
    let shedMax: number;
    /** Half a full outbox sheds what is worth least, a full one what is worth less than 8. */
    const shedding: Shedding = {
      lane: SHED,
      divide(outputs, fill) {
        const below = fill < 0.5 ? 0 : Math.min(8, Math.ceil(fill * 8));
        const isShed = ({ worth = 9 }: { worth?: number }): boolean => worth < below;
        const bounds = { ...WIDE, entriesMax: shedMax };
        const shed = outputs.filter(isShed).map(({ payload }) => ({ lane: SHED, payload, bounds }));
        return {
          kept: outputs.filter((output) => !isShed(output)),
          shed,
          counters: { shed: shed.length },
        };
      },
    };
    beforeEach(() => {
      shedMax = 1_000;
      run = new SpillRun({ database, store: opened.store, bounds: () => bounds, shedding });
    });
    /** In its lane or where what is shed goes, each once, and in order in both. */
    async function expectOnceEach(): Promise<void> {
      const received = run.received.get(SHED) ?? [];
      const shed = new Set(received);
      for (const lane of [SLOW, FAST]) {
        const sent = run.sent.get(lane) ?? [];
        expect(run.received.get(lane), lane).to.deep.equal(sent.filter((id) => !shed.has(id)));
        const ofLane = received.filter((id) => sent.includes(id));
        expect(ofLane, lane).to.deep.equal(sent.filter((id) => shed.has(id)));
      }
      expect(received.filter((id) => worthOf(id) >= 8)).to.deep.equal([]);
      expect((await run.ledger()).counters['shed']).to.equal(shed.size);
    }

    it('goes to the lane of what is shed as the outbox fills, what is worth most waits', async () => {
      // Whatever the batches are, what is not shed of forty has room.
      bounds = { messagesMax: 30, bytesMax: 10_000_000 };
      const { consumer, ended } = await run.own();
      await run.send(...Array.from({ length: 40 }, () => SLOW), ...Array.from({ length: 5 }, () => FAST));
      await until(async () => {
        await run.read(FAST, 100);
        return (await run.ledger()).counters['handled'] === 45;
      });
      expect(run.waits.filter((code) => code === 'E_SPILL_FULL')).to.deep.equal([]);
      await run.drain();
      await consumer.stop();
      await ended;
      await expectOnceEach();
      expect(run.received.get(SHED)?.length).to.be.above(5);
    });

    it('waits outside all the same where its own lane is full, and goes there once that has room', async () => {
      bounds = { messagesMax: 10, bytesMax: 10_000_000 };
      shedMax = 3;
      const { consumer, ended } = await run.own();
      await run.send(...Array.from({ length: 60 }, () => SLOW));
      await until(() => run.waits.includes('E_SPILL_FULL'));
      const { measured } = await run.ledger();
      expect(measured.lanes[SHED]?.entries).to.be.within(1, 5);
      await run.drain();
      await consumer.stop();
      await ended;
      await expectOnceEach();
    });

    it('is neither lost nor doubled, wherever its owners die', async () => {
      bounds = { messagesMax: 24, bytesMax: 10_000_000 };
      const { owners } = await run.torment(5, EVENTS, OWNERS_MAX);
      expect(owners).to.be.above(3);
      await expectOnceEach();
      expect(run.received.get(SHED)?.length).to.be.above(0);
    });
  });

  for (const seed of SEEDS) {
    it(`are neither lost nor doubled nor out of order, wherever their owners die (seed ${seed})`, async () => {
      const { owners, late } = await run.torment(seed, EVENTS, OWNERS_MAX);
      await expectAllInOrder();
      await until(async () => (await run.outside()) === 0);
      expect(run.missing).to.equal(0);
      expect(owners).to.be.above(3);
      console.log(`      owners ${owners}, late calls ${late}, spilled ${run.spilled}`);
    });
  }
});
