/**
 * Posts one JSON document to a destination over a kept-alive connection. Says what happened; decides nothing.
 *
 * Invariants: never follows a redirect; reads a bounded part of the answer, and keeps its status when the rest does not
 * come; a credential is read at the moment of sending and appears in the one header only.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { WebhookClient, WebhookReply, WebhookRequest } from '../../actors/ports.ts';
import type { SecretSource } from '../secrets/secret-source.ts';

const REPLY_BYTES_KEPT = 2_048;
const REPLY_BYTES_MAX = 1024 * 1024;

export class HttpWebhookClient implements WebhookClient {
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #secrets: SecretSource;

  constructor(options: { secrets: SecretSource; connectionsMax: number }) {
    const agentOptions = { keepAlive: true, maxSockets: options.connectionsMax, keepAliveMsecs: 10_000 };
    this.#http = new HttpAgent(agentOptions);
    this.#https = new HttpsAgent(agentOptions);
    this.#secrets = options.secrets;
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async post(request: WebhookRequest): Promise<WebhookReply> {
    const { secretRef } = request;
    return this.#send(
      request,
      secretRef === null ? undefined : `Bearer ${await this.#secrets.read(secretRef)}`,
    );
  }

  #send(request: WebhookRequest, authorization: string | undefined): Promise<WebhookReply> {
    return new Promise((resolve, reject) => {
      const url = new URL(request.url);
      const isTls = url.protocol === 'https:';
      const body = Buffer.from(request.body, 'utf8');
      const signal = AbortSignal.timeout(request.timeoutMs);
      let hasStatus = false;
      const outgoing = (isTls ? httpsRequest : httpRequest)(
        url,
        {
          method: 'POST',
          agent: isTls ? this.#https : this.#http,
          signal,
          headers: {
            'content-type': 'application/json',
            'content-length': body.length,
            'user-agent': 'MUTT',
            ...(authorization === undefined ? {} : { authorization }),
          },
        },
        (incoming) => {
          hasStatus = true;
          void readReply(incoming).then(resolve, reject);
        },
      );
      outgoing.on('error', (error) => {
        // The reading of the answer ends by itself, with what there is of it.
        if (!hasStatus) reject(signal.aborted ? timeoutError(request.timeoutMs) : error);
      });
      outgoing.end(body);
    });
  }
}

async function readReply(incoming: IncomingMessage): Promise<WebhookReply> {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let bytes = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (keptBytes < REPLY_BYTES_KEPT) {
        kept.push(chunk.subarray(0, REPLY_BYTES_KEPT - keptBytes));
        keptBytes += chunk.length;
      }
      // A destination that answers without end: the rest of its talk is cut off with the connection.
      if (bytes > REPLY_BYTES_MAX) break;
    }
  } catch {
    // Broken off or too slow: the status has said what became of the alert, and asking again would send it twice.
  }
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    excerpt: Buffer.concat(kept).toString('utf8'),
  };
}

function timeoutError(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
}
