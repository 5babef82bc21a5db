/**
 * The WebSocket of the live stream: who may open one, how many, and for how long.
 *
 * The key is in the upgrade request and is judged like that of any request, before the upgrade. It is looked at again
 * four times a second: a stream does not outlive its key. Invariant: a client can cost a bounded buffer, and one request of
 * its key's rate per message.
 */
import type { Clock } from '../../../runtime/clock.ts';
import { CodedError, codeOf, messageOf } from '../../../runtime/errors.ts';
import { correlationIdOf } from '../../http/correlation-id.ts';
import type { HttpRequest, HttpResponse } from '../../http/exchange.ts';
import type { KeyCheck } from '../../http/key-ring.ts';
import type { GatewayLog } from '../../http/log.ts';
import { readPresentedKey } from '../../http/presented-key.ts';
import { writeProblem } from '../../http/problem.ts';
import type { Problem } from '../../http/problem.ts';
import { RepeatedLook } from '../../http/repeated-look.ts';
import type { HttpServer, WebSocket, WebSocketBehavior } from '../../http/server.ts';
import { holds } from '../admission.ts';
import type { Admission, HeaderPair } from '../admission.ts';
import { problem } from '../problems.ts';
import { StreamClient } from './stream-client.ts';
import { errorMessage, parseClientMessage } from './stream-messages.ts';
import type { StreamPort } from './stream-port.ts';

export const STREAM_PATH = '/api/v2/stream';

export const STREAM_LIMITS = {
  clientsMax: 64,
  clientsOfKeyMax: 16,
  messageBytesMax: 4_096,
  bufferedBytesMax: 256 * 1024,
  stalledMs: 10_000,
};

export interface StreamServerOptions {
  port: StreamPort;
  admission: Admission;
  keys: KeyCheck;
  clock: Clock;
  log: GatewayLog;
  limits?: Partial<typeof STREAM_LIMITS>;
}

const LOOK_EVERY_MS = 250;
/** A peer that answers no ping for so long is gone. */
const IDLE_S = 60;
const SERVICE_RESTART = 1012;
const POLICY_VIOLATION = 1008;
const KEY_GONE = 'the key is no longer valid';

interface Session {
  presented: string;
  keyName: string;
  address: ArrayBuffer;
  /** Set when the socket opens. */
  client?: StreamClient;
}

type Refuse = (problem: Problem, headers?: readonly HeaderPair[]) => void;

export class StreamServer {
  readonly #options: StreamServerOptions;
  readonly #limits: typeof STREAM_LIMITS;
  readonly #sockets = new Map<WebSocket<Session>, StreamClient>();
  readonly #looks: RepeatedLook;

