import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { OverflowPolicy } from '../../../runtime/mailbox.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { KEYS, memberOf, movingKey, poolBed, task, typeOf } from './pool-bed.ts';
import type { PoolBed } from './pool-bed.ts';

/** A shard that has just moved to a new member of a mailbox of two: told to it was 1, and 2 to 8 while it moved. */
async function moreThanFits(overflow: OverflowPolicy): Promise<{ bed: PoolBed; key: string }> {
  const bed = await poolBed({ mailbox: { capacity: 2, overflow } });
  const { pool, clock, got } = bed;
  await pool.resize(2);
  let key = '';
  // One message at a time: its members hold little.
  for (const candidate of KEYS) {
    pool.tell(task(candidate, 0));
    await clock.pass(0);
    if (memberOf(got.pop()) === 'pool-1') key = candidate;
  }
  await pool.resize(1);
  pool.tell(task(key, 1, { tookMs: 10 }));
  const resized = pool.resize(2);
  await clock.pass(0);
  for (let number = 2; number <= 8; number++) pool.tell(task(key, number, { tookMs: 10 }));
  await clock.pass(10);
  await resized;
  return { bed, key };
}

describe('What a keyed pool holds', () => {
  async function moving(
    overflow: 'refuse' | 'dropOldest' | 'dropNewest' | 'block',
  ): Promise<PoolBed & { key: string }> {
    const bed = await poolBed({ pool: { held: { capacity: 2, overflow } } });
    const key = await movingKey(bed, 1, 2);
    bed.pool.tell(task(key, 1, { tookMs: 50 }));
    void bed.pool.resize(2);
    await bed.clock.pass(0);
    for (const number of [2, 3]) bed.pool.tell(task(key, number));
    return Object.assign(bed, { key });
  }

  it('is bounded, and refuses what is beyond that [S-161]', async () => {
    const { pool, clock, got, key } = await moving('refuse');
    expect(pool.credit).to.equal(0);
    const message = task(key, 4);
    expect(pool.tell(message)).to.deep.equal({ refused: 'E_MAILBOX_FULL', message });
    expect(await pool.tellWhenAccepted(message)).to.have.property('refused', 'E_MAILBOX_FULL');
    expect(
      await rejectionOf(pool.ask<string>((replyTo) => task(key, 5, { replyTo }), { timeoutMs: 10 })),
    ).to.have.property('code', 'E_MAILBOX_FULL');
    await clock.pass(50);
    expect(got.map(typeOf)).to.deep.equal([1, 2, 3].map((number) => `${key}.${number}`));
  });

  it('or drops the oldest, or the newest, as dead letters [S-161]', async () => {
    for (const [overflow, result, kept, lost] of [
      ['dropOldest', 'accepted', [1, 3, 4], 2],
      ['dropNewest', 'dropped', [1, 2, 3], 4],
    ] as const) {
      const { pool, clock, got, letters, key } = await moving(overflow);
      expect(pool.tell(task(key, 4))).to.equal(result);
      await clock.pass(50);
      expect(got.map(typeOf)).to.deep.equal(kept.map((number) => `${key}.${number}`));
      expect(letters.map(({ to, messageType, reason }) => [to, messageType, reason])).to.deep.equal([
        ['/$pool', `${key}.${lost}`, 'dropped'],
      ]);
    }
  });

  it('or lets senders wait for room, in order, and hears an abort [S-161]', async () => {
    const { pool, clock, got, key } = await moving('block');
    expect(pool.tell(task(key, 9))).to.have.property('refused', 'E_MAILBOX_FULL');
    const waiting = [4, 5].map((number) => pool.tellWhenAccepted(task(key, number)));
    const abort = new AbortController();
    const aborted = pool.tellWhenAccepted(task(key, 6), abort.signal);
    const asked = pool.ask<string>((replyTo) => task(key, 7, { replyTo }), { timeoutMs: 100 });
    abort.abort();
    await clock.pass(50);
    expect(await Promise.all(waiting)).to.deep.equal(['accepted', 'accepted']);
    expect(await aborted).to.have.property('refused', 'E_SEND_ABORTED');
    expect(await asked).to.equal(`pool-1 has ${key}.7`);
    expect(got.map(typeOf)).to.deep.equal([1, 2, 3, 4, 5, 7].map((number) => `${key}.${number}`));
  });

  it('goes to its new member as that has room, before all that is told later [S-156]', async () => {
    for (const overflow of ['refuse', 'block'] as const) {
      const { bed, key } = await moreThanFits(overflow);
      const { pool, clock, got } = bed;
      expect(pool.describe().shardsMoving).to.equal(1);
      expect(pool.tell(task(key, 9))).to.equal('accepted');
      await clock.pass(200);
      expect(got.map(typeOf)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => `${key}.${number}`));
      expect(pool.describe().shardsMoving).to.equal(0);
    }
  });

  it('moves on when it is moved again before its member could take all [S-156]', async () => {
    const { bed, key } = await moreThanFits('block');
    const { pool, clock, got } = bed;
    const shrunk = pool.resize(1);
    await clock.pass(0);
    pool.tell(task(key, 9));
    await clock.pass(200);
    await shrunk;
    expect(got.map(typeOf)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => `${key}.${number}`));
    expect(memberOf(got.at(-1))).to.equal('pool-0');
    expect(bed.overlaps).to.deep.equal([]);
  });
});
