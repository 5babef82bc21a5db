/** An alert to start from, and a partition with a lane of them, for the specs of this folder. */
import type { Alert } from '../../../actors/event.ts';
import { alertLane, encodeStoredAlert } from '../../../actors/forward/messages.ts';
import type { StoredAlert } from '../../../actors/forward/messages.ts';
import type { Destination } from '../../../actors/ports.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { WIDE, freshWriterId } from '../../runtime/durable/store-under-test.ts';

export function alertOf(id: string, fields: Partial<Alert> = {}): Alert {
  return {
    id,
    destination: 'noc',
    event_ids: [`event of ${id}`],
    rule_id: 4,
    rule_version: 2,
    decision: 'Page_only',
    environment: 'prod',
    team: 'NETO',
    severity: 3,
    signature: id,
    hostname: 'r1',
    event_time: '2024-05-01T12:00:00.999Z',
    received_at: '2024-05-01T12:00:01.000Z',
    description: 'link down',
    correlation_id: 'c-1',
    count: 1,
    status: 'firing',
    ...fields,
  };
}

export function destinationOf(fields: Partial<Destination> = {}): Destination {
  return {
    name: 'noc',
    kind: 'moogsoft',
    url: 'http://127.0.0.1:1/',
    secretRef: null,
    routes: [],
    ratePerSecond: 100_000,
    concurrency: 8,
    timeoutMs: 1_000,
    ...fields,
  };
}

/** Puts alerts at the end of their lanes, as a producer of its own. */
export async function putAlerts(
  store: DurableStore,
  alerts: readonly (Alert | Buffer)[],
  partition = 0,
  replay: Pick<StoredAlert, 'replays' | 'replayedAtMs'> = {},
): Promise<void> {
  for (const alert of alerts) {
    const isRaw = Buffer.isBuffer(alert);
    const stored: StoredAlert | undefined = isRaw ? undefined : { alert, attempts: 0, ...replay };
    const [result] = await store.append([
      {
        partition,
        lane: alertLane(isRaw ? 'noc' : alert.destination),
        writerId: freshWriterId(),
        sequence: 1,
        count: 1,
        payload: stored === undefined ? (alert as Buffer) : encodeStoredAlert(stored),
        bounds: WIDE,
      },
    ]);
    if (result?.status !== 'stored') throw new Error(`not stored: ${result?.status}`);
  }
}
