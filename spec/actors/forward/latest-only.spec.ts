import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LatestDelivered } from '../../../actors/forward/latest-delivered.ts';
import { latestOnly } from '../../../actors/forward/latest-only.ts';
import type { StoredAlert } from '../../../actors/forward/messages.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { alertOf, destinationOf } from './alerts.ts';

const TIMEOUT_MS = 200;

describe('A replayed alert', () => {
  const replayed: StoredAlert = { alert: alertOf('a'), attempts: 0, replays: 1, replayedAtMs: 1 };

  async function delivered(
    stored: StoredAlert,
    isSuperseded: () => Promise<boolean>,
  ): Promise<{ kind: string; timeoutMs: number | undefined; asked: number }> {
    let asked = 0;
    let timeoutMs: number | undefined;
    const deliver = latestOnly(
      async (_stored, destination) => {
        timeoutMs = destination.timeoutMs;
        return { kind: 'delivered', status: 200 };
      },
      {
        latest: new LatestDelivered(systemClock.wallMs()),
        log: {
          isSuperseded: () => {
            asked += 1;
            return isSuperseded();
          },
        },
        clock: systemClock,
      },
    );
    const { kind } = await deliver(stored, destinationOf({ timeoutMs: TIMEOUT_MS }));
    return { kind, timeoutMs, asked };
  }

  it('is not sent when a later one of its signature was taken', async () => {
    const { kind, timeoutMs } = await delivered(replayed, async () => true);
    expect([kind, timeoutMs]).to.deep.equal(['superseded', undefined]);
  });

  it('is sent when nobody knows, and an alert that was never replayed without a question', async () => {
    const failing = await delivered(replayed, () => Promise.reject(new Error('away')));
    expect([failing.kind, failing.asked]).to.deep.equal(['delivered', 1]);
    const fresh = await delivered({ alert: alertOf('a'), attempts: 0 }, async () => true);
    expect(fresh).to.deep.equal({ kind: 'delivered', timeoutMs: TIMEOUT_MS, asked: 0 });
  });

  it('is sent when there is no answer, within the time that it has for all of it', async () => {
    const beganMs = systemClock.monotonicMs();
    const { kind, timeoutMs = Infinity } = await delivered(replayed, () => new Promise(() => undefined));
    const tookMs = systemClock.monotonicMs() - beganMs;
    expect(kind).to.equal('delivered');
    expect(timeoutMs).to.be.at.most(TIMEOUT_MS / 2 + 1);
    expect(tookMs).to.be.at.least(TIMEOUT_MS / 2 - 1);
  });
});
