/**
 * The ingest port: routes, authentication, start and drain. Runs on the main thread of a gateway process.
 *
 * It moves bytes and writes replies; what a body means is decided behind `IngestPort`. The invariant: a request is
 * answered, broken off by its client, or broken off by a stated limit; it never hangs, and nothing is stored for a
 * sender without a valid key.
 *
 * Requests on one connection must wait for each other's answers: a second one sent earlier closes the connection, and
 * neither is answered (relays then send both again).
 */
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { toWire } from '../../runtime/errors.ts';
import { correlationIdOf } from '../http/correlation-id.ts';
import type { HttpRequest, HttpResponse } from '../http/exchange.ts';
import { FailureBrake } from '../http/failure-brake.ts';
import type { FailureBrakeOptions } from '../http/failure-brake.ts';
import type { KeyCheck } from '../http/key-ring.ts';
import type { GatewayLog } from '../http/log.ts';
import { areKeysDifferent, presentedKey } from '../http/presented-key.ts';
import { HttpServer } from '../http/server.ts';
import type { TlsMaterial } from '../http/tls-material.ts';
import { FLAG_EVENT_IDS } from './ingest-port.ts';
import type { IngestPort } from './ingest-port.ts';
import { Intake } from './intake.ts';
import { DISCARD_BYTES_MAX, INGEST_LIMITS } from './limits.ts';
import type { IngestLimits } from './limits.ts';
import { authFailureCounter, INGEST_COUNTER, requestCounter } from './metrics.ts';
import type { AuthFailure, Counters } from './metrics.ts';
import { writeHecHealth } from './hec-replies.ts';
import { REFUSAL } from './replies.ts';
import type { Refusal } from './replies.ts';
import { RequestHead } from './request-head.ts';
import { HEC_HEALTH_ROUTES, INGEST_ROUTES, KEY_SCHEMES, dialectCodeOf, hintOf } from './routes.ts';
import type { IngestRoute } from './routes.ts';
import { senderCodeOf } from './sender.ts';
import { SOCKET_LIMITS } from './socket/socket-limits.ts';
import type { SocketLimits } from './socket/socket-limits.ts';
import { SocketServer } from './socket/socket-server.ts';
import type { SocketSender } from './socket/socket-server.ts';
import { NATIVE_REPLIES, repliesOf } from './write-reply.ts';
import type { DialectReplies } from './dialect-replies.ts';

/** While draining: how long the last request must be over before idle connections are closed. */
const DRAIN_QUIET_MS = 100;
const DRAIN_CHECK_MS = 20;
/**
 * How long a refusal for want of a share waits. Whoever sends again at once would otherwise keep the loop busy with
 * reading what it refuses.
 */
const SHARE_REFUSAL_DELAY_MS = 1_000;

export interface IngestServerOptions {
  port: IngestPort;
  keys: KeyCheck;
  counters: Counters;
  clock: Clock;
  log: GatewayLog;
  limits?: Partial<IngestLimits>;
  sockets?: Partial<SocketLimits>;
  brake?: Omit<FailureBrakeOptions, 'clock'>;
  /** Without it the port speaks plain HTTP. */
  tls?: TlsMaterial | undefined;
}

export interface DrainOutcome {
  /** Requests that had no verdict at the deadline and were answered 503. */
  abandoned: number;
}

/** How a request is to be answered, as its route and head say. */
interface Answering {
  replies: DialectReplies;
  isDeprecatedRoute: boolean;
}

const NATIVE: Answering = { replies: NATIVE_REPLIES, isDeprecatedRoute: false };

type Outcome = { keyName: string; flags: number } | { refusal: Refusal; failure?: AuthFailure };

export class IngestServer {
  readonly #keys: KeyCheck;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #log: GatewayLog;
  readonly #http: HttpServer;
  readonly #intake: Intake;
  readonly #sockets: SocketServer;
  readonly #brake: FailureBrake;
  readonly #head = new RequestHead();
  /** Of clients that are still there; bounded by the connections. */
  readonly #laterRefusals = new Set<() => void>();
  #isDraining = false;
  #lastReleaseMs = 0;

