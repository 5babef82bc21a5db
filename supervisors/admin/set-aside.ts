/**
 * Alerts that are set aside for a later try, as the retry sets hold them: later ones of their signature wait behind them.
 */
import { decodeStoredAlert, retrySet } from '../../actors/forward/messages.ts';
import type { StoredAlert } from '../../actors/forward/messages.ts';
import type { SetAsideDocument } from '../../gateways/admin/documents.ts';
import type { DurableStore } from '../../runtime/durable/durable-store.ts';

type Store = Pick<DurableStore, 'listDelayed'>;

/** Of one mailbox: enough to see what holds back what. */
const SHOWN_MAX = 5;
const PAGE_MAX = 256;
/** A question looks at no more than so many. */
const LOOKED_AT_MAX = 4_096;

/** Those that are due first. Errors: those of the store. */
export async function firstSetAside(
  store: Store,
  partition: number,
  destination: string,
): Promise<SetAsideDocument[]> {
  const members = await store.listDelayed(partition, retrySet(destination), 0, SHOWN_MAX);
  return readable(members).map(({ alert, attempts, reason, lastFailedAtMs }) => ({
    alert_id: alert.id,
    signature: alert.signature,
    attempts,
    reason: reason ?? null,
    last_failed_at: lastFailedAtMs === undefined ? null : new Date(lastFailedAtMs).toISOString(),
  }));
}

/**
 * The alert behind which one of this signature waits; undefined when there is none, or it is the one that is set aside.
 * Errors: those of the store.
 */
export async function aheadOf(
  store: Store,
  partition: number,
  { id, destination, signature }: { id: string; destination: string; signature: string },
): Promise<string | undefined> {
  for (let skip = 0; skip < LOOKED_AT_MAX; skip += PAGE_MAX) {
    const page = await store.listDelayed(partition, retrySet(destination), skip, PAGE_MAX);
    const found = readable(page).find(({ alert }) => alert.signature === signature);
    if (found !== undefined) return found.alert.id === id ? undefined : found.alert.id;
    if (page.length < PAGE_MAX) break;
  }
  return undefined;
}

function readable(members: readonly Buffer[]): StoredAlert[] {
  return members.flatMap((payload) => {
    try {
      return [decodeStoredAlert(payload)];
    } catch {
      // It becomes a dead letter when it is due.
      return [];
    }
  });
}
