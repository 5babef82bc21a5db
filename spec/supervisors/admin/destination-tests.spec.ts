/** The test of a destination: what it tells, for every outcome, and that the credential is in none of it. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { KINDS } from '../../../actors/forward/kinds/kinds.ts';
import type { AuthForm, Destination, KindName } from '../../../actors/ports.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { DestinationTester } from '../../../supervisors/admin/destination-tests.ts';
import { destinationOf } from '../../actors/forward/alerts.ts';
import { DocumentedServer } from '../../support/destinations/documented-server.ts';
import type { Answer } from '../../support/destinations/documented-server.ts';
import { PagerDuty } from '../../support/destinations/pagerduty.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { rejectionOf } from '../../support/rejection.ts';

const SECRET_NAME = 'SPEC_TESTED_SECRET';
const SECRET = 'user:0123456789abcdef"&0123456789';

class Anything extends DocumentedServer {
  static async start(): Promise<Anything> {
    const server = new Anything();
    await server.listen();
    return server;
  }
  protected answer(): Answer {
    return { status: 200, body: 'taken' };
  }
}

describe('the test of a destination', () => {
  let server: Anything;
  let client: HttpWebhookClient;
  let tester: DestinationTester;

  beforeEach(async () => {
    process.env[SECRET_NAME] = SECRET;
    server = await Anything.start();
    client = new HttpWebhookClient({
      secrets: new SecretSource(() => performance.now() * 10_000, { directory: '/nowhere', files: [] }),
      connectionsMax: 8,
    });
    tester = new DestinationTester({ client, clock: systemClock });
  });
  afterEach(async () => {
    delete process.env[SECRET_NAME];
    client.close();
    await server.close();
  });
  const destination = (fields: Partial<Destination> = {}): Destination =>
    destinationOf({
      kind: 'webhook',
      url: `${server.origin}/hook`,
      secretRef: `env:${SECRET_NAME}`,
      ...fields,
    });

  it('tells what is sent by every kind in every way, as it is sent, without the credential', async () => {
    for (const [kind, { auth }] of Object.entries(KINDS)) {
      const forms: (AuthForm | undefined)[] = [undefined, ...auth];
      for (const form of forms) {
        const told = await tester.test(
          destination({ kind: kind as KindName, ...(form === undefined ? {} : { auth: form }) }),
          'firing',
          true,
        );
        const what = `${kind} ${form}`;
        expect(told.outcome, what).to.equal('delivered');
        expect(told.answer, what).to.deep.equal({ status: 200, excerpt: 'taken' });
        const { headers, body } = server.received.at(-1)!;
        const sent = `${JSON.stringify(headers)} ${body.toString()}`;
        const forms = [SECRET, JSON.stringify(SECRET).slice(1, -1), Buffer.from(SECRET).toString('base64')];
        const wasIn = forms.find((text) => sent.includes(text));
        expect(wasIn, what).to.not.equal(undefined);
        const shown = JSON.stringify(told);
        expect(told.sent?.body.replaceAll('***', wasIn!), what).to.have.length(body.toString().length);
        for (const text of ['0123456789abcdef', ...forms]) expect(shown, what).to.not.include(text);
        expect(shown, what).to.include('***').and.include('please ignore it');
      }
    }
  });

  it('says what each answer would mean for a real alert', async () => {
    const cases: [status: number, outcome: string, meaning: RegExp][] = [
      [204, 'delivered', /took the alert/],
      [401, 'unauthorized', /refuses the credential.*no alert would be given up/],
      [422, 'refused', /become a dead letter/],
      [429, 'retry', /fewer alerts.*tried again/],
      [302, 'retry', /redirect, which is not followed.*tried again/],
      [404, 'retry', /Nothing takes alerts at this address.*tried again/],
      [503, 'retry', /tried again/],
    ];
    for (const [status, outcome, meaning] of cases) {
      server.instead.push({ status, body: 'because' });
      const told = await tester.test(destination(), 'resolved', false);
      expect(told).to.include({ outcome, is_saved: false });
      expect(told.meaning).to.match(meaning);
      expect(told.answer).to.deep.equal({ status, excerpt: status === 204 ? '' : 'because' });
    }
  });

  it('says why nothing was sent, or nothing came back', async () => {
    const [port] = await freePorts(1);
    const cases: [Partial<Destination>, isSent: boolean, error: RegExp, meaning: RegExp][] = [
      [{ url: `http://127.0.0.1:${port}/` }, true, /ECONNREFUSED/, /no answer that is HTTP/],
      [{ url: server.origin.replace('http:', 'https:') }, true, /EPROTO|SSL/, /No TLS connection/],
      [{ secretRef: 'env:SPEC_NOT_SET' }, false, /E_SECRET_UNAVAILABLE/, /credential cannot be read/],
      [{ secretRef: 'file:/etc/passwd' }, false, /directory of secrets/, /credential cannot be read/],
      [{ template: '{{ description }}' }, false, /E_TEMPLATE_FAILED/, /template makes nothing/],
    ];
    for (const [fields, isSent, error, meaning] of cases) {
      const told = await tester.test(destination(fields), 'firing', true);
      expect(told.sent !== null, told.error ?? '').to.equal(isSent);
      expect(told.answer).to.equal(null);
      expect(told.error).to.match(error);
      expect(told.meaning).to.match(meaning);
    }
  });

  it('ends with a resolve what it began', async () => {
    const pagerduty = await PagerDuty.start();
    try {
      const key = 'f'.repeat(32);
      process.env[SECRET_NAME] = key;
      pagerduty.routingKeys = [key];
      const pager = destination({ kind: 'pagerduty', url: pagerduty.url });
      for (const status of ['firing', 'resolved'] as const)
        expect(await tester.test(pager, status, true)).to.include({ outcome: 'delivered' });
      expect([...pagerduty.incidents.values()].map(({ isOpen }) => isOpen)).to.deep.equal([false]);
      expect(pagerduty.faults).to.deep.equal([]);
    } finally {
      await pagerduty.close();
    }
  });

  it('refuses a fifth at a time', async () => {
    const release = Promise.withResolvers<void>();
    const slow = new DestinationTester({
      clock: systemClock,
      client: {
        post: async () => {
          await release.promise;
          return { status: 200, headers: {}, excerpt: '' };
        },
      },
    });
    const tests = Array.from({ length: 4 }, () => slow.test(destination(), 'firing', true));
    const error = await rejectionOf(slow.test(destination(), 'firing', true));
    expect(error).to.include({ code: 'E_DESTINATION_TESTS_BUSY', kind: 'transient' });
    release.resolve();
    expect((await Promise.all(tests)).map(({ outcome }) => outcome)).to.deep.equal(
      Array(4).fill('delivered'),
    );
    expect(await slow.test(destination(), 'firing', true)).to.include({ outcome: 'delivered' });
  });
});
