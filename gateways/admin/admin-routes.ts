/**
 * The admin API as a table: method, path, the scope it needs, and what answers.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { KeyScope } from '../http/key-ring.ts';
import type { AdminPort, Caller } from './admin-port.ts';
import type { RecentAlertRing } from './recent-alerts.ts';

export interface RouteCall {
  caller: Caller;
  /** Decoded path parameters, in order. */
  parameters: string[];
  query: URLSearchParams;
  /** Parsed JSON; undefined for requests without a body. */
  body: unknown;
  /** The body as it came. */
  rawBody: Buffer;
}

export interface Route {
  method: 'get' | 'put' | 'post';
  path: string;
  /** `open`: no key on loopback, and a `read` key elsewhere. */
  scope: KeyScope | 'sink' | 'open';
  answer(call: RouteCall): Promise<{ status?: string; body: unknown; text?: string }>;
}

export function adminRoutes(port: AdminPort, recent: RecentAlertRing): Route[] {
  return [
    {
      method: 'get',
      path: '/metrics',
      scope: 'open',
      answer: async () => ({ body: undefined, text: await port.metrics() }),
    },
    { method: 'get', path: '/health', scope: 'open', answer: async () => ({ body: { status: 'alive' } }) },
    {
      method: 'get',
      path: '/api/v2/status',
      scope: 'read',
      answer: async () => ({ body: await port.status() }),
    },
    {
      method: 'get',
      path: '/api/v2/ledger',
      scope: 'read',
      answer: async () => ({ body: await port.ledger() }),
    },
    {
      method: 'get',
      path: '/api/v2/rules',
      scope: 'read',
      answer: async () => ({ body: await port.rules() }),
    },
    {
      method: 'put',
      path: '/api/v2/rules',
      scope: 'admin',
      answer: async ({ body, caller }) => ({ body: await port.applyRules(body, caller) }),
    },
    {
      method: 'post',
      path: '/api/v2/rules/check',
      scope: 'read',
      answer: async ({ body }) => ({ body: await port.checkRules(body) }),
    },
    {
      method: 'post',
      path: '/api/v2/actors/:id/restart',
      scope: 'operate',
      answer: async ({ parameters, body, caller }) => ({
        body: await port.restartActor(parameters[0] ?? '', howOf(body), caller),
      }),
    },
    {
      method: 'get',
      path: '/api/v2/alerts/recent',
      scope: 'read',
      answer: async ({ query }) => ({ body: recent.after(wholeNumber(query.get('after') ?? '0', 'after')) }),
    },
    {
      method: 'post',
      path: '/api/v2/sink/moogsoft',
      scope: 'sink',
      answer: async ({ rawBody }) => {
        recent.take(rawBody);
        return { body: { status: 'taken' } };
      },
    },
  ];
}

function howOf(body: unknown): 'kill' | 'drain' {
  const how = typeof body === 'object' && body !== null && 'how' in body ? body.how : 'drain';
  if (how === 'kill' || how === 'drain') return how;
  throw new CodedError('E_FIELD_INVALID', '`how` is neither kill nor drain', {
    mend: 'Send {"how": "drain"} to let it finish, or {"how": "kill"}.',
  });
}

function wholeNumber(text: string, name: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CodedError('E_FIELD_INVALID', `\`${name}\` is not a whole number`, {
    mend: `Leave ${name} out, or give the value of \`next\` from the last answer.`,
  });
}
