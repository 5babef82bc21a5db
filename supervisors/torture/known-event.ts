/**
 * An event of the torture: known by the host that sent it and its number there, both of which are in its text. So wherever
 * it is found (an audit row, an alert, a dead letter), whose it is can be read from it.
 */

/** Numbers of a host are 0, 1, 2 and so on, without a gap. */
export interface KnownEvent {
  host: string;
  sequence: number;
}

/** What a rule has to look for to find the events that become alerts. */
export const ALERT_TEXT = 'TORTURE-3-ALERT';
/** Of one host: a set of so many takes 2 MiB. */
export const SEQUENCE_MAX = 2 ** 24 - 1;

const KNOWN = /\bknown host=([\w.-]{1,128}) n=(\d{1,8});/;

/** The message of an event. */
export function knownText({ host, sequence }: KnownEvent, isAlert: boolean): string {
  return `${isAlert ? `%${ALERT_TEXT}: ` : ''}known host=${host} n=${sequence};`;
}

/** The event that a text is of; undefined for one of somebody else. */
export function knownEventIn(text: string): KnownEvent | undefined {
  const [, host, digits] = KNOWN.exec(text) ?? [];
  const sequence = Number(digits);
  return host === undefined || sequence > SEQUENCE_MAX ? undefined : { host, sequence };
}

/** Whether a rule that looks for `ALERT_TEXT` finds it. */
export function isAlertText(text: string): boolean {
  return text.includes(ALERT_TEXT);
}

export function nameOf({ host, sequence }: KnownEvent): string {
  return `${host} ${sequence}`;
}
