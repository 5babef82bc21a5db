/**
 * Reads the time an event claims to be from: RFC 3339 text, or seconds, milliseconds, microseconds or nanoseconds since
 * 1970.
 *
 * Written by hand because `Date.parse` is slow on the hot path and takes far more than we promise. Total: anything
 * that is no time gives undefined.
 */

/** Numbers below this are seconds (until the year 5138), */
const SECONDS_BELOW = 1e11;
/** below this milliseconds (1973 to 5138), */
const MILLISECONDS_BELOW = 1e14;
/** below this microseconds (the same years), others nanoseconds (from 1973 on). */
const MICROSECONDS_BELOW = 1e17;
/** The last millisecond of the year 9999: the end of RFC 3339. */
const EPOCH_MS_MAX = 253_402_300_799_999;
/** The first of the year 1: earlier ones are written in ways other systems cannot read. */
const EPOCH_MS_MIN = -62_135_596_800_000;
/** Twice what a multiplication and the text of a number are off at most, relative: 1 µs of today's time. */
const ROUNDING = 2 ** -51;
const EPOCH_TEXT = /^\d{1,21}(?:\.\d{1,9})?$/;
const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const ZERO = 0x30;

/** Milliseconds since 1970 UTC, or undefined when `value` is no RFC 3339 time and no epoch number. */
export function parseTimestamp(value: unknown): number | undefined {
  if (typeof value === 'number') return fromEpoch(value);
  if (typeof value !== 'string') return undefined;
  const atMs = fromRfc3339(value);
  if (atMs !== undefined) return atMs;
  return EPOCH_TEXT.test(value) ? fromEpoch(Number(value)) : undefined;
}

function fromEpoch(value: number): number | undefined {
  // NaN fails the comparison; negative times are before any syslog and mean a broken sender.
  if (!(value >= 0)) return undefined;
  const atMs = Math.trunc(millisecondsOf(value));
  return atMs <= EPOCH_MS_MAX ? atMs : undefined;
}

function millisecondsOf(value: number): number {
  if (value >= SECONDS_BELOW && value < MILLISECONDS_BELOW) return value;
  const atMs = value < SECONDS_BELOW ? value * 1e3 : value < MICROSECONDS_BELOW ? value / 1e3 : value / 1e6;
  // 1.001 * 1000 is below 1001: cut, it would lose a millisecond.
  return atMs * (1 + ROUNDING);
}

/**
 * `2024-05-01T12:00:00.123456Z`, with `T`, `t` or a space, any number of fraction digits (cut to milliseconds) behind a
 * point or a comma (ISO 8601), and `Z` or an offset. Without an offset it is read as UTC, since many senders leave it
 * out. A leap second (`:60`) is the first moment of the next minute.
 */
function fromRfc3339(text: string): number | undefined {
  const { length } = text;
  if (length < 19 || length > 64) return undefined;
  const separator = text.charCodeAt(10);
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return undefined;
  if (separator !== 0x54 && separator !== 0x74 && separator !== 0x20) return undefined;
  if (text.charCodeAt(13) !== 0x3a || text.charCodeAt(16) !== 0x3a) return undefined;
  const century = digits2(text, 0);
  const yearInCentury = digits2(text, 2);
  const month = digits2(text, 5);
  const day = digits2(text, 8);
  const hour = digits2(text, 11);
  const minute = digits2(text, 14);
  const second = digits2(text, 17);
  if (century < 0 || yearInCentury < 0 || hour < 0 || minute < 0 || second < 0) return undefined;
  const year = century * 100 + yearInCentury;
  if (!isDate(year, month, day) || hour > 23 || minute > 59 || second > 60) return undefined;

  let at = 19;
  let fractionMs = 0;
  if (text.charCodeAt(at) === 0x2e || text.charCodeAt(at) === 0x2c) {
    at++;
    let scaleMs = 100;
    const firstDigit = at;
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      fractionMs += digit * scaleMs;
      scaleMs = scaleMs === 1 ? 0 : scaleMs / 10;
    }
    if (at === firstDigit) return undefined;
  }
  const offsetMinutes = readOffset(text, at);
  if (offsetMinutes === undefined) return undefined;
  const atMs = utcMs(year, month, day, hour, minute - offsetMinutes, second) + fractionMs;
  return atMs >= EPOCH_MS_MIN && atMs <= EPOCH_MS_MAX ? atMs : undefined;
}

/** The offset from UTC that ends `text` at `at`, in minutes. */
function readOffset(text: string, at: number): number | undefined {
  if (at === text.length) return 0;
  const sign = text.charCodeAt(at);
  if (sign === 0x5a || sign === 0x7a) return at + 1 === text.length ? 0 : undefined;
  if (sign !== 0x2b && sign !== 0x2d) return undefined;
  const hasColon = text.charCodeAt(at + 3) === 0x3a;
  if (text.length !== at + (hasColon ? 6 : 5)) return undefined;
  const hours = digits2(text, at + 1);
  const minutes = digits2(text, at + (hasColon ? 4 : 3));
  if (hours < 0 || minutes < 0 || hours > 23 || minutes > 59) return undefined;
  return (sign === 0x2d ? -1 : 1) * (hours * 60 + minutes);
}

/** Two decimal digits at `at`, or -1. */
function digits2(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

/** Whether the calendar has this day. `month` counts from 1. */
export function isDate(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1 || day > DAYS_IN_MONTH[month - 1]!) return false;
  return !(month === 2 && day === 29) || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

/** Milliseconds since 1970 of a UTC time; `minute` and `second` may run over. `month` counts from 1. */
export function utcMs(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number {
  return daysSince1970(year, month, day) * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar; the year begins in March to put 29 February last. */
function daysSince1970(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
