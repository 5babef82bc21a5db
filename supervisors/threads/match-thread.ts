/**
 * The module of a match thread: one match actor over the partitions that its slot has leased.
 */
import { setImmediate } from 'node:timers/promises';
import { PostgresAlertOutbox } from '../../gateways/postgres/alert-outbox.ts';
import { PostgresAuditStore } from '../../gateways/postgres/audit-store.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresQuarantineStore } from '../../gateways/postgres/quarantine-store.ts';
import { PostgresUnmatchedStore } from '../../gateways/postgres/unmatched-store.ts';
import { consumerActor } from '../../actors/consumer-actor.ts';
import { INGEST_LANE, INPUT_LANES, OVERFLOW_LANE } from '../../actors/ingest/ingest-actor.ts';
import { MatchHandler } from '../../actors/match/match-handler.ts';
import type { Taps } from '../../actors/match/messages.ts';
import { EventTap } from '../../actors/match/tap.ts';
import { shedding } from '../../actors/match/shedding.ts';
import { UnmatchedWatch } from '../../actors/match/unmatched.ts';
import { systemClock } from '../../runtime/clock.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { createConsumer } from '../../runtime/durable/consumer.ts';
import type { Bounds, Token } from '../../runtime/durable/durable-store.ts';
import { Spiller } from '../../runtime/durable/spill.ts';
import type { SpillerOptions } from '../../runtime/durable/spill.ts';
import { processMs } from '../../runtime/shared/vitals.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadHost, ThreadMain } from '../../runtime/thread/entry.ts';
import { MATCH_COUNTERS } from './counters.ts';
import { occasionally } from './occasionally.ts';
import { PartitionWaits } from './partition-waits.ts';
import { MatchLatency, StageLatency } from './stage-latency.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, MatchInForce, OffenderFound, SnapshotWanted, ToWorker } from './worker-messages.ts';
import { formatMark, suspectOf } from './suspect.ts';

export interface MatchThreadParams extends StoreParams {
  databaseUrl: string;
  tokens: [partition: number, token: Token][];
  /** Of the lane of one destination, from the memory of the store. */
  alertBounds: Bounds;
  deadBounds: Bounds;
  storeName: string;
}

