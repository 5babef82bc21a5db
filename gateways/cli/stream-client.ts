/**
 * The live stream of a node (`/api/v2/stream`): one WebSocket, made again when it breaks.
 *
 * The key goes in a header of the upgrade, never in the address. Node's WebSocket does not tell why an upgrade was
 * refused, so the same key asks for the node's version first: wrong keys and absent nodes are told from each other
 * there. Invariant: `follow` ends by its signal, or by an error that trying again does not mend.
 */
import { randomInt } from 'node:crypto';
import { WebSocket } from 'ws';
import { sleep } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, codeOf, kindOf } from '../../runtime/errors.ts';
import type { ClientTls } from './client-tls.ts';
import { printable } from './terminal-text.ts';

export interface StreamOptions {
  /** Of the admin API: `http://…` or `https://…`. */
  url: string;
  readKey(): Promise<string>;
  tls?: ClientTls | undefined;
  clock: Clock;
  signal: AbortSignal;
  subscription: { subscribe: readonly string[]; filter: Readonly<Record<string, unknown>> };
  /** Asks the node something over plain HTTP with the same key; rejects with what is wrong. */
  probe(): Promise<unknown>;
  onMessage(message: StreamMessage): void;
  /** The connection was lost and will be made again. */
  onLost(): void;
}

export interface StreamMessage {
  type: string;
  [field: string]: unknown;
}

const PATH = '/api/v2/stream';
const CONNECT_TIMEOUT_MS = 10_000;
const WAIT_MS_FIRST = 250;
const WAIT_MS_MAX = 5_000;
/** The node ends a stream by it whose key no longer holds. */
const POLICY_VIOLATION = 1_008;

/** Follows the stream until the signal is aborted. Rejects when the first connection fails, or when it is refused. */
export async function follow(options: StreamOptions): Promise<void> {
  const { clock, signal } = options;
  await options.probe();
  let waitMs = WAIT_MS_FIRST;
  let hadConnection = false;
  while (!signal.aborted) {
    try {
      await followOne(options, () => {
        hadConnection = true;
        waitMs = WAIT_MS_FIRST;
      });
    } catch (thrown) {
      // Once it has worked, what passes by itself is waited for.
      if (!hadConnection || kindOf(thrown) !== 'transient') throw thrown;
    }
    if (signal.aborted) return;
    options.onLost();
    await sleep(clock, randomInt(Math.ceil(waitMs / 2), waitMs + 1), signal);
    waitMs = Math.min(WAIT_MS_MAX, waitMs * 2);
    await options.probe().catch((thrown: unknown) => {
      if (codeOf(thrown) === 'E_KEY_REFUSED') throw thrown;
    });
  }
}

/** One connection, from its upgrade to its end. */
async function followOne(options: StreamOptions, onOpen: () => void): Promise<void> {
  const { clock, signal, subscription } = options;
  const url = new URL(options.url);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = `${url.pathname.replace(/\/$/, '')}${PATH}`;
  const key = (await options.readKey()).trim();
  const socket = new WebSocket(url, {
    headers: { 'x-api-key': key },
    perMessageDeflate: false,
    ...(url.protocol === 'wss:' ? options.tls?.() : {}),
  });
  await new Promise<void>((resolve, reject) => {
    let isOpen = false;
    let isOver = false;
    const finish = (error?: CodedError): void => {
      // Closing a socket that never opened is an error to it, which would come back here.
      if (isOver) return;
      isOver = true;
      cancelDeadline();
      signal.removeEventListener('abort', onAbort);
      socket.close();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = (): void => finish();
    const cancelDeadline = clock.after(CONNECT_TIMEOUT_MS, () => {
      if (!isOpen) finish(unavailable('it did not open in time'));
    });
    signal.addEventListener('abort', onAbort);
    socket.addEventListener('open', () => {
      isOpen = true;
      onOpen();
      socket.send(JSON.stringify(subscription));
    });
    socket.addEventListener('message', ({ data }) => {
      const message = parseMessage(data);
      if (message === undefined) return;
      if (message.type === 'error') finish(refused(message));
      else options.onMessage(message);
    });
    socket.addEventListener('error', () => finish(unavailable('it cannot be opened or broke')));
    socket.addEventListener('close', ({ code, reason }) =>
      finish(code === POLICY_VIOLATION ? keyGone(reason) : undefined),
    );
  });
}

function parseMessage(data: unknown): StreamMessage | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const message = JSON.parse(data) as unknown;
    const isMessage = typeof message === 'object' && message !== null && 'type' in message;
    return isMessage && typeof message.type === 'string' ? (message as StreamMessage) : undefined;
  } catch {
    return undefined;
  }
}

function unavailable(why: string): CodedError {
  return new CodedError('E_STREAM_UNAVAILABLE', `the live stream of the node is not to be had: ${why}`, {
    kind: 'transient',
    mend: 'Look at `mutt status`; a proxy in between must let WebSockets through.',
  });
}

/** What the node says against a subscription, under its own code. */
function refused(message: StreamMessage): CodedError {
  const text = (field: string): string | undefined => {
    const value = message[field];
    return typeof value === 'string' ? printable(value) : undefined;
  };
  return new CodedError(
    text('code') ?? 'E_STREAM_REFUSED',
    `the node says: ${text('message') ?? 'the subscription was refused'}`,
    { mend: text('mend') ?? 'Look at the filter.' },
  );
}

function keyGone(reason: string): CodedError {
  return new CodedError('E_KEY_REFUSED', `the node has ended the stream: ${printable(reason)}`, {
    mend: 'Give the file of a key that is valid here and has the scope read.',
  });
}
