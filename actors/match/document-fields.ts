/** What documents that people write are read with: each reading gives a value, or says what is wrong and where. */
import { nearestWord } from '../../runtime/nearest-word.ts';

export interface Fault {
  field: string;
  value?: string;
  why: string;
  mend: string;
}

export function number(
  given: Record<string, unknown>,
  prefix: string,
  name: string,
  [min, max]: [number, number],
  fallback: number,
  faults: Fault[],
): number {
  const value = given[name] ?? fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  const mend = `Use a number from ${min} to ${max}.`;
  faults.push({ field: `${prefix}.${name}`, value: shown(value), why: 'is out of range', mend });
  return fallback;
}

export function integer(
  ...[given, prefix, name, [min, max], fallback, faults]: Parameters<typeof number>
): number {
  const value = given[name] ?? fallback;
  if (typeof value !== 'number' || Number.isInteger(value))
    return number(given, prefix, name, [min, max], fallback, faults);
  const mend = `Use a whole number from ${min} to ${max}.`;
  faults.push({ field: `${prefix}.${name}`, value: shown(value), why: 'is not a whole number', mend });
  return fallback;
}

/** Null when it is not given. */
export function optionalInteger(
  given: Record<string, unknown>,
  prefix: string,
  name: string,
  range: [number, number],
  faults: Fault[],
): number | null {
  const isGiven = given[name] !== undefined && given[name] !== null;
  return isGiven ? integer(given, prefix, name, range, range[0], faults) : null;
}

export function flag(
  given: Record<string, unknown>,
  prefix: string,
  name: string,
  fallback: boolean,
  faults: Fault[],
): boolean {
  const value = given[name] ?? fallback;
  if (typeof value === 'boolean') return value;
  const why = 'is neither true nor false';
  faults.push({ field: `${prefix}.${name}`, value: shown(value), why, mend: 'Use true or false.' });
  return fallback;
}

export function text(value: unknown, field: string, charsMax: number, faults: Fault[]): string[] {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= charsMax) return [value];
  if (typeof value === 'number' || typeof value === 'boolean') {
    const mend = `Put it in quotes: "${value}".`;
    faults.push({ field, value: shown(value), why: `is a ${typeof value}, not a text`, mend });
    return [];
  }
  const mend = `Use a text of 1 to ${charsMax} characters.`;
  faults.push({ field, value: shown(value), why: 'is not a usable text', mend });
  return [];
}

export function list(value: unknown, field: string, lengthMax: number, faults: Fault[]): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  faults.push({
    field,
    value: shown(value),
    why: Array.isArray(value) ? 'is too long' : 'is not a list',
    mend: `Give a list of at most ${lengthMax}.`,
  });
  return [];
}

export function unknownField(prefix: string, key: string, known: readonly string[], faults: Fault[]): void {
  if (known.includes(key)) return;
  const nearest = nearestWord(key, known);
  const mend = nearest === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${nearest}?`;
  faults.push({ field: join(prefix, key), why: 'is no known field', mend });
}

export function asObject(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}

export function join(prefix: string, field: string): string {
  return prefix === '' || field === '' ? prefix + field : `${prefix}.${field}`;
}

const SHOWN_CHARS_MAX = 80;
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, SHOWN_CHARS_MAX);
}
