/**
 * One HTTPS request over a connection of its own, and how it ended. Never rejects.
 */
import { request } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Identity } from './certificates.ts';

export interface TlsRequest extends RequestOptions {
  port: number;
  /** PEM. */
  ca: string;
  identity?: Identity | undefined;
  body?: string;
  /** Resumes the session of an earlier reply. */
  session?: Buffer | undefined;
}

export interface TlsReply {
  /** 0 when there was none. */
  status: number;
  body: string;
  connection: string | undefined;
  /** Of the server's certificate. */
  fingerprint: string | undefined;
  session: Buffer | undefined;
  wasResumed: boolean;
  /** Code of what went wrong. */
  fault: string | undefined;
}

/** Of the server's certificate, by connection: told by the handshake alone. */
const fingerprints = new WeakMap<TLSSocket, string>();

export function tlsRequest(options: TlsRequest): Promise<TlsReply> {
  const { identity, body, ...rest } = options;
  return new Promise((resolve) => {
    let session: Buffer | undefined;
    let fingerprint: string | undefined;
    let wasResumed = false;
    const none = {
      status: 0,
      body: '',
      connection: undefined,
      fingerprint: undefined,
      session,
      wasResumed: false,
    };
    const sent = request(
      {
        host: '127.0.0.1',
        agent: false,
        ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
        ...rest,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', (error: NodeJS.ErrnoException) =>
          resolve({ ...none, fault: error.code ?? 'broken' }),
        );
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: text,
            connection: response.headers.connection,
            fingerprint,
            session,
            wasResumed,
            fault: undefined,
          }),
        );
      },
    );
    sent.on('socket', (socket: TLSSocket) => {
      fingerprint = fingerprints.get(socket);
      socket.once('secureConnect', () => {
        fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
        if (fingerprint !== undefined) fingerprints.set(socket, fingerprint);
        wasResumed = socket.isSessionReused();
      });
      socket.once('session', (ticket: Buffer) => (session = ticket));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => resolve({ ...none, fault: error.code ?? 'broken' }));
    sent.end(body);
  });
}
