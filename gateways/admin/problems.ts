/**
 * What failures become: the status of every code, and the problem document of what was thrown.
 */
import { CodedError, codeOf, kindOf, messageOf } from '../../runtime/errors.ts';
import type { Problem } from '../http/problem.ts';
import type { AnyEndpoint } from './endpoint.ts';
import type { FieldFault } from './field-faults.ts';

const BAD_REQUEST = '400 Bad Request';
const UNAUTHORIZED = '401 Unauthorized';
const NOT_FOUND = '404 Not Found';
const CONFLICT = '409 Conflict';
const UNAVAILABLE = '503 Service Unavailable';
const INTERNAL = '500 Internal Server Error';

/** The ordinary failures of requests. What is not here is a 503 when it passes by itself, else a 500. */
export const STATUS_OF_CODE: Readonly<Record<string, string>> = {
  E_BODY_INVALID: BAD_REQUEST,
  E_JSON_MALFORMED: BAD_REQUEST,
  E_PARAMETER_UNKNOWN: BAD_REQUEST,
  E_PARAMETER_INVALID: BAD_REQUEST,
  E_CURSOR_INVALID: BAD_REQUEST,
  E_IF_MATCH_INVALID: BAD_REQUEST,
  E_CONFIG_INVALID: BAD_REQUEST,
  E_RULE_INVALID: BAD_REQUEST,
  E_DESTINATION_INVALID: BAD_REQUEST,
  E_ROW_INVALID: BAD_REQUEST,
  E_SETTING_INVALID: BAD_REQUEST,
  E_SEARCH_TOO_LONG: BAD_REQUEST,
  E_REJECT_UNUSABLE: BAD_REQUEST,
  E_KEY_MISSING: UNAUTHORIZED,
  E_KEY_UNKNOWN: UNAUTHORIZED,
  E_KEY_EXPIRED: UNAUTHORIZED,
  E_SCOPE_MISSING: '403 Forbidden',
  E_NOT_FOUND: NOT_FOUND,
  E_ACTOR_UNKNOWN: NOT_FOUND,
  E_CHILD_UNKNOWN: NOT_FOUND,
  E_SETTING_UNKNOWN: NOT_FOUND,
  E_NO_EARLIER_VALUE: NOT_FOUND,
  E_RULE_VERSION_UNKNOWN: NOT_FOUND,
  E_ROUTE_UNKNOWN: NOT_FOUND,
  E_METHOD: '405 Method Not Allowed',
  E_BODY_SLOW: '408 Request Timeout',
  E_ACTOR_AMBIGUOUS: CONFLICT,
  E_ACTOR_STOPPED: CONFLICT,
  E_NOT_AN_ACTOR: CONFLICT,
  E_SUSPEND_FAILED: CONFLICT,
  E_INSPECT_FAILED: CONFLICT,
  E_STATE_TOO_LARGE: CONFLICT,
  E_VERSION_CONFLICT: CONFLICT,
  E_EXISTS: CONFLICT,
  E_RULE_SET_TOO_LARGE: CONFLICT,
  E_KEY_EXISTS: CONFLICT,
  E_KEY_OF_NODE: CONFLICT,
  E_KEY_PEPPER: CONFLICT,
  E_KEY_ROTATING: CONFLICT,
  E_KEYS_FULL: CONFLICT,
  E_SETTINGS_CONTRADICT: CONFLICT,
  E_REJECT_BUSY: CONFLICT,
  E_BACKTEST_RUNNING: CONFLICT,
  E_FAILURE_READ_ONLY: CONFLICT,
  E_NOTHING_TO_REPLAY: CONFLICT,
  E_REPLAY_ENDED: CONFLICT,
  E_STORE_ALIVE: CONFLICT,
  E_VERSION_STALE: '412 Precondition Failed',
  E_BODY_TOO_LARGE: '413 Payload Too Large',
  E_UPGRADE_REQUIRED: '426 Upgrade Required',
  E_IF_MATCH_REQUIRED: '428 Precondition Required',
  E_RATE_LIMITED: '429 Too Many Requests',
  E_INTERNAL: INTERNAL,
  E_DATABASE_AWAY: UNAVAILABLE,
  E_CALL_TIMEOUT: UNAVAILABLE,
  E_CHILD_DOWN: UNAVAILABLE,
  E_STREAMS_FULL: UNAVAILABLE,
  E_BODIES_FULL: UNAVAILABLE,
  E_DESTINATION_TESTS_BUSY: UNAVAILABLE,
  E_RULE_TRIALS_BUSY: UNAVAILABLE,
  E_TASK_TIMEOUT: UNAVAILABLE,
  E_TASK_MEMORY: UNAVAILABLE,
  E_TASK_FAILED: UNAVAILABLE,
};

