/**
 * Alerts about what no rule matches. They go the way of every alert, but come from no rule (`rule_id` 0) and name no
 * events. Pure.
 */
import { hash } from 'node:crypto';
import { UNMATCHED_RULE_ID } from '../event.ts';
import type { Alert } from '../event.ts';
import { environmentOf, routedTo, teamOf } from './decide.ts';
import type { DecisionBasis } from './decide.ts';
import type { UnmatchedEntry } from './unmatched-table.ts';

const ALERT_ID_CHARS = 32;
/** Warning (RFC 5424). */
const SEVERITY = 4;
const DECISION = 'Ticket_only';
/** Who speaks of many hosts at once. */
const OWN_HOST = 'mutt';
const UNITS: readonly [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** One for each destination that takes it; the same for the same window of the same template of a host. */
export function metaAlerts(
  { host, program, trapOid, template, sampleEventId, windowStartMs, windowCount, lastSeenMs }: UnmatchedEntry,
  fingerprint: string,
  { windowMs, team: fallbackTeam }: { windowMs: number; team: string },
  basis: DecisionBasis,
): Alert[] {
  const from = program ?? trapOid;
  const said = from === null ? template : `${from}: ${template}`;
  return alertsOf(
    {
      identity: `unmatched\n${host}\n${fingerprint}\n${windowStartMs}`,
      hostname: host,
      team: teamOf(host, basis) ?? fallbackTeam,
      signature: `${host}::unmatched::${fingerprint}`,
      atMs: lastSeenMs,
      description: `${windowCount} events within ${spanOf(windowMs)} that no rule matches: ${said}`,
      correlationId: sampleEventId,
      count: windowCount,
    },
    basis,
  );
}

/** Of a thread that raises more than it may: one, about all that wait. */
export function floodAlerts(
  flood: {
    partition: number;
    hour: number;
    atMs: number;
    waiting: number;
    alertsPerMinuteMax: number;
    team: string;
  },
  basis: DecisionBasis,
): Alert[] {
  return alertsOf(
    {
      identity: `unmatched flood\n${flood.partition}\n${flood.hour}`,
      hostname: OWN_HOST,
      team: flood.team,
      signature: `${OWN_HOST}::unmatched::flood`,
      atMs: flood.atMs,
      description: `Many templates come often and match no rule: more than ${flood.alertsPerMinuteMax} alerts about them in a minute, ${flood.waiting} wait. See GET /api/v2/unmatched.`,
      correlationId: `unmatched-flood-${flood.partition}-${flood.hour}`,
      count: flood.waiting,
    },
    basis,
  );
}

interface Said {
  identity: string;
  hostname: string;
  team: string;
  signature: string;
  atMs: number;
  description: string;
  correlationId: string;
  count: number;
}

function alertsOf(said: Said, basis: DecisionBasis): Alert[] {
  const { hostname, team, signature, description, count } = said;
  const environment = environmentOf(hostname, basis);
  const at = new Date(said.atMs).toISOString();
  return routedTo(basis, { team, severity: SEVERITY, environment, decision: DECISION }).map(({ name }) => ({
    id: hash('sha256', `${said.identity}\n${name}`, 'hex').slice(0, ALERT_ID_CHARS),
    destination: name,
    event_ids: [],
    rule_id: UNMATCHED_RULE_ID,
    rule_version: 0,
    decision: DECISION,
    environment,
    team,
    severity: SEVERITY,
    signature,
    hostname,
    event_time: at,
    received_at: at,
    description,
    correlation_id: said.correlationId,
    count,
    status: 'firing',
  }));
}

function spanOf(ms: number): string {
  const [unitMs, name] = UNITS.find(([unit]) => ms % unit === 0) ?? [1, 'ms'];
  return `${ms / unitMs} ${name}`;
}
