/**
 * One variable binding as snmptrapd prints it: `OID = TYPE: value` in its log, `OID value` for a program that it starts.
 *
 * Invariants: nothing that was printed is left out, and every text gives a binding. A value that is no text is
 * hexadecimal digits, and says so.
 */
import { isUtf8 } from 'node:buffer';
import { numericOid } from './oid-names.ts';

export interface Varbind {
  /** Numbers joined by dots; absent when only a name is known. */
  oid?: string;
  name?: string;
  /** Absent when snmptrapd did not say: `string`, `integer`, `timeticks`, … */
  type?: string;
  value: string | number | null;
  /** The value is bytes that are no text. */
  encoding?: 'hex';
}

type Value = Omit<Varbind, 'oid' | 'name'>;

const TYPED = /^(?:Wrong Type \(should be [^)]*\): )?([A-Z][A-Za-z0-9]*(?:[- ][A-Z][A-Za-z]+)?):(?: |$)/;
const WHOLE = /^-?\d{1,20}$/;
/** Of a text with a name: `up(1)`. */
const NAMED_NUMBER = /^[A-Za-z][\w-]*\((-?\d{1,20})\)$/;
const TICKS = /^\((\d{1,20})\)/;
/** Days, hours, minutes, seconds. */
const UPTIME = /^(\d{1,9}):(\d{1,2}):(\d\d):(\d\d)\.(\d\d)$/;
/** How identifiers begin, and no number. */
const IDENTIFIER = /^(?:\.|iso\.|[\w-]+::)/;
/** As snmptrapd prints bytes, with a blank behind each; in lines where it breaks them. */
const HEX_BYTES = /^(?:[0-9A-Fa-f]{2}\s+)+$/;
/** With -OT the same bytes as text stand behind them. */
const HEX_WITH_TEXT = /^((?:[0-9A-Fa-f]{2}\s+)*[0-9A-Fa-f]{2})(?:\s+\[[^]*\])?$/;
/** Text holds no control characters but tabs and line ends. */

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

export function varbindOf(oid: string, printed: string): Varbind {
  const numeric = numericOid(oid);
  return { ...(numeric === undefined ? { name: oid } : { oid: numeric }), ...valueOf(printed) };
}

function valueOf(printed: string): Value {
  const [head, type] = TYPED.exec(printed) ?? [];
  if (head === undefined || type === undefined) return bareValue(printed);
  return typedValue(type, printed.slice(head.length));
}

function typedValue(type: string, text: string): Value {
  switch (type) {
    case 'STRING':
      return { type: 'string', value: unquoted(text) ?? text };
    case 'Hex-STRING':
      return { type: 'string', ...bytesValue(text) };
    case 'INTEGER':
      return { type: 'integer', value: numberIn(NAMED_NUMBER.exec(text)?.[1] ?? text) };
    case 'Timeticks':
      return { type: 'timeticks', value: numberIn(TICKS.exec(text)?.[1] ?? text) };
    case 'OID':
      return { type: 'oid', value: numericOid(text) ?? text };
    case 'IpAddress':
    case 'Network Address':
      return { type: 'address', value: text };
    default:
      return { type: type.toLowerCase(), value: numberIn(text) };
  }
}

/** snmptrapd does not say the type to programs. */
function bareValue(text: string): Value {
  if (text === 'NULL') return { value: null };
  const inner = unquoted(text);
  if (inner !== undefined) return HEX_BYTES.test(inner) ? bytesValue(inner) : { value: inner };
  const [, days, hours, minutes, seconds, hundredths] = UPTIME.exec(text) ?? [];
  if (days !== undefined) {
    const wholeSeconds = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
    return { type: 'timeticks', value: wholeSeconds * 100 + Number(hundredths) };
  }
  return { value: IDENTIFIER.test(text) ? (numericOid(text) ?? text) : numberIn(text) };
}

/** A number where a double says it exactly; else the text. */
function numberIn(text: string): string | number {
  return WHOLE.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

function bytesValue(text: string): Value {
  const digits = HEX_WITH_TEXT.exec(text.trimEnd())?.[1];
  if (digits === undefined) return { value: text };
  const bytes = Buffer.from(digits.replaceAll(/\s+/g, ''), 'hex');
  const decoded = bytes.toString('utf8');
  if (isUtf8(bytes) && !CONTROL.test(decoded)) return { value: decoded };
  return { value: bytes.toString('hex'), encoding: 'hex' };
}

/** What stands between quotes, in which quotes and backslashes are escaped; undefined when it is not quoted. */
function unquoted(text: string): string | undefined {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return undefined;
  return text.slice(1, -1).replaceAll(/\\(["\\])/g, '$1');
}