/** Of endpoints that ask PostgreSQL or another process. */
export const STORE_ERRORS: readonly string[] = ['E_DATABASE_AWAY'];

/** Every code that an endpoint may answer with, its own and those of the frame. */
export function errorsOf({ scope, params, query, body, ifMatch, errors }: AnyEndpoint): string[] {
  return [
    ...new Set([
      ...errors,
      'E_KEY_MISSING',
      'E_KEY_UNKNOWN',
      'E_KEY_EXPIRED',
      'E_SCOPE_MISSING',
      ...(scope === 'sink' ? [] : ['E_RATE_LIMITED']),
      'E_PARAMETER_UNKNOWN',
      ...(params === undefined && query === undefined ? [] : ['E_PARAMETER_INVALID']),
      ...(body === undefined ? [] : ['E_BODY_INVALID', 'E_BODY_TOO_LARGE', 'E_BODY_SLOW']),
      ...(body?.isLarge === true ? ['E_BODIES_FULL'] : []),
      ...(body === undefined || body.isRaw === true ? [] : ['E_JSON_MALFORMED']),
      ...(ifMatch === undefined ? [] : ['E_IF_MATCH_INVALID', 'E_VERSION_STALE']),
      ...(ifMatch === 'required' || ifMatch === 'update' ? ['E_IF_MATCH_REQUIRED'] : []),
      'E_INTERNAL',
    ]),
  ];
}

export function problem(code: string, detail: string): Problem {
  return { status: STATUS_OF_CODE[code] ?? INTERNAL, code, detail };
}

/** The problem of an ordinary failure; undefined for one that nobody foresaw. */
export function problemOf(thrown: unknown): Problem | undefined {
  const code = codeOf(thrown);
  const status = STATUS_OF_CODE[code] ?? (kindOf(thrown) === 'transient' ? UNAVAILABLE : undefined);
  if (status === undefined || status === INTERNAL) return undefined;
  const mend = (thrown as { mend?: unknown }).mend;
  const message = messageOf(thrown);
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return { status, code, detail: typeof mend === 'string' ? `${sentence} ${mend}` : message };
}

/** What a problem document says beside the standard members. */
export function membersOf(thrown: unknown): Record<string, unknown> {
  const { faults, current } = ((thrown as { details?: unknown }).details ?? {}) as Record<string, unknown>;
  return {
    ...(faults === undefined ? {} : { errors: faults }),
    ...(codeOf(thrown) === 'E_VERSION_STALE' && current !== undefined ? { current_version: current } : {}),
  };
}

export function unforeseen(id: string): Problem {
  return problem('E_INTERNAL', `This failed; the log knows it as ${id}.`);
}

/** A refusal with its faults. */
export function faulty(code: string, what: string, faults: readonly FieldFault[]): CodedError {
  const lines = faults.map(({ field, why }) => [field, why].filter((part) => part !== '').join(' '));
  return new CodedError(code, `${what}: ${lines.join('; ')}`, {
    details: { faults },
    mend: [...new Set(faults.map(({ mend }) => mend))].slice(0, 3).join(' '),
  });
}

/** The item that a path names is not there. */
export function notFound(what: string, mend: string): CodedError {
  return new CodedError('E_NOT_FOUND', `there is no such ${what}`, { mend });
}
