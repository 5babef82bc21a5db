/**
 * Severities and facilities of syslog, as numbers: RFC 5424 section 6.2.1, with the words that senders use for them
 * (RFC 5424, syslog.conf, and the plurals of Cisco's `logging trap`).
 */

/** Every word that names a severity, lower-case. */
// prettier-ignore
const SEVERITY_WORDS: ReadonlyMap<string, number> = new Map([
  ['emerg', 0], ['emergency', 0], ['emergencies', 0], ['panic', 0],
  ['alert', 1], ['alerts', 1],
  ['crit', 2], ['critical', 2],
  ['err', 3], ['error', 3], ['errors', 3],
  ['warning', 4], ['warnings', 4], ['warn', 4],
  ['notice', 5], ['notification', 5], ['notifications', 5],
  ['info', 6], ['informational', 6], ['information', 6],
  ['debug', 7], ['debugging', 7],
]);

/** Every word that names a facility, lower-case. */
// prettier-ignore
const FACILITY_WORDS: ReadonlyMap<string, number> = new Map([
  ['kern', 0], ['kernel', 0], ['user', 1], ['mail', 2], ['daemon', 3], ['auth', 4], ['security', 4], ['syslog', 5],
  ['lpr', 6], ['news', 7], ['uucp', 8], ['cron', 9], ['authpriv', 10], ['ftp', 11], ['ntp', 12], ['audit', 13],
  ['logaudit', 13], ['console', 14], ['logalert', 14], ['solaris-cron', 15], ['clock', 15], ['local0', 16], ['local1', 17], ['local2', 18], ['local3', 19],
  ['local4', 20], ['local5', 21], ['local6', 22], ['local7', 23],
]);

const SEVERITY_MAX = 7;
const FACILITY_MAX = 23;
/** Facility 23, severity 7. */
const PRIORITY_MAX = 191;
/** `34`, `<34>`. */
const PRIORITY_TEXT = /^(?:\d{1,3}|<\d{1,3}>)$/;
/** `local0.err`, as rsyslog's `pri-text` says it, with or without `<131>` behind. */
const SELECTOR = /^([a-z0-9-]{1,16})\.([a-z0-9]{1,16})(?:<\d{1,3}>)?$/i;

/** 0 (emergency) to 7 (debug) from a number, its digits or a word in any case; undefined for anything else. */
export function severityOf(value: unknown): number | undefined {
  return codeFrom(value, SEVERITY_WORDS, SEVERITY_MAX);
}

/** 0 to 23 from a number, its digits or a word in any case; undefined for anything else. */
export function facilityOf(value: unknown): number | undefined {
  return codeFrom(value, FACILITY_WORDS, FACILITY_MAX);
}

/**
 * Facility and severity of a priority value (`PRI`, RFC 5424 section 6.2.1): 0 to 191 as a number or its digits, with or
 * without `<>`, or `facility.severity`; undefined for anything else.
 */
export function priorityOf(value: unknown): { facility: number; severity: number } | undefined {
  if (typeof value === 'string') {
    const text = value.trim();
    if (PRIORITY_TEXT.test(text)) return priorityOf(Number(text.replace(/[<>]/g, '')));
    const selector = SELECTOR.exec(text);
    const facility = facilityOf(selector?.[1]);
    const severity = severityOf(selector?.[2]);
    return facility === undefined || severity === undefined ? undefined : { facility, severity };
  }
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > PRIORITY_MAX)
    return undefined;
  return { facility: value >> 3, severity: value & 7 };
}

function codeFrom(value: unknown, words: ReadonlyMap<string, number>, max: number): number | undefined {
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 && value <= max ? value : undefined;
  if (typeof value !== 'string' || value.length > 16) return undefined;
  const word = value.trim().toLowerCase();
  if (/^\d{1,2}$/.test(word)) return codeFrom(Number(word), words, max);
  return words.get(word);
}
