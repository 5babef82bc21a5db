/**
 * The WebSocket of the ingest port: who may open one, how many there are, and how each ends.
 *
 * The key is in the upgrade request and is judged as that of a POST, before the upgrade; four times a second it is looked
 * at again, so that no socket outlives its key by a second. Invariant: a peer that floods, stalls or vanishes costs one
 * session's bounds and its own socket, never another's. What a message means is decided behind the intake.
 */
import type { Clock } from '../../../runtime/clock.ts';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import type { HttpRequest, HttpResponse } from '../../http/exchange.ts';
import type { KeyCheck } from '../../http/key-ring.ts';
import type { GatewayLog } from '../../http/log.ts';
import { RepeatedLook } from '../../http/repeated-look.ts';
import { networkOf } from '../../http/network-of.ts';
import type { HttpServer, WebSocket, WebSocketBehavior } from '../../http/server.ts';
import { FairShare } from '../fair-share.ts';
import type { Source } from '../fair-share.ts';
import type { Intake } from '../intake.ts';
import { INGEST_COUNTER, socketEndingCounter } from '../metrics.ts';
import type { Counters } from '../metrics.ts';
import { REFUSAL } from '../replies.ts';
import type { Refusal } from '../replies.ts';
import { ENDINGS, SOCKET_REFUSAL } from './endings.ts';
import type { OurEnding } from './endings.ts';
import { QueueBudget } from './queue-budget.ts';
import { SocketSession } from './session.ts';
import { readSessionName } from './session-name.ts';
import type { SocketLimits } from './socket-limits.ts';

export const SOCKET_PATH = '/api/v2/ingest/ws';

/** A sender whose key was found good. */
export interface SocketSender {
  keyName: string;
  /** Of the API key: see FLAG_. */
  flags: number;
  presented: string;
  /** Position in SENDERS. */
  sender: number;
  correlationId: string;
}

export interface SocketServerOptions {
  intake: Pick<Intake, 'takeRun'>;
  keys: KeyCheck;
  counters: Counters;
  clock: Clock;
  log: GatewayLog;
  limits: SocketLimits;
  random?: () => number;
  /** The sender of an upgrade; undefined when it has been refused, or will be. */
  admit: (response: HttpResponse, request: HttpRequest) => SocketSender | undefined;
  refuse: (response: HttpResponse, refusal: Refusal, correlationId: string) => void;
  /** A socket has ended. */
  onReleased: () => void;
}

const LOOK_EVERY_MS = 250;
/** Sockets are held for days and cost little: one source may have most of them, and others still find some. */
const SOCKETS_FACTOR = 8;
/** Ours is the bound that counts; this one is for a peer that is sent answers to its own pings. */
const BACKPRESSURE_FACTOR = 8;
/** Room for a message over the limit to be seen, so that it can be answered with a close code. */
const OVERSIZE_SEEN_BYTES = 64 * 1024;
/** Of the library, behind our own look. */
const IDLE_S = 120;
const CLOSED_WITHOUT_A_WORD = 1006;

interface SocketData extends SocketSender {
  name: string | undefined;
  /** See `networkOf`. */
  network: string;
  /** The peer's, in network order. */
  address: Uint8Array;
  /** Who is charged with its place; set when the socket opens. */
  source?: Source;
  /** Set when the socket opens. */
  session?: SocketSession;
  /** Why we ended it. */
  ending?: OurEnding;
  pingedAtMs: number;
}
type Socket = WebSocket<SocketData>;

export class SocketServer {
  readonly #options: SocketServerOptions;
  readonly #limits: SocketLimits;
  readonly #random: () => number;
  readonly #shares: FairShare;
  readonly #sockets = new Map<Socket, SocketSession>();
  readonly #awake = new Set<Socket>();
  readonly #looks: RepeatedLook;
  /** Ended while it is corked, a socket would stay until the library's own time limit. */
  #corked: Socket | undefined;
  readonly #endTurn = (): void => {
    const nowMs = this.#nowMs();
    const awake = [...this.#awake];
    this.#awake.clear();
    for (const socket of awake) this.#turn(socket, nowMs);
    this.#options.counters.set(INGEST_COUNTER.socketQueuedBytes, this.#shares.bytes);
  };

