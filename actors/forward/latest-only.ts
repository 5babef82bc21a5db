/**
 * Delivers a replayed alert only while it is the latest of its signature: one that its destination has taken a later one
 * of meanwhile would reopen what is over.
 *
 * Invariant: asking takes a bounded part of the time that the delivery has. A store that says nothing holds up neither
 * what else is sent there nor the lease that the delivery must not outlive.
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { DeliveryLog } from '../ports.ts';
import type { ForwardOptions } from './forward-options.ts';
import type { LatestDelivered } from './latest-delivered.ts';
import type { StoredAlert } from './messages.ts';

const ASK_MS_MAX = 1_000;
/** Of the time of the delivery. */
const ASK_PART_MAX = 0.5;

export interface LatestOnlyOptions {
  /** What this thread has delivered. */
  latest: LatestDelivered;
  /** What all have. */
  log: DeliveryLog;
  clock: Clock;
}

export function latestOnly(
  deliver: ForwardOptions['deliver'],
  { latest, log, clock }: LatestOnlyOptions,
): ForwardOptions['deliver'] {
  async function isSuperseded({ alert, replayedAtMs = 0 }: StoredAlert, askMsMax: number): Promise<boolean> {
    if (latest.isLaterThan(alert)) return true;
    if (latest.covers(replayedAtMs)) return false;
    const answered = new AbortController();
    // When there is no answer it is sent: it was asked when the alert was replayed.
    const answer = await Promise.race([
      log.isSuperseded(alert).catch(() => false),
      sleep(clock, askMsMax, answered.signal).then(() => false),
    ]);
    answered.abort();
    return answer;
  }

  const deliverReplay: ForwardOptions['deliver'] = async (stored, destination, storedAtMs) => {
    const { timeoutMs } = destination;
    const beganMs = clock.monotonicMs();
    const askMsMax = Math.min(ASK_MS_MAX, timeoutMs * ASK_PART_MAX);
    if (await isSuperseded(stored, askMsMax)) return { kind: 'superseded' };
    const leftMs = Math.max(1, Math.floor(timeoutMs - (clock.monotonicMs() - beganMs)));
    return deliver(stored, { ...destination, timeoutMs: leftMs }, storedAtMs);
  };
  // Most have never been replayed, and one promise less is made for each.
  return (stored, destination, storedAtMs) =>
    stored.replays === undefined
      ? deliver(stored, destination, storedAtMs)
      : deliverReplay(stored, destination, storedAtMs);
}
