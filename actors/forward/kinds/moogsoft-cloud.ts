/**
 * Moogsoft Cloud (APEX AIOps): its Events API (wire formats, section 5.2). A repeat folds by `dedupe_key`, and severity
 * `clear` clears.
 */
import type { Alert } from '../../event.ts';
import { headerText, required } from './credential.ts';
import { detailsOf, ruleName } from './details.ts';
import { JSON_TYPE, asWritten } from './kind.ts';
import type { Kind } from './kind.ts';
import { clip } from './text.ts';

/** Of source and of description. */
const TEXT_CHARS_MAX = 32_500;

type CloudSeverity = 'clear' | 'unknown' | 'warning' | 'minor' | 'major' | 'critical';
/** Index is the syslog severity. Notice and less are nothing that Moogsoft has a word for. */
const BY_SYSLOG_SEVERITY: readonly CloudSeverity[] = ['critical', 'critical', 'critical', 'major', 'warning'];

export const moogsoftCloud: Kind = {
  label: 'Moogsoft Cloud Events API',
  auth: [],
  needsCredential: true,
  fields: [],
  defaultUrl: 'https://api.moogsoft.ai/v1/integrations/events',
  endpoint: asWritten,
  message: ({ alert, credential }) => ({
    headers: { ...JSON_TYPE, apikey: headerText(required(credential)) },
    body: JSON.stringify([eventOf(alert)]),
  }),
};

function eventOf(alert: Alert): Record<string, unknown> {
  return {
    source: clip(alert.hostname, TEXT_CHARS_MAX),
    check: ruleName(alert),
    severity: severityOf(alert),
    description: clip(alert.description, TEXT_CHARS_MAX),
    dedupe_key: alert.signature,
    service: [alert.team],
    class: alert.decision,
    manager: 'MUTT',
    manager_id: alert.id,
    type: alert.environment,
    time: Math.floor(Date.parse(alert.event_time) / 1000),
    tags: Object.fromEntries(Object.entries(detailsOf(alert)).filter(([, value]) => value !== null)),
  };
}

function severityOf({ severity, status }: Alert): CloudSeverity {
  if (status === 'resolved') return 'clear';
  return severity === null ? 'unknown' : (BY_SYSLOG_SEVERITY[severity] ?? 'unknown');
}
