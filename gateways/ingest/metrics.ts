/**
 * Every number the ingest gateway exposes, as a layout for counters in shared memory.
 *
 * The lists of labels are closed: all pairs exist from the start, at zero, so that a rate over them is never missing.
 * A histogram is written out as its cumulative buckets.
 */
import type { CounterBlock, CounterDefinition, CounterLayout } from '../../runtime/shared/counters.ts';
import { Histogram, LATENCY_BOUNDS_S, histogramLayout } from '../../runtime/shared/histogram.ts';

/** What the gateway does with counters; a CounterBlock of INGEST_LAYOUT is one. */
export type Counters = Pick<CounterBlock, 'add' | 'set'>;

/**
 * How a request ended. `success` means 200: everything stored, stored with rejects parked, or nothing readable and all
 * of it parked. `away` covers the store; `timeout` a verdict that never came; `slow` a body that never ended.
 */
export const REQUEST_OUTCOMES = [
  ['success', 'stored'],
  ['success', 'partial'],
  ['success', 'parked'],
  ['fail', 'unreadable'],
  ['fail', 'strict'],
  ['fail', 'malformed'],
  ['fail', 'auth'],
  ['fail', 'scope'],
  ['fail', 'key_grace'],
  ['fail', 'route'],
  ['fail', 'method'],
  ['fail', 'too_large'],
  ['fail', 'full'],
  ['fail', 'budget'],
  ['fail', 'share'],
  ['fail', 'away'],
  ['fail', 'timeout'],
  ['fail', 'slow'],
  ['fail', 'draining'],
  ['fail', 'error'],
] as const;
export type RequestReason = (typeof REQUEST_OUTCOMES)[number][1];

export const AUTH_FAILURES = ['missing', 'unknown', 'expired'] as const;
export type AuthFailure = (typeof AUTH_FAILURES)[number];

/** How a socket ended. `client`: it said so; `lost`: without a word, or a frame that no WebSocket may hold. */
export const SOCKET_ENDINGS = [
  'client',
  'lost',
  'restart',
  'later',
  'grace',
  'key',
  'credit',
  'sequence',
  'too_large',
  'silent',
  'slow',
  'error',
] as const;
export type SocketEnding = (typeof SOCKET_ENDINGS)[number];

/** Upper bounds in seconds, receipt of the head to the reply. */
export const DURATION_BOUNDS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;

const layout: CounterDefinition[] = [];
function define(
  name: string,
  kind: 'counter' | 'gauge',
  help: string,
  labels?: Readonly<Record<string, string>>,
): number {
  return layout.push({ name, kind, help, ...(labels === undefined ? {} : { labels }) }) - 1;
}

const requests = new Map<RequestReason, number>(
  REQUEST_OUTCOMES.map(([status, reason]) => [
    reason,
    define('mutt_ingest_requests_total', 'counter', 'Requests to the ingest port by outcome.', {
      status,
      reason,
    }),
  ]),
);
const authFailures = new Map<AuthFailure, number>(
  AUTH_FAILURES.map((reason) => [
    reason,
    define('mutt_ingest_auth_failures_total', 'counter', 'Requests without a valid key.', { reason }),
  ]),
);
const socketEndings = new Map<SocketEnding, number>(
  SOCKET_ENDINGS.map((reason) => [
    reason,
    define('mutt_ingest_closed_sockets_total', 'counter', 'WebSockets that ended.', { reason }),
  ]),
);
/** Gives the position of its first cell. */
function defineHistogram(name: string, help: string, boundsS: readonly number[]): number {
  const cells = histogramLayout(name, help, boundsS);
  return layout.push(...cells) - cells.length;
}
const durationAt = defineHistogram(
  'mutt_ingest_request_duration_seconds',
  'Head received to reply, stored requests.',
  DURATION_BOUNDS_S,
);
const storedAt = defineHistogram(
  'mutt_received_to_stored_seconds',
  'Head received to the verdict that it is stored, events.',
  LATENCY_BOUNDS_S,
);

