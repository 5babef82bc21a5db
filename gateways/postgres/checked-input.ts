/**
 * What comes from people and goes into a statement, checked first, so that a fault names the field and not a statement.
 *
 * Every demand that a table can state is a constraint of it; here is what PostgreSQL would refuse without saying where,
 * or would store as something else. Codes: E_ROW_INVALID with `details.faults` ({field, why, mend}).
 */
import { CodedError } from '../../runtime/errors.ts';

/** Host names, names of teams, people and keys. */
export const NAME_CHARS_MAX = 255;
/** Items of one page. */
export const PAGE_MAX = 1_000;
const INT4_MAX = 2_147_483_647;
/** What a Date can say; timestamptz holds more. */
const TIME_MAX_MS = 8_640_000_000_000_000;

export function invalidInput(field: string, why: string, mend: string): CodedError {
  return new CodedError('E_ROW_INVALID', `${field} ${why}`, {
    mend,
    details: { faults: [{ field, why, mend }] },
  });
}

/** A text that PostgreSQL stores as it is: 1 to `charsMax` UTF-16 units, no U+0000, no half of a surrogate pair. */
export function checkedText(text: unknown, field: string, charsMax = NAME_CHARS_MAX): string {
  if (typeof text !== 'string') throw invalidInput(field, 'is not a text', 'Give a text.');
  if (text.trim() === '') throw invalidInput(field, 'is empty', 'Give at least one character.');
  if (text.length > charsMax) {
    throw invalidInput(field, `has ${text.length} characters`, `Give at most ${charsMax}.`);
  }
  if (text.includes('\0') || !text.isWellFormed()) {
    throw invalidInput(
      field,
      'has a character that cannot be stored',
      'Leave out U+0000 and half surrogates.',
    );
  }
  return text;
}

export function checkedTextOrNull(
  text: string | null | undefined,
  field: string,
  charsMax?: number,
): string | null {
  return text === null || text === undefined ? null : checkedText(text, field, charsMax);
}

/** Host names are kept and compared case-folded. */
export function checkedHostname(hostname: unknown): string {
  return checkedText(hostname, 'hostname').toLowerCase();
}

/** The id of a row, or a version: a positive whole number that the column can hold. */
export function checkedId(id: unknown, field = 'id'): number {
  return checkedInteger(id, field, 1, INT4_MAX);
}

/** Milliseconds since 1970. */
export function checkedTimeOrNull(ms: number | null | undefined, field: string): number | null {
  return ms === null || ms === undefined ? null : checkedInteger(ms, field, -TIME_MAX_MS, TIME_MAX_MS);
}

export function checkedInteger(value: unknown, field: string, minimum: number, maximum: number): number {
  const isFine = typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum;
  if (!isFine) {
    throw invalidInput(
      field,
      'is no whole number in range',
      `Give a whole number from ${minimum} to ${maximum}.`,
    );
  }
  return value;
}
