/**
 * The module of the remediation thread: keeps dead letters of all partitions.
 */
import { consumerActor } from '../../actors/consumer-actor.ts';
import { DEAD_LANE } from '../../actors/forward/messages.ts';
import { keepDeadLetters } from '../../actors/remediation/dead-letter-handler.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresDeadLetterStore } from '../../gateways/postgres/dead-letter-store.ts';
import { PostgresQuarantineStore } from '../../gateways/postgres/quarantine-store.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { Offence } from '../../runtime/durable/consumer.ts';
import type { QuarantinedEvent } from '../../actors/ports.ts';
import type { Token } from '../../runtime/durable/durable-store.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';
import { REMEDIATION_COUNTERS } from './counters.ts';
import { PartitionWaits } from './partition-waits.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, InForce, ToWorker } from './worker-messages.ts';

export interface RemediationThreadParams extends StoreParams, InForce {
  databaseUrl: string;
  tokens: [partition: number, token: Token][];
}

const STOP_MS = 8_000;

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as RemediationThreadParams;
  const { store, close } = await openStore(params, `mutt-${host.slotId}`);
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: 1,
    applicationName: `mutt-${host.slotId}`,
  });
  const letters = new PostgresDeadLetterStore(database);
  const quarantine = new PostgresQuarantineStore(database);
  const waits = new PartitionWaits(systemClock, (report) => host.post(report));
  const remediation = localChild(
    host.system,
    'remediation',
    consumerActor({
      openConsumer: () => {
        waits.clear();
        const consumer = createConsumer({
          store,
          lane: DEAD_LANE,
          handle: (batch) =>
            keepDeadLetters(batch, letters, (n) => host.counters.add(REMEDIATION_COUNTERS.at.kept, n)),
          quarantine: async (offence) => {
            await quarantine.quarantine([unreadableLetter(offence)]);
            return { counters: { alerts_unreadable: 1 } };
          },
          onWaiting: (partition, error) =>
            waits.set(partition, error === undefined ? [] : [{ mailbox: DEAD_LANE, error }]),
          mayAct: () => host.vitals.get('leaseUntilMs') > processMs(),
        });
        for (const [partition, token] of params.tokens) consumer.assign(partition, token);
        return consumer;
      },
    }),
  );
  // No setting changes what it does; it says all the same that it has heard.
  const hasApplied = ({ version }: InForce): void =>
    host.post({ type: 'applied', version } satisfies Applied);
  host.onMessage((message) => hasApplied(message as ToWorker));
  hasApplied(params);
  return {
    children: [
      { id: 'remediation', start: remediation.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS },
    ],
    close: async () => {
      waits.close();
      await Promise.all([database.close(), close()]);
    },
  };
};

/** A dead letter that is no stored alert: its bytes are kept under the name of its entry. */
function unreadableLetter({ entry, history }: Offence): QuarantinedEvent {
  return {
    eventId: `dead-letter-${entry.partition}-${entry.id}`,
    receivedAtMs: entry.storedAtMs,
    partition: entry.partition,
    attempts: history.total,
    reason: history.latest.at(-1)?.reason ?? 'E_ALERT_DAMAGED',
    history: history.latest.map(({ reason, message }) => `${reason}: ${message}`),
    body: entry.payload,
  };
}
