import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { encodeStoredAlert, retrySet } from '../../../actors/forward/messages.ts';
import type { Token } from '../../../runtime/durable/durable-store.ts';
import { aheadOf, firstSetAside } from '../../../supervisors/admin/set-aside.ts';
import { alertOf } from '../../actors/forward/alerts.ts';
import { WIDE, commitOf, openRedisStore, own } from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';

describe('Alerts that are set aside', () => {
  let redis: OpenedStore;
  let token: Token;

  beforeEach(async () => {
    redis = await openRedisStore(await specRedisUrl());
    token = await own(redis.store);
  });
  afterEach(() => redis.close());

  async function setAside(payloads: Buffer[], delayMs = 60_000): Promise<void> {
    const delayed = payloads.map((payload, n) => ({
      set: retrySet('noc'),
      payload,
      delayMs: delayMs + n,
      bounds: WIDE,
    }));
    await redis.store.commit(commitOf(token, { delayed }));
  }
  const stored = (id: string, fields: Partial<Alert> = {}): Buffer =>
    encodeStoredAlert({ alert: alertOf(id, fields), attempts: 3, reason: 'server', lastFailedAtMs: 1_000 });

  it('are shown, the first five of them, but for what cannot be read', async () => {
    expect(await firstSetAside(redis.store, 0, 'noc')).to.deep.equal([]);
    await setAside([stored('late')], 120_000);
    await setAside([
      stored('first'),
      Buffer.from('damaged'),
      ...['b', 'c', 'd', 'e'].map((id) => stored(id)),
    ]);
    const found = await firstSetAside(redis.store, 0, 'noc');
    expect(found.map(({ alert_id }) => alert_id)).to.deep.equal(['first', 'b', 'c', 'd']);
    expect(found[0]).to.deep.equal({
      alert_id: 'first',
      signature: 'first',
      attempts: 3,
      reason: 'server',
      last_failed_at: '1970-01-01T00:00:01.000Z',
    });
  });

  it('are what later ones of their signature wait behind, wherever they are in the set', async () => {
    await setAside([
      Buffer.from('damaged'),
      ...Array.from({ length: 600 }, (_, n) => stored(`${n}`)),
      stored('head', { signature: 'link' }),
    ]);
    const ask = (id: string, signature: string): Promise<string | undefined> =>
      aheadOf(redis.store, 0, { id, destination: 'noc', signature });
    expect(await ask('follower', 'link')).to.equal('head');
    expect(await ask('head', 'link')).to.equal(undefined);
    expect(await ask('other', 'other')).to.equal(undefined);
    expect(await aheadOf(redis.store, 1, { id: 'x', destination: 'noc', signature: 'link' })).to.equal(
      undefined,
    );
  });
});
