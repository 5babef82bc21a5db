/**
 * Each kind of destination against a server that holds to what its maker documents, by the real delivery and the real
 * client: it fires, comes again, resolves, is too long, and meets the wrong credential.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Alert } from '../../../../actors/event.ts';
import { deliverAlert } from '../../../../actors/forward/delivery.ts';
import type { DeliveryOutcome, Destination } from '../../../../actors/ports.ts';
import { SecretSource } from '../../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../../gateways/webhook/webhook-client.ts';
import { Alertmanager } from '../../../support/destinations/alertmanager.ts';
import type { DocumentedServer } from '../../../support/destinations/documented-server.ts';
import { MoogsoftCloud } from '../../../support/destinations/moogsoft-cloud.ts';
import { MoogsoftLam } from '../../../support/destinations/moogsoft-lam.ts';
import { PagerDuty } from '../../../support/destinations/pagerduty.ts';
import { alertOf, destinationOf } from '../alerts.ts';

const SECRET_NAME = 'SPEC_KIND_SECRET';
const SECRET = '0123456789abcdef0123456789abcdef';
const REF = `env:${SECRET_NAME}`;
const DELIVERED = 'delivered';
/** A description of what devices have: quotes, controls, more than a field holds, half a character at every cut. */
const LONG = `say "x"\u0001\n${'😀'.repeat(80_000)}`;
const LONG_SIGNATURE = `r1::4::${'é'.repeat(370)}`;

