/**
 * The admin API as the commands use it: typed documents, and problems (RFC 9457) as errors with their faults.
 */
import { sleep } from '../../runtime/clock.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import type {
  AppliedRules,
  CheckedRules,
  FieldFault,
  Ledger,
  List,
  NodeStatus,
  PartitionProgress,
  RecentAlerts,
} from './admin-documents.ts';
import type { HttpCall, HttpClient, HttpReply } from './http-client.ts';
import { printable } from './terminal-text.ts';

/** Query parameters; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Change {
  method: 'PUT' | 'POST' | 'DELETE';
  path: string;
  body?: unknown;
  /** What is changed must have this version, 0 being what was never stored; undefined: the route has no versions. */
  ifVersion?: number;
  query?: Query;
  timeoutMs?: number;
}

/** A change that is refused is no wrong question. */
type AdminCall = HttpCall & { isChange?: boolean };

/** The most the node gives at once. */
const PAGE_MAX = 200;
/** Of replies with a document; 202 is done as soon as it can be. */
const DONE_STATUSES: ReadonlySet<number> = new Set([200, 201, 202]);
/** A key whose rate is used up has more a moment later. */
const ATTEMPTS_MAX = 3;
const WAIT_MS_MAX = 5_000;
/** Tens of thousands of rules are read, judged and stored in one transaction. */
const RULE_SET_TIMEOUT_MS = 120_000;

export class AdminClient {
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    this.#http = http;
  }

  async ledger(signal?: AbortSignal): Promise<Ledger> {
    const ledger = await this.read<Partial<Ledger>>('/api/v2/ledger', {}, signal);
    return {
      accepted: ledger.accepted ?? 0,
      replayed: ledger.replayed ?? 0,
      terminal: ledger.terminal ?? {},
      in_flight: ledger.in_flight ?? 0,
      rejected: ledger.rejected ?? 0,
      balanced: ledger.balanced === true,
      lost: ledger.lost ?? 0,
      ...(ledger.alerts === undefined ? {} : { alerts: ledger.alerts }),
      partitions: ledger.partitions ?? [],
    };
  }

  status(signal?: AbortSignal): Promise<NodeStatus> {
    return this.read<NodeStatus>('/api/v2/status', {}, signal);
  }

  /** Undefined when they cannot be read now, or the node is an older one. Errors: E_INTERRUPTED. */
  async partitions(signal?: AbortSignal): Promise<PartitionProgress[] | undefined> {
    try {
      return (await this.read<Partial<List<PartitionProgress>>>('/api/v2/partitions', {}, signal)).items;
    } catch (thrown) {
      if (codeOf(thrown) === 'E_INTERRUPTED') throw thrown;
      return undefined;
    }
  }

  recentAlerts(after: number, signal?: AbortSignal): Promise<RecentAlerts> {
    return this.read<RecentAlerts>('/api/v2/alerts/recent', { after }, signal);
  }

  /** The rules as they are, in the order they are tried, with development hosts, teams and destinations. */
  ruleSet(signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.read<Record<string, unknown>>('/api/v2/rule-set', {}, signal, RULE_SET_TIMEOUT_MS);
  }

  async applyRules(document: unknown, signal?: AbortSignal): Promise<AppliedRules> {
    const change: Change = {
      method: 'PUT',
      path: '/api/v2/rule-set',
      body: document,
      timeoutMs: RULE_SET_TIMEOUT_MS,
    };
    const applied = await this.change<Partial<AppliedRules>>(change, signal);
    return {
      created: applied.created ?? 0,
      updated: applied.updated ?? 0,
      unchanged: applied.unchanged ?? 0,
      snapshot_version: applied.snapshot_version ?? 0,
    };
  }

  /** The document at a path. Errors: those of the HTTP client, and the node's problems. */
  read<T>(path: string, query: Query = {}, signal?: AbortSignal, timeoutMs?: number): Promise<T> {
    const call: HttpCall = { method: 'GET', path: path + queryText(query) };
    return this.#ask<T>(timeoutMs === undefined ? call : { ...call, timeoutMs }, signal);
  }

  /** The first `limit` items of a list, as many pages as that takes. */
  async list<T>(path: string, query: Query, limit: number, signal?: AbortSignal): Promise<List<T>> {
    const items: T[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = { ...query, limit: Math.min(PAGE_MAX, limit - items.length), cursor };
      const part = await this.read<Partial<List<T>>>(path, page, signal);
      items.push(...(part.items ?? []));
      cursor = part.next ?? undefined;
      if (cursor === undefined || items.length >= limit || part.items?.length === 0) break;
    }
    return { items, next: cursor ?? null };
  }

  /** Changes something. A refusal has `details.isChange`, so that it is told from a wrong question. */
  change<T>(change: Change, signal?: AbortSignal): Promise<T> {
    const { ifVersion, timeoutMs } = change;
    return this.#ask<T>(
      {
        isChange: true,
        method: change.method,
        path: change.path + queryText(change.query ?? {}),
        headers: {
          ...(change.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(ifVersion === undefined ? {} : { 'if-match': `"${ifVersion}"` }),
        },
        ...(change.body === undefined ? {} : { body: JSON.stringify(change.body) }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      },
      signal,
    );
  }

  /** What the node would refuse a document of rules for, or the rules as it reads them; nothing is applied. */
  async checkRules(document: unknown, signal?: AbortSignal): Promise<CheckedRules> {
    try {
      const path = '/api/v2/rule-set/check';
      const { rules } = await this.ask<Partial<CheckedRules>>(path, document, signal, RULE_SET_TIMEOUT_MS);
      return { faults: [], ...(Array.isArray(rules) ? { rules } : {}) };
    } catch (thrown) {
      const faults = faultsIn(thrown);
      if (faults.length > 0) return { faults };
      throw thrown;
    }
  }

  /** A question that is too long for an address. Errors: those of the HTTP client, and the node's problems. */
  ask<T>(path: string, body: unknown, signal?: AbortSignal, timeoutMs?: number): Promise<T> {
    const call: HttpCall = {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    return this.#ask<T>(timeoutMs === undefined ? call : { ...call, timeoutMs }, signal);
  }

  close(): void {
    this.#http.close();
  }

  async #ask<T>({ isChange = false, ...call }: AdminCall, signal?: AbortSignal): Promise<T> {
    const reply = await this.#send(signal === undefined ? call : { ...call, signal });
    if (reply.status === 204) return {} as T;
    if (DONE_STATUSES.has(reply.status)) return parseReply(reply) as T;
    const problem = problemOf(reply, isChange);
    throw problem.code === 'E_ROUTE_UNKNOWN' ? noAdminPort(problem) : problem;
  }

  /** What came too soon was not looked at, so it is sent again when the node says. */
  async #send(call: HttpCall): Promise<HttpReply> {
    for (let attempt = 1; ; attempt++) {
      const reply = await this.#http.send(call);
      const waitMs = Number(reply.headers['retry-after']) * 1_000;
      if (reply.status !== 429 || attempt === ATTEMPTS_MAX || !(waitMs <= WAIT_MS_MAX)) return reply;
      await sleep(this.#http.clock, waitMs, call.signal);
    }
  }
}

