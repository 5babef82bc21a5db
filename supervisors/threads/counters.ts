/**
 * What the threads count, beside the gateway's own counters: one closed list per role, every label pair from the start.
 */
import type { UnsentReason } from '../../actors/ports.ts';
import type { CounterDefinition, CounterLayout } from '../../runtime/shared/counters.ts';
import { stageLayout } from './stage-latency.ts';

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

/** The set with the stages that end in its threads, behind everything else of its layout. */
function withStages<K extends string, const S extends Parameters<typeof stageLayout>[0]>(
  set: CounterSet<K>,
  stages: S,
): CounterSet<K> & { stages: S; stagesAt: number } {
  const layout = [...set.layout, ...stageLayout(stages)];
  return { ...set, layout, stages, stagesAt: set.layout.length };
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

const shed = (mode: 'dlq' | 'defer'): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_alerter_shed_events_total',
  labels: { mode },
  help: 'Alerts that became dead letters unsent since the outbox was about to be full, by shed.mode; an event counts once for each of its destinations.',
});

const metaAlert = (kind: 'template' | 'flood'): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_unmatched_meta_alerts_total',
  labels: { kind },
  help: 'Alerts raised about what no rule matches: about one template of one host, or about too many of them at once.',
});

const unmatchedAudit = (kept: 'yes' | 'no'): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_unmatched_audited_events_total',
  labels: { kept },
  help: 'Unmatched events, by whether the audit policy gives them a row.',
});

const MATCH = counterSet({
  handled: processed('handled'),
  unmatched: processed('unmatched'),
  quarantined: processed('quarantined'),
  alerts: { name: 'mutt_alerter_alerts_forwarded_total', help: 'Alerts put into the lanes of destinations.' },
  spilled: {
    name: 'mutt_alerter_spilled_alerts_total',
    help: 'Alerts of them put into the outbox, since the mailbox of their destination was full.',
  },
  refilled: {
    name: 'mutt_alerter_refilled_alerts_total',
    help: 'Alerts brought back from the outbox into the mailboxes of their destinations.',
  },
  outboxMissing: {
    name: 'mutt_alerter_missing_outbox_alerts_total',
    help: 'Alerts that were booked in the outbox and were not there: PostgreSQL has lost them.',
  },
  shed: shed('dlq'),
  deferred: shed('defer'),
  auditRows: { name: 'mutt_audit_rows_total', help: 'Audit rows stored.' },
  ruleFaults: { name: 'mutt_match_rule_faults_total', help: 'Rules that threw on an event.' },
  unmatchedKept: unmatchedAudit('yes'),
  unmatchedLeftOut: unmatchedAudit('no'),
  metaAlerts: metaAlert('template'),
  floodAlerts: metaAlert('flood'),
  heldMetaAlerts: {
    name: 'mutt_unmatched_held_meta_alerts_total',
    help: 'Meta-alerts that had to wait since their thread had raised as many in the minute as it may.',
  },
  templates: {
    name: 'mutt_unmatched_templates_count',
    help: 'Templates of hosts that are counted at the moment.',
    kind: 'gauge',
  },
  evictedTemplates: {
    name: 'mutt_unmatched_evicted_templates_total',
    help: 'Templates of hosts that went for newer ones, since there were too many.',
  },
  templateFaults: {
    name: 'mutt_unmatched_store_faults_total',
    help: 'Times that templates could not be read or stored; what was to be stored is kept.',
  },
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
export const MATCH_COUNTERS = withStages(MATCH, ['stored_to_matched', 'matched_to_committed']);

const delivery = (status: 'success' | 'fail', reason: string): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_moog_requests_total',
  labels: { status, reason },
  help: 'Deliveries by outcome.',
});

const unsent = (reason: UnsentReason): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_forward_unsent_alerts_total',
  labels: { reason },
  help: 'Alerts that ended without being sent.',
});

const receipts = (status: 'success' | 'fail'): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_forward_receipts_total',
  labels: { status },
  help: 'Receipts of destinations that were stored, or given up: their store was away for too long.',
});

const FORWARD = counterSet({
  delivered: delivery('success', ''),
  timeout: delivery('fail', 'timeout'),
  network: delivery('fail', 'network'),
  tls: delivery('fail', 'tls'),
  throttled: delivery('fail', 'throttled'),
  server: delivery('fail', 'server'),
  auth: delivery('fail', 'auth'),
  rejected: delivery('fail', 'rejected'),
  template: delivery('fail', 'template'),
  muted: unsent('muted'),
  stale: unsent('stale'),
  superseded: unsent('superseded'),
  receiptsKept: receipts('success'),
  receiptsDropped: receipts('fail'),
  receiptsWaiting: {
    name: 'mutt_forward_waiting_receipts',
    help: 'Receipts that wait for their store.',
    kind: 'gauge',
  },
});
export const FORWARD_COUNTERS = withStages(FORWARD, [
  'committed_to_sent',
  'sent_to_accepted',
  'received_to_accepted',
]);

const replayed = (
  source: 'manual' | 'automatic',
  status: 'success' | 'fail',
): Omit<CounterDefinition, 'kind'> => ({
  name: 'mutt_remediation_replayed_total',
  labels: { source, status },
  help: 'Replays of dead letters that have ended, by who asked for them: the destination took the alert, or it failed again.',
});

export const REMEDIATION_COUNTERS = counterSet({
  kept: {
    name: 'mutt_remediation_dead_letters_total',
    help: 'Dead letters kept, those that failed again included.',
  },
  manualDelivered: replayed('manual', 'success'),
  manualFailed: replayed('manual', 'fail'),
  automaticDelivered: replayed('automatic', 'success'),
  automaticFailed: replayed('automatic', 'fail'),
  released: {
    name: 'mutt_remediation_released_letters_total',
    help: 'Dead letters put back into the lanes of their destinations.',
  },
  superseded: {
    name: 'mutt_remediation_superseded_letters_total',
    help: 'Dead letters not replayed, since their destination has taken a later alert of their signature.',
  },
  discarded: {
    name: 'mutt_remediation_discarded_letters_total',
    help: 'Dead letters that somebody discarded.',
  },
  givenUp: {
    name: 'mutt_remediation_given_up_letters_total',
    help: 'Dead letters replayed so often without a person that they are not again.',
  },
});