describe('a kind of destination', () => {
  let nowMs: number;
  let client: HttpWebhookClient;
  let server: DocumentedServer;
  let destination: Destination;

  beforeEach(() => {
    nowMs = Date.parse('2024-05-01T12:00:02Z');
    client = new HttpWebhookClient({
      // Never from the cache.
      secrets: new SecretSource(() => (secretReads += 10_000), { directory: '/nowhere', files: [] }),
      connectionsMax: 4,
    });
    process.env[SECRET_NAME] = SECRET;
  });
  let secretReads = 0;
  afterEach(async () => {
    client.close();
    delete process.env[SECRET_NAME];
    await server.close();
  });

  const send = (alert: Alert): Promise<DeliveryOutcome> =>
    deliverAlert({ alert, attempts: 0 }, destination, client, () => nowMs);
  async function sendAll(...alerts: Alert[]): Promise<void> {
    for (const alert of alerts) expect((await send(alert)).kind, server.faults.join()).to.equal(DELIVERED);
    expect(server.faults).to.deep.equal([]);
  }
  const firing = (fields: Partial<Alert> = {}): Alert =>
    alertOf('a1', { signature: 'r1::4::Gi0/1', ...fields });
  const resolved = (fields: Partial<Alert> = {}): Alert =>
    firing({ id: 'a2', status: 'resolved', rule_id: 5, severity: 5, ...fields });
  /** The credential is where it should be, and nowhere else. */
  const sentText = (): string =>
    server.received
      .map(
        ({ method, path, headers, body }) =>
          `${method} ${path} ${JSON.stringify(headers)} ${body.toString()}`,
      )
      .join('\n');

  /** What every kind must do with a credential that is refused. */
  async function refusesCredential(status: number): Promise<void> {
    const outcome = await send(firing());
    expect(outcome).to.include({ kind: 'unauthorized', reason: 'auth', status });
    expect(JSON.stringify(outcome)).to.not.include(process.env[SECRET_NAME]);
  }

  describe('moogsoft', () => {
    let lam: MoogsoftLam;
    beforeEach(async () => {
      server = lam = await MoogsoftLam.start();
      destination = destinationOf({ kind: 'moogsoft', url: lam.url });
    });

    it('folds repeats by signature, and a resolve clears', async () => {
      await sendAll(firing(), firing({ id: 'a3' }));
      expect([...lam.alerts]).to.deep.equal([['r1::4::Gi0/1', { severity: 4, count: 2 }]]);
      await sendAll(resolved());
      expect(lam.alerts.get('r1::4::Gi0/1')).to.deep.equal({ severity: 0, count: 3 });
    });

    it('has a severity that is known for each there is, and takes what is long', async () => {
      for (const severity of [0, 1, 2, 3, 4, 5, 6, 7, null]) await sendAll(firing({ severity }));
      await sendAll(firing({ description: LONG }));
    });

    it('gives its credential as a bearer, as user and password, and in the body', async () => {
      for (const [auth, type, credential] of [
        [undefined, 'jwt', SECRET],
        ['bearer', 'jwt', SECRET],
        ['basic', 'basic', `mutt:${SECRET}`],
        ['auth_token', 'auth_token', SECRET],
      ] as const) {
        lam.auth = { type, credential };
        process.env[SECRET_NAME] = credential;
        destination = destinationOf({
          url: lam.url,
          secretRef: REF,
          ...(auth === undefined ? {} : { auth }),
        });
        await sendAll(firing());
      }
      lam.auth = { type: 'jwt', credential: 'another' };
      await refusesCredential(401);
      process.env[SECRET_NAME] = 'no colon';
      destination = destinationOf({ url: lam.url, secretRef: REF, auth: 'basic' });
      expect(await send(firing())).to.include({ kind: 'retry', reason: 'auth' });
    });

    it('reads the reply of the LAM: read and not processed is refused, not well is tried again', async () => {
      const say = (success: boolean, received: number, processed: number): void =>
        void lam.instead.push({
          status: 200,
          body: JSON.stringify({ success, message: 'said', response: { received, processed } }),
        });
      say(true, 1, 0);
      expect(await send(firing())).to.include({ kind: 'refused', reason: 'rejected' });
      say(false, 0, 0);
      expect(await send(firing())).to.include({ kind: 'retry', reason: 'server' });
      for (const body of ['', 'ok', '{"success":tr', '[]', '{"response":null}', 'null']) {
        lam.instead.push({ status: 200, body });
        expect(await send(firing()), body).to.deep.equal({ kind: 'delivered', status: 200 });
      }
    });
  });

  describe('moogsoft_cloud', () => {
    let cloud: MoogsoftCloud;
    beforeEach(async () => {
      server = cloud = await MoogsoftCloud.start();
      cloud.apiKey = SECRET;
      destination = destinationOf({ kind: 'moogsoft_cloud', url: cloud.url, secretRef: REF });
    });

    it('folds repeats by the signature, and a resolve clears', async () => {
      await sendAll(firing(), firing({ id: 'a3' }));
      expect([...cloud.alerts]).to.deep.equal([['r1::4::Gi0/1', { severity: 'major', count: 2 }]]);
      await sendAll(resolved());
      expect(cloud.alerts.get('r1::4::Gi0/1')).to.include({ severity: 'clear' });
    });

    it('has a severity that is known for each there is, and cuts what is too long', async () => {
      for (const severity of [0, 1, 2, 3, 4, 5, 6, 7, null]) await sendAll(firing({ severity }));
      await sendAll(firing({ description: LONG }));
      const [event] = server.lastBody as [{ description: string }];
      expect(event.description.length).to.be.within(32_499, 32_500);
      expect(event.description.isWellFormed()).to.equal(true);
    });

    it('gives its key in the header only, and waits when it is refused or missing', async () => {
      await sendAll(firing());
      expect(sentText().split(SECRET)).to.have.length(2);
      process.env[SECRET_NAME] = 'another';
      await refusesCredential(401);
      process.env[SECRET_NAME] = 'two\nlines';
      expect(await send(firing())).to.include({ kind: 'retry', reason: 'auth' });
      destination = { ...destination, secretRef: null };
      expect(await send(firing())).to.include({ kind: 'retry', reason: 'auth' });
    });
  });

  describe('pagerduty', () => {
    let pagerduty: PagerDuty;
    beforeEach(async () => {
      server = pagerduty = await PagerDuty.start();
      pagerduty.routingKeys = [SECRET];
      destination = destinationOf({ kind: 'pagerduty', url: pagerduty.url, secretRef: REF });
    });
    const incident = (signature = 'r1::4::Gi0/1'): unknown =>
      pagerduty.incidents.get(`${SECRET} ${signature}`);

    it('opens one incident for a signature, folds repeats into it, and a resolve closes it', async () => {
      await sendAll(firing(), firing({ id: 'a3' }));
      expect(incident()).to.deep.equal({ isOpen: true, triggers: 2, summary: 'r1: link down' });
      await sendAll(resolved());
      expect(incident()).to.include({ isOpen: false });
      await sendAll(firing({ id: 'a4' }));
      expect(incident()).to.include({ isOpen: true, triggers: 1 });
    });

    it('resolves with the key that it triggered with, however long the signature is', async () => {
      const other = `${LONG_SIGNATURE}x`;
      await sendAll(firing({ signature: LONG_SIGNATURE }), firing({ signature: other }));
      expect(pagerduty.incidents.size).to.equal(2);
      await sendAll(resolved({ signature: LONG_SIGNATURE }));
      expect([...pagerduty.incidents.values()].map(({ isOpen }) => isOpen)).to.deep.equal([false, true]);
    });

    it('has a severity that is known for each there is, and keeps within every length and the size', async () => {
      for (const severity of [0, 1, 2, 3, 4, 5, 6, 7, null]) await sendAll(firing({ severity }));
      await sendAll(firing({ description: LONG }), firing({ description: '\u0001'.repeat(500_000) }));
      expect(server.received.at(-1)?.body.length).to.be.below(512_000);
    });

    it('takes a routing key that is refused for a credential, and an event that is for an event', async () => {
      process.env[SECRET_NAME] = 'short';
      await refusesCredential(400);
      process.env[SECRET_NAME] = 'f'.repeat(32);
      await refusesCredential(400);
      expect(await send(firing({ hostname: '' }))).to.include({ kind: 'unauthorized' });
      process.env[SECRET_NAME] = SECRET;
      expect(await send(firing({ hostname: '' }))).to.include({
        kind: 'refused',
        reason: 'rejected',
        status: 400,
      });
      server.instead.push({ status: 429, headers: { 'retry-after': '30' } });
      expect(await send(firing())).to.include({ kind: 'retry', reason: 'throttled', retryAfterMs: 30_000 });
      expect(sentText()).to.not.match(/authorization/i);
    });
  });

  describe('alertmanager', () => {
    let manager: Alertmanager;
    beforeEach(async () => {
      server = manager = await Alertmanager.start(() => nowMs);
      destination = destinationOf({ kind: 'alertmanager', url: `${manager.origin}/` });
    });

    it('keeps an alert firing that nobody says again, and a resolve ends it whatever its severity', async () => {
      await sendAll(firing(), firing({ id: 'a3' }));
      expect(manager.firing()).to.deep.equal([
        {
          alertname: 'MuttAlert',
          signature: 'r1::4::Gi0/1',
          severity: 'error',
          environment: 'prod',
          team: 'NETO',
          instance: 'r1',
        },
      ]);
      nowMs += 3_600_000;
      expect(manager.firing()).to.have.length(1);
      await sendAll(resolved({ received_at: new Date(nowMs).toISOString() }));
      expect(manager.firing()).to.deep.equal([]);
    });

    it('lets it end after resolve_after_ms, counted from when it is sent and not from its event', async () => {
      destination = { ...destination, resolveAfterMs: 60_000 };
      nowMs += 86_400_000 * 3;
      await sendAll(firing());
      expect(manager.firing()).to.have.length(1);
      expect(manager.firing(nowMs + 59_999)).to.have.length(1);
      expect(manager.firing(nowMs + 60_000)).to.deep.equal([]);
    });

    it('takes an event of a clock that is ahead, and one without a severity', async () => {
      await sendAll(firing({ event_time: '2099-01-01T00:00:00.000Z', severity: null }));
      await sendAll(firing({ received_at: '2099-01-01T00:00:00.000Z', severity: 0 }));
      await sendAll(firing({ description: LONG, signature: LONG_SIGNATURE }));
    });

    it('is one alert for a signature that several hosts share', async () => {
      await sendAll(firing({ signature: 'cluster-7' }), firing({ signature: 'cluster-7', hostname: 'r2' }));
      expect(manager.firing()).to.have.length(1);
      await sendAll(
        resolved({ signature: 'cluster-7', hostname: 'r3', received_at: new Date(nowMs).toISOString() }),
      );
      expect(manager.firing()).to.deep.equal([]);
    });

    it('posts to the address of the API, given whole or as Prometheus has it', async () => {
      for (const path of ['', '/', '/api/v2/alerts', '/api/v2/alerts/']) {
        destination = { ...destination, url: `${manager.origin}${path}` };
        await sendAll(firing());
      }
      destination = { ...destination, url: `${manager.origin}/prefix/` };
      expect(await send(firing())).to.include({ kind: 'retry', status: 404 });
      expect(server.faults).to.deep.equal(['path /prefix/api/v2/alerts']);
    });

    it('gives user and password to whatever stands before it', async () => {
      const credential = `mutt:${SECRET}`;
      process.env[SECRET_NAME] = credential;
      destination = { ...destination, secretRef: REF, auth: 'basic' };
      manager.authorization = `Basic ${Buffer.from(credential).toString('base64')}`;
      await sendAll(firing());
      manager.authorization = 'Basic other';
      await refusesCredential(401);
    });
  });
});
