/** Syslog severities (0 to 7, null for none) in the words that PagerDuty and Alertmanager share. */
export const SEVERITY_WORDS = ['critical', 'error', 'warning', 'info'] as const;
export type SeverityWord = (typeof SEVERITY_WORDS)[number];

/** emerg, alert and crit are critical, err is error, warning is warning; everything else is info. */
export function severityWord(severity: number | null): SeverityWord {
  if (severity === null || severity > 4) return 'info';
  return severity <= 2 ? 'critical' : severity === 3 ? 'error' : 'warning';
}
