/**
 * Entry of the admin process: the admin and health ports, with connections of its own to Redis and PostgreSQL. What
 * only the supervisor knows (the tree, the counters) it asks for.
 */
import { AdminServer } from '../../gateways/admin/admin-server.ts';
import type { AdminPort, Readiness } from '../../gateways/admin/admin-port.ts';
import { KeyRing } from '../../gateways/http/key-ring.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { PostgresSnapshotSource } from '../../gateways/postgres/snapshot-source.ts';
import { PostgresWitnessStore } from '../../gateways/postgres/witness-store.ts';
import type { ConfigurationDocument } from '../../actors/match/configuration.ts';
import {
  clearedElsewhere,
  parseConfiguration,
  writtenDestination,
} from '../../actors/match/configuration.ts';
import { sleep, systemClock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import { hostProcess } from '../../runtime/process/process-host.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import { expose } from '../../runtime/telemetry/exposition.ts';
import { openLog } from '../../runtime/telemetry/log.ts';
import type { LogOptions } from '../../runtime/telemetry/log.ts';
import { Calls } from '../calls.ts';
import { openStore } from '../threads/store.ts';
import type { StoreParams } from '../threads/store.ts';
import { ledgerDocument } from './ledger-document.ts';
import type { LedgerDocument } from './ledger-document.ts';

export interface AdminParams extends StoreParams {
  databaseUrl: string;
  partitions: number;
  keys: KeyRecord[];
  pepper: string;
  addresses: { adminHost: string; adminPort: number; healthHost: string; healthPort: number };
  log: Omit<LogOptions, 'source'>;
}

const CALL_TIMEOUT_MS = 3_000;
const RESTART_TIMEOUT_MS = 20_000;
const READINESS_EVERY_MS = 200;
/** Without news from the supervisor for so long, nothing is known. */
const READINESS_STALE_MS = 3_000;
const LOSSES_MAX = 10_000;
/** How long the ledger waits for what PostgreSQL knows. */
const OUTSIDE_WAIT_MS = 1_000;

hostProcess(async (host) => {
  const params = host.params as AdminParams;
  const log = openLog({ ...params.log, source: host.slotId });
  const calls = new Calls((message) => host.post(message), systemClock);
  host.onMessage((message) => void calls.receive(message));

  const opened = await openStore(params, 'mutt-admin');
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: 4,
    applicationName: 'mutt-admin',
  });
  const rules = new PostgresRuleStore(database);
  const snapshots = new PostgresSnapshotSource(database);
  const rejects = new PostgresRejectStore(database);
  const witness = new PostgresWitnessStore(database);

  let readiness: Readiness & { atMs: number } = { ready: false, reasons: ['starting'], atMs: 0 };
  const refresh = async (): Promise<void> => {
    try {
      const news = await calls.ask<Readiness>('readiness', undefined, CALL_TIMEOUT_MS);
      readiness = { ...news, atMs: systemClock.monotonicMs() };
    } catch {
      // Answered below by its age.
    }
  };
  await refresh();
  const timer = setInterval(() => void refresh(), READINESS_EVERY_MS);

  // PostgreSQL may be away, and the ledger in Redis is worth showing all the more: its part is then the last known one.
  let outside: { rejected: number; lost: ReadonlyMap<number, number> } | undefined;
  let reading: Promise<void> | undefined;
  const readOutside = async (): Promise<void> => {
    const [totals, losses] = await Promise.all([rejects.totals(), witness.losses(LOSSES_MAX)]);
    const lost = new Map<number, number>();
    for (const { partition, from, to } of losses)
      lost.set(partition, (lost.get(partition) ?? 0) + to - from + 1);
    outside = {
      rejected: totals.reduce((sum, { keptRows, droppedRows }) => sum + keptRows + droppedRows, 0),
      lost,
    };
  };
  const ledger = async (): Promise<LedgerDocument> => {
    reading ??= readOutside().finally(() => {
      reading = undefined;
    });
    const tooLong = new AbortController();
    try {
      await Promise.race([reading, sleep(systemClock, OUTSIDE_WAIT_MS, tooLong.signal)]);
    } catch (thrown) {
      if (outside === undefined) throw thrown;
    } finally {
      tooLong.abort();
    }
    if (outside === undefined) {
      throw new CodedError('E_DATABASE_AWAY', 'PostgreSQL has not said yet what was rejected and lost', {
        kind: 'transient',
      });
    }
    return ledgerDocument(opened.store, params.partitions, outside);
  };

  const judged = async (document: unknown): Promise<ConfigurationDocument> => {
    const cleared = clearedElsewhere(document);
    const known = await rules.known(cleared);
    return parseConfiguration(document, new Set(cleared.filter((id) => !known.has(id))));
  };

  const port: AdminPort = {
    readiness: () => {
      if (systemClock.monotonicMs() - readiness.atMs > READINESS_STALE_MS) {
        return { ready: false, reasons: ['the supervisor does not answer'] };
      }
      return { ready: readiness.ready, reasons: readiness.reasons };
    },
    status: () => calls.ask('status', undefined, CALL_TIMEOUT_MS),
    metrics: async () => {
      const samples = await calls.ask<CounterSample[]>('samples', undefined, CALL_TIMEOUT_MS);
      return expose([...samples, ...(await ledger().then(ledgerSamples, () => []))]);
    },
    ledger,
    rules: async () => {
      const [stored, snapshot] = await Promise.all([rules.list(), snapshots.load()]);
      const { version, developmentHosts, teams, destinations } = snapshot;
      return {
        version,
        rules: stored,
        development_hosts: developmentHosts,
        teams,
        destinations: destinations.map(writtenDestination),
      };
    },
    applyRules: async (document, caller) => {
      const { reason, ...configuration } = await judged(document);
      const { keyName: changedBy, correlationId } = caller;
      const applied = await rules.applyConfiguration(configuration, { changedBy, reason, correlationId });
      host.post({ type: 'configuration changed' });
      const { created, updated, unchanged, deleted, snapshotVersion } = applied;
      return {
        created,
        updated,
        unchanged,
        deleted,
        snapshot_version: snapshotVersion,
        rules: applied.rules,
      };
    },
    checkRules: async (document) => {
      await judged(document);
      return { valid: true };
    },
    restartActor: (id, how, { keyName }) =>
      calls.ask('restart', { id, how, by: keyName }, RESTART_TIMEOUT_MS),
  };

  const server = new AdminServer({
    port,
    keys: new KeyRing(params.keys, { pepper: Buffer.from(params.pepper, 'hex'), clock: systemClock }),
    clock: systemClock,
    log,
  });
  server.listen(params.addresses);
  return {
    stop: async () => {
      clearInterval(timer);
      server.close();
      await Promise.all([opened.close(), database.close()]);
    },
  };
});

