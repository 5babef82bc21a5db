/** Alerts that stand for those to come: for a template that is saved, and for the test of a destination. */
import { UNMATCHED_RULE_ID } from '../../event.ts';
import type { Alert } from '../../event.ts';

/** An alert that no event made. Give it what it should have of its own. */
export function sampleAlert(fields: Partial<Alert>): Alert {
  return {
    id: '0'.repeat(32),
    destination: 'sample',
    event_ids: [],
    rule_id: UNMATCHED_RULE_ID,
    rule_version: 1,
    decision: 'Page_and_ticket',
    environment: 'prod',
    team: 'mutt-test',
    severity: 5,
    signature: 'mutt-test',
    hostname: 'mutt-test',
    event_time: '2026-01-01T00:00:00.000Z',
    received_at: '2026-01-01T00:00:00.000Z',
    description: 'a test',
    correlation_id: 'mutt-test',
    count: 1,
    status: 'firing',
    ...fields,
  };
}

/** With what messages of devices have in them, and once without whatever may be absent. */
export const TEMPLATE_SAMPLES: readonly Alert[] = [
  sampleAlert({
    event_ids: ['sample-0', 'sample-1'],
    description: 'a "quoted" \\ text,\n\tof two lines: {{ 100% }} <é> & \u2028 😀',
    signature: 'sample::"7"::Gi0/1',
  }),
  sampleAlert({ severity: null, status: 'resolved', environment: 'dev', decision: 'Ticket_only' }),
];
