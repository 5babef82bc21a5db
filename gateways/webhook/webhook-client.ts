/**
 * Posts one document to a destination over a kept-alive connection. Says what happened; decides nothing.
 *
 * Invariants: never follows a redirect; reads a bounded part of the answer, and keeps its status when the rest does not
 * come; a credential is read at the moment of sending, goes where the document's maker puts it, and is in nothing that
 * comes back.
 */
import type { WebhookClient, WebhookMessage, WebhookReply, WebhookRequest } from '../../actors/ports.ts';
import { CodedError } from '../../runtime/errors.ts';
import type { SecretSource } from '../secrets/secret-source.ts';
import { withoutCredential } from '../secrets/without-credential.ts';
import { AddressBook } from './address.ts';
import { ConnectionPool } from './connection-pool.ts';
import { Exchange } from './exchange.ts';

const USER_AGENT = 'MUTT';
/** Those without a connection are kept up to so many, for the TLS sessions that they can resume. */
const POOLS_KEPT_MAX = 128;

export class HttpWebhookClient implements WebhookClient {
  readonly #secrets: SecretSource;
  readonly #connectionsMax: number;
  readonly #addresses = new AddressBook();
  /** By origin. */
  readonly #pools = new Map<string, ConnectionPool>();
  #isClosed = false;

  /** `connectionsMax`: to one server. */
  constructor(options: { secrets: SecretSource; connectionsMax: number }) {
    this.#secrets = options.secrets;
    this.#connectionsMax = options.connectionsMax;
  }

  /** What is on its way fails. */
  close(): void {
    this.#isClosed = true;
    for (const pool of [...this.#pools.values()]) pool.close(closedError());
  }

  async post(request: WebhookRequest): Promise<WebhookReply> {
    const { secretRef } = request;
    if (secretRef === null) return this.#send(request, request.compose(undefined));
    const credential = await this.#secrets.read(secretRef);
    const reply = await this.#send(request, request.compose(credential));
    // Destinations echo what they refuse.
    return reply.excerpt === '' ? reply : { ...reply, excerpt: withoutCredential(reply.excerpt, credential) };
  }

  #send({ url, timeoutMs }: WebhookRequest, { headers, body }: WebhookMessage): Promise<WebhookReply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw closedError();
      const { origin, path, authorization } = this.#addresses.addressOf(url);
      const all: Record<string, string> = { ...headers, 'user-agent': USER_AGENT };
      if (authorization !== undefined && all['authorization'] === undefined)
        all['authorization'] = authorization;
      this.#poolOf(origin).send(new Exchange({ path, headers: all, body }, timeoutMs, resolve, reject));
    });
  }

  #poolOf(origin: string): ConnectionPool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const pool = new ConnectionPool({
      origin,
      connectionsMax: this.#connectionsMax,
      onEmpty: () => {
        if (this.#pools.size > POOLS_KEPT_MAX) this.#pools.delete(origin);
      },
    });
    this.#pools.set(origin, pool);
    return pool;
  }
}

function closedError(): CodedError {
  return new CodedError('E_STOPPED', 'the webhook client is closed', { kind: 'transient' });
}
