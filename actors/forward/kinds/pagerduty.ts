/**
 * PagerDuty: its Events API v2 (wire formats, section 5.3). A repeat folds by `dedup_key`, which a resolve closes, by
 * the same routing key.
 */
import type { Alert } from '../../event.ts';
import type { SentOutcome, WebhookMessage } from '../../ports.ts';
import { describeResponse } from '../classify-response.ts';
import type { ResponseHead } from '../classify-response.ts';
import { required } from './credential.ts';
import { detailsOf, ruleName } from './details.ts';
import { JSON_TYPE, asWritten } from './kind.ts';
import type { Kind, Sending } from './kind.ts';
import { severityWord } from './severity.ts';
import { clip, clipKey } from './text.ts';

const DEDUP_KEY_CHARS_MAX = 255;
const SUMMARY_CHARS_MAX = 1_024;
/** Of the whole event. Less than the documented 512 KB, whatever a KB is. */
const EVENT_BYTES_MAX = 500_000;
/** Of the description among the details, and of one that had to be cut: even as `\u0001` these are within the bound. */
const DETAIL_CHARS_MAX = 131_072;
const CUT_DETAIL_CHARS = 16_384;

export const pagerduty: Kind = {
  label: 'PagerDuty Events API v2',
  auth: [],
  needsCredential: true,
  fields: [],
  defaultUrl: 'https://events.pagerduty.com/v2/enqueue',
  endpoint: asWritten,
  message,
  judge: judgeEvent,
};

function message({ alert, credential }: Sending): WebhookMessage {
  const event = {
    routing_key: required(credential),
    event_action: alert.status === 'resolved' ? 'resolve' : 'trigger',
    dedup_key: clipKey(alert.signature, DEDUP_KEY_CHARS_MAX),
  };
  // Nothing else of a resolve is read.
  if (alert.status === 'resolved') return { headers: JSON_TYPE, body: JSON.stringify(event) };
  const full = JSON.stringify({ ...event, ...triggerOf(alert, DETAIL_CHARS_MAX) });
  const body =
    Buffer.byteLength(full) <= EVENT_BYTES_MAX
      ? full
      : JSON.stringify({ ...event, ...triggerOf(alert, CUT_DETAIL_CHARS) });
  return { headers: JSON_TYPE, body };
}

function triggerOf(alert: Alert, detailChars: number): Record<string, unknown> {
  return {
    client: 'MUTT',
    payload: {
      summary: clip(`${alert.hostname}: ${alert.description}`, SUMMARY_CHARS_MAX),
      source: alert.hostname,
      severity: severityWord(alert.severity),
      timestamp: alert.event_time,
      component: clip(alert.signature, SUMMARY_CHARS_MAX),
      group: alert.team,
      class: ruleName(alert),
      custom_details: { ...detailsOf(alert), description: clip(alert.description, detailChars) },
    },
  };
}

/**
 * A routing key that is wrong is answered with 400 like an event that is: the words tell them apart. No event is at
 * fault for it, and giving them all up because a key was rotated would be wrong.
 */
function judgeEvent(response: ResponseHead): SentOutcome | undefined {
  const { status, excerpt = '' } = response;
  if (status !== 400 || !/(routing|integration)[ _]key/i.test(excerpt)) return undefined;
  return { kind: 'unauthorized', reason: 'auth', error: describeResponse(response), status };
}
