/**
 * Reads one line of syslog: RFC 5424, RFC 3164 with or without `<PRI>`, and the file form with an RFC 3339 time.
 *
 * RFC 3164 describes habits rather than a format, so what is not there stays absent; only time, host and message are
 * required. Its local time without a zone is read as UTC, and its missing year is the latest that does not put the line
 * more than seven days after its receipt. Total: any text gives a line or undefined, in linear time.
 */
import { isDate, parseTimestamp, utcMs } from './timestamp.ts';

export interface SyslogLine {
  /** From `<PRI>`: 0 to 7. */
  severity?: number;
  /** From `<PRI>`: 0 to 23. */
  facility?: number;
  /** Milliseconds since 1970 UTC; the receipt time where RFC 5424 says nil. */
  timestampMs: number;
  hostname: string;
  program?: string;
  pid?: string;
  msgid?: string;
  /** RFC 5424 elements by id, their parameters by name. Without prototypes: the names are a stranger's. */
  structuredData?: Record<string, Record<string, string>>;
  message: string;
}

/** How far in the future a line without a year may lie: clocks run fast, but not by more. */
const FUTURE_MS_MAX = 7 * 86_400_000;
/** 29 February has to look back this far at most, across a century that is no leap year. */
const YEARS_BACK_MAX = 8;
const PRI_MAX = 191;
const BYTE_ORDER_MARK = '\uFEFF';

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** `Jun 14 15:16:01`, `Jun  4 15:16:01.123`, `Jun 14 2024 15:16:01`. */
const STAMP_3164 = /([A-Z][a-z]{2}) {1,2}(\d{1,2})(?: (\d{4}))? (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))? /iy;
/** `sshd[123]: `, `sshd(pam_unix)[123]: `, `kernel: `, `su[7] `. */
const TAG = /([^\s:[\]]{1,255})(?:\[([^\]\s]{0,128})\](?::| |$)|:(?= |$))/y;

/** Reads `line` (without its line end). Undefined when it has no time, no host or no message. */
export function parseSyslogLine(line: string, receivedAtMs: number): SyslogLine | undefined {
  let at = line.startsWith(BYTE_ORDER_MARK) ? 1 : 0;
  let priority = -1;
  if (line.charCodeAt(at) === 0x3c) {
    const close = line.indexOf('>', at);
    const digits = close > at + 1 && close <= at + 4 ? line.slice(at + 1, close) : '';
    if (!/^\d+$/.test(digits) || Number(digits) > PRI_MAX) return undefined;
    priority = Number(digits);
    at = close + 1;
  }
  const isRfc5424 = priority >= 0 && line.charCodeAt(at) === 0x31 && line.charCodeAt(at + 1) === 0x20;
  const parsed = isRfc5424 ? parse5424(line, at + 2, receivedAtMs) : parse3164(line, at, receivedAtMs);
  if (parsed === undefined || parsed.message.trim() === '') return undefined;
  if (priority >= 0) {
    parsed.facility = priority >> 3;
    parsed.severity = priority & 7;
  }
  return parsed;
}

function parse3164(line: string, start: number, receivedAtMs: number): SyslogLine | undefined {
  let at: number;
  let timestampMs: number | undefined;
  const first = line.charCodeAt(start);
  if (first >= 0x30 && first <= 0x39) {
    at = line.indexOf(' ', start);
    if (at === -1) return undefined;
    timestampMs = parseTimestamp(line.slice(start, at));
    at++;
  } else {
    STAMP_3164.lastIndex = start;
    const stamp = STAMP_3164.exec(line);
    if (stamp === null) return undefined;
    timestampMs = readStamp(stamp, receivedAtMs);
    at = STAMP_3164.lastIndex;
  }
  if (timestampMs === undefined) return undefined;
  while (line.charCodeAt(at) === 0x20) at++;

  const hostEnd = line.indexOf(' ', at);
  if (hostEnd === -1) return undefined;
  const hostname = line.slice(at, hostEnd);
  if (!isHostname(hostname)) return undefined;
  at = hostEnd + 1;
  while (line.charCodeAt(at) === 0x20) at++;

  TAG.lastIndex = at;
  const tag = TAG.exec(line);
  if (tag === null) return { timestampMs, hostname, message: line.slice(at) };
  at = TAG.lastIndex;
  if (line.charCodeAt(at) === 0x20) at++;
  const parsed: SyslogLine = { timestampMs, hostname, program: tag[1]!, message: line.slice(at) };
  if (tag[2] !== undefined && tag[2] !== '') parsed.pid = tag[2];
  return parsed;
}

