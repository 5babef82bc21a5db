/**
 * What the settings say of replays that nobody asked for.
 */
import type { DeliveryFailure, ShedReason } from '../ports.ts';
import type { Settings } from '../settings.ts';

export interface ReplayLimits {
  /** Of letters that are replayed without a person; none when nothing is. */
  reasons: readonly (DeliveryFailure | ShedReason)[];
  /** Wait before the first replay of a letter; it doubles with each. */
  baseMs: number;
  delayMsMax: number;
  /** Of one letter. */
  replaysMax: number;
  perSecondMin: number;
  perSecondMax: number;
}

/** Nothing of these says that the alert itself is at fault. */
const HEALING: ReplayLimits['reasons'] = [
  'timeout',
  'network',
  'tls',
  'throttled',
  'server',
  'auth',
  'deferred',
];

export function replayLimits(settings: Settings): ReplayLimits {
  const reasons = settings['remediation.rejected.isRetried'] ? [...HEALING, 'rejected' as const] : HEALING;
  return {
    reasons: settings['remediation.isEnabled'] ? reasons : [],
    baseMs: settings['remediation.retry.baseMs'],
    delayMsMax: settings['remediation.retry.delayMaxMs'],
    replaysMax: settings['remediation.letter.replaysMax'],
    perSecondMin: settings['remediation.rate.perSecondMin'],
    perSecondMax: settings['remediation.rate.perSecondMax'],
  };
}