/** The faults that a problem of the node names. */
export function faultsIn(thrown: unknown): FieldFault[] {
  const faults = (thrown as Partial<CodedError> | null)?.details?.['faults'];
  return Array.isArray(faults) ? (faults as FieldFault[]) : [];
}

function queryText(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

/** The paths of the API are known: what does not have them is another port of the node, or an older one. */
function noAdminPort(problem: CodedError): CodedError {
  return new CodedError(
    problem.code,
    `this is no admin port of MUTT, or one of an older node: ${problem.message}`,
    {
      mend: 'Give the address of the admin port with --admin-url, for example http://127.0.0.1:8090.',
      details: problem.details,
    },
  );
}

/** The JSON object or array of a reply. Throws `E_REPLY_INVALID`. */
export function parseReply(reply: HttpReply): unknown {
  let document: unknown;
  try {
    document = JSON.parse(reply.body.toString('utf8'));
  } catch {
    document = undefined;
  }
  if (typeof document === 'object' && document !== null) return document;
  throw new CodedError('E_REPLY_INVALID', 'the answer is not the JSON that MUTT gives', {
    mend: 'Something else seems to listen at this address: check it.',
  });
}

/** What a reply other than success says, as an error. Its faults are in `details.faults`. */
export function problemOf(reply: HttpReply, isChange = false): CodedError {
  let problem: Record<string, unknown> = {};
  try {
    problem = parseReply(reply) as Record<string, unknown>;
  } catch {
    // Not from MUTT, or cut off: the status has to say it all.
  }
  const code = typeof problem['code'] === 'string' ? printable(problem['code']) : `E_HTTP_${reply.status}`;
  const detail =
    typeof problem['detail'] === 'string' ? printable(problem['detail']) : `status ${reply.status}`;
  const isKeyFault = reply.status === 401 || reply.status === 403;
  const mend = mendOf(reply);
  return new CodedError(isKeyFault ? 'E_KEY_REFUSED' : code, `the node says: ${detail}`, {
    kind: reply.status >= 500 || reply.status === 429 ? 'transient' : 'permanent',
    details: { status: reply.status, code, isChange, faults: faultsOf(problem['errors']) },
    ...(mend === undefined ? {} : { mend }),
  });
}

function mendOf({ status, headers }: HttpReply): string | undefined {
  if (status === 401 || status === 403) return 'Give the file of a key that is valid here and has the scope.';
  if (status !== 429) return undefined;
  const seconds = Number(headers['retry-after']);
  return `Try again ${seconds > 0 ? `in ${seconds} s` : 'a little later'}; api.rate.requestsPerSecond is the limit of a key.`;
}

function faultsOf(errors: unknown): FieldFault[] {
  if (!Array.isArray(errors)) return [];
  return (errors as unknown[]).flatMap((error) => {
    if (typeof error !== 'object' || error === null) return [];
    const { field, code, why, mend, value } = error as Record<string, unknown>;
    if (typeof why !== 'string') return [];
    return [
      {
        field: typeof field === 'string' ? printable(field) : '',
        why: printable(why),
        ...(typeof code === 'string' ? { code } : {}),
        ...(typeof mend === 'string' ? { mend: printable(mend) } : {}),
        ...(value === undefined ? {} : { value }),
      },
    ];
  });
}
