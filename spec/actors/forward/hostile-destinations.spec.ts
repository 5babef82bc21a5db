/**
 * Destinations that cannot take an alert, for reasons that no alert is to blame for: real servers, real connections, the
 * real delivery and the forward actor. Each holds its lane back with a reason, keeps its alert, and gives it out once the
 * destination is mended.
 */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { mkdtempSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { deliverAlert } from '../../../actors/forward/delivery.ts';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import type { LaneReport } from '../../../actors/forward/lane-watch.ts';
import { alertLane, retrySet } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination } from '../../../actors/ports.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { makeAuthority } from '../../support/certificates.ts';
import type { Identity } from '../../support/certificates.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { specDirectory } from '../../support/servers.ts';
import { WIDE, own, readAll, until } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

/** Everything that one destination needs for itself: a mailbox, a forward actor, a client, servers, secrets. */
class Bed {
  readonly store: DurableStore = createMemoryStore();
  readonly outcomes: DeliveryOutcome[] = [];
  reports: readonly LaneReport[] = [];
  readonly secrets = mkdtempSync(join(specDirectory('hostile'), 'secrets-'));
  readonly #system = new ActorSystem();
  readonly #client = new HttpWebhookClient({
    // Never from the cache.
    secrets: new SecretSource(() => performance.now() * 10_000, { directory: this.secrets, files: [] }),
    connectionsMax: 4,
  });
  readonly #servers: Server[] = [];
  #actor: ActorRef<ForwardMessage> | undefined;

  async serve(listener: RequestListener, identity?: Identity): Promise<string> {
    const server =
      identity === undefined
        ? createServer(listener)
        : createTlsServer({ cert: identity.certificate, key: identity.key }, listener);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${port}/`;
  }

  async start(destination: Destination): Promise<void> {
    const token = await own(this.store);
    this.#actor = this.#system.spawn(
      forwardActor({
        store: this.store,
        tokens: new Map([[0, token]]),
        destinations: [destination],
        deliver: async (stored, to) => {
          const outcome = await deliverAlert(stored, to, this.#client, () => Date.now());
          this.outcomes.push(outcome);
          return outcome;
        },
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 10,
        breakerMs: () => 20,
        pace: createMemoryPace(),
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: WIDE },
        onDelivered: () => undefined,
        onUnsent: () => undefined,
        count: () => undefined,
        onStuck: () => undefined,
        onLanes: (lanes) => (this.reports = lanes),
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  }

  tell(destination: Destination): void {
    this.#actor?.tell({ type: 'destinations', destinations: [destination] });
  }

  /** In its lane, or set aside for a later try. */
  async kept(): Promise<number> {
    const waiting = await readAll(this.store, alertLane('noc'));
    const { measured } = await this.store.ledger(0, { terminal: [], inputLanes: [] });
    return waiting.length + (measured.delayed[retrySet('noc')] ?? 0);
  }

  whenDelivered(): Promise<void> {
    return until(async () => this.outcomes.at(-1)?.kind === 'delivered' && (await this.kept()) === 0, 10_000);
  }

  whenTold(state: LaneReport['state']): Promise<void> {
    return until(() => this.reports[0]?.state === state, 10_000);
  }

  /** It fails with this, holds its lane, keeps the alert, and gives it to what is mended. */
  async holdsAlert(broken: Partial<Destination>, expected: { reason: string; error: RegExp }): Promise<void> {
    await putAlerts(this.store, [alertOf('a1')]);
    const destination = destinationOf({ kind: 'webhook', timeoutMs: 1_000, ...broken });
    await this.start(destination);
    await until(() => this.outcomes.length > 0, 5_000);
    const [first] = this.outcomes;
    expect(first).to.include({ kind: 'retry', reason: expected.reason });
    expect((first as { error: string }).error).to.match(expected.error);
    await until(() => this.reports.length > 0, 10_000);
    expect(this.reports[0]).to.include({ name: 'noc', reason: expected.reason });
    expect(await this.kept()).to.equal(1);
    this.tell({ ...destination, url: await this.serve(good) });
    await this.whenDelivered();
  }

  async close(): Promise<void> {
    await this.#system.stop(50);
    this.#client.close();
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

const good: RequestListener = (request, response) =>
  void request.resume().on('end', () => response.end('taken'));

const CASES: Record<string, (bed: Bed) => Promise<void>> = {
  'has a certificate that nobody vouches for': async (bed) => {
    const authority = await makeAuthority('nobody knows it');
    const url = await bed.serve(good, await authority.issue('noc'));
    await bed.holdsAlert({ url }, { reason: 'tls', error: /CERT|UNABLE_TO_/ });
  },

  'has a certificate that has ended': async (bed) => {
    const authority = await makeAuthority('nobody knows it');
    const url = await bed.serve(good, await authority.issue('noc', { from: -3, until: -1 }));
    await bed.holdsAlert({ url }, { reason: 'tls', error: /CERT|UNABLE_TO_/ });
  },

  'speaks no TLS where it should': async (bed) => {
    const url = await bed.serve(good);
    await bed.holdsAlert({ url: url.replace('http:', 'https:') }, { reason: 'tls', error: /EPROTO|SSL/ });
  },

  'has a name that nobody knows': async (bed) => {
    await bed.holdsAlert({ url: 'http://noc.invalid/' }, { reason: 'network', error: /ENOTFOUND|EAI_AGAIN/ });
  },

  'does not listen': async (bed) => {
    const [port] = await freePorts(1);
    await bed.holdsAlert({ url: `http://127.0.0.1:${port}/` }, { reason: 'network', error: /ECONNREFUSED/ });
  },

  'resets the connection': async (bed) => {
    const url = await bed.serve((request) => request.socket.resetAndDestroy());
    await bed.holdsAlert({ url }, { reason: 'network', error: /ECONNRESET/ });
  },

  'never answers': async (bed) => {
    const url = await bed.serve(() => undefined);
    await bed.holdsAlert({ url, timeoutMs: 100 }, { reason: 'timeout', error: /ETIMEDOUT/ });
  },

  'answers with a redirect, which is not followed': async (bed) => {
    let followed = 0;
    const target = await bed.serve((_request, response) => {
      followed += 1;
      response.end();
    });
    const url = await bed.serve((_request, response) => response.writeHead(307, { location: target }).end());
    await bed.holdsAlert({ url }, { reason: 'server', error: /^HTTP 307, a redirect to http:\/\/127/ });
    expect(followed).to.equal(0);
  },

  'is another address': async (bed) => {
    const url = await bed.serve((_request, response) => response.writeHead(404).end('<html>'));
    await bed.holdsAlert({ url }, { reason: 'server', error: /^HTTP 404, nothing takes alerts/ });
  },

  'answers an error with ten megabytes of what is no text': async (bed) => {
    const noise = Buffer.alloc(1024 * 1024, Buffer.from([0, 0xff, 0x1b, 0xc3]));
    const url = await bed.serve((_request, response) => {
      response.on('error', () => undefined);
      response.writeHead(500);
      for (let n = 0; n < 10; n++) response.write(noise);
      response.end();
    });
    await bed.holdsAlert({ url, timeoutMs: 2_000 }, { reason: 'server', error: /^HTTP 500[^\p{Cc}]*$/u });
    expect(bed.outcomes[0]).to.have.property('error').with.length.at.most(300);
  },

  'takes an alert with ten megabytes: it is delivered': async (bed) => {
    const megabyte = Buffer.alloc(1024 * 1024);
    const url = await bed.serve((_request, response) => {
      response.on('error', () => undefined);
      for (let n = 0; n < 10; n++) response.write(megabyte);
      response.end();
    });
    await putAlerts(bed.store, [alertOf('a1')]);
    await bed.start(destinationOf({ kind: 'webhook', url }));
    await until(async () => (await bed.kept()) === 0, 5_000);
    expect(bed.outcomes).to.deep.equal([{ kind: 'delivered', status: 200 }]);
  },

  'refuses the credential': async (bed) => {
    const file = join(bed.secrets, 'noc.key');
    writeFileSync(file, 'old-key');
    const url = await bed.serve((request, response) => {
      const isKnown = request.headers.authorization === 'Bearer new-key';
      response.writeHead(isKnown ? 200 : 401).end(`not ${request.headers.authorization}`);
    });
    await putAlerts(bed.store, [alertOf('a1')]);
    await bed.start(destinationOf({ kind: 'webhook', url, secretRef: `file:${file}` }));
    await bed.whenTold('unauthorized');
    expect(JSON.stringify([bed.outcomes, bed.reports])).to.not.include('old-key');
    expect(await bed.kept()).to.equal(1);
    writeFileSync(file, 'new-key');
    await bed.whenDelivered();
  },

  'has a credential that is not there, not in its directory, or of the wrong form': async (bed) => {
    await putAlerts(bed.store, [alertOf('a1')]);
    const file = join(bed.secrets, 'noc.key');
    const destination = destinationOf({ kind: 'webhook', url: await bed.serve(good), auth: 'basic' });
    await bed.start({ ...destination, secretRef: `file:${file}` });
    await bed.whenTold('secret_unreadable');
    expect(bed.reports[0]).to.include({ reason: 'auth' });
    bed.tell({ ...destination, secretRef: 'file:/etc/passwd' });
    await until(() => JSON.stringify(bed.outcomes.at(-1)).includes('directory of secrets'), 5_000);
    writeFileSync(file, 'no colon in it');
    bed.tell({ ...destination, secretRef: `file:${file}` });
    await until(() => JSON.stringify(bed.outcomes.at(-1)).includes('E_SECRET_UNUSABLE'), 5_000);
    expect(await bed.kept()).to.equal(1);
    writeFileSync(file, 'user:password');
    await bed.whenDelivered();
  },

  'has a template that makes nothing of one alert: that one becomes a dead letter, the others go': async (
    bed,
  ) => {
    const url = await bed.serve(good);
    const template = '{"n": {{ count }}{% if hostname == "r2" %},{% endif %}}';
    await putAlerts(bed.store, [alertOf('a1'), alertOf('a2', { hostname: 'r2' }), alertOf('a3')]);
    await bed.start(destinationOf({ kind: 'webhook', url, template }));
    await until(async () => (await bed.kept()) === 0, 5_000);
    const dead = await readAll(bed.store, 'dead');
    expect(dead).to.have.length(1);
    const letter = JSON.parse(dead[0]!.payload.toString()) as {
      alert: { id: string };
      reason: string;
      error: string;
    };
    expect(letter.alert.id).to.equal('a2');
    expect(letter.reason).to.equal('template');
    expect(letter.error).to.match(/^E_TEMPLATE_FAILED: .*no valid JSON/);
    expect(bed.outcomes.filter(({ kind }) => kind === 'delivered')).to.have.length(2);
  },
};

describe('a destination that cannot take an alert', function () {
  this.timeout(30_000);
  const runs = new Map<string, Promise<void>>();

  // At once: each waits for time to pass.
  before(() => {
    for (const [name, run] of Object.entries(CASES)) {
      const bed = new Bed();
      const ran = run(bed).finally(() => bed.close());
      ran.catch(() => undefined);
      runs.set(name, ran);
    }
  });

  for (const name of Object.keys(CASES)) it(name, () => runs.get(name));
});
