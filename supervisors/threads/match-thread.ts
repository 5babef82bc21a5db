/**
 * The module of a match thread: one match actor over the partitions that its slot has leased.
 */
import { PostgresAuditStore } from '../../gateways/postgres/audit-store.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresQuarantineStore } from '../../gateways/postgres/quarantine-store.ts';
import { consumerActor } from '../../actors/consumer-actor.ts';
import { INGEST_LANE } from '../../actors/ingest/ingest-actor.ts';
import type { AuditPolicy } from '../../actors/match/audit-policy.ts';
import { MatchHandler } from '../../actors/match/match-handler.ts';
import type { AppliedSnapshot } from '../../actors/match/match-handler.ts';
import type { Snapshot } from '../../actors/ports.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';
import { MATCH_COUNTERS } from './counters.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import { formatMark, suspectOf } from './suspect.ts';

export interface MatchThreadParams extends StoreParams {
  databaseUrl: string;
  tokens: [partition: number, token: Token][];
  snapshot: Snapshot;
  alertBounds: Bounds;
  auditUnmatched: AuditPolicy;
}

export type ToMatchThread = { type: 'snapshot'; snapshot: Snapshot };
export type FromMatchThread = { type: 'applied'; applied: AppliedSnapshot };

const DATABASE_CONNECTIONS_MAX = 3;
const STOP_MS = 8_000;
const MAILBOX_MESSAGES_MAX = 64;

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as MatchThreadParams;
  const { store, close: closeStore } = await openStore(params, `mutt-${host.slotId}`);
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: DATABASE_CONNECTIONS_MAX,
    applicationName: `mutt-${host.slotId}`,
  });
  const { counters, vitals } = host;
  const handler = new MatchHandler(
    {
      audit: new PostgresAuditStore(database),
      quarantine: new PostgresQuarantineStore(database),
      auditUnmatched: params.auditUnmatched,
      alertBounds: () => params.alertBounds,
      count: (what, n) => counters.add(MATCH_COUNTERS.at[what], n),
      onDecided: () => {
        vitals.doing = '';
      },
    },
    params.snapshot,
  );
  const onApplied = (applied: AppliedSnapshot): void => {
    counters.set(MATCH_COUNTERS.at.rules, applied.rules);
    counters.set(MATCH_COUNTERS.at.snapshotVersion, applied.version);
    host.post({ type: 'applied', applied } satisfies FromMatchThread);
  };
  // What killed the last thread is charged once, not again with every restart of the actor in this one.
  let suspect = suspectOf(host.previousExit);

  const match = localChild(
    host.system,
    'match',
    consumerActor<ToMatchThread>({
      onMessage: ({ snapshot }) => onApplied(handler.apply(snapshot)),
      openConsumer: () => {
        const consumer = createConsumer({
          store,
          lane: INGEST_LANE,
          handle: (batch) => handler.handle(batch),
          quarantine: (offence) => handler.setAside(offence),
          onProgress: (_partition, mark) => {
            vitals.doing = mark === undefined ? '' : formatMark(mark);
          },
          mayAct: () => vitals.get('leaseUntilMs') > processMs(),
        });
        for (const [partition, token] of params.tokens) {
          consumer.assign(partition, token, suspect?.partition === partition ? suspect : undefined);
        }
        suspect = undefined;
        return consumer;
      },
    }),
    { mailbox: { capacity: MAILBOX_MESSAGES_MAX, overflow: 'dropOldest' } },
  );
  onApplied(handler.applied);
  host.onMessage((message) => {
    match.ref.tell(message as ToMatchThread);
  });

  return {
    children: [{ id: 'match', start: match.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS }],
    close: async () => {
      await Promise.all([database.close(), closeStore()]);
    },
  };
};
