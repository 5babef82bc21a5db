/**
 * One delivery: the payload in the destination's shape, the POST, and what its answer means.
 */
import type { DeliveryOutcome, Destination, WebhookClient } from '../ports.ts';
import { classifyFailure, classifyResponse } from './classify-response.ts';
import type { StoredAlert } from './messages.ts';
import { moogsoftPayload } from './moogsoft-payload.ts';
import { webhookPayload } from './webhook-payload.ts';

/** Never rejects. */
export async function deliverAlert(
  stored: StoredAlert,
  destination: Destination,
  client: WebhookClient,
  nowMs: () => number,
): Promise<DeliveryOutcome> {
  const { alert } = stored;
  const { url, timeoutMs, secretRef } = destination;
  try {
    const payload = destination.kind === 'moogsoft' ? moogsoftPayload(alert) : webhookPayload(alert);
    return classifyResponse(
      await client.post({ url, body: JSON.stringify(payload), timeoutMs, secretRef }),
      nowMs(),
    );
  } catch (thrown) {
    return classifyFailure(thrown);
  }
}