/** Positions in INGEST_LAYOUT. */
export const INGEST_COUNTER = {
  bodyBytes: define('mutt_ingest_body_bytes_total', 'counter', 'Body bytes handed to ingest threads.'),
  accepted: define('mutt_ingest_accepted_events_total', 'counter', 'Events stored, each once.'),
  rejected: define('mutt_ingest_rejected_events_total', 'counter', 'Records parked or refused.'),
  batches: define('mutt_ingest_batches_total', 'counter', 'Batches handed to ingest threads.'),
  abortedReading: define('mutt_ingest_aborted_requests_total', 'counter', 'Clients that went away.', {
    stage: 'reading',
  }),
  abortedQueued: define('mutt_ingest_aborted_requests_total', 'counter', 'Clients that went away.', {
    stage: 'queued',
  }),
  abortedWaiting: define('mutt_ingest_aborted_requests_total', 'counter', 'Clients that went away.', {
    stage: 'waiting',
  }),
  unclaimedEvents: define(
    'mutt_ingest_unclaimed_events_total',
    'counter',
    'Events stored for clients that were gone or had been answered 503: they may come twice.',
  ),
  slowedAuthFailures: define(
    'mutt_ingest_slowed_auth_failures_total',
    'counter',
    'Refusals that were delayed.',
  ),
  refusedConnections: define(
    'mutt_ingest_refused_connections_total',
    'counter',
    'Connections over the limit.',
  ),
  uncertifiedRequests: define(
    'mutt_ingest_uncertified_requests_total',
    'counter',
    'Requests without a client certificate where one is asked for: closed without an answer.',
  ),
  tlsRenewals: define('mutt_ingest_tls_renewals_total', 'counter', 'New certificates by what came of them.', {
    status: 'success',
  }),
  failedTlsRenewals: define(
    'mutt_ingest_tls_renewals_total',
    'counter',
    'New certificates by what came of them.',
    { status: 'fail' },
  ),
  inFlightRequests: define('mutt_ingest_in_flight_requests', 'gauge', 'Requests taken and not yet answered.'),
  inFlightBytes: define(
    'mutt_ingest_in_flight_bytes',
    'gauge',
    'Body bytes taken or announced, not yet answered.',
  ),
  queuedRequests: define(
    'mutt_ingest_queued_requests',
    'gauge',
    'Requests, and messages of sockets, whose bodies wait for their turn.',
  ),
  queuedBytes: define('mutt_ingest_queued_bytes', 'gauge', 'Body bytes that wait for their turn.'),
  queuedSources: define('mutt_ingest_queued_sources', 'gauge', 'Sources whose bodies wait for their turn.'),
  delayedRequests: define(
    'mutt_ingest_delayed_requests_total',
    'counter',
    'Requests, and messages of sockets, that had to wait for their turn.',
  ),
  delaySeconds: define('mutt_ingest_delay_seconds_total', 'counter', 'Seconds for which they waited.'),
  connections: define('mutt_ingest_connections', 'gauge', 'Open connections.'),
  sockets: define('mutt_ingest_sockets', 'gauge', 'Open WebSockets.'),
  socketQueuedBytes: define(
    'mutt_ingest_socket_queued_bytes',
    'gauge',
    'Bytes of messages that wait for those before them.',
  ),
  socketMessages: define('mutt_ingest_socket_messages_total', 'counter', 'Messages taken over WebSockets.'),
  socketAcks: define('mutt_ingest_socket_acks_total', 'counter', 'Acks sent over WebSockets.'),
  socketNacks: define(
    'mutt_ingest_socket_nacks_total',
    'counter',
    'Messages that were refused for now and have to be sent again.',
  ),
} as const;

export const INGEST_LAYOUT: CounterLayout = layout;

/** Position of the counter of an outcome. */
export function requestCounter(reason: RequestReason): number {
  return requests.get(reason) ?? 0;
}
export function authFailureCounter(reason: AuthFailure): number {
  return authFailures.get(reason) ?? 0;
}
export function socketEndingCounter(reason: SocketEnding): number {
  return socketEndings.get(reason) ?? 0;
}

/** What a gateway has taken how long, in its counters. */
export class IngestDurations {
  readonly #requests: Histogram;
  readonly #events: Histogram;

  constructor(counters: Counters) {
    this.#requests = new Histogram(counters, durationAt, DURATION_BOUNDS_S);
    this.#events = new Histogram(counters, storedAt, LATENCY_BOUNDS_S);
  }

  /** A request was stored. */
  answered(durationMs: number): void {
    this.#requests.observe(durationMs / 1_000);
  }

  /** So many events of a request or of a message of a socket were stored by now. */
  stored(durationMs: number, events: number): void {
    this.#events.observe(durationMs / 1_000, events);
  }
}
