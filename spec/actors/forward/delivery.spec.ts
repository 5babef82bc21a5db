import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { deliverAlert } from '../../../actors/forward/delivery.ts';
import type { WebhookClient, WebhookMessage, WebhookReply, WebhookRequest } from '../../../actors/ports.ts';
import { alertOf, destinationOf } from './alerts.ts';

/** Remembers what it was asked to post, and answers as told. */
type Posted = Omit<WebhookRequest, 'compose'> & WebhookMessage;
function clientThat(answer: () => WebhookReply): WebhookClient & { requests: Posted[] } {
  const requests: Posted[] = [];
  return {
    requests,
    post: async ({ compose, ...request }) => {
      requests.push({ ...request, ...compose(request.secretRef === null ? undefined : 'hunter2') });
      return answer();
    },
  };
}

const stored = { alert: alertOf('a1'), attempts: 0 };
const reply = (status: number, headers: WebhookReply['headers'] = {}): WebhookReply => ({
  status,
  headers,
  excerpt: '',
});

describe('deliverAlert', () => {
  it('posts the shape of the kind, with the destination’s address, secret and time', async () => {
    const client = clientThat(() => reply(200));
    const destination = destinationOf({ url: 'http://noc/hook', secretRef: 'env:NOC', timeoutMs: 1_234 });
    expect(await deliverAlert(stored, destination, client, () => 0)).to.deep.equal({
      kind: 'delivered',
      status: 200,
    });
    await deliverAlert(stored, { ...destination, kind: 'webhook' }, client, () => 0);
    expect(client.requests[0]).to.include({ url: 'http://noc/hook', secretRef: 'env:NOC', timeoutMs: 1_234 });
    const [moogsoft, webhook] = client.requests.map(
      ({ body }) => JSON.parse(body) as Record<string, unknown>,
    );
    expect(moogsoft).to.include({ manager: 'MUTT', external_id: 'a1' });
    expect(webhook).to.include({ id: 'a1' }).and.not.have.property('destination');
  });

  it('sends the same bytes at every attempt', async () => {
    const client = clientThat(() => reply(500));
    for (const attempts of [0, 3])
      await deliverAlert({ ...stored, attempts }, destinationOf(), client, () => attempts);
    expect(client.requests[0]?.body).to.equal(client.requests[1]?.body);
  });

  it('counts the wait that a destination asks for from now', async () => {
    const nowMs = Date.parse('2024-05-01T12:00:00Z');
    const client = clientThat(() => reply(503, { 'retry-after': 'Wed, 01 May 2024 12:00:30 GMT' }));
    expect(await deliverAlert(stored, destinationOf(), client, () => nowMs)).to.include({
      kind: 'retry',
      retryAfterMs: 30_000,
    });
  });

  it('never rejects: not for a client that fails, and not for an alert that makes no document', async () => {
    const failing = clientThat(() => {
      throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
    });
    expect(await deliverAlert(stored, destinationOf(), failing, () => 0)).to.include({
      kind: 'retry',
      reason: 'network',
    });
    const circular = alertOf('a') as Alert & { self?: unknown };
    circular.self = circular;
    const outcome = await deliverAlert(
      { alert: circular, attempts: 0 },
      destinationOf({ kind: 'webhook' }),
      clientThat(() => reply(200)),
      () => 0,
    );
    expect(outcome.kind).to.equal('retry');
  });

  it('gives an alert up, with the reason, of which its template makes nothing', async () => {
    const client = clientThat(() => reply(200));
    const destination = destinationOf({ kind: 'webhook', template: '{"n": {{ description }}}' });
    const outcome = await deliverAlert(stored, destination, client, () => 0);
    expect(outcome).to.include({ kind: 'refused', reason: 'template' });
    expect(outcome)
      .to.have.property('error')
      .that.matches(/^E_TEMPLATE_FAILED: .*no valid JSON/);
    expect(client.requests).to.deep.equal([]);
  });

  it('waits when a destination is of a kind that this version does not know', async () => {
    const destination = destinationOf({ kind: 'pigeon' as never });
    const outcome = await deliverAlert(
      stored,
      destination,
      clientThat(() => reply(200)),
      () => 0,
    );
    expect(outcome.kind).to.equal('retry');
  });
});
