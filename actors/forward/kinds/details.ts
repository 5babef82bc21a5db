/** What is told of an alert beside what a destination has fields for. */
import { UNMATCHED_RULE_ID } from '../../event.ts';
import type { Alert } from '../../event.ts';

export function ruleName({ rule_id: id }: Alert): string {
  return id === UNMATCHED_RULE_ID ? 'unmatched' : `rule ${id}`;
}

/** Flat, in the order in which people look at it. */
export function detailsOf(alert: Alert): Record<string, string | number | null> {
  return {
    alert_id: alert.id,
    rule_id: alert.rule_id,
    rule_version: alert.rule_version,
    decision: alert.decision,
    environment: alert.environment,
    team: alert.team,
    hostname: alert.hostname,
    syslog_severity: alert.severity,
    correlation_id: alert.correlation_id,
    event_time: alert.event_time,
    received_at: alert.received_at,
    count: alert.count,
  };
}
