/**
 * How wrong options are refused: all at once, each with its field, its value and the mend.
 */
import { CodedError } from './errors.ts';

const SHOWN_CHARACTERS_MAX = 80;

/** `E_OPTIONS_INVALID` (kind defect). A fault reads `capacity 0: use a whole number from 1 to 1024`. */
export function optionsInvalid(what: string, faults: readonly string[]): CodedError {
  return new CodedError('E_OPTIONS_INVALID', `${what}: ${faults.join('; ')}`, {
    kind: 'defect',
    details: { faults },
    mend: 'Correct every field named.',
  });
}

/** The fault of what must be a number within bounds, a whole one where it has no unit; undefined when it is one. */
export function numberFault(
  field: string,
  value: unknown,
  { min, max, unit = '' }: { min: number; max: number; unit?: string },
): string | undefined {
  const isWhole = unit === '';
  const isNumber = isWhole ? Number.isSafeInteger(value) : typeof value === 'number';
  if (isNumber && (value as number) >= min && (value as number) <= max) return undefined;
  return `${field} ${shown(value)}: use ${isWhole ? 'a whole number from ' : ''}${min} to ${max}${unit}`;
}

/** A value in an error: short, and never a throw. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol')
    return String(value);
  try {
    return (JSON.stringify(value) ?? 'undefined').slice(0, SHOWN_CHARACTERS_MAX);
  } catch {
    return 'an object';
  }
}
