/** The health port: whether the process lives, and whether events would be accepted now. No key is needed. */
import type { HttpResponse } from '../http/exchange.ts';
import { writeProblem } from '../http/problem.ts';
import { JSON_HEADERS } from '../http/security-headers.ts';
import type { HttpServer } from '../http/server.ts';
import type { Readiness } from './admin-port.ts';
import { problem } from './problems.ts';

const ALLOW = 'GET, HEAD, OPTIONS';

export function writeHealthRoutes(server: HttpServer, readiness: () => Readiness): void {
  const answers: Record<string, () => [status: string, body: unknown]> = {
    '/health': () => ['200 OK', { status: 'alive' }],
    '/ready': () => {
      const now = readiness();
      return [now.ready ? '200 OK' : '503 Service Unavailable', now];
    },
  };
  server.route('any', '/*', (response, request) => {
    const path = request.getUrl();
    const method = request.getMethod();
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined;
    const isHead = method === 'head';
    if (answer === undefined) refuse(response, 'E_ROUTE_UNKNOWN', 'There is nothing at this path.', isHead);
    else if (method === 'get' || isHead) write(response, answer(), isHead);
    else if (method === 'options') writeAllow(response);
    else refuse(response, 'E_METHOD', `This path takes ${ALLOW}.`, isHead, [['Allow', ALLOW]]);
  });
}

function write(response: HttpResponse, [status, body]: [string, unknown], isHead: boolean): void {
  response.writeStatus(status);
  response.writeHeader('Content-Type', JSON_HEADERS);
  response.end(isHead ? '' : JSON.stringify(body));
}

function writeAllow(response: HttpResponse): void {
  response.writeStatus('200 OK');
  response.writeHeader('Content-Type', JSON_HEADERS);
  response.writeHeader('Allow', ALLOW);
  response.end('', true);
}

function refuse(
  response: HttpResponse,
  code: string,
  detail: string,
  isHead: boolean,
  headers: readonly (readonly [string, string])[] = [],
): void {
  writeProblem(response, problem(code, detail), { headers, closeConnection: true, omitBody: isHead });
}
