/**
 * The admin API as the commands use it: typed documents, and problems (RFC 9457) as errors with their faults.
 *
 * Documents are read leniently, since the node may be older or newer than the command.
 */
import type { TerminalState } from '../../actors/event.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { HttpCall, HttpClient, HttpReply } from './http-client.ts';
import { printable } from './terminal-text.ts';

export interface Ledger {
  accepted: number;
  replayed: number;
  terminal: Partial<Record<TerminalState, number>>;
  in_flight: number;
  rejected: number;
  balanced: boolean;
  lost: number;
  partitions: LedgerPartition[];
}
export interface LedgerPartition {
  partition: number;
  accepted: number;
  in_flight: number;
  balanced: boolean;
  lost: number;
}

export interface TreeNode {
  id: string;
  /** `running`, `starting`, `backing off`, … */
  status?: string;
  epoch?: number;
  restarts?: number;
  /** RFC 3339. */
  since?: string;
  /** Latest exits, oldest first. */
  exits?: { reason: string }[];
  pid?: number;
  children?: TreeNode[];
}

export interface NodeStatus {
  ready: boolean;
  reasons?: string[];
  version?: string;
  pid?: number;
  uptime_seconds?: number;
  /** Name to address, for example `ingest`: `http://127.0.0.1:8080`. */
  addresses?: Record<string, string>;
  snapshot?: { version: number; applied?: { worker: string; version: number }[] };
  /** Those that are not well. */
  destinations?: { name: string; state: string; last_error: string; since: string }[];
  actors?: TreeNode;
}

export interface RecentAlerts {
  alerts: { n: number; received_at: string; alert: Record<string, unknown> }[];
  next: number;
  /** Alerts between the number asked with and these that the node keeps no longer. */
  missed?: number;
}

export interface AppliedRules {
  created: number;
  updated: number;
  unchanged: number;
  snapshot_version: number;
}

/** One fault of a problem document. */
export interface FieldFault {
  field: string;
  value?: unknown;
  why: string;
  mend?: string;
}

export class AdminClient {
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    this.#http = http;
  }

  async ledger(signal?: AbortSignal): Promise<Ledger> {
    const ledger = await this.#ask<Partial<Ledger>>({ method: 'GET', path: '/api/v2/ledger' }, signal);
    return {
      accepted: ledger.accepted ?? 0,
      replayed: ledger.replayed ?? 0,
      terminal: ledger.terminal ?? {},
      in_flight: ledger.in_flight ?? 0,
      rejected: ledger.rejected ?? 0,
      balanced: ledger.balanced === true,
      lost: ledger.lost ?? 0,
      partitions: ledger.partitions ?? [],
    };
  }

  status(signal?: AbortSignal): Promise<NodeStatus> {
    return this.#ask<NodeStatus>({ method: 'GET', path: '/api/v2/status' }, signal);
  }

  recentAlerts(after: number, signal?: AbortSignal): Promise<RecentAlerts> {
    return this.#ask<RecentAlerts>({ method: 'GET', path: `/api/v2/alerts/recent?after=${after}` }, signal);
  }

  /** The rules as they are, in the order they are tried. */
  async rules(signal?: AbortSignal): Promise<Record<string, unknown>> {
    const document = await this.#ask<unknown>({ method: 'GET', path: '/api/v2/rules' }, signal);
    return Array.isArray(document) ? { rules: document as unknown[] } : (document as Record<string, unknown>);
  }

  async applyRules(document: unknown, signal?: AbortSignal): Promise<AppliedRules> {
    const applied = await this.#ask<Partial<AppliedRules> & { version?: number }>(
      {
        method: 'PUT',
        path: '/api/v2/rules',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(document),
      },
      signal,
    );
    return {
      created: applied.created ?? 0,
      updated: applied.updated ?? 0,
      unchanged: applied.unchanged ?? 0,
      snapshot_version: applied.snapshot_version ?? applied.version ?? 0,
    };
  }

  /** What the node would refuse a document for; nothing is applied. */
  async faultsOf(document: unknown, signal?: AbortSignal): Promise<FieldFault[]> {
    const call: HttpCall = {
      method: 'POST',
      path: '/api/v2/rules/check',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(document),
    };
    try {
      await this.#ask(call, signal);
      return [];
    } catch (thrown) {
      const faults = (thrown as Partial<CodedError>).details?.['faults'];
      if (Array.isArray(faults)) return faults as FieldFault[];
      throw thrown;
    }
  }

  close(): void {
    this.#http.close();
  }

  async #ask<T>(call: HttpCall, signal?: AbortSignal): Promise<T> {
    const reply = await this.#http.send(signal === undefined ? call : { ...call, signal });
    if (reply.status === 200) return parseReply(reply) as T;
    const problem = problemOf(reply);
    throw problem.code === 'E_ROUTE_UNKNOWN' ? noAdminPort(problem) : problem;
  }
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
export function problemOf(reply: HttpReply): CodedError {
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
  return new CodedError(isKeyFault ? 'E_KEY_REFUSED' : code, `the node says: ${detail}`, {
    kind: reply.status >= 500 ? 'transient' : 'permanent',
    details: { status: reply.status, code, faults: faultsOf(problem['errors']) },
    ...(isKeyFault ? { mend: 'Give the file of a key that is valid here and has the scope.' } : {}),
  });
}

function faultsOf(errors: unknown): FieldFault[] {
  if (!Array.isArray(errors)) return [];
  return (errors as unknown[]).flatMap((error) => {
    if (typeof error !== 'object' || error === null) return [];
    const { field, why, mend, value } = error as Record<string, unknown>;
    if (typeof why !== 'string') return [];
    return [
      {
        field: typeof field === 'string' ? printable(field) : '',
        why: printable(why),
        ...(typeof mend === 'string' ? { mend: printable(mend) } : {}),
        ...(value === undefined ? {} : { value }),
      },
    ];
  });
}
