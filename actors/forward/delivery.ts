/**
 * One delivery: the request that the destination's kind makes of an alert, the POST, and what its answer means.
 */
import { codeOf, messageOf } from '../../runtime/errors.ts';
import type { SentOutcome, Destination, WebhookClient } from '../ports.ts';
import { classifyFailure, classifyResponse } from './classify-response.ts';
import { KINDS } from './kinds/kinds.ts';
import type { StoredAlert } from './messages.ts';

/** Never rejects. */
export async function deliverAlert(
  { alert }: StoredAlert,
  destination: Destination,
  client: WebhookClient,
  nowMs: () => number,
): Promise<SentOutcome> {
  const kind = KINDS[destination.kind];
  const { timeoutMs, secretRef } = destination;
  try {
    const reply = await client.post({
      url: kind.endpoint(destination),
      timeoutMs,
      secretRef,
      compose: (credential) => kind.message({ alert, destination, credential, nowMs: nowMs() }),
    });
    return kind.judge?.(reply) ?? classifyResponse(reply, nowMs());
  } catch (thrown) {
    // The next try would make the same of it: it goes where a person looks.
    if (codeOf(thrown) === 'E_TEMPLATE_FAILED')
      return { kind: 'refused', reason: 'template', error: `E_TEMPLATE_FAILED: ${messageOf(thrown)}` };
    return classifyFailure(thrown);
  }
}