  constructor(options: SocketServerOptions) {
    this.#options = options;
    this.#looks = new RepeatedLook({
      clock: options.clock,
      everyMs: LOOK_EVERY_MS,
      look: () => this.#look(),
      isAnyOpen: () => this.#sockets.size > 0,
    });
    this.#limits = options.limits;
    this.#random = options.random ?? Math.random;
    const { queuedBytesMax, socketsMax } = options.limits;
    this.#shares = new FairShare({
      bytesMax: queuedBytesMax,
      placesMax: socketsMax,
      placesFactor: SOCKETS_FACTOR,
    });
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** Adds its path to a server, whose catch-all routes must come later. */
  attach(server: HttpServer): void {
    server.webSocket<SocketData>(SOCKET_PATH, this.#behavior());
    server.route('get', SOCKET_PATH, (response, request) => {
      const sender = this.#options.admit(response, request);
      if (sender !== undefined) this.#options.refuse(response, SOCKET_REFUSAL.upgrade, sender.correlationId);
    });
  }

  /** From now on nothing more is taken; each socket ends with 1012 when what it has is told, spread over the jitter. */
  leave(): void {
    const nowMs = this.#nowMs();
    for (const session of this.#sockets.values()) {
      session.leave(nowMs + this.#random() * this.#limits.leaveJitterMs);
    }
  }

  /** One step of leaving; to be called every few milliseconds until none is open. */
  leaveFurther(): void {
    const nowMs = this.#nowMs();
    for (const socket of [...this.#sockets.keys()]) this.#turn(socket, nowMs);
  }

  /** Ends all at once. */
  close(): void {
    for (const socket of [...this.#sockets.keys()]) this.#end(socket, 'restart');
    this.#looks.stop();
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  #behavior(): WebSocketBehavior<SocketData> {
    const heard = (socket: Socket): void => socket.getUserData().session?.heard(this.#nowMs());
    return {
      maxPayloadLength: this.#limits.messageBytesMax + OVERSIZE_SEEN_BYTES,
      maxBackpressure: BACKPRESSURE_FACTOR * this.#limits.bufferedBytesMax,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_S,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => {
        const data = this.#dataOf(response, request);
        if (data === undefined) return;
        response.upgrade(
          data,
          request.getHeader('sec-websocket-key'),
          request.getHeader('sec-websocket-protocol'),
          request.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (socket) => this.#guarded(socket, () => this.#open(socket)),
      message: (socket, message) =>
        this.#guarded(socket, () => {
          heard(socket);
          socket.getUserData().session?.hear(Buffer.from(message));
        }),
      ping: heard,
      pong: heard,
      drain: (socket) => this.#wake(socket),
      close: (socket, code) => this.#closed(socket, code),
    };
  }

  #dataOf(response: HttpResponse, request: HttpRequest): SocketData | undefined {
    const { admit, refuse } = this.#options;
    const sender = admit(response, request);
    if (sender === undefined) return undefined;
    const { isValid, name } = readSessionName(request);
    const peer = response.getRemoteAddress();
    const network = networkOf(peer);
    const address = new Uint8Array(peer.slice(0));
    const shortage = this.#shares.shortage(this.#shares.source(sender.keyName, network), 0, 1);
    if (!isValid) refuse(response, SOCKET_REFUSAL.session, sender.correlationId);
    else if (shortage === 'share') refuse(response, REFUSAL.share, sender.correlationId);
    else if (shortage !== undefined) refuse(response, SOCKET_REFUSAL.sockets, sender.correlationId);
    else return { ...sender, name, network, address, pingedAtMs: 0 };
    return undefined;
  }

  #open(socket: Socket): void {
    const data = socket.getUserData();
    const { keyName, flags, network, address, sender, correlationId, name } = data;
    const { intake, counters } = this.#options;
    const source = (data.source = this.#shares.source(keyName, network));
    this.#shares.charge(source, 0, 1);
    const isGone = (): boolean => session.isOver;
    const session: SocketSession = new SocketSession({
      wire: socket,
      name,
      correlationId,
      limits: this.#limits,
      budget: new QueueBudget(this.#shares, source),
      counters,
      submit: (run) =>
        intake.takeRun(run, { keyName, flags, network, address, sender, correlationId, isGone }),
      end: (ending) => this.#end(socket, ending),
      wake: () => this.#wake(socket),
      random: this.#random,
      nowMs: this.#nowMs(),
    });
    data.session = session;
    data.pingedAtMs = this.#nowMs();
    this.#sockets.set(socket, session);
    counters.set(INGEST_COUNTER.sockets, this.#sockets.size);
    session.greet();
    this.#looks.start();
  }

  #closed(socket: Socket, code: number): void {
    const data = socket.getUserData();
    data.session?.closed();
    if (data.source !== undefined) this.#shares.charge(data.source, 0, -1);
    if (!this.#sockets.delete(socket)) return;
    this.#awake.delete(socket);
    const { counters, onReleased } = this.#options;
    const bySomebodyElse = code === CLOSED_WITHOUT_A_WORD ? 'lost' : 'client';
    counters.add(socketEndingCounter(data.ending ?? bySomebodyElse), 1);
    counters.set(INGEST_COUNTER.sockets, this.#sockets.size);
    counters.set(INGEST_COUNTER.socketQueuedBytes, this.#shares.bytes);
    onReleased();
  }

  #end(socket: Socket, ending: OurEnding): void {
    if (!this.#sockets.has(socket)) return;
    socket.getUserData().ending ??= ending;
    if (socket !== this.#corked) this.#finish(socket);
  }

  #finish(socket: Socket): void {
    const { ending } = socket.getUserData();
    if (ending === undefined || !this.#sockets.has(socket)) return;
    // To a peer that does not read, no code comes through, and its socket would stay.
    if (ending === 'slow') socket.close();
    else socket.end(ENDINGS[ending].code, ENDINGS[ending].reason);
  }

  /** What has come in this turn of the loop is handed over together when the turn is over. */
  #wake(socket: Socket): void {
    if (!this.#sockets.has(socket)) return;
    if (this.#awake.size === 0) setImmediate(this.#endTurn);
    this.#awake.add(socket);
  }

  #turn(socket: Socket, nowMs: number): void {
    const session = this.#sockets.get(socket);
    if (session === undefined) return;
    this.#guarded(socket, () => {
      socket.cork(() => {
        this.#corked = socket;
        try {
          session.turn(nowMs);
        } finally {
          this.#corked = undefined;
        }
      });
    });
    this.#finish(socket);
  }

  #look(): void {
    const nowMs = this.#nowMs();
    // One judgement for each key, however many sockets it has.
    const judged = new Map<string, OurEnding | undefined>();
    for (const [socket, session] of [...this.#sockets]) {
      const data = socket.getUserData();
      if (!judged.has(data.presented)) judged.set(data.presented, this.#judge(data.presented));
      const ending = judged.get(data.presented);
      this.#guarded(socket, () => {
        if (ending !== undefined) this.#end(socket, ending);
        else this.#lookAt(socket, session, data, nowMs);
      });
    }
  }

  #lookAt(socket: Socket, session: SocketSession, data: SocketData, nowMs: number): void {
    const pingAfterMs = this.#limits.silentMs / 2;
    if (session.silenceMs(nowMs) >= pingAfterMs && nowMs - data.pingedAtMs >= pingAfterMs) {
      data.pingedAtMs = nowMs;
      socket.ping();
    }
    if (this.#sockets.has(socket)) session.look(nowMs);
  }

  #judge(presented: string): OurEnding | undefined {
    const verdict = this.#options.keys.verify(presented);
    if (verdict.state === 'grace') return 'grace';
    return verdict.state === 'valid' && verdict.record.scopes.includes('ingest') ? undefined : 'key';
  }

  /** A fault ends the one socket that it happened in: the native server must never see a throw. */
  #guarded(socket: Socket, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#options.log.error({ code: codeOf(thrown), message: messageOf(thrown) }, 'a socket failed');
      this.#end(socket, 'error');
    }
  }
}
