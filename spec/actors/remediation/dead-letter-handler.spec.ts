import { expect } from 'chai';
import { describe, it } from 'mocha';
import { encodeStoredAlert } from '../../../actors/forward/messages.ts';
import type { StoredAlert } from '../../../actors/forward/messages.ts';
import type { DeadLetter, DeadLetterStore } from '../../../actors/ports.ts';
import { keepDeadLetters } from '../../../actors/remediation/dead-letter-handler.ts';
import type { Batch } from '../../../runtime/durable/consumer.ts';
import { alertOf } from '../forward/alerts.ts';
import { rejectionOf } from '../../support/rejection.ts';

const batchOf = (...payloads: Buffer[]): Batch => ({
  partition: 3,
  lane: 'dead',
  pieces: payloads.map((payload, index) => ({
    entry: { partition: 3, lane: 'dead', id: `${index + 1}-1`, count: 1, payload, storedAtMs: 9_000 },
    lo: 0,
    hi: 1,
  })),
});

function keeper(): { kept: DeadLetter[]; store: DeadLetterStore } {
  const kept: DeadLetter[] = [];
  return {
    kept,
    store: {
      keep: async (letters) => {
        kept.push(...letters);
        return [];
      },
    },
  };
}

describe('keepDeadLetters', () => {
  it('keeps each alert with why and since when it failed, and settles nothing in the books', async () => {
    const { kept, store } = keeper();
    let counted = 0;
    const failed: StoredAlert = {
      alert: alertOf('a', { destination: 'noc-2' }),
      attempts: 2,
      reason: 'rejected',
      error: 'HTTP 422',
      firstFailedAtMs: 1_000,
      lastFailedAtMs: 2_000,
    };
    const plan = await keepDeadLetters(batchOf(encodeStoredAlert(failed)), store, (n) => (counted += n));
    expect(kept).to.deep.equal([
      {
        alert: failed.alert,
        partition: 3,
        destination: 'noc-2',
        reason: 'rejected',
        error: 'HTTP 422',
        attempts: 2,
        firstFailedAtMs: 1_000,
        lastFailedAtMs: 2_000,
        replays: 0,
      },
    ]);
    expect(plan).to.deep.equal({ counters: { alerts_kept: 1 } });
    expect(counted).to.equal(1);
  });

  it('takes the time in the mailbox when the alert has no history, and at least one attempt', async () => {
    const { kept, store } = keeper();
    await keepDeadLetters(
      batchOf(encodeStoredAlert({ alert: alertOf('a'), attempts: 0 })),
      store,
      () => undefined,
    );
    expect(kept[0]).to.include({ attempts: 1, firstFailedAtMs: 9_000, lastFailedAtMs: 9_000, error: '' });
  });

  it('keeps nothing of a batch with a damaged alert, and says so', async () => {
    const { kept, store } = keeper();
    const batch = batchOf(encodeStoredAlert({ alert: alertOf('a'), attempts: 1 }), Buffer.from('{'));
    expect((await rejectionOf(keepDeadLetters(batch, store, () => undefined))).code).to.equal(
      'E_ALERT_DAMAGED',
    );
    expect(kept).to.deep.equal([]);
  });

  it('counts nothing and plans nothing when the store is away', async () => {
    let counted = 0;
    const away = { keep: () => Promise.reject(Object.assign(new Error('away'), { kind: 'transient' })) };
    const keeping = keepDeadLetters(
      batchOf(encodeStoredAlert({ alert: alertOf('a'), attempts: 1 })),
      away,
      (n) => (counted += n),
    );
    let thrown: unknown;
    await keeping.catch((error: unknown) => (thrown = error));
    expect(thrown).to.have.property('kind', 'transient');
    expect(counted).to.equal(0);
  });
});
