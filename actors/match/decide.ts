/**
 * Turns an event and the rules it matches into the decision about it: one audit row, with the alerts that follow.
 *
 * Pure, and complete in itself: alerts are stored with the row, so that audit and alerts agree for ever, even when the
 * rules change before a retry. Nothing here depends on the time it runs at.
 */
import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Alert, AuditRow, Environment, Handling, NormalizedEvent } from '../event.ts';
import { canonicalHostname } from '../hostname.ts';
import type { Destination, DestinationRoute, RuleRow, Snapshot } from '../ports.ts';
import type { NormalizedRecord } from './normalize.ts';
import { signatureOf } from './signature.ts';

const ALERT_ID_CHARS = 32;

/** The parts of a snapshot that decisions need, in the form they need them. */
export interface DecisionBasis {
  /** The version of the rule set. */
  version: number;
  /** Hosts whose events count as development, canonical. */
  developmentHosts: ReadonlySet<string>;
  /** Host (canonical) to the team that answers for it. */
  teams: ReadonlyMap<string, string>;
  destinations: readonly Destination[];
  /** A rule of the set, active or not. */
  rule: (id: number) => RuleRow | undefined;
}

/** What decisions need of a snapshot beside its rules. */
export type DecisionParts = Pick<Snapshot, 'version' | 'developmentHosts' | 'teams' | 'destinations'>;

/** `rule` finds a rule of the same snapshot. */
export function decisionBasis(snapshot: DecisionParts, rule: DecisionBasis['rule']): DecisionBasis {
  return {
    version: snapshot.version,
    developmentHosts: new Set(snapshot.developmentHosts.map(canonicalHostname)),
    teams: new Map(Object.entries(snapshot.teams).map(([host, team]) => [canonicalHostname(host), team])),
    destinations: snapshot.destinations,
    rule,
  };
}

/** Decides about `event`, whose matching rules are `matches` in order. */
export function decide(
  { event, raw, rawBytes, origin }: NormalizedRecord,
  matches: readonly RuleRow[],
  basis: DecisionBasis,
): AuditRow {
  const environment = environmentOf(event.hostname, basis);
  const first = matches[0];
  return {
    receivedAtMs: event.receivedAtMs,
    eventId: event.id,
    eventTimeMs: event.eventTimeMs,
    clockSkewed: event.clockSkewed,
    textRepaired: event.textRepaired,
    hostname: event.hostname,
    severity: event.severity ?? null,
    environment,
    team: first?.team_assignment ?? teamOf(event.hostname, basis) ?? null,
    ruleId: first?.id ?? null,
    ruleVersion: first?.version ?? null,
    ruleSetVersion: basis.version,
    decision: first === undefined ? 'Unmatched' : handlingOf(first, environment),
    matches: matches.map((rule) => ({
      rule_id: rule.id,
      rule_version: rule.version,
      handling: handlingOf(rule, environment),
    })),
    alerts: matches.flatMap((rule) => alertsOf(event, rule, environment, basis)),
    correlationId: event.correlationId,
    ...(origin === undefined ? {} : { origin }),
    raw,
    rawBytes,
  };
}

export function environmentOf(hostname: string, basis: DecisionBasis): Environment {
  const isDevelopment = nameOrShortName(hostname, (host) => basis.developmentHosts.has(host) || undefined);
  return isDevelopment === true ? 'dev' : 'prod';
}

/** The team that answers for the host, if one claims it. */
export function teamOf(hostname: string, basis: DecisionBasis): string | undefined {
  return nameOrShortName(hostname, (host) => basis.teams.get(host));
}

/** The destinations that take an alert of which this is so. */
export function routedTo(
  { destinations }: Pick<DecisionBasis, 'destinations'>,
  criteria: RouteCriteria,
): Destination[] {
  return destinations.filter(
    ({ routes }) => routes.length === 0 || routes.some((route) => takes(route, criteria)),
  );
}

/** The id of the alert that `ruleId` sends to `destination` about an event: the same under every retry. */
export function alertId(eventId: string, ruleId: number, destination: string): string {
  return hash('sha256', `${eventId}\n${ruleId}\n${destination}`, 'hex').slice(0, ALERT_ID_CHARS);
}

function alertsOf(
  event: NormalizedEvent,
  rule: RuleRow,
  environment: Environment,
  basis: DecisionBasis,
): Alert[] {
  const decision = handlingOf(rule, environment);
  if (decision === 'Ignore') return [];
  const severity = rule.severity ?? event.severity ?? null;
  const raised = raisedBy(rule, basis);
  const routed = routedTo(
    basis,
    rule.clears === null
      ? { team: rule.team_assignment, severity, environment, decision }
      : clearedCriteria(raised, basis.rule(rule.clears)?.severity, environment),
  );
  if (routed.length === 0) return [];
  const signature = signatureOf(event, raised, environment);
  return routed.map(({ name }) => ({
    id: alertId(event.id, rule.id, name),
    destination: name,
    event_ids: [event.id],
    rule_id: rule.id,
    rule_version: rule.version,
    decision,
    environment,
    // What ends an alert is of the team that has it.
    team: raised.team_assignment,
    severity,
    signature,
    hostname: event.hostname,
    event_time: new Date(event.eventTimeMs).toISOString(),
    received_at: new Date(event.receivedAtMs).toISOString(),
    description: event.message,
    correlation_id: event.correlationId,
    count: 1,
    status: rule.clears === null ? 'firing' : 'resolved',
  }));
}

/** The rule whose alert this is: the one that a clearing rule clears, so that both have the same signature. */
function raisedBy(rule: RuleRow, basis: DecisionBasis): RuleRow {
  if (rule.clears === null) return rule;
  // A cleared rule that is gone leaves its id, which is all that the default signature needs of it.
  return basis.rule(rule.clears) ?? { ...rule, id: rule.clears, signature: null };
}

/**
 * What ends an alert goes wherever that one went, or it would fire there for ever: "link up" is a notice of, perhaps,
 * another team, and a destination for errors of the first has the alert. Without a severity of the rule that raised it
 * any may have been its event's, the worst one too.
 */
function clearedCriteria(
  raised: RuleRow,
  severity: number | null | undefined,
  environment: Environment,
): RouteCriteria {
  const decision = handlingOf(raised, environment);
  return { team: raised.team_assignment, severity: severity ?? 0, environment, decision };
}

function handlingOf(rule: RuleRow, environment: Environment): Handling {
  return environment === 'dev' ? rule.dev_handling : rule.prod_handling;
}

export interface RouteCriteria {
  team: string;
  severity: number | null;
  environment: Environment;
  decision: Handling;
}

/** Whether every criterion of the route holds. An alert without a severity is as bad as nothing. */
function takes(route: DestinationRoute, alert: RouteCriteria): boolean {
  if (route.team !== undefined && route.team !== alert.team) return false;
  if (
    route.severityAtMost !== undefined &&
    !(alert.severity !== null && alert.severity <= route.severityAtMost)
  ) {
    return false;
  }
  if (route.environment !== undefined && route.environment !== alert.environment) return false;
  return route.handling === undefined || route.handling === alert.decision;
}

/** Looks a host up by its whole name, then by the part before the first dot. An address has no short name. */
function nameOrShortName<T>(hostname: string, find: (host: string) => T | undefined): T | undefined {
  const found = find(hostname);
  if (found !== undefined) return found;
  const dot = hostname.indexOf('.');
  return dot <= 0 || isIP(hostname) !== 0 ? undefined : find(hostname.slice(0, dot));
}
