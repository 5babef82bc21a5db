/**
 * Reads the time at the head of a syslog line, in the habits of the devices that write them: RFC 3164 with or without a
 * year, a fraction and a zone; Cisco's marks of a clock that is not set (`*`) or not in step (`.`); RFC 3339 as one word
 * or as two, or seconds since 1970.
 *
 * A missing year is the latest that does not put the line more than seven days after its receipt. A missing zone is UTC,
 * and so is a zone's name that means several. Total and linear: every pattern is bounded.
 */
import { isDate, parseTimestamp, utcMs } from './timestamp.ts';

export interface SyslogTime {
  /** Milliseconds since 1970 UTC. */
  timestampMs: number;
  /** Where the rest of the line begins; blanks and the colon behind the time are left out. */
  end: number;
  /** A colon follows, as Cisco writes it: then what comes is the message, and a host was named before or not at all. */
  isClosed: boolean;
}

/** How far in the future a line without a year may lie: clocks run fast, but not by more. */
const FUTURE_MS_MAX = 7 * 86_400_000;
/** 29 February has to look back this far at most, across a century that is no leap year. */
const YEARS_BACK_MAX = 8;
const MINUTE_MS = 60_000;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** `Jun 14 15:16:01`, `*Jun  4 15:16:01.123`, `Jun 14 2024 15:16:01`, `2024 Jun 14 15:16:01`, `Jun 14 15:16:01 2024`. */
const STAMP =
  /[*.]?(?:(\d{4}) )?([A-Z]{3}) {1,2}(\d{1,2})(?: (\d{4}))? (\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?(?: ((?:19|20)\d{2})(?= |:(?: |$)))?/iy;
/** Before a blank only what cannot be a host's name; before a colon, where no host can come, any name of a zone. */
const ZONE = /(?:Z| ?(?:UTC|GMT|[+-]\d{2}:?\d{2}))(?= |:(?: |$))| [A-Z]{2,5}(?=:(?: |$))/y;
const END = /:(?= |$) *| +/y;
const DATE_AND_TIME = /\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}[^ ]{0,40}(?: [+-]\d{2}:?\d{2}(?= ))?/y;

/** Seconds since 1973, or a finer unit. */
const EPOCH_WORD = /^\d{9,21}(?:\.\d{1,9})?$/;

/** Offsets of zones whose names mean one thing, in minutes. RFC 5322 section 4.3, and those of Europe and East Asia. */
// prettier-ignore
const ZONE_MINUTES: ReadonlyMap<string, number> = new Map([
  ['EST', -300], ['EDT', -240], ['CST', -360], ['CDT', -300], ['MST', -420], ['MDT', -360], ['PST', -480], ['PDT', -420],
  ['WEST', 60], ['CET', 60], ['CEST', 120], ['EET', 120], ['EEST', 180], ['MSK', 180], ['JST', 540], ['KST', 540],
  ['AEST', 600], ['AEDT', 660], ['NZST', 720], ['NZDT', 780],
]);

/** Reads the time at `start`. Undefined when there is none, or when nothing follows it. */
export function readSyslogTime(line: string, start: number, receivedAtMs: number): SyslogTime | undefined {
  STAMP.lastIndex = start;
  const stamp = STAMP.exec(line);
  if (stamp === null) return readRfc3339(line, start);
  let at = STAMP.lastIndex;
  ZONE.lastIndex = at;
  const zone = ZONE.exec(line);
  if (zone !== null) at = ZONE.lastIndex;
  END.lastIndex = at;
  if (!END.test(line)) return undefined;
  const timestampMs = timeOf(stamp, offsetMinutesOf(zone?.[0].trimStart()), receivedAtMs);
  if (timestampMs === undefined) return undefined;
  return { timestampMs, end: END.lastIndex, isClosed: line.charCodeAt(at) === 0x3a };
}

/** `2024-06-14T15:16:01Z host`, `2024-06-14 15:16:01,123 +0200 host`, `1718377561.25 host`. */
function readRfc3339(line: string, start: number): SyslogTime | undefined {
  const first = line.charCodeAt(start);
  if (first < 0x30 || first > 0x39) return undefined;
  DATE_AND_TIME.lastIndex = start;
  const words = DATE_AND_TIME.exec(line);
  const end = words === null ? line.indexOf(' ', start) : DATE_AND_TIME.lastIndex;
  if (end === -1) return undefined;
  const text = line.slice(start, end);
  const isClosed = text.endsWith(':');
  // A short number is no time but a sequence number, or the beginning of a text.
  if (!text.includes('-') && !EPOCH_WORD.test(text)) return undefined;
  const timestampMs = parseTimestamp((isClosed ? text.slice(0, -1) : text).replace(/ (?=[+-])/, ''));
  if (timestampMs === undefined) return undefined;
  let at = end;
  while (line.charCodeAt(at) === 0x20) at++;
  return at === end ? undefined : { timestampMs, end: at, isClosed };
}

function timeOf(stamp: RegExpExecArray, offsetMinutes: number, receivedAtMs: number): number | undefined {
  const month = MONTHS.indexOf(stamp[2]!.toLowerCase()) + 1;
  const day = Number(stamp[3]);
  const hour = Number(stamp[5]);
  const minute = Number(stamp[6]);
  const second = Number(stamp[7]);
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const fractionMs = stamp[8] === undefined ? 0 : Number(stamp[8].slice(0, 3).padEnd(3, '0'));
  const inYear = (year: number): number =>
    utcMs(year, month, day, hour, minute, second) + fractionMs - offsetMinutes * MINUTE_MS;
  const said = stamp[1] ?? stamp[4] ?? stamp[9];
  if (said !== undefined) {
    const year = Number(said);
    return year > 0 && isDate(year, month, day) ? inYear(year) : undefined;
  }
  const receivedYear = new Date(receivedAtMs).getUTCFullYear();
  for (let year = receivedYear + 1; year >= receivedYear - YEARS_BACK_MAX; year--) {
    if (isDate(year, month, day) && inYear(year) <= receivedAtMs + FUTURE_MS_MAX) return inYear(year);
  }
  return undefined;
}

function offsetMinutesOf(zone: string | undefined): number {
  if (zone === undefined) return 0;
  const sign = zone.charCodeAt(0);
  if (sign !== 0x2b && sign !== 0x2d) return ZONE_MINUTES.get(zone) ?? 0;
  const digits = zone.slice(1).replace(':', '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return sign === 0x2d ? -minutes : minutes;
}
