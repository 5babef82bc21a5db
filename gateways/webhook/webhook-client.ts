/**
 * Posts one document to a destination over a kept-alive connection. Says what happened; decides nothing.
 *
 * Invariants: never follows a redirect; reads a bounded part of the answer, and keeps its status when the rest does not
 * come; a credential is read at the moment of sending, goes where the document's maker puts it, and is in nothing that
 * comes back.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { WebhookClient, WebhookMessage, WebhookReply, WebhookRequest } from '../../actors/ports.ts';
import type { SecretSource } from '../secrets/secret-source.ts';
import { withoutCredential } from '../secrets/without-credential.ts';

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
    const credential = secretRef === null ? undefined : await this.#secrets.read(secretRef);
    const reply = await this.#send(request, request.compose(credential));
    // Destinations echo what they refuse.
    return { ...reply, excerpt: withoutCredential(reply.excerpt, credential) };
  }

  #send({ url: address, timeoutMs }: WebhookRequest, message: WebhookMessage): Promise<WebhookReply> {
    return new Promise((resolve, reject) => {
      const url = new URL(address);
      const isTls = url.protocol === 'https:';
      const body = Buffer.from(message.body, 'utf8');
      const signal = AbortSignal.timeout(timeoutMs);
      let hasStatus = false;
      const outgoing = (isTls ? httpsRequest : httpRequest)(
        url,
        {
          method: 'POST',
          agent: isTls ? this.#https : this.#http,
          signal,
          headers: { ...message.headers, 'content-length': body.length, 'user-agent': 'MUTT' },
        },
        (incoming) => {
          hasStatus = true;
          void readReply(incoming).then(resolve, reject);
        },
      );
      outgoing.on('error', (error) => {
        // The reading of the answer ends by itself, with what there is of it.
        if (!hasStatus) reject(signal.aborted ? timeoutError(timeoutMs) : error);
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
