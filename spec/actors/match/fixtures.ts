/** A rule and an event to start from, for the specs of this folder. */
import type { NormalizedEvent } from '../../../actors/event.ts';
import type { RuleRow } from '../../../actors/ports.ts';

export const receivedAtMs = Date.parse('2024-05-01T12:00:00Z');

export function ruleOf(fields: Partial<RuleRow>): RuleRow {
  return {
    id: 1,
    version: 1,
    match_string: null,
    match_type: 'contains',
    case_sensitive: false,
    trap_oid: null,
    syslog_severity: null,
    severity_op: '=',
    host: null,
    program: null,
    facility: null,
    network: null,
    priority: 100,
    continue: false,
    prod_handling: 'Page_and_ticket',
    dev_handling: 'Ignore',
    team_assignment: 'NETO',
    severity: null,
    signature: null,
    clears: null,
    active_from: null,
    active_until: null,
    is_active: true,
    tests: [],
    ...fields,
  };
}

export function eventOf(fields: Partial<NormalizedEvent>): NormalizedEvent {
  return {
    id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f-0',
    receivedAtMs,
    correlationId: 'c-1',
    hostname: 'router-1.example.net',
    message: 'link down',
    eventTimeMs: receivedAtMs,
    clockSkewed: false,
    fields: {},
    ...fields,
  };
}
