/**
 * A destination whose retry set is full: what has no room there is sent again all the same, and with it all that waits.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import { alertLane, encodeStoredAlert, retrySet } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome } from '../../../actors/ports.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import {
  WIDE,
  commitOf,
  openRedisStore,
  own,
  readAll,
  until,
} from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';
import { alertOf, destinationOf } from './alerts.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 500', status: 500 };
/** As many as are held of a destination. */
const ALERTS = 256;

describe('A full retry set', function () {
  this.timeout(20_000);
  let redis: OpenedStore;
  let token: Token;
  let system: ActorSystem;
  let sent: string[];

  beforeEach(async () => {
    redis = await openRedisStore(await specRedisUrl());
    token = await own(redis.store);
    system = new ActorSystem();
    sent = [];
  });
  afterEach(async () => {
    await system.stop(50);
    await redis.close();
  });

  function start(): void {
    system.spawn(
      forwardActor({
        store: redis.store,
        tokens: new Map([[0, token]]),
        destinations: [destinationOf({ collapse: false })],
        deliver: async ({ alert: { id } }) => {
          sent.push(id);
          const isFirst = sent.indexOf(id) === sent.length - 1;
          return id.startsWith('sick') && isFirst ? FAILED : DELIVERED;
        },
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 100,
        breakerMs: () => 20,
        pace: createMemoryPace(),
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: { ...WIDE, entriesMax: 1 } },
        onDelivered: () => undefined,
        count: () => undefined,
        onUnsent: () => undefined,
        onStuck: () => undefined,
        onLanes: () => undefined,
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  }

  it('does not stop its lane for good: all is delivered once the destination takes it, in order', async () => {
    const names = Array.from({ length: ALERTS }, (_, n) => [`sick ${n}`, `well ${n}`]).flat();
    const followers = Array.from({ length: 3 }, (_, n) => alertOf(`after ${n}`, { signature: 'sick 7' }));
    // Their next failure is the one after which they are set aside.
    const stored = [
      ...names.map((name) => ({ alert: alertOf(name), attempts: 2 })),
      ...followers.map((alert) => ({ alert, attempts: 0 })),
    ];
    const outputs = stored.map((each) => ({
      lane: alertLane('noc'),
      payload: encodeStoredAlert(each),
      bounds: WIDE,
    }));
    await redis.store.commit(commitOf(token, { outputs }));
    const payload = encodeStoredAlert({ alert: alertOf('set aside before'), attempts: 3 });
    await redis.store.commit(
      commitOf(token, { delayed: [{ set: retrySet('noc'), payload, delayMs: 600_000, bounds: WIDE }] }),
    );
    start();
    await until(async () => (await readAll(redis.store, alertLane('noc'))).length === 0, 5_000);
    expect(sent.filter((id) => id === 'sick 7' || id.startsWith('after'))).to.deep.equal([
      'sick 7',
      'sick 7',
      'after 0',
      'after 1',
      'after 2',
    ]);
    const { problems } = await redis.store.ledger(0, { terminal: ['forwarded'], inputLanes: [] });
    expect(problems.filter((problem) => /anomal/i.test(problem))).to.deep.equal([]);
  });
});
