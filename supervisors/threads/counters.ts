/**
 * What the threads count, beside the gateway's own counters: one closed list per role, every label pair from the start.
 */
import type { CounterDefinition, CounterLayout } from '../../runtime/shared/counters.ts';

interface CounterSet<K extends string> {
  layout: CounterLayout;
  /** Position of each counter in the layout. */
  at: Readonly<Record<K, number>>;
}

function counterSet<K extends string>(
  definitions: Record<K, Omit<CounterDefinition, 'kind'> & { kind?: 'gauge' }>,
): CounterSet<K> {
  const names = Object.keys(definitions) as K[];
  return {
    layout: names.map((name) => ({ kind: 'counter', ...definitions[name] })),
    at: Object.fromEntries(names.map((name, index) => [name, index])) as Record<K, number>,
  };
}

const evicted = (bound: 'key' | 'all'): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_ingest_evicted_rejects_total',
  labels: { bound },
  help: 'Parked rejects that went for newer ones, by whose bound was reached: that of their API key, or of all.',
});

export const INGEST_COUNTERS = counterSet({
  events: { name: 'mutt_ingest_stored_events_total', help: 'Events stored in the ingest mailbox.' },
  diverted: {
    name: 'mutt_ingest_diverted_events_total',
    help: 'Events of them for the overflow mailbox, since their host sent more than the others.',
  },
  duplicates: {
    name: 'mutt_ingest_duplicate_events_total',
    help: 'Events that came again and had been stored before: nothing was done.',
  },
  keysReused: {
    name: 'mutt_ingest_reused_idempotency_keys_total',
    help: 'Requests stored under an Idempotency-Key that came before with another body.',
  },
  idsReused: {
    name: 'mutt_ingest_reused_event_ids_total',
    help: 'Events stored under an id that came before with another content.',
  },
  resendKeysMax: {
    name: 'mutt_ingest_resend_keys_max',
    help: 'Newest keys of a partition that are known; of several threads the least.',
    kind: 'gauge',
    merge: 'least',
  },
  resendWindow: {
    name: 'mutt_ingest_resend_window_ms',
    help: 'How long a key is known, unless it is no more among the newest.',
    kind: 'gauge',
    merge: 'least',
  },
  rejects: { name: 'mutt_ingest_parked_rejects_total', help: 'Unusable records that were parked.' },
  rejectsDropped: {
    name: 'mutt_ingest_dropped_rejects_total',
    help: 'Rejects given up before they were parked: their store was away, or too slow for so many.',
  },
  rejectsEvictedOfKey: evicted('key'),
  rejectsEvictedOfAll: evicted('all'),
  frames: { name: 'mutt_ingest_frames_total', help: 'Frames stored in the ingest mailbox.' },
  frameBytes: { name: 'mutt_ingest_frame_bytes_total', help: 'Bytes of these frames.' },
});

const processed = (status: string): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_alerter_events_processed_total',
  labels: { status },
  help: 'Events that were decided about.',
});

export const MATCH_COUNTERS = counterSet({
  handled: processed('handled'),
  unmatched: processed('unmatched'),
  quarantined: processed('quarantined'),
  alerts: { name: 'mutt_alerter_alerts_forwarded_total', help: 'Alerts put into the lanes of destinations.' },
  auditRows: { name: 'mutt_audit_rows_total', help: 'Audit rows stored.' },
  ruleFaults: { name: 'mutt_match_rule_faults_total', help: 'Rules that threw on an event.' },
  rules: {
    name: 'mutt_alerter_cache_rules_count',
    help: 'Rules in use; of several threads the least.',
    kind: 'gauge',
    merge: 'least',
  },
  snapshotVersion: {
    name: 'mutt_match_snapshot_version',
    help: 'Rule set in use; of several threads the oldest.',
    kind: 'gauge',
    merge: 'least',
  },
});

const delivery = (status: 'success' | 'fail', reason: string): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_moog_requests_total',
  labels: { status, reason },
  help: 'Deliveries by outcome.',
});

export const FORWARD_COUNTERS = counterSet({
  delivered: delivery('success', ''),
  timeout: delivery('fail', 'timeout'),
  network: delivery('fail', 'network'),
  tls: delivery('fail', 'tls'),
  throttled: delivery('fail', 'throttled'),
  server: delivery('fail', 'server'),
  auth: delivery('fail', 'auth'),
  rejected: delivery('fail', 'rejected'),
  template: delivery('fail', 'template'),
});

export const REMEDIATION_COUNTERS = counterSet({
  kept: { name: 'mutt_remediation_dead_letters_total', help: 'Dead letters kept for a person.' },
});