  constructor(options: StreamServerOptions) {
    this.#options = options;
    this.#looks = new RepeatedLook({
      clock: options.clock,
      everyMs: LOOK_EVERY_MS,
      look: () => this.#look(),
      isAnyOpen: () => this.#sockets.size > 0,
    });
    this.#limits = { ...STREAM_LIMITS, ...options.limits };
  }

  get clients(): number {
    return this.#sockets.size;
  }

  /** Adds its path to a server, whose catch-all routes must come later. */
  attach(server: HttpServer): void {
    server.webSocket<Session>(STREAM_PATH, this.#behavior());
    server.route('get', STREAM_PATH, (response, request) => {
      const refuse = refuser(response, request);
      if (this.#admit(response, request, refuse) === undefined) return;
      const detail = 'This path is a WebSocket: send the request as an upgrade.';
      refuse(problem('E_UPGRADE_REQUIRED', detail), [
        ['Upgrade', 'websocket'],
        ['Connection', 'Upgrade'],
      ]);
    });
  }

  /** Tells every client that it may come again soon, and ends it. */
  close(): void {
    for (const socket of [...this.#sockets.keys()])
      socket.end(SERVICE_RESTART, 'the node restarts this part');
    this.#looks.stop();
  }

  #behavior(): WebSocketBehavior<Session> {
    return {
      maxPayloadLength: this.#limits.messageBytesMax,
      // Ours is the bound that counts; beyond this one the socket itself would drop in silence.
      maxBackpressure: 4 * this.#limits.bufferedBytesMax,
      idleTimeout: IDLE_S,
      upgrade: (response, request, context) => {
        const refuse = refuser(response, request);
        const session = this.#admit(response, request, refuse);
        if (session === undefined || !this.#hasRoom(session, refuse)) return;
        response.upgrade(
          session,
          request.getHeader('sec-websocket-key'),
          request.getHeader('sec-websocket-protocol'),
          request.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (socket) => this.#guarded(socket, () => this.#open(socket)),
      message: (socket, text, isBinary) => this.#guarded(socket, () => this.#hear(socket, text, isBinary)),
      drain: (socket) =>
        this.#guarded(socket, () => socket.getUserData().client?.drained(this.#options.clock.monotonicMs())),
      close: (socket) => {
        this.#sockets.get(socket)?.closed();
        this.#sockets.delete(socket);
      },
    };
  }

  /** The session of a request that may have one; otherwise it has been refused, or will be. */
  #admit(response: HttpResponse, request: HttpRequest, refuse: Refuse): Session | undefined {
    const { admission } = this.#options;
    const presented = readPresentedKey(request);
    const address = response.getRemoteAddress();
    const admitted = admission.admit('read', presented, address);
    if (admitted.state === 'admitted') {
      if ((request.getQuery() ?? '') === '')
        return { presented: presented.key, keyName: admitted.keyName, address };
      refuse(problem('E_PARAMETER_UNKNOWN', 'The stream has no query parameters; a key goes into a header.'));
    } else if (admitted.state === 'limited') {
      refuse(admitted.problem, admitted.headers);
    } else {
      const pace = admission.brake.fail(address);
      if (pace === 'now') refuse(admitted.problem);
      else if (pace === 'never') response.close();
      else {
        let isGone = false;
        response.onAborted(() => (isGone = true));
        admission.brake.wait(() => (isGone ? undefined : response.cork(() => refuse(admitted.problem))));
      }
    }
    return undefined;
  }

  #hasRoom({ keyName }: Session, refuse: Refuse): boolean {
    const { clientsMax, clientsOfKeyMax } = this.#limits;
    const ofKey = [...this.#sockets.keys()].filter(
      (socket) => socket.getUserData().keyName === keyName,
    ).length;
    if (this.#sockets.size < clientsMax && ofKey < clientsOfKeyMax) return true;
    const detail = `At most ${clientsMax} streams are served at once, and ${clientsOfKeyMax} of one key. End one, or try again.`;
    refuse(problem('E_STREAMS_FULL', detail), [['Retry-After', '5']]);
    return false;
  }

  #open(socket: WebSocket<Session>): void {
    const client = new StreamClient(socket, this.#limits, this.#options.clock.monotonicMs());
    socket.getUserData().client = client;
    this.#sockets.set(socket, client);
    this.#looks.start();
  }

  #hear(socket: WebSocket<Session>, text: ArrayBuffer, isBinary: boolean): void {
    const { client, presented, address } = socket.getUserData();
    const { admission, port } = this.#options;
    if (client === undefined) return;
    try {
      const admitted = admission.admit('read', { key: presented, isAmbiguous: false }, address);
      if (admitted.state === 'refused') {
        socket.end(POLICY_VIOLATION, KEY_GONE);
        return;
      }
      if (admitted.state === 'limited') {
        const mend = 'Send fewer messages: each replaces the subscription before.';
        throw new CodedError(admitted.problem.code, admitted.problem.detail, { mend });
      }
      client.subscribe(parseClientMessage(new Uint8Array(text), isBinary), port);
    } catch (thrown) {
      if (!(thrown instanceof CodedError)) throw thrown;
      client.send(errorMessage(thrown));
    }
  }

  /** Ends the streams whose keys no longer hold, and those that nobody reads. */
  #look(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [socket, client] of [...this.#sockets]) {
      this.#guarded(socket, () => {
        const verdict = this.#options.keys.verify(socket.getUserData().presented);
        if (verdict.state === 'valid' && holds(verdict.record.scopes, 'read')) client.look(nowMs);
        else socket.end(POLICY_VIOLATION, KEY_GONE);
      });
    }
  }

  /** A fault ends the one stream that it happened in: the native server must never see a throw. */
  #guarded(socket: WebSocket<Session>, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#options.log.error({ code: codeOf(thrown), message: messageOf(thrown) }, 'a stream failed');
      if (this.#sockets.has(socket)) socket.close();
    }
  }
}

/** Writes a refusal; what it says of the request is copied while the request is there. */
function refuser(response: HttpResponse, request: HttpRequest): Refuse {
  const sentId = request.getHeader('x-correlation-id') || request.getHeader('x-request-id');
  const correlationId = correlationIdOf(sentId);
  return (refused, headers = []) =>
    writeProblem(response, refused, {
      correlationId,
      headers: [['X-Request-ID', correlationId], ...headers],
    });
}