  constructor(options: IngestServerOptions) {
    this.#keys = options.keys;
    this.#counters = options.counters;
    this.#clock = options.clock;
    this.#log = options.log;
    const limits = { ...INGEST_LIMITS, ...options.limits };
    this.#brake = new FailureBrake({ ...options.brake, clock: options.clock });
    this.#http = new HttpServer({
      connectionsMax: limits.connectionsMax,
      onFault: (fault, faultId) => {
        this.#counters.add(requestCounter('error'), 1);
        this.#log.error({ fault_id: faultId, fault: toWire(fault) }, 'A request handler failed.');
      },
      onConnections: (open, isRefused) => {
        this.#counters.set(INGEST_COUNTER.connections, open);
        if (isRefused) this.#counters.add(INGEST_COUNTER.refusedConnections, 1);
      },
      tls: options.tls,
      onUncertified: () => this.#counters.add(INGEST_COUNTER.uncertifiedRequests, 1),
    });
    this.#intake = new Intake({
      port: options.port,
      counters: options.counters,
      clock: options.clock,
      limits,
      fault: (response, fault) => this.#http.fault(response, fault),
      onPortFault: (fault) => {
        this.#log.error({ fault: toWire(fault) }, 'The ingest threads refused a batch.');
      },
      onReleased: () => this.#noteRelease(),
    });
    this.#sockets = new SocketServer({
      intake: this.#intake,
      keys: options.keys,
      counters: options.counters,
      clock: options.clock,
      log: options.log,
      limits: { ...SOCKET_LIMITS, ...options.sockets },
      admit: (response, request) => this.#admitSocket(response, request),
      refuse: (response, refusal, correlationId) =>
        this.#refuse(response, refusal, correlationId, NATIVE, false),
      onReleased: () => this.#noteRelease(),
    });
    this.#addRoutes();
  }

  /**
   * Starts to accept and returns the port. Throws E_LISTEN_REFUSED. The port is shared with other processes of ours
   * (SO_REUSEPORT) unless it is 0.
   */
  start(port: number, host: string): number {
    const taken = this.#http.listen(port, host);
    this.#intake.start();
    return taken;
  }

  /**
   * Connections made from now on get this certificate; open ones go on. Throws E_TLS_UNUSABLE, and then the certificate
   * stays what it was.
   */
  renewTls(tls: TlsMaterial): void {
    try {
      this.#http.renewTls(tls);
      this.#counters.add(INGEST_COUNTER.tlsRenewals, 1);
    } catch (thrown) {
      this.#counters.add(INGEST_COUNTER.failedTlsRenewals, 1);
      throw thrown;
    }
  }

  get listening(): boolean {
    return this.#http.isListening;
  }
  get connections(): number {
    return this.#http.connections;
  }
  /** Open WebSockets. */
  get sockets(): number {
    return this.#sockets.open;
  }
  /** Requests taken and not yet answered, and the body bytes they hold. */
  get inFlight(): { requests: number; bytes: number } {
    return { requests: this.#intake.requests, bytes: this.#intake.bytes };
  }

  /**
   * Ends without losing an answer: accepts no further connection, goes on serving the open ones and closes each after
   * its next reply; when all are closed, or nothing has come for a moment, closes the idle ones. What has no verdict at
   * the deadline is answered 503. A relay that is refused while we stop might drop its batch, so none is. WebSockets are
   * told what they are owed and closed with 1012.
   */
  async drain(deadlineMs: number): Promise<DrainOutcome> {
    const startedMs = this.#clock.monotonicMs();
    this.#isDraining = true;
    this.#lastReleaseMs = startedMs;
    this.#http.stopAccepting();
    this.#intake.closeConnections();
    this.#sockets.leave();
    for (const refuse of [...this.#laterRefusals]) refuse();
    while (!this.#isDrained() && this.#clock.monotonicMs() - startedMs < deadlineMs) {
      await sleep(this.#clock, DRAIN_CHECK_MS);
      this.#sockets.leaveFurther();
    }
    const abandoned = this.#intake.abandon();
    this.close();
    return { abandoned };
  }

  /** Breaks off every connection at once. Idempotent. */
  close(): void {
    this.#intake.stop();
    this.#sockets.close();
    this.#http.close();
  }

  #noteRelease(): void {
    if (this.#isDraining) this.#lastReleaseMs = this.#clock.monotonicMs();
  }

  #isDrained(): boolean {
    if (this.#intake.requests > 0 || this.#sockets.open > 0) return false;
    if (this.#http.connections === 0) return true;
    return this.#clock.monotonicMs() - this.#lastReleaseMs >= DRAIN_QUIET_MS;
  }

  #addRoutes(): void {
    this.#sockets.attach(this.#http);
    for (const route of INGEST_ROUTES) {
      this.#http.route('post', route.path, (response, request) => this.#ingest(response, request, route));
      this.#http.route('any', route.path, (response, request) => {
        this.#refuseAtOnce(response, request, REFUSAL.method, route);
      });
    }
    for (const route of HEC_HEALTH_ROUTES) {
      this.#http.route('get', route, (response, request) => this.#answerHealth(response, request));
    }
    this.#http.route('any', '/*', (response, request) => {
      this.#refuseAtOnce(response, request, REFUSAL.route);
    });
  }

  #ingest(response: HttpResponse, request: HttpRequest, route: IngestRoute): void {
    const head = this.#head;
    head.read(request);
    const correlationId = correlationIdOf(head.correlationId);
    const dialect = dialectCodeOf(route.family, head.contentType);
    const isDeprecatedRoute = route.isDeprecated === true;
    const answering = { replies: repliesOf(dialect), isDeprecatedRoute };
    if (head.isLengthFaulty) {
      this.#refuse(response, REFUSAL.length, correlationId, answering, true);
      return;
    }
    const sender = this.#authenticate(head, route.family);
    if ('refusal' in sender) {
      this.#refuseSender(response, sender, correlationId, answering, this.#mustClose(head));
      return;
    }
    const { keyName, flags } = sender;
    const hint = hintOf(route.family, head, route.family === 'hec_raw' ? request.getQuery() : undefined);
    const refusal =
      head.isIdempotencyKeyFaulty && head.isStrict
        ? REFUSAL.idempotencyKey
        : this.#intake.take(response, head, {
            keyName,
            flags,
            correlationId,
            isDeprecatedRoute,
            dialect,
            hint,
          });
    if (refusal === undefined) return;
    const closes = this.#mustClose(head);
    if (refusal !== REFUSAL.share || this.#isDraining) {
      this.#refuse(response, refusal, correlationId, answering, closes);
      return;
    }
    const answer = this.#laterRefusal(response, refusal, correlationId, answering, closes);
    this.#clock.after(SHARE_REFUSAL_DELAY_MS, answer, { ref: false });
  }

  /** Undefined when it has been refused, or will be. */
  #admitSocket(response: HttpResponse, request: HttpRequest): SocketSender | undefined {
    const head = this.#head;
    head.read(request);
    const correlationId = correlationIdOf(head.correlationId);
    const outcome = this.#authenticate(head, 'native');
    if ('refusal' in outcome) this.#refuseSender(response, outcome, correlationId, NATIVE, false);
    else if (this.#isDraining) this.#refuse(response, REFUSAL.draining, correlationId, NATIVE, true);
    else {
      const presented = presentedKey(head.apiKey, head.authorization);
      const { keyName, flags } = outcome;
      return { keyName, flags, presented, sender: senderCodeOf(head.userAgent), correlationId };
    }
    return undefined;
  }

  #refuseSender(
    response: HttpResponse,
    { refusal, failure }: Extract<Outcome, { refusal: Refusal }>,
    correlationId: string,
    answering: Answering,
    closes: boolean,
  ): void {
    if (failure === undefined) {
      this.#refuse(response, refusal, correlationId, answering, closes);
      return;
    }
    this.#counters.add(authFailureCounter(failure), 1);
    this.#refuseStranger(response, refusal, correlationId, answering, closes);
  }

  /** As all that is answered at once to anybody, it ends its connection: see `#refuseAtOnce`. */
  #answerHealth(response: HttpResponse, request: HttpRequest): void {
    const head = this.#head;
    head.read(request);
    const state = this.#isDraining ? 'draining' : this.#intake.isFull ? 'full' : 'healthy';
    writeHecHealth(response, state, {
      correlationId: correlationIdOf(head.correlationId),
      closeConnection: true,
    });
  }

  #authenticate(head: RequestHead, family: IngestRoute['family']): Outcome {
    const schemes = KEY_SCHEMES[family];
    const presented = presentedKey(head.apiKey, head.authorization, schemes);
    if (presented === '') return { refusal: REFUSAL.keyMissing, failure: 'missing' };
    if (head.isKeyAmbiguous || areKeysDifferent(head.apiKey, head.authorization, schemes))
      return { refusal: REFUSAL.keyAmbiguous, failure: 'unknown' };
    const verdict = this.#keys.verify(presented);
    switch (verdict.state) {
      case 'valid':
        return verdict.record.scopes.includes('ingest')
          ? { keyName: verdict.record.name, flags: verdict.record.eventIds === true ? FLAG_EVENT_IDS : 0 }
          : { refusal: REFUSAL.scope };
      case 'grace':
        return { refusal: REFUSAL.keyGrace };
      case 'expired':
        return { refusal: REFUSAL.keyExpired, failure: 'expired' };
      case 'unknown':
        return { refusal: REFUSAL.keyUnknown, failure: 'unknown' };
    }
  }

  /** Answers a request without a valid key, later if its address has failed often. */
  #refuseStranger(
    response: HttpResponse,
    refusal: Refusal,
    correlationId: string,
    answering: Answering,
    closes: boolean,
  ): void {
    const pace = this.#brake.fail(response.getRemoteAddress());
    if (pace === 'now') {
      this.#refuse(response, refusal, correlationId, answering, closes);
      return;
    }
    this.#counters.add(INGEST_COUNTER.slowedAuthFailures, 1);
    if (pace === 'never') {
      this.#counters.add(requestCounter(refusal.reason), 1);
      response.onAborted(() => undefined);
      response.close();
      return;
    }
    this.#brake.wait(this.#laterRefusal(response, refusal, correlationId, answering, closes));
  }

  /** Refuses when it is called for the first time, if the client is still there. */
  #laterRefusal(
    response: HttpResponse,
    refusal: Refusal,
    correlationId: string,
    answering: Answering,
    closes: boolean,
  ): () => void {
    const answer = (): void => {
      if (!this.#laterRefusals.delete(answer)) return;
      try {
        response.cork(() => this.#refuse(response, refusal, correlationId, answering, closes));
      } catch (fault) {
        this.#http.fault(response, fault);
      }
    };
    response.onAborted(() => this.#laterRefusals.delete(answer));
    this.#laterRefusals.add(answer);
    return answer;
  }

  #refuse(
    response: HttpResponse,
    refusal: Refusal,
    correlationId: string,
    answering: Answering,
    closes: boolean,
  ): void {
    this.#counters.add(requestCounter(refusal.reason), 1);
    const closeConnection = closes || this.#isDraining;
    const { replies, isDeprecatedRoute } = answering;
    replies.refused(response, refusal, { correlationId, isDeprecatedRoute, closeConnection });
  }

  /**
   * Ends the connection: whoever sends one such request after the other and reads no answer would have us keep them all.
   */
  #refuseAtOnce(response: HttpResponse, request: HttpRequest, refusal: Refusal, route?: IngestRoute): void {
    const head = this.#head;
    head.read(request);
    this.#counters.add(requestCounter(refusal.reason), 1);
    const replies =
      route === undefined ? NATIVE_REPLIES : repliesOf(dialectCodeOf(route.family, head.contentType));
    replies.refused(response, refusal, {
      correlationId: correlationIdOf(head.correlationId),
      isDeprecatedRoute: route?.isDeprecated === true,
      closeConnection: true,
      omitBody: request.getMethod() === 'head',
    });
  }

  /** Whether the rest of a refused body is too long, or too open-ended, to be read and thrown away. */
  #mustClose(head: RequestHead): boolean {
    return head.isChunked || head.contentLength > DISCARD_BYTES_MAX;
  }
}
