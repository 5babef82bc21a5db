/**
 * What several endpoints take alike, as schemas. Every object is closed: what it does not name is refused.
 */
import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import { CodedError } from '../../runtime/errors.ts';
import type { Change, ItemChange } from './admin-port.ts';
import type { Call } from './endpoint.ts';

export const closed = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });

export const textOf = (charsMax: number) =>
  Type.String({
    minLength: 1,
    maxLength: charsMax,
    pattern: '\\S',
    description: `a text of 1 to ${charsMax} characters, not blank`,
  });

const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$';
export const name = Type.String({
  pattern: NAME_PATTERN,
  description: 'a name of 1 to 63 letters, digits, dots, hyphens and underscores',
});
/** No path separator and no control character; whatever else devices are called. */
export const hostname = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[^\\s/\\x00-\\x1f\\x7f]+$',
  description: 'a host name of 1 to 255 characters without blanks and slashes',
});
export const team = textOf(100);
const REASON_CHARS_MAX = 1_000;
export const reason = Type.Union([textOf(REASON_CHARS_MAX), Type.Null()]);
export const wholeNumber = (minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, description: `a whole number from ${minimum} to ${maximum}` });
export const time = Type.String({
  format: 'date-time',
  description: 'a time in RFC 3339, such as 2026-05-01T12:00:00Z',
});

/** Why something is changed, for the audit; as a query parameter where the body is the item itself. */
export const reasonQuery = closed({ reason: Type.Optional(textOf(REASON_CHARS_MAX)) });
/** For changes without another body. The query parameter wins. */
export const reasonBody = closed({ reason: Type.Optional(reason) });

interface Reasons {
  query: { reason?: string };
  body?: unknown;
}

export function changeOf(call: Call & Reasons): Change {
  const inBody = (call.body as { reason?: string | null } | undefined)?.reason;
  return { caller: call.caller, reason: call.query.reason ?? inBody ?? null };
}

export function itemChangeOf(call: Call & Reasons): ItemChange {
  return { ...changeOf(call), ...call.precondition };
}

/** ms since 1970 UTC of a time that passed its schema; undefined stays undefined. Errors: E_PARAMETER_INVALID. */
export function msOf(text: string | undefined, field: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  const mend = 'Give an existing time in RFC 3339.';
  throw new CodedError('E_PARAMETER_INVALID', `${field} is no time`, {
    mend,
    details: { faults: [{ field, why: 'is no time', mend }] },
  });
}

/** The given members that are not undefined. */
export function given<T extends Record<string, unknown>>(
  members: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
