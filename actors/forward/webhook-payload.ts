/**
 * An alert in the shape that a plain webhook takes: its own fields, without the name we know the receiver by.
 */
import type { Alert } from '../event.ts';

export type WebhookPayload = Omit<Alert, 'destination'>;

/** The alert as JSON. Deterministic: a repeated delivery is byte for byte the same. */
export function webhookPayload(alert: Alert): WebhookPayload {
  const { destination: _, ...payload } = alert;
  return payload;
}
