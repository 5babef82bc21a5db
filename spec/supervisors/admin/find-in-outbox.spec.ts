import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { alertLane, encodeStoredAlert } from '../../../actors/forward/messages.ts';
import { PostgresAlertOutbox } from '../../../gateways/postgres/alert-outbox.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Ledger } from '../../../runtime/durable/durable-store.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { findInOutbox } from '../../../supervisors/admin/find-in-outbox.ts';
import { OutboxCheck } from '../../../supervisors/admin/outbox-check.ts';
import { alertOf } from '../../actors/forward/alerts.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { appendOne, freshWriterId, own, until } from '../../runtime/durable/store-under-test.ts';

const LANE = alertLane('noc');
const PLACE = { partition: 0, lane: LANE };

describe('The outbox, looked at', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());

  const newId = (): string => randomBytes(16).toString('hex');
  const payloadOf = (id: string): Buffer => encodeStoredAlert({ alert: alertOf(id), attempts: 0 });

  /** Alerts of these ids are there; those that are booked come with the input of one commit. */
  async function outboxOf(ids: readonly string[]) {
    const store = createMemoryStore();
    const outbox = new PostgresAlertOutbox(database.connection, newId());
    const token = await own(store);
    await appendOne(store, { writerId: freshWriterId(), sequence: 1 });
    const look = await store.lookAtSpills(0, token, [LANE], { isAttempt: true });
    if (look.status === 'fenced') throw new Error('fenced');
    const { attempt } = look;
    expect(await outbox.put({ ...PLACE, attempt, after: 0 }, ids.map(payloadOf))).to.equal(true);
    const book = (count: number) =>
      store.commit({
        partition: 0,
        token,
        inputs: [{ lane: 'in', id: '1-1', bytes: 1 }],
        spills: { attempt, lanes: [{ lane: LANE, after: 0, count, bytes: count }] },
      });
    return { store, outbox, attempt, book };
  }

  it('tells where an alert waits, as far as it is booked', async () => {
    const [first, second, third] = [newId(), newId(), newId()];
    const { store, outbox, book } = await outboxOf([first, second, third]);
    expect((await findInOutbox(outbox, store, [first])).size).to.equal(0);
    await book(2);
    const found = await findInOutbox(outbox, store, [first, second, third, newId()]);
    expect([...found].map(([id, { alerts_before: n }]) => [id, n]).sort()).to.deep.equal(
      [
        [first, 0],
        [second, 1],
      ].sort(),
    );
    expect(Date.now() - Date.parse(found.get(first)?.since ?? '')).to.be.within(-5_000, SERVER_TIMEOUT_MS);
  });

  it('tells nothing while a store is away', async () => {
    const id = newId();
    const { outbox, book } = await outboxOf([id]);
    await book(1);
    const away = { ledger: () => Promise.reject(storeAway('gone', 'no')) };
    expect((await findInOutbox(outbox, away, [id])).size).to.equal(0);
  });

  it('keeps what a later attempt has put, and what belongs to another Redis', async () => {
    const [early, late] = [newId(), newId()];
    const { outbox, attempt } = await outboxOf([early]);
    expect(await outbox.put({ ...PLACE, attempt: attempt + 1, after: 0 }, [payloadOf(late)])).to.equal(true);
    expect(await outbox.put({ ...PLACE, attempt, after: 0 }, [payloadOf(early)])).to.equal(false);
    const other = new PostgresAlertOutbox(database.connection, newId());
    await other.drop(PLACE, 10);
    expect(await other.take(PLACE, 0, 10, 10)).to.deep.equal([]);
    expect((await outbox.take(PLACE, 0, 10, 10)).map(({ payload }) => payload)).to.deep.equal([
      payloadOf(late),
    ]);
    await outbox.drop(PLACE, 1);
    expect(await outbox.find([late])).to.deep.equal([]);
  });

  it('is measured against the books, and judged only when nothing was brought back meanwhile', async () => {
    const { store, outbox, book } = await outboxOf([newId(), newId(), newId()]);
    await book(3);
    const read = async (): Promise<Ledger[]> => [
      await store.ledger(0, { terminal: ['done'], inputLanes: ['in'] }),
    ];
    const problemsOf = ([ledger]: Ledger[]): string =>
      ledger?.problems.filter((text) => text.includes('outbox')).join() ?? '';
    const check = (): OutboxCheck => new OutboxCheck(outbox, systemClock);

    const sound = check();
    let counted = 0;
    const watched = new OutboxCheck(
      {
        count: async (ranges) => {
          const counts = await outbox.count(ranges);
          counted += 1;
          return counts;
        },
      },
      systemClock,
    );
    watched.checked(await read(), read);
    await until(() => counted === 1);
    expect(problemsOf(watched.checked(await read(), read))).to.equal('');

    await outbox.drop(PLACE, 1);
    await until(async () => problemsOf(sound.checked(await read(), read)) !== '');
    const [ledger] = sound.checked(await read(), read);
    expect(ledger?.problems.join()).to.include(`the outbox of ${LANE} holds 2 alerts where 3 are booked`);
    expect(ledger?.balanced).to.equal(false);

    // Something came back between the two looks: who knows what was counted.
    const moved = check();
    let looks = 0;
    const movedOn = async (): Promise<Ledger[]> => {
      looks += 1;
      return (await read()).map((each) => ({
        ...each,
        spilled: { [LANE]: { ...each.spilled[LANE]!, taken: 1 } },
      }));
    };
    moved.checked(await read(), movedOn);
    await until(() => looks === 1);
    expect(problemsOf(moved.checked(await read(), movedOn))).to.equal('');
  });
});
