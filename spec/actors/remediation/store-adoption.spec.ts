/**
 * A Redis that is gone for good, and what it has left in PostgreSQL: another one takes it over, nothing of it is lost, its
 * books balance; and nothing is taken from one that lives.
 */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { encodeStoredAlert } from '../../../actors/forward/messages.ts';
import { PostgresAlertOutbox } from '../../../gateways/postgres/alert-outbox.ts';
import { STRANDED_AFTER_MS, PostgresStoreAdoption } from '../../../gateways/postgres/store-adoption.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { AUTHOR, LIMITS, LetterBed } from './letter-bed.ts';

const SERVER_TIMEOUT_MS = 30_000;
const HERE = { store: 'first', partitions: 1 };

describe('Adoption of what a Redis has left', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let bed: LetterBed;
  let gone: LetterBed;
  let adoption: PostgresStoreAdoption;
  before(async () => {
    database = await LetterBed.database();
  });
  beforeEach(async () => {
    bed = await LetterBed.open(database);
    gone = await LetterBed.beside(database, 'second');
    await database.sql('TRUNCATE stores, alert_outbox, witness, resubmissions CASCADE');
    adoption = new PostgresStoreAdoption(database.connection);
    await adoption.note('first', 'one:8090');
    await adoption.note('second', 'two:8090');
  });
  afterEach(async () => {
    await bed.close();
    await gone.close();
  });
  after(() => database.drop());

  const silence = (ms = STRANDED_AFTER_MS + 1_000) =>
    database.sql(
      `UPDATE stores SET seen_at = now() - $1::float8 * interval '1 millisecond' WHERE name = 'second'`,
      [ms],
    );
  const receiptOf = (id: string) =>
    database.sql(
      `INSERT INTO alert_receipts
        (alert_id, received_at, event_ids, destination, partition, status, attempts, delivered_at, signature_hash)
        SELECT alert_id, alert_at, '{}', destination, partition, 200, 1, now(), signature_hash
        FROM dead_letters WHERE alert_id = $1`,
      [id],
    );

  it('is refused while a node of it lives, or did lately, and of one that nobody knows', async () => {
    await gone.dead([gone.alert('a', 1)]);
    expect((await rejectionOf(adoption.adopt('second', HERE, AUTHOR))).code).to.equal('E_STORE_ALIVE');
    await silence(STRANDED_AFTER_MS - 10_000);
    expect((await rejectionOf(adoption.adopt('second', HERE, AUTHOR))).message).to.include('two:8090');
    expect((await rejectionOf(adoption.preview('second'))).code).to.equal('E_STORE_ALIVE');
    expect(await adoption.adopt('third', HERE, AUTHOR)).to.equal(undefined);
    // A node of a version before this knows only how to tell the witness.
    await database.sql(`DELETE FROM stores WHERE name = 'second'`);
    await database.sql(
      `INSERT INTO witness (store, partition, sequence, reported_at) VALUES ('second', 0, 1, now())`,
    );
    expect((await rejectionOf(adoption.adopt('second', HERE, AUTHOR))).code).to.equal('E_STORE_ALIVE');
    expect(await gone.states()).to.deep.equal({ a: 'kept' });
  });

  it('shows whose a letter is, and that nobody of it lives', async () => {
    await gone.dead([gone.alert('a', 1)]);
    await bed.dead([bed.alert('b', 2)]);
    const { id } = await bed.replay({ ids: ['a', 'b'] });
    expect((await bed.operation(id)).stranded).to.equal(0);
    await silence();
    const letter = (await bed.operations.get('a'))?.letter;
    expect(letter).to.include({ store: 'second', isStranded: true });
    expect(letter?.storeSeenAtMs).to.be.below(Date.now() - STRANDED_AFTER_MS);
    expect((await bed.operations.get('b'))?.letter).to.include({ store: 'first', isStranded: false });
    const found = await bed.operations.search({ states: ['queued'], store: 'second', limit: 10 });
    expect(found.items.map((each) => [each.alert.id, each.isStranded])).to.deep.equal([['a', true]]);
    expect((await bed.operation(id)).stranded).to.equal(1);
    expect(await adoption.list()).to.deep.include.members([
      {
        ...(await adoption.list())[1],
        store: 'second',
        node: 'two:8090',
        isStranded: true,
        letters: 1,
        outboxAlerts: 0,
        resubmissions: 0,
      },
    ]);
  });

  it('takes over letters in every state, and loses and doubles none in its books', async () => {
    const alerts = ['kept', 'queued', 'left', 'away', 'taken', 'thrown', 'leaving'].map((id, nth) =>
      gone.alert(id, nth),
    );
    await gone.dead(alerts);
    await gone.replay({ ids: ['left', 'away', 'taken'] });
    await gone.settle();
    await receiptOf('taken');
    // What it had begun and did not end.
    const { id } = await gone.replay({ ids: ['queued', 'leaving'] });
    await gone.releases.claimQueued(
      { kind: 'replay', partition: 0, destination: 'noc', operationId: id, perSecond: 1 },
      1,
      'unfinished',
    );
    await gone.operations.discard(['thrown'], AUTHOR);
    await silence();
    expect(await adoption.preview('second')).to.include({ letters: 7 });
    expect(await adoption.adopt('second', HERE, { ...AUTHOR, reason: 'scrapped' })).to.deep.equal({
      letters: 7,
      outboxAlerts: 0,
      resubmissions: 0,
      left: 0,
    });
    const states = await bed.states();
    expect(states).to.include({
      kept: 'kept',
      away: 'kept',
      left: 'kept',
      taken: 'delivered',
      thrown: 'discarding',
    });
    expect([states['queued'], states['leaving']].sort()).to.deep.equal(['kept', 'queued']);
    const away = await bed.operations.get('away');
    expect(away?.replays.at(-1)).to.include({ outcome: 'failed', error: 'its Redis was given up' });
    const [audit] = await database.sql<{ new_values: object; reason: string }>(
      `SELECT new_values, reason FROM config_audit_log WHERE resource = 'stores' AND record_key = 'second' ORDER BY id DESC`,
    );
    expect(audit).to.deep.include({ reason: 'scrapped' });
    expect(audit?.new_values).to.include({ adopted_by: 'first', letters: 7 });
    expect(await database.sql('SELECT id FROM dead_letter_batches')).to.deep.equal([]);

    // Without a person from here on.
    const releaser = bed.releaser({
      inForce: () => ({ destinations: ['noc'], limits: { ...LIMITS, baseMs: 1 } }),
    });
    for (let round = 0; round < 3; round++) {
      await bed.settle(releaser);
      await database.sql(`UPDATE dead_letters SET retry_at = now() WHERE retry_at IS NOT NULL`);
      await bed.settle(bed.releaser({ inForce: () => ({ destinations: ['noc'], limits: LIMITS }) }));
      await bed.deliver();
    }
    await bed.settle();
    expect(Object.values(await bed.states()).sort()).to.deep.equal([
      ...Array<string>(6).fill('delivered'),
      'discarded',
    ]);
    expect(await bed.ledger()).to.include({ accepted: 0, replayed: 5, inFlight: 0, balanced: true });
    expect(await adoption.adopt('second', HERE, AUTHOR)).to.include({ letters: 0, left: 0 });
  });

  it('makes letters of what its outboxes hold, but for what was delivered', async () => {
    const outbox = new PostgresAlertOutbox(database.connection, 'second');
    const alerts = ['o-1', 'o-2', 'o-3'].map((id, nth) => gone.alert(id, nth));
    const place = { partition: 0, lane: 'alert:noc', attempt: 1, after: 0 };
    await outbox.put(
      place,
      alerts.map((alert) => encodeStoredAlert({ alert, attempts: 0 })),
    );
    await database.sql(
      `INSERT INTO alert_receipts
        (alert_id, received_at, event_ids, destination, partition, status, attempts, delivered_at, signature_hash)
        VALUES ('o-1', now(), '{}', 'noc', 0, 200, 1, now(), 1)`,
    );
    await silence();
    expect(await adoption.adopt('second', HERE, AUTHOR)).to.include({ outboxAlerts: 3, left: 0 });
    expect(await bed.states()).to.deep.equal({ 'o-2': 'kept', 'o-3': 'kept' });
    expect((await bed.operations.get('o-2'))?.letter).to.include({ store: 'first', reason: 'network' });
    expect(await database.sql('SELECT number FROM alert_outbox')).to.deep.equal([]);
  });
});
