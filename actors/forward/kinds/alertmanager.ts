/**
 * Prometheus Alertmanager: its API v2 (wire formats, section 5.4).
 *
 * There an alert is its labels, and it ends at `endsAt`: one that is not said again within the Alertmanager's
 * `resolve_timeout` (5 minutes) ends by itself, when no `endsAt` is given. We say an alert when an event comes and not
 * every minute, so a firing alert is given the end of `resolve_after_ms` from the moment it is sent; not from its event,
 * or one that waited here for longer would arrive as resolved and be told to nobody.
 *
 * Invariant: a resolve has the labels of what it resolves. So a label is only what the rule that clears shares with the
 * rule that it clears: the signature and what is part of it, the environment and the team. The severity is not, and
 * people route by it: a resolve is sent for each severity there is. A group that has not fired tells nobody of it; one
 * that has lists those severities in its notice of the end, unless it is grouped by severity too.
 */
import { UNMATCHED_RULE_ID } from '../../event.ts';
import type { Alert } from '../../event.ts';
import type { Destination } from '../../ports.ts';
import { authorization } from './credential.ts';
import { detailsOf } from './details.ts';
import { JSON_TYPE } from './kind.ts';
import type { Kind } from './kind.ts';
import { SEVERITY_WORDS, severityWord } from './severity.ts';
import type { SeverityWord } from './severity.ts';

export const RESOLVE_AFTER_MS_DEFAULT = 86_400_000;
const PATH = '/api/v2/alerts';

interface PostedAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** RFC 3339. */
  startsAt: string;
  endsAt: string;
}

export const alertmanager: Kind = {
  label: 'Alertmanager API v2',
  auth: ['bearer', 'basic'],
  needsCredential: false,
  fields: ['auth', 'resolve_after_ms'],
  endpoint: alertsAddress,
  message: ({
    alert,
    destination: { auth, resolveAfterMs = RESOLVE_AFTER_MS_DEFAULT },
    credential,
    nowMs,
  }) => ({
    headers: { ...JSON_TYPE, ...authorization(auth, credential) },
    body: JSON.stringify(postedAlerts(alert, nowMs + resolveAfterMs)),
  }),
};

/** The address of an Alertmanager, as Prometheus is given it, or the whole one. */
function alertsAddress({ url }: Destination): string {
  const address = new URL(url);
  const path = address.pathname.replace(/\/+$/, '');
  address.pathname = path.endsWith(PATH) ? path : `${path}${PATH}`;
  return address.href;
}

function postedAlerts(alert: Alert, endsAtMs: number): PostedAlert[] {
  const isResolved = alert.status === 'resolved';
  const severities = isResolved ? SEVERITY_WORDS : [severityWord(alert.severity)];
  // Receipt times: a host's own clock may be ahead of everybody's, and an end before its beginning is refused.
  const startsAt = alert.received_at;
  const endsAt = isResolved ? startsAt : new Date(Math.max(endsAtMs, Date.parse(startsAt))).toISOString();
  const annotations = annotationsOf(alert);
  return severities.map((severity) => ({ labels: labelsOf(alert, severity), annotations, startsAt, endsAt }));
}

function labelsOf(alert: Alert, severity: SeverityWord): Record<string, string> {
  const { hostname, signature, team, environment } = alert;
  return {
    alertname: alert.rule_id === UNMATCHED_RULE_ID ? 'MuttUnmatched' : 'MuttAlert',
    signature,
    severity,
    environment,
    team,
    // Of a signature without the host several hosts may be one alert: then the host is no part of what it is.
    ...(signature.includes(hostname) ? { instance: hostname } : {}),
  };
}

function annotationsOf(alert: Alert): Record<string, string> {
  const details = Object.entries(detailsOf(alert)).flatMap(([name, value]) =>
    value === null ? [] : [[name, String(value)] as const],
  );
  return {
    summary: `${alert.hostname}: ${alert.description}`,
    description: alert.description,
    ...Object.fromEntries(details),
  };
}
