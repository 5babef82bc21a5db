/**
 * Which of two alerts of a host is the later one: that of the later event. By the event's receipt, then by its id: events
 * that came in one frame have one time. PostgreSQL has the same order as `alert_order` (migration 15).
 */
import type { Alert } from '../event.ts';

const EVENT_ID = /^([0-9a-f-]{36})-(\d{1,6})$/;
const TIME_DIGITS = 16;
const INDEX_DIGITS = 6;

/** Texts that compare as the alerts do. */
export function alertOrder({
  received_at: receivedAt,
  event_ids: [first = ''],
}: Pick<Alert, 'received_at' | 'event_ids'>): string {
  const time = String(Math.max(0, Date.parse(receivedAt) || 0)).padStart(TIME_DIGITS, '0');
  const [, frame = '', index = ''] = EVENT_ID.exec(first) ?? [];
  return frame === '' ? time : `${time}${frame}${index.padStart(INDEX_DIGITS, '0')}`;
}
