/**
 * The admin API of a real node, spoken to over HTTP as its OpenAPI document says: every reply is checked against the
 * document, down to fields that it does not name.
 */
import { Compile } from 'typebox/schema';
import { until } from '../../support/node-under-test.ts';
import type { NodeUnderTest } from '../../support/node-under-test.ts';

export interface ApiReply {
  status: number;
  headers: Headers;
  /** Parsed when it is JSON. */
  body: Record<string, unknown>;
  text: string;
}

export interface Asked {
  /** Null for none; the node's admin key when it is left out. */
  key?: string | null;
  params?: Record<string, string | number>;
  query?: Record<string, string | number | boolean>;
  headers?: Record<string, string>;
  body?: unknown;
  /** Sent as it is. */
  text?: string | Uint8Array;
}

export interface Operation {
  operationId: string;
  method: string;
  /** As in the document: `/api/v2/rules/{id}`. */
  path: string;
  scope: string;
  isDeprecated: boolean;
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { required: boolean; schema: Schema };
  responses: Record<string, { content?: Record<string, { schema: Schema }>; headers?: object }>;
}

type Schema = Record<string, unknown>;
interface Validator {
  Check(value: unknown): boolean;
  Errors(value: unknown): unknown;
}

export class ApiUnderTest {
  readonly operations: ReadonlyMap<string, Operation>;
  readonly #node: NodeUnderTest;
  readonly #components: Schema;
  readonly #validators = new Map<string, Validator>();

  private constructor(node: NodeUnderTest, document: Record<string, never>) {
    this.#node = node;
    this.#components = closed(document['components']) as Schema;
    this.operations = new Map(operationsOf(document).map((operation) => [operation.operationId, operation]));
  }

  /** Reads the document from the running server. */
  static async of(node: NodeUnderTest): Promise<ApiUnderTest> {
    const { body } = await node.admin<Record<string, never>>('/api/v2/openapi.json');
    return new ApiUnderTest(node, body);
  }

  operation(operationId: string): Operation {
    const operation = this.operations.get(operationId);
    if (operation === undefined) throw new Error(`the document has no operation ${operationId}`);
    return operation;
  }

  /** Calls an operation, and throws when the reply is not what the document says. */
  async call(operationId: string, asked: Asked = {}): Promise<ApiReply> {
    const operation = this.operation(operationId);
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(String(asked.params?.[name] ?? `no-${name}`)),
    );
    const query = new URLSearchParams(
      Object.entries(asked.query ?? {}).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const reply = await this.send(
      operation.method,
      query.size === 0 ? path : `${path}?${query.toString()}`,
      asked,
    );
    this.#check(operation, reply);
    return reply;
  }

  async send(method: string, path: string, { key, headers, body, text }: Asked = {}): Promise<ApiReply> {
    const presented = key === undefined ? this.#node.adminKey : key;
    const reply = await fetch(`http://127.0.0.1:${this.#node.ports.admin}${path}`, {
      method,
      headers: { ...(presented === null ? {} : { 'x-api-key': presented }), ...headers },
      ...(text !== undefined
        ? { body: text as never }
        : body === undefined
          ? {}
          : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const received = await reply.text();
    const isJson = reply.headers.get('content-type')?.includes('json') === true && received !== '';
    return {
      status: reply.status,
      headers: reply.headers,
      body: (isJson ? JSON.parse(received) : {}) as Record<string, unknown>,
      text: received,
    };
  }

  /** Specs ask more at once than people do. */
  async liftRate(): Promise<void> {
    for (const key of ['api.rate.requestsPerSecond', 'api.rate.burst']) {
      const { status, text } = await this.call('putSetting', { params: { key }, body: { value: 100_000 } });
      if (status !== 200) throw new Error(text);
    }
    await until(
      async () => (await this.call('getVersion')).headers.get('ratelimit-policy') === '"key";q=100000;w=1',
      10_000,
      () => 'the rate is not raised',
    );
  }

  /** Waits until a key is taken (or no longer). */
  async whenKey(key: string, isTaken: boolean, timeoutMs = 20_000): Promise<void> {
    await until(
      async () => ((await this.send('GET', '/api/v2/version', { key })).status !== 401) === isTaken,
      timeoutMs,
      () => `the key is ${isTaken ? 'not taken' : 'still taken'}`,
    );
  }

  #check({ operationId, responses }: Operation, { status, headers, body, text }: ApiReply): void {
    const described = responses[String(status)];
    const what = `${operationId} answered ${status}: ${text.slice(0, 500)}`;
    if (described === undefined) throw new Error(`the document does not say that ${what}`);
    const [type, content] = Object.entries(described.content ?? {})[0] ?? [];
    if (type === undefined || content === undefined) {
      if (text !== '') throw new Error(`the document says that there is no body: ${what}`);
      return;
    }
    if (headers.get('content-type')?.startsWith(type) !== true) throw new Error(`not ${type}: ${what}`);
    if (described.headers !== undefined && headers.get('etag') === null) throw new Error(`no ETag: ${what}`);
    if (!type.includes('json')) return;
    const validator = this.#validator(`${operationId} ${status}`, content.schema);
    if (!validator.Check(body)) {
      throw new Error(`not as the document says: ${what}\n${JSON.stringify(validator.Errors(body))}`);
    }
  }

  #validator(name: string, schema: Schema): Validator {
    const known = this.#validators.get(name);
    if (known !== undefined) return known;
    const made = Compile({
      components: this.#components,
      ...(closed(schema) as Schema),
    }) as unknown as Validator;
    this.#validators.set(name, made);
    return made;
  }
}

function operationsOf(document: Record<string, unknown>): Operation[] {
  const paths = document['paths'] as Record<string, Record<string, Record<string, never>>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const body = described['requestBody'] as
        { required: boolean; content: Record<string, { schema: Schema }> } | undefined;
      return {
        operationId: String(described['operationId']),
        method: method.toUpperCase(),
        path,
        scope: String(described['x-scope']),
        isDeprecated: described['deprecated'] === true,
        parameters: described['parameters'] ?? [],
        responses: described['responses'] ?? {},
        ...(body === undefined
          ? {}
          : {
              requestBody: { required: body.required, schema: Object.values(body.content)[0]?.schema ?? {} },
            }),
      };
    }),
  );
}

/** The schema, refusing every field that it does not name: in a document, what is not written is not promised. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const made = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isOpen = 'additionalProperties' in made || 'patternProperties' in made;
  const isEmpty = Object.keys(made['properties'] ?? {}).length === 0;
  return made['type'] === 'object' && !isOpen && !isEmpty ? { ...made, additionalProperties: false } : made;
}