const DATABASE_CONNECTIONS_MAX = 3;
const STOP_MS = 8_000;
const MAILBOX_MESSAGES_MAX = 64;

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as MatchThreadParams;
  const tap = new EventTap({ clock: systemClock, report: (tapped) => host.post(tapped) });
  const inForce = await firstInForce(host, tap);
  let { settings } = inForce;
  const { store, close: closeStore } = await openStore(params, `mutt-${host.slotId}`);
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: DATABASE_CONNECTIONS_MAX,
    applicationName: `mutt-${host.slotId}`,
  });
  const { counters, vitals } = host;
  const waits = new PartitionWaits(systemClock, (report) => host.post(report));
  const unmatched = new UnmatchedWatch({
    store: new PostgresUnmatchedStore(database),
    clock: systemClock,
    partitions: params.tokens.map(([partition]) => partition),
    settings: () => ({
      threshold: settings['unmatched.threshold'],
      windowMs: settings['unmatched.windowMs'],
      alertsPerMinuteMax: settings['unmatched.alertsPerMinuteMax'],
      team: settings['unmatched.team'],
      rowsMax: settings['unmatched.rowsMax'],
    }),
    count: (what, n) => counters.add(MATCH_COUNTERS.at[what], n),
    onHeld: (templates) => counters.set(MATCH_COUNTERS.at.templates, templates),
  });
  const { stagesAt, stages } = MATCH_COUNTERS;
  const latency = new MatchLatency(new StageLatency(counters, stagesAt, stages), systemClock);
  const alertBounds: Bounds = {
    ...params.alertBounds,
    get entriesMax() {
      return Math.min(params.alertBounds.entriesMax, settings['mailbox.alert.alertsMax']);
    },
  };
  const mayAct = (): boolean => vitals.get('leaseUntilMs') > processMs();
  const handler = new MatchHandler(
    {
      audit: new PostgresAuditStore(database),
      quarantine: new PostgresQuarantineStore(database),
      auditUnmatched: () => settings['audit.unmatched.policy'],
      unmatched,
      alertBounds,
      count: (what, n) => counters.add(MATCH_COUNTERS.at[what], n),
      onDecided: (partition) => {
        vitals.doing = '';
        latency.decided(partition);
      },
      pause: async () => {
        // Another batch may be handled meanwhile: if the thread dies of it, that one must be named.
        const { doing } = vitals;
        vitals.doing = '';
        await setImmediate();
        vitals.doing = doing;
      },
      onOffender: ({ error, ...offence }) => {
        const offender = { ...offence, code: codeOf(error), message: messageOf(error) };
        host.post({ type: 'offender', offender } satisfies OffenderFound);
      },
      tap,
    },
    inForce.decisions,
  );
  const onApplied = ({ version, rules }: Pick<MatchInForce, 'version' | 'rules'>): void => {
    counters.set(MATCH_COUNTERS.at.rules, rules);
    counters.set(MATCH_COUNTERS.at.snapshotVersion, version);
    host.post({ type: 'applied', version } satisfies Applied);
  };
  // What killed the last thread is charged once, not again with every restart of the actor in this one.
  let suspect = suspectOf(host.previousExit);

  const match = localChild(
    host.system,
    'match',
    consumerActor<ToWorker<MatchInForce>>({
      onMessage: (change) => {
        handler.apply(change.decisions);
        ({ settings } = change);
        onApplied(change);
      },
      openConsumer: () => {
        waits.clear();
        unmatched.begin();
        const consumer = createConsumer({
          store,
          lane: INGEST_LANE,
          overflowLane: OVERFLOW_LANE,
          handle: (batch) => handler.handle(batch),
          quarantine: (offence) => handler.setAside(offence),
          onProgress: (_partition, mark) => {
            vitals.doing = mark === undefined ? '' : formatMark(mark);
          },
          onWaiting: (partition, error) =>
            // Of the two one goes on at a time: what holds up one holds up the other.
            waits.set(
              partition,
              error === undefined ? [] : INPUT_LANES.map((mailbox) => ({ mailbox, error })),
            ),
          onCommitted: (partition, entries) => latency.committed(partition, entries),
          mayAct,
          spiller: openSpiller(host, {
            store,
            outside: new PostgresAlertOutbox(database, params.storeName),
            laneBounds: () => alertBounds,
            shedding: shedding({
              mode: () => settings['shed.mode'],
              thresholdPercent: () => settings['shed.thresholdPercent'],
              bounds: params.deadBounds,
            }),
            mayAct,
            bounds: () => ({
              messagesMax: settings['mailbox.outbox.alertsMax'],
              bytesMax: settings['mailbox.outbox.bytesMax'],
            }),
          }),
          batchMessagesMax: () => settings['match.batch.eventsMax'],
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
  onApplied(inForce);
  host.onMessage((message) => {
    const told = message as ToWorker<MatchInForce> | Taps;
    // Not through the mailbox: a tap only looks on, and must not wait behind work.
    if (told.type === 'taps') tap.set(told.taps);
    else match.ref.tell(told);
  });

  return {
    children: [{ id: 'match', start: match.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS }],
    close: async () => {
      tap.close();
      waits.close();
      await unmatched.close();
      await Promise.all([database.close(), closeStore()]);
    },
  };
};

/** Counts what goes to the outbox and comes back; what hinders that is told once a while. */
function openSpiller(
  host: ThreadHost,
  options: Pick<SpillerOptions, 'store' | 'outside' | 'laneBounds' | 'shedding' | 'mayAct' | 'bounds'>,
): Spiller {
  const { at } = MATCH_COUNTERS;
  const tellTrouble = occasionally((count, fields) =>
    host.log('warn', 'alerts of the outbox cannot be brought back now', { count, ...fields }),
  );
  const tellShed = occasionally((count, fields) =>
    host.log('warn', 'the outbox fills: alerts become dead letters unsent', { count, ...fields }),
  );
  return new Spiller({
    ...options,
    clock: systemClock,
    onCommitted: ({ counters: { alerts_shed: shed = 0, alerts_deferred: deferred = 0 } = {} }) => {
      if (shed + deferred === 0) return;
      host.counters.add(at.shed, shed);
      host.counters.add(at.deferred, deferred);
      tellShed(shed + deferred);
    },
    onSpilled: (alerts) => host.counters.add(at.spilled, alerts),
    onRefilled: (alerts) => host.counters.add(at.refilled, alerts),
    onMissing: ({ partition, lane }, alerts) => {
      host.counters.add(at.outboxMissing, alerts);
      host.log('error', 'alerts are missing in the outbox', { partition, mailbox: lane, alerts });
    },
    onTrouble: (partition, error) => tellTrouble(1, { partition, code: codeOf(error) }),
  });
}

/** Asks for what holds and waits for it. */
function firstInForce(host: ThreadHost, tap: EventTap): Promise<MatchInForce> {
  const { promise, resolve } = Promise.withResolvers<MatchInForce>();
  host.onMessage((message) => {
    const told = message as ToWorker<MatchInForce> | Taps;
    if (told.type === 'taps') tap.set(told.taps);
    else resolve(told);
  });
  host.post({ type: 'snapshot wanted' } satisfies SnapshotWanted);
  return promise;
}
