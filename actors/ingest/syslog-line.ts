/**
 * Reads one line of syslog: RFC 5424, RFC 3164 with or without `<PRI>`, the file form with an RFC 3339 time, and what
 * Cisco's systems make of RFC 3164 (sequence numbers, the host before the time, mnemonics).
 *
 * RFC 3164 describes habits rather than a format, so what is not there stays absent; only time, host and message are
 * required. Total: any text gives a line or undefined, in linear time.
 */
import { isIPv6 } from 'node:net';
import { readSyslogTime } from './syslog-time.ts';
import { parseTimestamp } from './timestamp.ts';

/** A parameter that is there several times (RFC 5424 section 6.3.3 allows it) is a list of its values, in order. */
export type StructuredElement = Record<string, string | string[]>;

export interface SyslogLine {
  /** From `<PRI>`: 0 to 7. */
  severity?: number;
  /** From `<PRI>`: 0 to 23. */
  facility?: number;
  /** Milliseconds since 1970 UTC; the receipt time where RFC 5424 says nil, or a device only how long it is up. */
  timestampMs: number;
  hostname: string;
  program?: string;
  pid?: string;
  msgid?: string;
  /** RFC 5424 elements by id, their parameters by name. Without prototypes: the names are a stranger's. */
  structuredData?: Record<string, StructuredElement>;
  message: string;
}

const PRI_MAX = 191;
/** A sequence number, a time and a zone together. */
const DEVICE_HEAD_CHARS_MAX = 80;
const BYTE_ORDER_MARK = '\uFEFF';

/** `sshd[123]: `, `sshd(pam_unix)[123]: `, `kernel: `, `su[7] `. */
const TAG = /([^\s:[\]]{1,255})(?:\[([^\]\s]{0,128})\](?::| |$)|:(?= |$))/y;
/** `45: `: a number that counts messages is no program. */
const DIGITS = /^\d+$/;
/** `%LINK-3-UPDOWN: `, `%ASA-6-302013: `: the program, and the part of the message that rules are written for. */
const MNEMONIC = /%[A-Z][\w-]{0,128}-[0-7]-\w{1,128}(?=:(?: |$))/iy;
/** What Cisco's systems write before the time: `: `, `45: 000046: `. */
const SEQUENCE = /(?::? )?(?:\d{1,10}: ?){0,2}/y;
/** The host before the time (`logging origin-id`): `router1: `. Only a mnemonic behind it all makes it one. */
const ORIGIN = /(?!\d+:)([^\s:[\]%]{1,255}) ?: /y;
/** How long a device is up, where it says no time: `00:12:34: `, `1w2d: `, `3d21h: `. */
const UPTIME = /[*.]?(?:\d{1,4}:\d{2}:\d{2}(?:\.\d{1,9})?|(?:\d{1,4}[ywdhms]){1,4}): +/y;

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
  const time = readSyslogTime(line, start, receivedAtMs);
  if (time === undefined) return parseOrigin(line, start, receivedAtMs);
  const hostEnd = time.isClosed ? -1 : line.indexOf(' ', time.end);
  if (hostEnd === -1) return undefined;
  const hostname = line.slice(time.end, hostEnd);
  if (!isHostname(hostname)) return undefined;
  return withProgram(line, hostEnd, { timestampMs: time.timestampMs, hostname, message: '' });
}

/** `45: router1: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: …`: the host is named before the time. */
function parseOrigin(line: string, start: number, receivedAtMs: number): SyslogLine | undefined {
  const origin = matchAt(ORIGIN, line, endOf(SEQUENCE, line, start));
  if (origin === null) return undefined;
  const at = ORIGIN.lastIndex;
  const time = readSyslogTime(line, at, receivedAtMs);
  const uptimeEnd = time === undefined ? endOf(UPTIME, line, at) : at;
  if (time === undefined ? uptimeEnd === at : !time.isClosed) return undefined;
  const mnemonic = mnemonicFrom(line, time?.end ?? uptimeEnd);
  if (mnemonic === undefined) return undefined;
  return {
    timestampMs: time?.timestampMs ?? receivedAtMs,
    hostname: origin[1]!,
    program: mnemonic.program,
    message: line.slice(mnemonic.start),
  };
}

