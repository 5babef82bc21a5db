/**
 * One endpoint of the admin API as data: what it takes, what it answers, and the function that answers.
 *
 * Everything else follows from a table of these: routing, the check of what comes in, the keys' scopes, the OpenAPI
 * document, and the specs that call every operation. Not for WebSockets and the health port.
 */
import type { Static, TObject, TSchema } from 'typebox';
import type { KeyScope } from '../http/key-ring.ts';
import type { Problem } from '../http/problem.ts';
import type { Caller } from './admin-port.ts';

export type Method = 'get' | 'put' | 'post' | 'delete';

/** `open`: no key on loopback, and a `read` key elsewhere. `sink`: the key of the built-in destination alone. */
export type EndpointScope = KeyScope | 'sink' | 'open';

/** Which version of an item a change is meant for, as the store takes it. */
export interface Precondition {
  /** A number: exactly this version. `null`: it must not exist yet. `undefined`: whatever is there (`If-Match: *`). */
  expectedVersion: number | null | undefined;
}

/** One request, checked: every part has the shape of its schema. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  caller: Caller;
  params: Params;
  query: Query;
  body: Body;
  /** The body as it came, for endpoints that read it themselves (`body.isRaw`). */
  rawBody: Buffer;
  /** Aborted when the client goes away: what is still worked on is for nobody. */
  signal: AbortSignal;
  /** From `If-Match` and `If-None-Match`. Without both: `null` for PUT (a new item), else `undefined`. */
  precondition: Precondition;
}

export interface Reply {
  status: number;
  /** Plain data, sent as JSON. Undefined for a reply without a body. */
  body: unknown;
  /** The version of the item; sent as `ETag: "<etag>"`, and compared with `If-None-Match` of a GET. */
  etag?: number | string;
  /** Further headers. Values must be ours, or checked for line breaks. */
  headers?: Readonly<Record<string, string>>;
  /** Sent instead of `body`, as plain text (Prometheus exposition). */
  text?: string;
}

export interface ReplyShape {
  description: string;
  /** Of the JSON body. Absent for a reply without one, or with plain text. */
  schema?: TSchema;
  isText?: true;
}

export interface BodyShape<Body extends TSchema = TSchema> {
  schema: Body;
  /** A request without a body is taken as an empty object. */
  isOptional?: true;
  /**
   * Who names the faults. `frame` (default): the table's schema. `port`: the port behind it knows more of the document
   * than its shape, and reports shape and meaning at once; the schema is then only documentation.
   */
  checkedBy?: 'frame' | 'port';
  /** The port reads the bytes itself: they are not even parsed. */
  isRaw?: true;
  /** It may be a whole set of rules: `LARGE_BODY_BYTES_MAX`, and few of those at once. */
  isLarge?: true;
}

/**
 * `required`: 428 without `If-Match`. `update`: 428 when the item exists and neither precondition is given. `optional`:
 * without it whatever is there is changed.
 */
export type IfMatch = 'required' | 'update' | 'optional';

export interface Endpoint<
  Params extends TObject = TObject,
  Query extends TObject = TObject,
  Body extends TSchema = TSchema,
> {
  /** Unique, camel case: `listRules`. */
  operationId: string;
  method: Method;
  /** `/api/v2/rules/:id`. A fixed segment wins over a parameter. */
  path: string;
  scope: EndpointScope;
  /** The resource, for grouping: `rules`. */
  tag: string;
  /** One sentence without a full stop. */
  summary: string;
  /** Of the path, by name; given as text, numbers are converted. */
  params?: Params;
  /** What it does not name is refused. Numbers and booleans are converted. */
  query?: Query;
  body?: BodyShape<Body>;
  /** Of success, by status. */
  replies: Readonly<Record<number, ReplyShape>>;
  /** Codes of its own refusals, beside those that every endpoint has (`COMMON_ERRORS`). */
  errors: readonly string[];
  ifMatch?: IfMatch;
  /** Successes carry an `ETag`; a GET with it in `If-None-Match` is answered with 304. */
  isVersioned?: true;
  deprecated?: true;
  /** Sent with every reply, refusals too. Values must be ours. */
  replyHeaders?: readonly (readonly [name: string, value: string])[];
  /** Further members of its problem documents. */
  problemMembers?: (problem: Problem) => Record<string, unknown>;
  answer(call: Call<Static<Params>, Static<Query>, Static<Body>>): Promise<Reply>;
}

/** An endpoint whose schemas are no longer part of its type: what tables hold. */
export type AnyEndpoint = Omit<Endpoint, 'answer'> & {
  answer(call: Call<never, never, never>): Promise<Reply>;
};

/** Lets TypeScript infer the types of `call` from the schemas. */
export function endpoint<Params extends TObject, Query extends TObject, Body extends TSchema>(
  described: Endpoint<Params, Query, Body>,
): AnyEndpoint {
  return described;
}

export function ok(body: unknown, etag?: number | string): Reply {
  return { status: 200, body, ...(etag === undefined ? {} : { etag }) };
}

/** 201 with the address of the new item, whose last segment is percent-encoded here. */
export function created(body: unknown, collection: string, name: string | number, etag?: number): Reply {
  const headers = { Location: `${collection}/${encodeURIComponent(name)}` };
  return { status: 201, body, headers, ...(etag === undefined ? {} : { etag }) };
}

export const NO_CONTENT: Reply = { status: 204, body: undefined };
