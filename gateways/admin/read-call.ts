/**
 * Makes the checked call of an endpoint from what came: path and query parameters as their types, the body, the
 * preconditions. Refuses with every fault named.
 */
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Caller } from './admin-port.ts';
import type { AnyEndpoint, Call } from './endpoint.ts';
import { fieldFaults, unknownNames } from './field-faults.ts';
import type { FieldFault } from './field-faults.ts';
import { isStorable, parseJsonBody } from './json-body.ts';
import { preconditionOf } from './preconditions.ts';
import { faulty } from './problems.ts';

/** What was read of a request while its head was there. */
export interface Received {
  parameters: Readonly<Record<string, string>>;
  query: string;
  ifMatch: string;
  ifNoneMatch: string;
  body: Buffer;
  /** See Call. */
  signal: AbortSignal;
}

export type ReadCall = (received: Received, caller: Caller) => Call<never, never, never>;

const NUMBER = /^-?\d{1,15}(\.\d{1,15})?$/;

/** Compiles the checks of an endpoint, once. The function it gives throws coded errors with `details.faults`. */
export function callReader(endpoint: AnyEndpoint): ReadCall {
  const readParameters = textReader(endpoint.params, 'E_PARAMETER_INVALID', 'the path is not usable');
  const readQuery = textReader(endpoint.query, 'E_PARAMETER_INVALID', 'a query parameter is not usable');
  const readBody = bodyReader(endpoint);
  return (received, caller) => {
    const params = readParameters(received.parameters);
    const query = readQuery(queryValues(received.query, Object.keys(endpoint.query?.properties ?? {})));
    const precondition = preconditionOf(endpoint.ifMatch, received.ifMatch, received.ifNoneMatch);
    const body = readBody(received.body);
    const { body: rawBody, signal } = received;
    return { caller, params, query, body, rawBody, signal, precondition } as Call<never, never, never>;
  };
}

/** Of a query string, each parameter once, none that is not known. Errors: E_PARAMETER_UNKNOWN, E_PARAMETER_INVALID. */
function queryValues(query: string, known: readonly string[]): Record<string, string> {
  if (query === '') return {};
  const given = [...new URLSearchParams(query)];
  const names = given.map(([name]) => name);
  const unknown = unknownNames(new Set(names), known);
  if (unknown.length > 0) {
    throw faulty('E_PARAMETER_UNKNOWN', 'a query parameter is not known', unknown.slice(0, 20));
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    const fault = { field: twice, why: 'is given twice', mend: 'Give it once.' };
    throw faulty('E_PARAMETER_INVALID', 'a query parameter is not usable', [fault]);
  }
  return Object.fromEntries(given);
}

function textReader(
  schema: TObject | undefined,
  code: string,
  what: string,
): (given: Readonly<Record<string, string>>) => Record<string, unknown> {
  if (schema === undefined) return () => ({});
  const check = Compile(schema);
  return (given) => {
    const values: Record<string, unknown> = {};
    const faults: FieldFault[] = [];
    for (const [name, text] of Object.entries(given)) {
      if (isStorable(text)) values[name] = converted(schema.properties[name], text);
      else faults.push({ field: name, why: 'is not usable text', mend: 'Send UTF-8 without U+0000.' });
    }
    if (faults.length === 0 && check.Check(values)) return values;
    throw faulty(code, what, faults.length > 0 ? faults : fieldFaults(schema, values));
  };
}

/** Text as the number or truth value that its schema wants; as it is when it is none. */
function converted(schema: TSchema | undefined, text: string): unknown {
  const { type } = (schema ?? {}) as { type?: string };
  if ((type === 'integer' || type === 'number') && NUMBER.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function bodyReader({ body }: AnyEndpoint): (raw: Buffer) => unknown {
  if (body === undefined) {
    return (raw) => {
      if (raw.length === 0) return undefined;
      const fault = { field: '', why: 'is not expected here', mend: 'Send the request without a body.' };
      throw faulty('E_BODY_INVALID', 'the body', [fault]);
    };
  }
  const check = Compile(body.schema);
  return (raw) => {
    if (body.isRaw === true) return undefined;
    const given = raw.length === 0 && body.isOptional === true ? {} : parseJsonBody(raw);
    if (body.checkedBy === 'port' || check.Check(given)) return given;
    throw faulty('E_BODY_INVALID', 'the body', fieldFaults(body.schema, given));
  };
}
