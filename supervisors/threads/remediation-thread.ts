/**
 * The module of the remediation thread: keeps dead letters of its partitions, and replays them.
 */
import { randomBytes } from 'node:crypto';
import { consumerActor } from '../../actors/consumer-actor.ts';
import { DEAD_LANE } from '../../actors/forward/messages.ts';
import { keepDeadLetters } from '../../actors/remediation/dead-letter-handler.ts';
import { LetterReleaser } from '../../actors/remediation/letter-releaser.ts';
import type { ReleaseCount } from '../../actors/remediation/letter-releaser.ts';
import { releaseActor } from '../../actors/remediation/release-actor.ts';
import { replayLimits } from '../../actors/remediation/replay-limits.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresDeadLetterStore } from '../../gateways/postgres/dead-letter-store.ts';
import { PostgresLetterReleases } from '../../gateways/postgres/letter-releases.ts';
import { PostgresQuarantineStore } from '../../gateways/postgres/quarantine-store.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { Offence } from '../../runtime/durable/consumer.ts';
import type { QuarantinedEvent } from '../../actors/ports.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';
import { REMEDIATION_COUNTERS } from './counters.ts';
import { PartitionWaits } from './partition-waits.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, RemediationInForce, ToWorker } from './worker-messages.ts';

export interface RemediationThreadParams extends StoreParams, RemediationInForce {
  databaseUrl: string;
  /** Whose letters it keeps and replays: several Redis may share a PostgreSQL. */
  storeName: string;
  /** Of the lane of one destination in one partition. */
  alertBounds: Bounds;
  tokens: [partition: number, token: Token][];
}

const STOP_MS = 8_000;
/** One keeps letters, one replays them. */
const CONNECTIONS_MAX = 2;
const COUNTED: Readonly<Record<ReleaseCount, keyof typeof REMEDIATION_COUNTERS.at>> = {
  'manual delivered': 'manualDelivered',
  'manual failed': 'manualFailed',
  'automatic delivered': 'automaticDelivered',
  'automatic failed': 'automaticFailed',
  replayed: 'released',
  superseded: 'superseded',
  discarded: 'discarded',
  'given up': 'givenUp',
};

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as RemediationThreadParams;
  const { store, close } = await openStore(params, `mutt-${host.slotId}`);
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: CONNECTIONS_MAX,
    applicationName: `mutt-${host.slotId}`,
  });
  const letters = new PostgresDeadLetterStore(database, params.storeName);
  const quarantine = new PostgresQuarantineStore(database);
  const waits = new PartitionWaits(systemClock, (report) => host.post(report));
  let inForce: RemediationInForce = params;
  const mayAct = (): boolean => host.vitals.get('leaseUntilMs') > processMs();
  const releaser = new LetterReleaser({
    store,
    letters: new PostgresLetterReleases(database, params.storeName),
    tokens: new Map(params.tokens),
    clock: systemClock,
    newId: () => randomBytes(16).toString('hex'),
    inForce: () => ({ destinations: inForce.destinations, limits: replayLimits(inForce.settings) }),
    alertBounds: {
      ...params.alertBounds,
      get entriesMax() {
        return Math.min(params.alertBounds.entriesMax, inForce.settings['mailbox.alert.alertsMax']);
      },
    },
    mayAct,
    count: (what, n) => host.counters.add(REMEDIATION_COUNTERS.at[COUNTED[what]], n),
    onGivenUp: (destination, count) =>
      host.log(
        'warn',
        'dead letters were replayed too often and are given up; see mutt failures list --kind dead_letter',
        {
          destination,
          count,
        },
      ),
  });
  const release = localChild(
    host.system,
    'replay',
    releaseActor(() => releaser),
  );
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
            keepDeadLetters(
              batch,
              letters,
              (n) => host.counters.add(REMEDIATION_COUNTERS.at.kept, n),
              // What it could not slow down now it slows down at the next failure.
              (failed) => void releaser.noteFailed(failed).catch(() => undefined),
            ),
          quarantine: async (offence) => {
            await quarantine.quarantine([unreadableLetter(offence)]);
            return { counters: { alerts_unreadable: 1 } };
          },
          onWaiting: (partition, error) =>
            waits.set(partition, error === undefined ? [] : [{ mailbox: DEAD_LANE, error }]),
          mayAct,
        });
        for (const [partition, token] of params.tokens) consumer.assign(partition, token);
        return consumer;
      },
    }),
  );
  const hasApplied = (): void => host.post({ type: 'applied', version: inForce.version } satisfies Applied);
  host.onMessage((message) => {
    inForce = message as ToWorker<RemediationInForce>;
    hasApplied();
  });
  hasApplied();
  return {
    children: [
      { id: 'remediation', start: remediation.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS },
      { id: 'replay', start: release.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS },
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
