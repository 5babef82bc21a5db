import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { parseConfiguration } from '../../../actors/match/configuration.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { CONNECTIONS_MAX } from '../../../supervisors/threads/forward-thread.ts';

/** More than one destination at the greatest concurrency, on the same server. */
const AT_ONCE = 600;

describe('the connections of a forward thread', function () {
  this.timeout(60_000);
  let server: Server;
  let client: HttpWebhookClient;
  let url: string;
  const held: ServerResponse[] = [];

  beforeEach(async () => {
    // Answers none before all are there: one that waits for a connection would wait for ever.
    server = createServer((request, response) => {
      request.resume();
      if (held.push(response) === AT_ONCE) for (const each of held.splice(0)) each.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', AT_ONCE, resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    client = new HttpWebhookClient({
      secrets: new SecretSource(() => 0, { directory: '/nowhere', files: [] }),
      connectionsMax: CONNECTIONS_MAX,
    });
  });
  afterEach(async () => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('are enough for everything that lanes may send at once', async () => {
    const posts = Array.from({ length: AT_ONCE }, () =>
      client.post({ url, timeoutMs: 30_000, secretRef: null, compose: () => ({ headers: {}, body: '{}' }) }),
    );
    expect((await Promise.all(posts)).every(({ status }) => status === 200)).to.equal(true);
  });

  it('are enough for as many destinations as there may be, each with the greatest concurrency', () => {
    const accepts = (count: number, concurrency: number): boolean => {
      const destinations = Array.from({ length: count }, (_, n) => {
        return { name: `d${n}`, kind: 'webhook', url: 'http://a/', concurrency };
      });
      try {
        return parseConfiguration({ destinations }).destinations.length === count;
      } catch {
        return false;
      }
    };
    expect(accepts(64, 256)).to.equal(true);
    expect(accepts(65, 256) || accepts(64, 257)).to.equal(false);
    expect(CONNECTIONS_MAX).to.be.at.least(64 * 256);
  });
});
