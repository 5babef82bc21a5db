/**
 * The test of a destination: one marked alert on the way that every alert takes, and what came of it.
 *
 * Nothing of it is stored, counted or tried again, and no mailbox knows of it. Invariant: what is told has no credential.
 */
import { randomUUID } from 'node:crypto';
import { isAddressWrong } from '../../actors/forward/classify-response.ts';
import { deliverAlert } from '../../actors/forward/delivery.ts';
import { sampleAlert } from '../../actors/forward/kinds/sample-alert.ts';
import type { Alert } from '../../actors/event.ts';
import type { SentOutcome, Destination, WebhookClient } from '../../actors/ports.ts';
import type { DestinationTestDocument } from '../../gateways/admin/destination-documents.ts';
import { withoutCredential } from '../../gateways/secrets/without-credential.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';

/** Someone waits for the answer. */
const TIMEOUT_MS_MAX = 15_000;
const TESTS_MAX = 4;
/** Of the body as it is told. */
const BODY_CHARS_MAX = 16_384;

export interface DestinationTesterOptions {
  client: WebhookClient;
  clock: Clock;
}

export class DestinationTester {
  readonly #options: DestinationTesterOptions;
  #underWay = 0;

  constructor(options: DestinationTesterOptions) {
    this.#options = options;
  }

  /** Errors: E_DESTINATION_TESTS_BUSY. */
  async test(
    destination: Destination,
    status: Alert['status'],
    isSaved: boolean,
  ): Promise<DestinationTestDocument> {
    if (this.#underWay >= TESTS_MAX) {
      throw new CodedError('E_DESTINATION_TESTS_BUSY', `${TESTS_MAX} destinations are being tested`, {
        kind: 'transient',
        mend: 'Try again in a few seconds.',
      });
    }
    this.#underWay += 1;
    try {
      return await this.#test(destination, status, isSaved);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #test(
    destination: Destination,
    status: Alert['status'],
    isSaved: boolean,
  ): Promise<DestinationTestDocument> {
    const { client, clock } = this.#options;
    let sent: DestinationTestDocument['sent'] = null;
    let answer: DestinationTestDocument['answer'] = null;
    const watching: WebhookClient = {
      post: async (request) => {
        const reply = await client.post({
          ...request,
          compose: (credential) => {
            const message = request.compose(credential);
            const hidden = (text: string): string => withoutCredential(text, credential);
            const headers = Object.entries(message.headers).map(([name, value]) => [name, hidden(value)]);
            sent = {
              method: 'POST',
              url: request.url,
              headers: Object.fromEntries(headers) as Record<string, string>,
              body: hidden(message.body).slice(0, BODY_CHARS_MAX),
            };
            return message;
          },
        });
        answer = { status: reply.status, excerpt: reply.excerpt };
        return reply;
      },
    };
    const startedAtMs = clock.monotonicMs();
    const alert = testAlert(destination.name, status, clock.wallMs());
    const timeoutMs = Math.min(destination.timeoutMs, TIMEOUT_MS_MAX);
    const outcome = await deliverAlert({ alert, attempts: 0 }, { ...destination, timeoutMs }, watching, () =>
      clock.wallMs(),
    );
    return {
      destination: destination.name,
      is_saved: isSaved,
      alert_id: alert.id,
      sent,
      answer,
      outcome: outcome.kind,
      reason: outcome.kind === 'delivered' ? null : outcome.reason,
      error: outcome.kind === 'delivered' ? null : outcome.error,
      meaning: meaningOf(outcome),
      duration_ms: Math.round(clock.monotonicMs() - startedAtMs),
    };
  }
}

/** Says in every field that people look at what it is; one signature, so that a resolve ends what a test began. */
function testAlert(destination: string, status: Alert['status'], nowMs: number): Alert {
  const time = new Date(nowMs).toISOString();
  const id = randomUUID().replaceAll('-', '');
  return sampleAlert({
    id,
    destination,
    signature: `mutt-test::${destination}`,
    description: `Test of the destination ${destination} by MUTT. Nothing is wrong; please ignore it.`,
    event_time: time,
    received_at: time,
    correlation_id: id,
    status,
  });
}

function meaningOf(outcome: SentOutcome): string {
  switch (outcome.kind) {
    case 'delivered':
      return 'The destination took the alert.';
    case 'unauthorized':
      return 'The destination refuses the credential. Its lane would wait, trying one alert at a time, until secret_ref leads to one that works; no alert would be given up.';
    case 'refused':
      return outcome.reason === 'template'
        ? 'The template makes nothing of this alert. Such an alert would become a dead letter.'
        : 'The destination will not take this alert. Such an alert would become a dead letter.';
    case 'retry':
      return `${whyRetried(outcome)} It would be tried again, in order, until it is taken.`;
  }
}

function whyRetried({ reason, status = 0 }: Extract<SentOutcome, { kind: 'retry' }>): string {
  if (status >= 300 && status <= 399)
    return 'It answers with a redirect, which is not followed: the credential would go along. Give the address that takes alerts.';
  if (isAddressWrong(status)) return 'Nothing takes alerts at this address.';
  return RETRY_MEANINGS[reason] ?? 'The destination did not take the alert.';
}

const RETRY_MEANINGS: Partial<Record<string, string>> = {
  auth: 'The credential cannot be read, or has not the form that it needs.',
  tls: 'No TLS connection could be made that can be trusted: the certificate, or a port that speaks something else.',
  network: 'There was no answer that is HTTP: check the name, the port, and what lies between.',
  timeout: 'There was no answer in time.',
  throttled: 'The destination asks for fewer alerts.',
};
