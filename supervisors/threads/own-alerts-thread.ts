/**
 * The module of the thread that sends own alerts and the beat. It needs neither Redis nor PostgreSQL, keeps nothing, and
 * decides nothing: what it is told to send it sends once and says what came of it. The supervisor itself touches no
 * stranger's socket.
 */
import { deliverAlert } from '../../actors/forward/delivery.ts';
import { classifyFailure, classifyResponse } from '../../actors/forward/classify-response.ts';
import type { Alert } from '../../actors/event.ts';
import type { SentOutcome, Destination } from '../../actors/ports.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { Calls } from '../../runtime/calls.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';

export interface OwnAlertsThreadParams {
  secretPlaces: SecretPlaces;
}

export interface DeliverRequest {
  alert: Alert;
  destination: Destination;
}

export interface BeatRequest {
  /** An address, or `file:/path` of a file that holds it. */
  address: string;
  /** JSON text. */
  body: string;
  timeoutMs: number;
}

/** To one server: own alerts are few, and the beat is one. */
const CONNECTIONS_MAX = 4;
const FILE = 'file:';

export const threadMain: ThreadMain = async (host) => {
  const { secretPlaces } = host.params as OwnAlertsThreadParams;
  const secrets = new SecretSource(() => systemClock.monotonicMs(), secretPlaces);
  const client = new HttpWebhookClient({ secrets, connectionsMax: CONNECTIONS_MAX });
  const nowMs = (): number => systemClock.wallMs();
  const calls = new Calls((message) => host.post(message), systemClock, {
    deliver: ({ alert, destination }: DeliverRequest): Promise<SentOutcome> =>
      deliverAlert({ alert, attempts: 0 }, destination, client, nowMs),
    beat: async ({ address, body, timeoutMs }: BeatRequest): Promise<SentOutcome> => {
      try {
        const url = address.startsWith(FILE) ? await secrets.read(address) : address;
        const compose = () => ({ headers: { 'content-type': 'application/json' }, body });
        const { status, headers } = await client.post({ url, timeoutMs, secretRef: null, compose });
        return classifyResponse({ status, headers }, nowMs());
      } catch (thrown) {
        return classifyFailure(thrown);
      }
    },
  });
  host.onMessage((message) => void calls.receive(message));
  return { children: [], close: async () => client.close() };
};
