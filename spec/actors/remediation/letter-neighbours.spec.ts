/**
 * Dead letters beside others: of another destination, of another Redis, and of the same alert read once more.
 */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { alertLane } from '../../../actors/forward/messages.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { WIDE } from '../../runtime/durable/store-under-test.ts';
import { AUTHOR, LIMITS, LetterBed } from './letter-bed.ts';

const SERVER_TIMEOUT_MS = 30_000;
const BOTH = ['noc', 'ops'];

describe('LetterReleaser, beside others', function () {
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

  it('replays to one destination while the lane of another is full', async () => {
    const tight = { ...WIDE, entriesMax: 1 };
    const { store, token } = bed;
    const payload = Buffer.from('x');
    await store.commit({ partition: 0, token, outputs: [{ lane: alertLane('noc'), payload, bounds: WIDE }] });
    await bed.dead([bed.alert('a', 1), bed.alert('b', 2, { destination: 'ops' }), bed.alert('c', 3)]);
    const releaser = bed.releaser({
      alertBounds: tight,
      inForce: () => ({ destinations: BOTH, limits: { ...LIMITS, reasons: [] } }),
    });
    await bed.replay({ ids: ['a'], destinations: BOTH });
    await bed.settle(releaser);
    expect(await bed.states()).to.deep.equal({ a: 'leaving', b: 'kept', c: 'kept' });

    await bed.replay({ ids: ['b', 'c'], destinations: BOTH });
    await bed.settle(releaser);
    expect(await bed.states()).to.deep.equal({ a: 'leaving', b: 'replayed', c: 'queued' });
    expect((await bed.inLane('ops')).map(({ alert }) => alert.id)).to.deep.equal(['b']);
  });

  it('is not slowed by letters on their way in another Redis, which may never arrive', async () => {
    const other = await LetterBed.beside(database, 'second');
    try {
      const limits = { ...LIMITS, perSecondMin: 1 };
      const automatic = (of: LetterBed) =>
        of.releaser({ inForce: () => ({ destinations: ['noc'], limits }) });
      await other.dead([other.alert('a', 1), other.alert('b', 2)]);
      await other.replay({ destination: 'noc' });
      await other.settle();
      expect(await bed.states()).to.deep.equal({ a: 'replayed', b: 'replayed' });

      await bed.dead([bed.alert('c', 3)]);
      await bed.settle(automatic(bed));
      await database.sql(`UPDATE dead_letters SET retry_at = now() WHERE alert_id = 'c'`);
      await bed.settle(automatic(bed));
      expect(await bed.states()).to.include({ c: 'replayed' });
    } finally {
      await other.close();
    }
  });

  it('waits no longer for a letter of a node whose clock was ahead', async () => {
    const aheadMs = Date.now() + 3_600_000;
    await bed.dead([bed.alert('a', 1)], { firstFailedAtMs: aheadMs, lastFailedAtMs: aheadMs });
    const limits = { ...LIMITS, baseMs: 60_000, delayMsMax: 60_000 };
    await bed.settle(bed.releaser({ inForce: () => ({ destinations: ['noc'], limits }) }));
    const [row] = await database.sql<{ waits: number }>(
      `SELECT extract(epoch FROM retry_at - now())::float8 AS waits FROM dead_letters`,
    );
    expect(row?.waits).to.be.within(20, 60);
  });

  it('throws a letter away although its dead letter is read once more meanwhile', async () => {
    const alert = bed.alert('a', 1);
    const failure = { firstFailedAtMs: 1_000, lastFailedAtMs: 2_000 };
    await bed.dead([alert], failure);
    await bed.operations.discard(['a'], AUTHOR);
    expect(await bed.releases.claimDiscarded(0, 10, 'f'.repeat(32))).to.equal(1);
    // Who had kept it died before its commit: it is still in the dead lane, and read by the next.
    await bed.keep([{ alert, attempts: 1, reason: 'network', error: 'ECONNREFUSED', ...failure }]);
    await bed.settle();
    expect(await bed.states()).to.deep.equal({ a: 'discarded' });
    const { inFlight, counters } = await bed.ledger();
    expect(inFlight).to.equal(0);
    expect(counters).to.include({ discarded: 1, alerts_discarded: 1 });
  });
});
