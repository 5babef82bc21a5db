/** The ledger as metrics, read at the scrape. */
import type { LedgerDocument } from '../../gateways/admin/documents.ts';
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
      help: 'Events in the ingest mailbox.',
      values: ledger.partitions.map(({ partition, lanes }) => ({
        labels: { partition: String(partition) },
        value: ingestWaiting({ lanes }),
      })),
    },
    gauge(
      'mutt_alerter_queue_depth',
      'Alerts waiting for their destinations.',
      ledger.partitions.reduce((sum, partition) => sum + alertsWaiting(partition), 0),
    ),
  ];
}

type Partition = LedgerDocument['partitions'][number];

/** Events in the ingest mailbox of a partition. */
export function ingestWaiting({ lanes }: Pick<Partition, 'lanes'>): number {
  return lanes.ingest?.messages ?? 0;
}

/** Alerts of a partition that wait for their destinations, those set aside for a retry included. */
export function alertsWaiting({ lanes, delayed }: Pick<Partition, 'lanes' | 'delayed'>): number {
  const waiting = Object.entries(lanes).filter(([lane]) => lane.startsWith('alert:'));
  const later = Object.values(delayed).reduce((total, count) => total + count, 0);
  return later + waiting.reduce((total, [, { entries }]) => total + entries, 0);
}