/** The ledger as metrics, read at the scrape. */
function ledgerSamples(ledger: LedgerDocument): CounterSample[] {
  const gauge = (name: string, help: string, value: number): CounterSample => ({
    name,
    kind: 'gauge',
    help,
    values: [{ labels: {}, value }],
  });
  return [
    {
      name: 'mutt_ledger_terminal_events_total',
      kind: 'counter',
      help: 'Events by terminal state.',
      values: Object.entries(ledger.terminal).map(([state, value]) => ({ labels: { state }, value })),
    },
    { ...gauge('mutt_ledger_accepted_events_total', 'Events accepted.', ledger.accepted), kind: 'counter' },
    {
      ...gauge('mutt_ledger_lost_events_total', 'Acknowledged events that the store lost.', ledger.lost),
      kind: 'counter',
    },
    gauge(
      'mutt_ledger_in_flight_events',
      'Events accepted and not yet in a terminal state.',
      ledger.in_flight,
    ),
    gauge('mutt_ledger_balanced', '1 when the books of every partition balance.', ledger.balanced ? 1 : 0),
    {
      name: 'mutt_ingest_queue_depth',
      kind: 'gauge',
      help: 'Events in the ingest mailbox.',
      values: ledger.partitions.map(({ partition, lanes }) => ({
        labels: { partition: String(partition) },
        value: lanes.ingest?.messages ?? 0,
      })),
    },
    gauge(
      'mutt_alerter_queue_depth',
      'Alerts waiting for their destinations.',
      ledger.partitions.reduce((sum, { lanes, delayed }) => {
        const waiting = Object.entries(lanes).filter(([lane]) => lane.startsWith('alert:'));
        const later = Object.values(delayed).reduce((total, count) => total + count, 0);
        return sum + later + waiting.reduce((total, [, { entries }]) => total + entries, 0);
      }, 0),
    ),
  ];
}
