/**
 * Error replies of every HTTP gateway: RFC 9457 problem documents with a stable `code`.
 *
 * Not for successes. Nothing of a request except its validated correlation id is ever echoed, so that no reply can
 * carry a secret or a script.
 */
import type { HttpResponse } from './exchange.ts';
import { JSON_PROBLEM_HEADERS } from './security-headers.ts';

export interface Problem {
  /** The status line, for example `404 Not Found`. */
  status: string;
  /** Stable, for programs: `E_ROUTE_UNKNOWN`. */
  code: string;
  /** One sentence for people. */
  detail: string;
}

export interface ProblemOptions {
  correlationId?: string;
  /** Further members of the document; must not repeat the standard ones. */
  members?: Readonly<Record<string, unknown>>;
  /** Further response headers. Values must be ours, or checked for line breaks. */
  headers?: readonly (readonly [name: string, value: string])[];
  closeConnection?: boolean;
  /** The request was HEAD: headers only. */
  omitBody?: boolean;
}

/** The document as JSON text. */
function problemBody(problem: Problem, options: ProblemOptions = {}): string {
  return JSON.stringify({
    type: 'about:blank',
    title: problem.status.slice(4),
    status: Number(problem.status.slice(0, 3)),
    code: problem.code,
    detail: problem.detail,
    ...(options.correlationId === undefined ? {} : { correlation_id: options.correlationId }),
    ...options.members,
  });
}

/** Writes the whole reply. Call it in the handler's own turn or inside `cork`. */
export function writeProblem(response: HttpResponse, problem: Problem, options: ProblemOptions = {}): void {
  response.writeStatus(problem.status);
  response.writeHeader('Content-Type', JSON_PROBLEM_HEADERS);
  if (options.correlationId !== undefined) response.writeHeader('X-Correlation-ID', options.correlationId);
  for (const [name, value] of options.headers ?? []) response.writeHeader(name, value);
  const closeConnection = options.closeConnection ?? false;
  response.end(options.omitBody === true ? '' : problemBody(problem, options), closeConnection);
}