/** A token in the place of the host that is really a tag (`sshd[7]:`, `kernel:`) means the line names no host. */
function isHostname(token: string): boolean {
  if (token === '' || token.includes('[')) return false;
  return !token.endsWith(':') || token.endsWith('::');
}

function readStamp(stamp: RegExpExecArray, receivedAtMs: number): number | undefined {
  const month = MONTHS.indexOf(stamp[1]!.toLowerCase()) + 1;
  const day = Number(stamp[2]);
  const hour = Number(stamp[4]);
  const minute = Number(stamp[5]);
  const second = Number(stamp[6]);
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const fractionMs = stamp[7] === undefined ? 0 : Math.trunc(Number(`0.${stamp[7]}`) * 1000);
  if (stamp[3] !== undefined) {
    const year = Number(stamp[3]);
    if (!isDate(year, month, day)) return undefined;
    return utcMs(year, month, day, hour, minute, second) + fractionMs;
  }
  const receivedYear = new Date(receivedAtMs).getUTCFullYear();
  for (let year = receivedYear + 1; year >= receivedYear - YEARS_BACK_MAX; year--) {
    if (!isDate(year, month, day)) continue;
    const atMs = utcMs(year, month, day, hour, minute, second) + fractionMs;
    if (atMs <= receivedAtMs + FUTURE_MS_MAX) return atMs;
  }
  return undefined;
}

function parse5424(line: string, start: number, receivedAtMs: number): SyslogLine | undefined {
  const fields: string[] = [];
  let at = start;
  while (fields.length < 5) {
    const space = line.indexOf(' ', at);
    if (space === -1) return undefined;
    fields.push(line.slice(at, space));
    at = space + 1;
  }
  const [stamp, hostname, program, pid, msgid] = fields as [string, string, string, string, string];
  const timestampMs = stamp === '-' ? receivedAtMs : parseTimestamp(stamp);
  if (timestampMs === undefined || hostname === '-' || hostname === '') return undefined;

  const data = parseStructuredData(line, at);
  let message = line.slice(data.end).replace(/^ /, '');
  if (message.startsWith(BYTE_ORDER_MARK)) message = message.slice(1);
  // RFC 5424 allows a line whose elements say everything; they are then what a person reads and a rule looks in.
  if (message === '' && data.elements !== undefined) message = line.slice(at, data.end);

  const parsed: SyslogLine = { timestampMs, hostname, message };
  if (program !== '-' && program !== '') parsed.program = program;
  if (pid !== '-' && pid !== '') parsed.pid = pid;
  if (msgid !== '-' && msgid !== '') parsed.msgid = msgid;
  if (data.elements !== undefined) parsed.structuredData = data.elements;
  return parsed;
}

interface StructuredData {
  elements: Record<string, Record<string, string>> | undefined;
  /** Where the message begins, its leading space included. */
  end: number;
}

/** Reads the elements at `start`. What is not well formed is left to the message, whole. */
function parseStructuredData(line: string, start: number): StructuredData {
  if (line.charAt(start) === '-' && (start + 1 === line.length || line.charAt(start + 1) === ' ')) {
    return { elements: undefined, end: start + 1 };
  }
  const none = { elements: undefined, end: start };
  const elements = Object.create(null) as Record<string, Record<string, string>>;
  const name = /([^\s=\]"]+)/y;
  let at = start;
  while (line.charAt(at) === '[') {
    name.lastIndex = at + 1;
    const id = name.exec(line);
    if (id === null) return none;
    const parameters = Object.create(null) as Record<string, string>;
    elements[id[1]!] = parameters;
    at = name.lastIndex;
    while (line.charAt(at) === ' ') {
      name.lastIndex = at + 1;
      const parameter = name.exec(line);
      if (parameter === null || !line.startsWith('="', name.lastIndex)) return none;
      const valueStart = name.lastIndex + 2;
      const valueEnd = endOfValue(line, valueStart);
      if (valueEnd === -1) return none;
      parameters[parameter[1]!] = line.slice(valueStart, valueEnd).replace(/\\(["\\\]])/g, '$1');
      at = valueEnd + 1;
    }
    if (line.charAt(at) !== ']') return none;
    at++;
  }
  if (at === start || (at < line.length && line.charAt(at) !== ' ')) return none;
  return { elements, end: at };
}

/** The closing quote of a parameter's value that begins at `start`, or -1. */
function endOfValue(line: string, start: number): number {
  for (let at = start; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === 0x22) return at;
    if (code === 0x5c) at++;
  }
  return -1;
}
