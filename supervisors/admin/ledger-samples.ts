/** The ledger as metrics, read at the scrape. */
import { alertLane, destinationOf } from '../../actors/forward/messages.ts';
import { INPUT_LANES } from '../../actors/ingest/ingest-actor.ts';
import type { LedgerDocument } from '../../gateways/admin/documents.ts';
import type { RejectFigures } from './ledger-document.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';

export function ledgerSamples(ledger: LedgerDocument): CounterSample[] {
  const gauge = (name: string, help: string, value: number): CounterSample => ({
    name,
    kind: 'gauge',
    help,
    values: [{ labels: {}, value }],
  });
  return [
    {
      name: 'mutt_ledger_terminal_events_total',
      kind: 'counter',
      help: 'Events by terminal state.',
      values: Object.entries(ledger.terminal).map(([state, value]) => ({ labels: { state }, value })),
    },
    { ...gauge('mutt_ledger_accepted_events_total', 'Events accepted.', ledger.accepted), kind: 'counter' },
    {
      ...gauge('mutt_ledger_lost_events_total', 'Acknowledged events that the store lost.', ledger.lost),
      kind: 'counter',
    },
    gauge(
      'mutt_ledger_in_flight_events',
      'Events accepted and not yet in a terminal state.',
      ledger.in_flight,
    ),
    gauge('mutt_ledger_balanced', '1 when the books of every partition balance.', ledger.balanced ? 1 : 0),
    {
      name: 'mutt_ingest_queue_depth',
      kind: 'gauge',
      help: 'Events in the ingest mailbox and its overflow.',
      values: ledger.partitions.map(({ partition, lanes }) => ({
        labels: { partition: String(partition) },
        value: ingestWaiting({ lanes }),
      })),
    },
    {
      name: 'mutt_ingest_diverted_hosts',
      kind: 'gauge',
      help: 'Hosts whose events go to the overflow mailbox.',
      values: ledger.partitions.map(({ partition, diverted_hosts: value }) => ({
        labels: { partition: String(partition) },
        value,
      })),
    },
    {
      name: 'mutt_ingest_resend_keys',
      kind: 'gauge',
      help: 'Keys by which resends are known.',
      values: ledger.partitions.map(({ partition, resend_keys: value }) => ({
        labels: { partition: String(partition) },
        value,
      })),
    },
    {
      name: 'mutt_alerter_outbox_alerts',
      kind: 'gauge',
      help: 'Alerts in the outbox, since the mailboxes of their destinations are full.',
      values: ledger.partitions.map(({ partition, outbox }) => ({
        labels: { partition: String(partition) },
        value: Object.values(outbox).reduce((sum, { alerts }) => sum + alerts, 0),
      })),
    },
    gauge(
      'mutt_alerter_queue_depth',
      'Alerts waiting for their destinations.',
      ledger.partitions.reduce((sum, partition) => sum + alertsWaiting(partition), 0),
    ),
  ];
}

/** Rejects of the whole installation, as metrics. */
export function rejectSamples(rejects: RejectFigures): CounterSample[] {
  const { kept, keptBytes, evicted, resubmitted, discarded } = rejects;
  return [
    {
      name: 'mutt_rejects_kept',
      kind: 'gauge',
      help: 'Rejects that PostgreSQL keeps.',
      values: [{ labels: {}, value: kept }],
    },
    {
      name: 'mutt_rejects_kept_bytes',
      kind: 'gauge',
      help: 'Bytes of their bodies.',
      values: [{ labels: {}, value: keptBytes }],
    },
    {
      name: 'mutt_rejects_handled_total',
      kind: 'counter',
      help: 'Parked rejects by what became of them.',
      values: Object.entries({ evicted, resubmitted, discarded }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
    },
  ];
}

type Partition = LedgerDocument['partitions'][number];

/** Events of a partition that wait to be matched. */
export function ingestWaiting({ lanes }: Pick<Partition, 'lanes'>): number {
  return INPUT_LANES.reduce((sum, lane) => sum + (lanes[lane]?.messages ?? 0), 0);
}

/** Alerts of a partition that wait for their destinations, those set aside for a retry and in the outbox included. */
export function alertsWaiting(partition: Pick<Partition, 'lanes' | 'delayed' | 'outbox'>): number {
  const waiting = [...mailboxDepths(partition)].filter(([mailbox]) => mailbox.startsWith(alertLane('')));
  return waiting.reduce((total, [, depth]) => total + depth, 0);
}

/**
 * Events or alerts by mailbox; alerts that are set aside for a retry, or wait in the outbox, are still in that of their
 * destination.
 */
export function mailboxDepths({
  lanes,
  delayed,
  outbox,
}: Pick<Partition, 'lanes' | 'delayed' | 'outbox'>): ReadonlyMap<string, number> {
  const depths = new Map<string, number>();
  for (const [lane, { entries, messages }] of Object.entries(lanes)) {
    // An alert is an entry; what is not consumed from the head has no exact number of messages.
    depths.set(lane, INPUT_LANES.includes(lane) ? Math.max(0, messages) : entries);
  }
  for (const [set, members] of Object.entries(delayed)) {
    const mailbox = alertLane(destinationOf(set));
    depths.set(mailbox, (depths.get(mailbox) ?? 0) + members);
  }
  for (const [mailbox, { alerts }] of Object.entries(outbox)) {
    depths.set(mailbox, (depths.get(mailbox) ?? 0) + alerts);
  }
  return depths;
}
