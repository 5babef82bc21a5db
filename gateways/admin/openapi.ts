/**
 * The OpenAPI 3.1 document of the admin API, made from the table of endpoints: what is in the table is documented, and
 * nothing else. https://spec.openapis.org/oas/v3.1.0
 */
import type { TSchema } from 'typebox';
import { problemDocument } from './documents.ts';
import type { AnyEndpoint } from './endpoint.ts';
import { errorsOf, STATUS_OF_CODE } from './problems.ts';

type Json = Record<string, unknown>;

const API_VERSION = '2';
const PROBLEM_TYPE = 'application/problem+json';
const KEY_SCHEMES = [{ key: [] }, { bearer: [] }];

export function openApiDocument(endpoints: readonly AnyEndpoint[], version: string): Json {
  const schemas: Json = {};
  const named = (schema: TSchema): unknown => hoisted(JSON.parse(JSON.stringify(schema)), schemas);
  named(problemDocument);
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[endpoint.method] = operation(endpoint, named);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'MUTT admin API', version: API_VERSION, description: `As answered by MUTT ${version}.` },
    servers: [{ url: '/' }],
    tags: [...new Set(endpoints.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-KEY' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  };
}

function operation(endpoint: AnyEndpoint, named: (schema: TSchema) => unknown): Json {
  const { operationId, summary, tag, scope, body, deprecated } = endpoint;
  return {
    operationId,
    summary,
    tags: [tag],
    'x-scope': scope,
    ...(deprecated === undefined ? {} : { deprecated }),
    security: scope === 'open' ? [{}, ...KEY_SCHEMES] : KEY_SCHEMES,
    parameters: parametersOf(endpoint, named),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.isOptional !== true,
            content: { 'application/json': { schema: named(body.schema) } },
          },
        }),
    responses: responsesOf(endpoint, named),
  };
}

function parametersOf(endpoint: AnyEndpoint, named: (schema: TSchema) => unknown): Json[] {
  const { params, query, ifMatch, isVersioned, method } = endpoint;
  const header = (name: string, required: boolean): Json => ({
    name,
    in: 'header',
    required,
    schema: { type: 'string' },
  });
  return [
    ...Object.entries(params?.properties ?? {}).map(([name, schema]) => ({
      name,
      in: 'path',
      required: true,
      schema: named(schema),
    })),
    ...Object.entries(query?.properties ?? {}).map(([name, schema]) => ({
      name,
      in: 'query',
      required: query?.required?.includes(name) === true,
      schema: named(schema),
    })),
    ...(ifMatch === undefined ? [] : [header('If-Match', ifMatch === 'required')]),
    ...(ifMatch === 'update' || (isVersioned && method === 'get') ? [header('If-None-Match', false)] : []),
  ];
}

function responsesOf(endpoint: AnyEndpoint, named: (schema: TSchema) => unknown): Json {
  const { replies, isVersioned, method } = endpoint;
  const responses: Json = {};
  for (const [status, { description, schema, isText }] of Object.entries(replies)) {
    const content =
      isText === true
        ? { 'text/plain': { schema: { type: 'string' } } }
        : schema === undefined
          ? undefined
          : { 'application/json': { schema: named(schema) } };
    responses[status] = {
      description,
      ...(isVersioned === true ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
      ...(content === undefined ? {} : { content }),
    };
  }
  if (isVersioned === true && method === 'get') responses['304'] = { description: 'It is still this one' };
  const codes = new Map<string, string[]>();
  for (const code of errorsOf(endpoint)) {
    const status = (STATUS_OF_CODE[code] ?? '500').slice(0, 3);
    codes.set(status, [...(codes.get(status) ?? []), code]);
  }
  for (const [status, all] of codes) {
    responses[status] = {
      description: all.join(', '),
      content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return responses;
}

/** The schema with every named part of it moved to the components. */
function hoisted(schema: unknown, components: Json): unknown {
  if (Array.isArray(schema)) return schema.map((item) => hoisted(item, components));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { title, $defs, $ref, ...rest } = schema as Json;
  delete rest['$id'];
  for (const [name, definition] of Object.entries(($defs ?? {}) as Json)) {
    components[name] ??= hoisted({ ...(definition as Json), title: undefined }, components);
  }
  if (typeof $ref === 'string') return { $ref: `#/components/schemas/${$ref}` };
  const plain = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, hoisted(value, components)]),
  );
  if (typeof title !== 'string') return plain;
  components[title] = plain;
  return { $ref: `#/components/schemas/${title}` };
}