/** Completes `parsed` with the message, which begins at `start` or after blanks, and the program that tags it. */
function withProgram(line: string, start: number, parsed: SyslogLine): SyslogLine {
  let at = start;
  while (line.charCodeAt(at) === 0x20) at++;
  const mnemonic = mnemonicFrom(line, at);
  if (mnemonic !== undefined) {
    parsed.program = mnemonic.program;
    parsed.message = line.slice(mnemonic.start);
    return parsed;
  }
  const tag = matchAt(TAG, line, at);
  if (tag !== null && !DIGITS.test(tag[1]!)) {
    parsed.program = tag[1]!;
    if (tag[2] !== undefined && tag[2] !== '') parsed.pid = tag[2];
    at = TAG.lastIndex;
    if (line.charCodeAt(at) === 0x20) at++;
  }
  parsed.message = line.slice(at);
  return parsed;
}

/** The mnemonic at `start`, or behind what a device wrote there for the relay that put its own head before it. */
function mnemonicFrom(line: string, start: number): { program: string; start: number } | undefined {
  let at = start;
  // Most lines have none: they pay for one search.
  const percent = line.indexOf('%', start);
  if (percent === -1 || percent - start > DEVICE_HEAD_CHARS_MAX) return undefined;
  if (percent !== at) {
    at = endOf(SEQUENCE, line, at);
    const time = readSyslogTime(line, at, 0);
    if (time === undefined) at = endOf(UPTIME, line, at);
    else if (time.isClosed) at = time.end;
  }
  const mnemonic = matchAt(MNEMONIC, line, at);
  return mnemonic === null ? undefined : { program: mnemonic[0], start: at };
}

function matchAt(sticky: RegExp, line: string, at: number): RegExpExecArray | null {
  sticky.lastIndex = at;
  return sticky.exec(line);
}

/** Where what `sticky` matches at `at` ends; `at` when it matches nothing. */
function endOf(sticky: RegExp, line: string, at: number): number {
  return matchAt(sticky, line, at) === null ? at : sticky.lastIndex;
}

/** A token in the place of the host that is really a tag (`sshd[7]:`, `kernel:`) means the line names no host. */
function isHostname(token: string): boolean {
  if (token.includes('[')) return token.endsWith(']') && isIPv6(token.slice(1, -1));
  if (token.trim() === '') return false;
  return !token.endsWith(':') || token.endsWith('::');
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
  if (timestampMs === undefined || hostname === '-' || hostname.trim() === '') return undefined;

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
  elements: Record<string, StructuredElement> | undefined;
  /** Where the message begins, its leading space included. */
  end: number;
}

/** Reads the elements at `start`. What is not well formed is left to the message, whole. */
function parseStructuredData(line: string, start: number): StructuredData {
  if (line.charAt(start) === '-' && (start + 1 === line.length || line.charAt(start + 1) === ' ')) {
    return { elements: undefined, end: start + 1 };
  }
  const none = { elements: undefined, end: start };
  const elements = Object.create(null) as Record<string, StructuredElement>;
  const name = /([^\s=\]"]+)/y;
  let at = start;
  while (line.charAt(at) === '[') {
    name.lastIndex = at + 1;
    const id = name.exec(line);
    if (id === null) return none;
    const parameters = (elements[id[1]!] ??= Object.create(null) as StructuredElement);
    at = name.lastIndex;
    while (line.charAt(at) === ' ') {
      name.lastIndex = at + 1;
      const parameter = name.exec(line);
      if (parameter === null || !line.startsWith('="', name.lastIndex)) return none;
      const valueStart = name.lastIndex + 2;
      const valueEnd = endOfValue(line, valueStart);
      if (valueEnd === -1) return none;
      addParameter(parameters, parameter[1]!, line.slice(valueStart, valueEnd).replace(/\\(["\\\]])/g, '$1'));
      at = valueEnd + 1;
    }
    if (line.charAt(at) !== ']') return none;
    at++;
  }
  if (at === start || (at < line.length && line.charAt(at) !== ' ')) return none;
  return { elements, end: at };
}

function addParameter(parameters: StructuredElement, name: string, value: string): void {
  const earlier = parameters[name];
  if (earlier === undefined) parameters[name] = value;
  else if (typeof earlier === 'string') parameters[name] = [earlier, value];
  else earlier.push(value);
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
