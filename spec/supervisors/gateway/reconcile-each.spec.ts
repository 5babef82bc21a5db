import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { openWitness } from '../../../runtime/durable/witness.ts';
import type { LostRange, Witness } from '../../../runtime/durable/witness.ts';
import { reconcileEach } from '../../../supervisors/gateway/reconcile-each.ts';
import { openRedisStore, until } from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specDirectory, specRedisUrl } from '../../support/servers.ts';

describe('reconcileEach', function () {
  this.timeout(30_000);
  let opened: OpenedStore;
  let witness: Witness;
  let told: LostRange[];

  beforeEach(async () => {
    opened = await openRedisStore(await specRedisUrl());
    witness = await openWitness({ file: join(specDirectory('reconcile'), 'witness.json') });
    for (const partition of [0, 1, 2]) witness.note(partition, 5);
    told = [];
  });
  afterEach(async () => {
    await witness.stop();
    await opened.close();
  });

  const reconcile = (store: Pick<OpenedStore['store'], 'raiseSequence'>): Promise<void> =>
    reconcileEach(witness, store, [0, 1, 2], (ranges) => told.push(...ranges));
  const lost = (partition: number): LostRange => ({ partition, from: 1, to: 5 });

  it('tells what is gone, once', async () => {
    await reconcile(opened.store);
    await reconcile(opened.store);
    expect(told).to.deep.equal([lost(0), lost(1), lost(2)]);
  });

  it('forgets no loss it has found when the store goes away before the last partition', async () => {
    const { store, connection } = opened;
    const failing = reconcile({
      raiseSequence: async (partition, atLeast) => {
        const known = await store.raiseSequence(partition, atLeast);
        if (partition === 0) connection.disconnect(true);
        return known;
      },
    });
    const failure = await failing.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(failure).to.include({ kind: 'transient' });
    await until(() =>
      reconcile(store).then(
        () => true,
        () => false,
      ),
    );
    expect(told).to.deep.equal([lost(0), lost(1), lost(2)]);
  });
});
