/**
 * Which relay sent a request, told from its User-Agent.
 *
 * This decides one thing only: whether an unreadable body may be answered 400. Relays drop or resend whole batches on
 * a 4xx, or stop for ever (wire formats, section 6); people with curl need to see their mistake. Never a matter of
 * trust: a User-Agent proves nothing.
 */

/** Sender classes; the position is the code in a batch's table. Only ever appended to. */
export const SENDERS = [
  'unknown',
  // rsyslog's omhttp sends no User-Agent at all, or Rsyslog-omhttp.
  'omhttp',
  'rsyslog',
  'syslog-ng',
  'fluent-bit',
  'fluentd',
  'vector',
  'opentelemetry',
  'logstash',
  'nxlog',
  'promtail',
  'alloy',
  'alertmanager',
  'splunk',
] as const;
export type Sender = (typeof SENDERS)[number];

/** Lower-case beginnings of User-Agent values. */
const BEGINNINGS: readonly (readonly [beginning: string, sender: Sender])[] = [
  ['rsyslog-omhttp', 'omhttp'],
  ['rsyslog', 'rsyslog'],
  ['syslog-ng', 'syslog-ng'],
  ['axosyslog', 'syslog-ng'],
  ['fluent-bit', 'fluent-bit'],
  ['fluentd', 'fluentd'],
  ['vector', 'vector'],
  ['opentelemetry', 'opentelemetry'],
  ['otel', 'opentelemetry'],
  ['logstash', 'logstash'],
  ['nxlog', 'nxlog'],
  ['promtail', 'promtail'],
  ['alloy', 'alloy'],
  ['grafanaagent', 'alloy'],
  ['grafana-agent', 'alloy'],
  ['alertmanager', 'alertmanager'],
  ['splunk', 'splunk'],
];

const UNKNOWN_CODE = SENDERS.indexOf('unknown');
const OMHTTP_CODE = SENDERS.indexOf('omhttp');

/** The code (position in SENDERS) for a User-Agent header value; an empty one is omhttp. */
export function senderCodeOf(userAgent: string): number {
  if (userAgent === '') return OMHTTP_CODE;
  const folded = userAgent.toLowerCase();
  for (const [beginning, sender] of BEGINNINGS) {
    if (folded.startsWith(beginning)) return SENDERS.indexOf(sender);
  }
  return UNKNOWN_CODE;
}

/** True for everything that resends or drops by itself and reads no error messages. */
export function isRelay(senderCode: number): boolean {
  return senderCode !== UNKNOWN_CODE;
}
