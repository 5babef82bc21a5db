/**
 * What the ingest gateway and the ingest actor both have to know about a body, beside its bytes.
 */

/**
 * The languages that senders speak, as told by the route and its Content-Type; the position is the code in a batch's
 * table. Only ever appended to. `native` stands for everything that is told apart by its bytes.
 */
export const DIALECTS = [
  'native',
  'otlp_protobuf',
  'otlp_json',
  'hec_event',
  'hec_raw',
  'loki_protobuf',
  'loki_json',
] as const;
export type Dialect = (typeof DIALECTS)[number];

/**
 * What a sender said about its records beside the body (syslog-ng's `X-Syslog-…` headers, the query of a Splunk raw
 * route): host, program, facility and severity, one to a line, an empty line for what it did not say.
 */
export const HINT_FIELDS = ['hostname', 'program', 'syslog_facility', 'syslog_severity'] as const;
/** Longer hints are not taken for such. */
export const HINT_CHARS_MAX = 512;
