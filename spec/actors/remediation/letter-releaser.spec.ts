/**
 * Replays of dead letters: whatever ends between PostgreSQL and Redis, an alert is in its lane once for each replay, and
 * the books balance.
 */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { alertLane, encodeStoredAlert } from '../../../actors/forward/messages.ts';
import type { LetterReleaseStore } from '../../../actors/ports.ts';
import { replayLimits } from '../../../actors/remediation/replay-limits.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { CodedError } from '../../../runtime/errors.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import {
  appendOne,
  freshWriterId,
  inputOf,
  own,
  readAll,
  WIDE,
} from '../../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { AUTHOR, LIMITS, LetterBed } from './letter-bed.ts';

const SERVER_TIMEOUT_MS = 30_000;

describe('LetterReleaser', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let bed: LetterBed;
  before(async () => {
    database = await LetterBed.database();
  });
  beforeEach(async () => {
    bed = await LetterBed.open(database);
  });
  afterEach(() => bed.close());
  after(() => database.drop());

  const abc = (signature?: string) =>
    ['a', 'b', 'c'].map((id, nth) => bed.alert(id, nth, signature === undefined ? {} : { signature }));
  const automatic = (changes = {}) =>
    bed.releaser({ inForce: () => ({ destinations: ['noc'], limits: { ...LIMITS, ...changes } }) });
  const due = () =>
    database.sql(`UPDATE dead_letters SET retry_at = now() WHERE state = 'kept' AND retry_at IS NOT NULL`);

  it('lets a replay wait while later alerts of its destination wait outside the lane', async () => {
    await bed.dead(abc());
    const { store, token } = bed;
    const lane = alertLane('noc');
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, lane: 'spec' });
    const look = await store.lookAtSpills(0, token, [lane], { isAttempt: true });
    if (look.status === 'fenced') throw new Error('fenced');
    const inputs = (await readAll(store, 'spec')).map(inputOf);
    const spills = { attempt: look.attempt, lanes: [{ lane, after: 0, count: 1, bytes: 1 }] };
    await store.commit({ partition: 0, token, inputs, spills });
    await bed.replay({ destination: 'noc' });
    await bed.settle();
    expect(await bed.inLane()).to.deep.equal([]);

    const payload = encodeStoredAlert({ alert: bed.alert('later', 9), attempts: 0 });
    const refill = { lane, after: 0, count: 1, missing: 0, bytes: 1 };
    await store.commit({ partition: 0, token, outputs: [{ lane, payload, bounds: WIDE }], refill });
    await bed.settle();
    expect((await bed.inLane()).map(({ alert }) => alert.id)).to.deep.equal(['later', 'a', 'b', 'c']);
  });

  it('puts what is replayed into its lane once, in order, and follows it to its end', async () => {
    await bed.dead(abc());
    const before = await bed.ledger();
    const { id, letters } = await bed.replay({ destination: 'noc' });
    expect(letters).to.equal(3);
    await bed.settle();
    await bed.settle();
    expect(
      (await bed.inLane()).map(({ alert, attempts, replays }) => [alert.id, attempts, replays]),
    ).to.deep.equal([
      ['a', 0, 1],
      ['b', 0, 1],
      ['c', 0, 1],
    ]);
    expect(await bed.operation(id)).to.include({ letters: 3, waiting: 0, onTheirWay: 3, delivered: 0 });
    const { inFlight, accepted, replayed } = await bed.ledger();
    expect({ inFlight, accepted, replayed }).to.deep.equal({
      inFlight: 3,
      accepted: 3,
      replayed: before.replayed,
    });

    expect(await bed.deliver(({ alert }) => alert.id === 'b')).to.deep.equal(['a', 'c']);
    await bed.settle();
    expect(await bed.states()).to.deep.equal({ a: 'delivered', b: 'kept', c: 'delivered' });
    expect(await bed.operation(id)).to.include({ onTheirWay: 0, delivered: 2, failed: 1 });
    const found = await bed.operations.get('b');
    expect(found?.letter).to.include({ reason: 'rejected', error: 'HTTP 400', replays: 1, attempts: 2 });
    expect(found?.replays).to.have.lengthOf(1);
    expect(found?.replays[0]).to.include({ nth: 1, operationId: id, outcome: 'failed', error: 'HTTP 400' });
    const ended = await bed.ledger();
    expect(ended.inFlight).to.equal(1);
    expect(ended.counters).to.include({ forwarded: 2, alerts_replayed: 3 });
  });

  it('goes on wherever it was ended, and puts nothing into a lane twice', async () => {
    const steps = [
      'work',
      'takeTokens',
      'claimQueued',
      'lettersOf',
      'commit',
      'arm',
      'partsLeft',
      'finish',
    ] as const;
    let serial = 0;
    const ends = steps.flatMap((step) =>
      ['before', 'after'].flatMap((when) =>
        (step === 'commit' ? [1, 2] : [1]).map((nth) => ({ step, when, nth })),
      ),
    );
    for (const { step, when, nth } of ends) {
      const alert = bed.alert(`end-${++serial}`, serial);
      await bed.dead([alert]);
      const { id } = await bed.replay({ ids: [alert.id] });
      let calls = 0;
      const killed = <T extends object>(target: T): T =>
        new Proxy(target, {
          get(_, name) {
            const value: unknown = Reflect.get(target, name);
            if (typeof value !== 'function') return value;
            return async (...values: unknown[]) => {
              const isHere = name === step && ++calls === nth;
              if (isHere && when === 'before') throw new CodedError('E_KILLED', 'killed');
              const result: unknown = await Reflect.apply(value, target, values);
              if (isHere) throw new CodedError('E_KILLED', 'killed');
              return result;
            };
          },
        });
      const releaser = bed.releaser({
        letters: killed<LetterReleaseStore>(bed.releases),
        store: killed<DurableStore>(bed.store),
      });
      expect((await rejectionOf(releaser.round())).code, `${when} ${step}`).to.equal('E_KILLED');
      // Another incarnation takes over.
      bed.token = await own(bed.store, 0, bed.token.nonce);
      await bed.settle();
      await bed.settle();
      expect(
        (await bed.inLane()).map(({ alert: { id: found } }) => found),
        `${when} ${step} ${nth}`,
      ).to.deep.equal([alert.id]);
      expect(await bed.deliver()).to.deep.equal([alert.id]);
      await bed.settle();
      expect(await bed.operation(id)).to.include({ delivered: 1, waiting: 0, onTheirWay: 0 });
    }
    expect((await bed.ledger()).counters).to.include({ forwarded: ends.length });
    expect((await bed.ledger()).measured.delayed['releasing'] ?? 0).to.equal(0);
  });

  it('is kept from acting for a partition that somebody else owns by now', async () => {
    await bed.dead(abc());
    await bed.replay({ destination: 'noc' });
    const stale = bed.releaser();
    bed.token = await own(bed.store, 0, bed.token.nonce);
    expect((await rejectionOf(stale.round())).code).to.equal('E_FENCED');
    expect(await bed.inLane()).to.deep.equal([]);
    await bed.settle();
    expect(await bed.inLane()).to.have.lengthOf(3);
    // It wakes up, and finds nothing to do that is not done.
    expect(await stale.round()).to.equal('idle');
    expect(await bed.inLane()).to.have.lengthOf(3);
  });

  it('ends a letter as superseded when a later alert of its signature was taken', async () => {
    const [a, b, c] = abc('core-1::4::eth0');
    if (a === undefined || b === undefined || c === undefined) throw new Error('three');
    await bed.dead([a, c]);
    await bed.accept([b]);
    await bed.dead([bed.alert('other', 0, { signature: 'core-2' })]);
    await bed.database.sql(
      `INSERT INTO alert_receipts
        (alert_id, received_at, event_ids, destination, partition, status, attempts, delivered_at, signature_hash)
        VALUES ('b', $1, '{}', 'noc', 0, 200, 1, now(), hashtextextended($2, 0))`,
      [b.received_at, b.signature],
    );
    const preview = await bed.operations.preview(
      { reason: 'network', lettersMax: 10, destinations: ['noc'] },
      10,
    );
    expect(preview).to.include({ letters: 3, supersededLetters: 1 });
    expect(preview.items.filter(({ isSuperseded }) => isSuperseded).map(({ id }) => id)).to.deep.equal(['a']);
    const { id } = await bed.replay({ destination: 'noc' });
    await bed.settle();
    expect((await bed.inLane()).map(({ alert }) => alert.id)).to.have.members(['c', 'other']);
    expect(await bed.operation(id)).to.include({ superseded: 1, onTheirWay: 2 });
    expect(await bed.states()).to.include({ a: 'superseded', c: 'replayed' });
    const { counters, inFlight } = await bed.ledger();
    expect(counters).to.include({ superseded: 1, alerts_superseded: 1 });
    expect(inFlight).to.equal(3);
  });

  it('throws letters away in the books, too', async () => {
    await bed.dead(abc());
    expect([...(await bed.operations.discard(['a', 'c', 'nothing'], AUTHOR))].sort()).to.deep.equal([
      'a',
      'c',
    ]);
    expect([...(await bed.operations.discard(['a'], AUTHOR))]).to.deep.equal([]);
    await bed.settle();
    expect(await bed.states()).to.deep.equal({ a: 'discarded', b: 'kept', c: 'discarded' });
    const { counters, inFlight } = await bed.ledger();
    expect(counters).to.include({ discarded: 2, alerts_discarded: 2 });
    expect(inFlight).to.equal(1);
    const audit = await database.sql(
      `SELECT record_key FROM config_audit_log WHERE resource = 'dead_letters'`,
    );
    expect(audit).to.have.lengthOf(2);
    expect(await bed.replay({ destination: 'noc' })).to.include({ letters: 1 });
  });

  it('ends the event of a letter that was shed and is thrown away as shed', async () => {
    const [a, b] = abc();
    if (a === undefined || b === undefined) throw new Error('two');
    await bed.dead([a], { attempts: 0, reason: 'shed' });
    await bed.dead([b]);
    expect((await bed.operations.get('a'))?.letter).to.include({ attempts: 0, reason: 'shed' });
    await bed.operations.discard(['a', 'b'], AUTHOR);
    await bed.settle();
    expect((await bed.ledger()).counters).to.include({ shed: 1, discarded: 1, alerts_discarded: 2 });
  });

  it('replays what was deferred without a person, what was shed not, and leaves half a lane to new alerts', async () => {
    const { reasons } = replayLimits(effectiveSettings({}));
    const [a, b, c] = abc();
    if (a === undefined || b === undefined || c === undefined) throw new Error('three');
    await bed.dead([a], { attempts: 0, reason: 'deferred' });
    await bed.dead([b], { attempts: 0, reason: 'shed' });
    const { store, token } = bed;
    const lane = alertLane('noc');
    const payload = encodeStoredAlert({ alert: bed.alert('new', 9, { event_ids: [] }), attempts: 0 });
    const full = Array.from({ length: 6 }, () => ({ lane, payload, bounds: WIDE }));
    await store.commit({ partition: 0, token, outputs: full });
    const inForce = () => ({ destinations: ['noc'], limits: { ...LIMITS, reasons } });
    const releaser = bed.releaser({ inForce, alertBounds: { ...WIDE, entriesMax: 12 } });
    await bed.settle(releaser);
    await due();
    await bed.settle(releaser);
    expect(await bed.states()).to.deep.equal({ a: 'kept', b: 'kept' });
    expect(await bed.inLane()).to.have.length(6);

    const inputs = (await readAll(store, lane)).map(inputOf);
    await store.commit({ partition: 0, token, inputs });
    await bed.settle(releaser);
    expect((await bed.inLane()).map(({ alert, replays }) => [alert.id, replays])).to.deep.equal([['a', 1]]);
    expect(await bed.states()).to.deep.equal({ a: 'replayed', b: 'kept' });
  });

  it('sends an edited copy once, and keeps the alert as it was', async () => {
    await bed.dead(abc());
    const { id } = await bed.replay({ ids: ['a'], edit: { severity: 1, description: 'as it should be' } });
    await bed.settle();
    const [sent] = await bed.inLane();
    expect(sent?.alert).to.include({ id: 'a', severity: 1, description: 'as it should be' });
    await bed.deliver(() => true);
    const found = await bed.operations.get('a');
    expect(found?.letter.alert).to.deep.equal(abc()[0]);
    expect(found?.replays[0]).to.include({ isEdited: true, operationId: id });
    await bed.replay({ ids: ['a'] });
    await bed.settle();
    expect((await bed.inLane())[0]?.alert).to.deep.equal(abc()[0]);
  });

  it('keeps to the rate, keeps the rest here, and takes it back when it is canceled', async () => {
    await bed.dead(Array.from({ length: 40 }, (_, nth) => bed.alert(`r-${nth}`, nth)));
    const { id } = await bed.replay({ destination: 'noc', perSecond: 10 });
    const beganAtMs = performance.now();
    await bed.settle();
    const first = (await bed.inLane()).length;
    expect(first)
      .to.be.at.least(10)
      .and.at.most(10 + Math.ceil((performance.now() - beganAtMs) / 100));
    expect(await bed.operations.cancel(id, AUTHOR)).to.be.at.least(1);
    expect(await bed.operations.cancel(id, AUTHOR)).to.equal(undefined);
    await bed.settle();
    const after = await bed.operation(id);
    expect(after).to.include({ waiting: 0, canceled: 40 - after.onTheirWay });
    expect(await bed.inLane()).to.have.lengthOf(after.onTheirWay);
  });

  it('books an event that Redis does not know as replayed', async () => {
    await bed.keep([{ alert: bed.alert('foreign', 1), attempts: 1, reason: 'network' }]);
    await bed.replay({ destination: 'noc' });
    await bed.settle();
    expect(await bed.ledger()).to.include({ accepted: 0, replayed: 1, inFlight: 1 });
    await bed.deliver();
    expect((await bed.ledger()).counters).to.include({ replayed: 1, forwarded: 1 });
    await bed.keep([{ alert: bed.alert('foreign-2', 1), attempts: 1, reason: 'network' }]);
    await bed.operations.discard(['foreign-2'], AUTHOR);
    await bed.settle();
    expect((await bed.ledger()).inFlight).to.equal(0);
  });

  it('takes a failure that is told late for what it is, and a repeated one for nothing', async () => {
    const [alert] = abc();
    if (alert === undefined) throw new Error('one');
    await bed.dead([alert]);
    const first = {
      alert,
      attempts: 1,
      reason: 'network',
      error: 'ECONNREFUSED',
      lastFailedAtMs: Date.now() + 9_999,
    };
    await bed.replay({ ids: ['a'] });
    await bed.settle();
    await bed.keep([first]);
    expect(await bed.states()).to.deep.equal({ a: 'replayed' });
    const again = { ...first, replays: 1, lastFailedAtMs: 1_000, error: 'clocks jump' };
    await bed.keep([again]);
    await bed.keep([again]);
    expect(await bed.states()).to.deep.equal({ a: 'kept' });
    expect((await bed.operations.get('a'))?.letter).to.include({ attempts: 2, error: 'clocks jump' });
  });

  it('ends a letter whose receipt was lost once its alert is nowhere any more', async () => {
    await bed.dead(abc());
    await bed.replay({ destination: 'noc' });
    const releaser = bed.releaser({ lostAfterMs: 0 });
    await bed.settle(releaser);
    expect(Object.values(await bed.states())).to.deep.equal(['replayed', 'replayed', 'replayed']);
    await bed.deliver();
    await database.sql('TRUNCATE alert_receipts');
    await bed.settle(bed.releaser({ lostAfterMs: 0 }));
    expect(Object.values(await bed.states())).to.deep.equal(['delivered', 'delivered', 'delivered']);
  });

  describe('without a person', () => {
    it('replays what may heal when it is due, in the order of a signature, and nothing else', async () => {
      await bed.dead(abc('core-1'));
      await bed.dead([bed.alert('refused', 9)], { reason: 'rejected' });
      const releaser = automatic({ baseMs: 60_000, delayMsMax: 60_000 });
      await bed.settle(releaser);
      expect(await bed.inLane()).to.deep.equal([]);
      const planned = await database.sql<{ alert_id: string; waits: number }>(
        `SELECT alert_id, extract(epoch FROM retry_at - last_failed_at)::float8 AS waits FROM dead_letters WHERE retry_at IS NOT NULL ORDER BY 1`,
      );
      expect(planned.map(({ alert_id: id }) => id)).to.deep.equal(['a', 'b', 'c']);
      for (const { waits } of planned) expect(waits).to.be.within(30, 60);
      // The later ones are due, the first is not: they wait for it.
      await database.sql(`UPDATE dead_letters SET retry_at = now() WHERE alert_id IN ('b', 'c')`);
      await bed.settle(releaser);
      expect(await bed.inLane()).to.deep.equal([]);
      // Nor before one of which it is not known yet when it is due.
      await database.sql(`UPDATE dead_letters SET retry_at = NULL WHERE alert_id = 'a'`);
      await bed.settle(releaser);
      expect(await bed.inLane()).to.deep.equal([]);
      await database.sql(`UPDATE dead_letters SET retry_at = now() WHERE alert_id = 'a'`);
      await bed.settle(releaser);
      expect((await bed.inLane()).map(({ alert }) => alert.id)).to.deep.equal(['a', 'b', 'c']);
      expect(await bed.states()).to.include({ refused: 'kept' });
    });

    it('waits longer after each failure, and gives up after so many', async () => {
      await bed.dead([bed.alert('a', 1)]);
      const given: [string, number][] = [];
      const waits: number[] = [];
      const releaser = () =>
        bed.releaser({
          inForce: () => ({ destinations: ['noc'], limits: { ...LIMITS, baseMs: 1_000, delayMsMax: 3_000 } }),
          onGivenUp: (destination, letters) => void given.push([destination, letters]),
        });
      for (let nth = 0; nth <= LIMITS.replaysMax; nth++) {
        await bed.settle(releaser());
        const [row] = await database.sql<{ waits: number | null }>(
          `SELECT extract(epoch FROM retry_at - last_failed_at)::float8 AS waits FROM dead_letters`,
        );
        if (nth < LIMITS.replaysMax) waits.push(row?.waits ?? NaN);
        await due();
        await bed.settle(releaser());
        const sent = await bed.inLane();
        expect(sent.length, `round ${nth}`).to.equal(nth < LIMITS.replaysMax ? 1 : 0);
        await bed.deliver(() => true, 'network');
      }
      expect(waits[0]).to.be.within(0.5, 1);
      expect(waits[1]).to.be.within(1, 2);
      expect(waits[2]).to.be.within(1.5, 3);
      expect(given).to.deep.equal([['noc', 1]]);
      expect((await bed.operations.get('a'))?.letter).to.include({
        state: 'given_up',
        replays: 3,
        retryAtMs: null,
      });
      // A person may.
      expect((await bed.replay({ ids: ['a'] })).letters).to.equal(1);
    });

    it('goes faster while its destination takes letters, and slower when one fails again', async () => {
      await bed.dead(Array.from({ length: 30 }, (_, nth) => bed.alert(`n-${nth}`, nth)));
      const limits = { perSecondMin: 2, perSecondMax: 100 };
      const releaser = automatic(limits);
      const rate = async () =>
        (await database.sql<{ per_second: number }>('SELECT per_second FROM replay_paces'))[0]?.per_second;
      await bed.settle(releaser);
      await due();
      await bed.settle(releaser);
      expect((await bed.inLane()).length).to.be.within(2, 4);
      expect(await rate()).to.equal(2);
      // While it takes nothing, nothing more is sent.
      await database.sql(
        `UPDATE replay_paces SET tokens_at = now() - interval '1 hour', changed_at = now() - interval '1 hour'`,
      );
      await bed.settle(releaser);
      expect((await bed.inLane()).length).to.be.at.most(4);
      await bed.deliver();
      await bed.settle(releaser);
      expect(await rate()).to.equal(3);
      await database.sql(
        `UPDATE replay_paces SET changed_at = now() - interval '1 hour', tokens_at = now() - interval '1 hour', per_second = 80`,
      );
      await bed.settle(releaser);
      await bed.keep(
        (await bed.inLane()).slice(0, 1).map((stored) => ({ ...stored, attempts: 1, reason: 'network' })),
        releaser,
      );
      expect(await rate()).to.equal(40);
    });

    it('leaves everything alone when it is switched off', async () => {
      await bed.dead(abc());
      await bed.settle(automatic());
      await due();
      await bed.settle(bed.releaser());
      expect(await bed.inLane()).to.deep.equal([]);
    });
  });

  it('replays and ends the letters of its own Redis, and none of another that shares the PostgreSQL', async () => {
    const other = await LetterBed.beside(database, 'second');
    try {
      const [a, b, c] = abc();
      await bed.dead([a!, b!]);
      await other.dead([c!, other.alert('d', 3), other.alert('e', 4)]);
      await bed.replay({ ids: ['a', 'c', 'd'] });
      await bed.operations.discard(['b', 'e'], AUTHOR);
      await bed.settle();
      const after = await bed.states();
      expect(after).to.deep.equal({
        a: 'replayed',
        b: 'discarded',
        c: 'queued',
        d: 'queued',
        e: 'discarding',
      });
      await other.settle();
      expect((await bed.inLane()).map(({ alert }) => alert.id)).to.deep.equal(['a']);
      expect((await other.inLane()).map(({ alert }) => alert.id)).to.deep.equal(['c', 'd']);
      await bed.deliver();
      await bed.settle();
      expect(await bed.states()).to.include({ a: 'delivered', c: 'replayed', e: 'discarded' });
      await other.deliver();
      await other.settle();
      expect(await bed.states()).to.include({ c: 'delivered', d: 'delivered' });
      for (const { inFlight, balanced, replayed } of [await bed.ledger(), await other.ledger()])
        expect({ inFlight, balanced, replayed }).to.deep.equal({ inFlight: 0, balanced: true, replayed: 0 });
    } finally {
      await other.close();
    }
  });

  it('takes letters that name no Redis, from before they did', async () => {
    await bed.dead(abc());
    await database.sql(`UPDATE dead_letters SET store = ''`);
    await bed.replay({ destination: 'noc' });
    await bed.settle();
    await bed.settle(bed.releaser());
    expect((await bed.inLane()).map(({ alert }) => alert.id)).to.deep.equal(['a', 'b', 'c']);
  });
});
