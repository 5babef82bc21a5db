/**
 * An alert in the shape that Moogsoft's webhook and REST LAMs take (wire formats, section 5.1).
 */
import { OWN_RULE_ID, UNMATCHED_RULE_ID } from '../event.ts';
import type { Alert } from '../event.ts';

/** Moogsoft's severities: 0 clear, 1 indeterminate, 2 warning, 3 minor, 4 major, 5 critical. */
export type MoogsoftSeverity = 0 | 1 | 2 | 3 | 4 | 5;

export interface MoogsoftPayload {
  signature: string;
  source_id: string;
  external_id: string;
  manager: 'MUTT';
  source: string;
  class: string;
  agent: 'MUTT';
  agent_location: string;
  type: string;
  severity: MoogsoftSeverity;
  description: string;
  /** The event's own time, seconds since 1970. */
  agent_time: number;
  custom_info: Record<string, unknown>;
}

const CLEAR: MoogsoftSeverity = 0;
const INDETERMINATE: MoogsoftSeverity = 1;
/** Index is the syslog severity: emerg, alert, crit, err, warning, notice, info, debug. */
const BY_SYSLOG_SEVERITY: readonly MoogsoftSeverity[] = [5, 5, 5, 4, 2, 1, 1, 1];

/** Of alerts that come from no rule. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [UNMATCHED_RULE_ID, 'unmatched'],
  [OWN_RULE_ID, 'own'],
]);

/** The event as Moogsoft takes it. Deterministic: a repeated delivery is byte for byte the same. */
export function moogsoftPayload(alert: Alert): MoogsoftPayload {
  return {
    signature: alert.signature,
    source_id: alert.hostname,
    external_id: alert.id,
    manager: 'MUTT',
    source: alert.hostname,
    class: alert.team,
    agent: 'MUTT',
    agent_location: alert.environment,
    type: TYPES.get(alert.rule_id) ?? `rule ${alert.rule_id}`,
    severity: moogsoftSeverity(alert),
    description: alert.description,
    agent_time: Math.floor(Date.parse(alert.event_time) / 1000),
    custom_info: {
      alert_id: alert.id,
      event_ids: alert.event_ids,
      decision: alert.decision,
      rule_id: alert.rule_id,
      rule_version: alert.rule_version,
      environment: alert.environment,
      team: alert.team,
      syslog_severity: alert.severity,
      correlation_id: alert.correlation_id,
      received_at: alert.received_at,
      count: alert.count,
      status: alert.status,
    },
  };
}

export function moogsoftSeverity(alert: Pick<Alert, 'severity' | 'status'>): MoogsoftSeverity {
  if (alert.status === 'resolved') return CLEAR;
  return alert.severity === null ? INDETERMINATE : (BY_SYSLOG_SEVERITY[alert.severity] ?? INDETERMINATE);
}
