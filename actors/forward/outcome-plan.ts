/** What follows from a delivery's outcome: where its alert goes, and what is counted. */
import type { Bounds, CommitPlan } from '../../runtime/durable/durable-store.ts';
import type { Alert } from '../event.ts';
import type { DeliveryOutcome, UnsentReason } from '../ports.ts';
import type { LaneAction, LaneItem } from './lane.ts';
import { DEAD_LANE, encodeStoredAlert, retrySet } from './messages.ts';
import type { StoredAlert } from './messages.ts';
import { endedAs } from './unsent.ts';

export interface OutcomeBounds {
  dead: Bounds;
  retry: Pick<Bounds, 'entriesMax' | 'bytesMax'>;
}

export function planOf(
  action: Exclude<LaneAction<LaneItem & { stored: StoredAlert; destination: string }>, { kind: 'kept' }>,
  bounds: OutcomeBounds,
): CommitPlan {
  const { stored, alert, destination } = action.item;
  switch (action.kind) {
    case 'delivered':
      return {
        counters: { alerts_delivered: 1 },
        settleGroups: alert.event_ids.map((id) => ({ id, counter: 'forwarded' })),
      };
    case 'superseded':
      return {
        counters: { alerts_superseded: 1 },
        settleGroups: alert.event_ids.map((id) => ({ id, counter: 'superseded' })),
      };
    case 'dead':
      return deadPlan(encodeStoredAlert(stored), bounds);
    case 'delay':
      return {
        delayed: [
          {
            set: retrySet(destination),
            payload: encodeStoredAlert(stored),
            delayMs: Math.round(action.delayMs),
            bounds: bounds.retry,
          },
        ],
      };
  }
}

/** Of an alert that ends without being sent. */
export function unsentPlan(alert: Alert, reason: UnsentReason): CommitPlan {
  const counter = endedAs(reason);
  return {
    counters: { [`alerts_${counter}`]: 1 },
    settleGroups: alert.event_ids.map((id) => ({ id, counter })),
  };
}

export function deadPlan(payload: Buffer, bounds: OutcomeBounds): CommitPlan {
  return { counters: { alerts_dead: 1 }, outputs: [{ lane: DEAD_LANE, payload, bounds: bounds.dead }] };
}

/** Notes with the alert how its last delivery failed, for whoever gets it next. */
export function rememberFailure(
  { stored, attempts, triedSinceMs }: { stored: StoredAlert; attempts: number; triedSinceMs?: number },
  outcome: DeliveryOutcome,
  nowMs: number,
): void {
  if (outcome.kind === 'delivered' || outcome.kind === 'superseded') return;
  Object.assign(stored, {
    attempts,
    ...(triedSinceMs === undefined ? {} : { triedSinceMs }),
    firstFailedAtMs: stored.firstFailedAtMs ?? nowMs,
    lastFailedAtMs: nowMs,
    reason: outcome.reason,
    error: outcome.error,
  } satisfies Partial<StoredAlert>);
}
