/**
 * Names everything that is wrong with a value: field, why, and how to mend it.
 *
 * Walks the schema itself, because a schema library stops at the first few errors and speaks of schemas, not of what to
 * write. A leaf's `description` completes the sentence "must be …".
 */
import { Value } from 'typebox/value';
import type { TSchema } from 'typebox';
import { nearestWord } from '../../runtime/nearest-word.ts';

export interface FieldFault {
  /** Dotted path; empty for the whole. */
  field: string;
  why: string;
  mend: string;
  /** As JSON, cut short. */
  value?: string;
}

/** The parts of a JSON schema that are looked at. */
interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  additionalProperties?: unknown;
  items?: Schema;
  anyOf?: readonly Schema[];
  enum?: readonly unknown[];
  description?: string;
  maxItems?: number;
}

const FAULTS_MAX = 50;
const VALUE_CHARS_MAX = 80;
/** A longer word is no misspelling of ours. */
const WORD_CHARS_MAX = 64;

/** Empty when the value has the schema's shape; at most 50. */
export function fieldFaults(schema: TSchema, value: unknown): FieldFault[] {
  const faults: FieldFault[] = [];
  visit(schema, value, '', faults);
  return faults.slice(0, FAULTS_MAX);
}

/** The faults of names that a closed set does not have. */
export function unknownNames(given: Iterable<string>, known: readonly string[], prefix = ''): FieldFault[] {
  return [...given]
    .filter((name) => !known.includes(name))
    .map((name) => {
      const nearest = name.length > WORD_CHARS_MAX ? undefined : nearestWord(name, known);
      const all = known.length === 0 ? 'Leave it out.' : `There are ${known.join(', ')}.`;
      const mend = nearest === undefined ? all : `Did you mean ${nearest}?`;
      return { field: joined(prefix, name), why: 'is not known here', mend };
    });
}

function visit(schema: Schema, value: unknown, field: string, faults: FieldFault[]): void {
  if (faults.length >= FAULTS_MAX) return;
  const option = meantOption(schema, value);
  if (option !== undefined) visit(option, value, field, faults);
  else if (schema.type === 'object' && schema.properties !== undefined) {
    visitObject(schema, schema.properties, value, field, faults);
  } else if (schema.type === 'array' && schema.items !== undefined && Array.isArray(value)) {
    const { items } = schema;
    value
      .slice(0, schema.maxItems ?? value.length)
      .forEach((item, at) => visit(items, item, `${field}[${at}]`, faults));
    if (faults.length === 0 && !Value.Check(schema as TSchema, value))
      faults.push(leafFault(schema, value, field));
  } else if (!Value.Check(schema as TSchema, value)) {
    faults.push(leafFault(schema, value, field));
  }
}

/** Of a choice between schemas the one object that an object can be meant as. */
function meantOption({ anyOf = [] }: Schema, value: unknown): Schema | undefined {
  const objects = anyOf.filter(({ type, properties }) => type === 'object' && properties !== undefined);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && objects.length === 1 ? objects[0] : undefined;
}

function visitObject(
  schema: Schema,
  properties: Record<string, Schema>,
  value: unknown,
  field: string,
  faults: FieldFault[],
): void {
  const names = Object.keys(properties);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const mend = `Send an object with ${names.join(', ')}.`;
    faults.push({ field, value: shown(value), why: 'must be an object', mend });
    return;
  }
  if (schema.additionalProperties === false) faults.push(...unknownNames(Object.keys(value), names, field));
  for (const [name, property] of Object.entries(properties)) {
    const path = joined(field, name);
    // Own ones only: a field may be called like something every object has.
    if (Object.hasOwn(value, name)) visit(property, (value as Record<string, unknown>)[name], path, faults);
    else if (schema.required?.includes(name) === true) {
      faults.push({ field: path, why: 'is missing', mend: `Give ${described(property)}.` });
    }
  }
}

function leafFault(schema: Schema, value: unknown, field: string): FieldFault {
  const choices = (schema.enum ?? []).filter((choice) => typeof choice === 'string');
  const isWord = typeof value === 'string' && value.length <= WORD_CHARS_MAX;
  const nearest = isWord ? nearestWord(value, choices) : undefined;
  return {
    field,
    value: shown(value),
    why: `must be ${described(schema)}`,
    mend: nearest === undefined ? `Give ${described(schema)}.` : `Did you mean ${nearest}?`,
  };
}

function described({ description, type, anyOf }: Schema): string {
  if (description !== undefined) return description;
  // Usually something or null.
  const option = anyOf?.find((each) => each.description !== undefined);
  if (option !== undefined) return `${option.description}, or null`;
  return type === undefined ? 'a value' : `${/^[aio]/.test(type) ? 'an' : 'a'} ${type}`;
}

function joined(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing';
  return json.length > VALUE_CHARS_MAX ? `${json.slice(0, VALUE_CHARS_MAX)}…` : json;
}
