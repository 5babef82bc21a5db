/**
 * Entry of the admin process: the admin and health ports, with connections of its own to Redis and PostgreSQL. What
 * only the supervisor knows (the tree, the counters, what is in effect) it asks for.
 */
import type { AdminPort, Readiness } from '../../gateways/admin/admin-port.ts';
import type { ActorDocument, StatusDocument } from '../../gateways/admin/documents.ts';
import { AdminServer } from '../../gateways/admin/admin-server.ts';
import { KeyRing } from '../../gateways/http/key-ring.ts';
import type { RateLimits } from '../../gateways/http/rate-limiter.ts';
import { PostgresAuditLog } from '../../gateways/postgres/audit-log.ts';
import { PostgresConfigAudit } from '../../gateways/postgres/config-audit.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import type { Settings } from '../../actors/settings.ts';
import { systemClock } from '../../runtime/clock.ts';
import { hostProcess } from '../../runtime/process/process-host.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import { expose } from '../../runtime/telemetry/exposition.ts';
import { openLog } from '../../runtime/telemetry/log.ts';
import type { LogOptions } from '../../runtime/telemetry/log.ts';
import { Calls } from '../calls.ts';
import { openStore } from '../threads/store.ts';
import type { StoreParams } from '../threads/store.ts';
import type { AdminInForce, Applied, ToWorker } from '../threads/worker-messages.ts';
import { auditLogDocument, configAuditDocument, listed } from './documents.ts';
import { keysPort } from './keys-port.ts';
import { ledgerPorts } from './ledger-port.ts';
import { ledgerSamples } from './ledger-samples.ts';
import { LiveFeed } from './live-feed.ts';
import { rulePorts } from './rule-ports.ts';
import { settingsPort } from './settings-port.ts';

export interface AdminParams extends StoreParams, AdminInForce {
  databaseUrl: string;
  partitions: number;
  /** Hex. */
  pepper: string;
  addresses: { adminHost: string; adminPort: number; healthHost: string; healthPort: number };
  log: Omit<LogOptions, 'source'>;
}

const CALL_TIMEOUT_MS = 3_000;
const RESTART_TIMEOUT_MS = 20_000;
const READINESS_EVERY_MS = 200;
/** Without news from the supervisor for so long, nothing is known. */
const READINESS_STALE_MS = 3_000;
const CONNECTIONS_MAX = 4;

hostProcess(async (host) => {
  const params = host.params as AdminParams;
  const log = openLog({ ...params.log, source: host.slotId });
  const calls = new Calls((message) => host.post(message), systemClock);
  const pepper = Buffer.from(params.pepper, 'hex');
  const keys = new KeyRing(params.keys, { pepper, clock: systemClock });
  let inForce: AdminInForce = params;

  const opened = await openStore(params, 'mutt-admin');
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: CONNECTIONS_MAX,
    applicationName: 'mutt-admin',
  });
  const readiness = watchReadiness(calls);
  const ask = <T>(name: string): Promise<T> => calls.ask<T>(name, undefined, CALL_TIMEOUT_MS);
  const onChange = (): void => host.post({ type: 'configuration changed' });
  const stored = new Set(params.snapshot.keys.map(({ name }) => name));

  const { ledger, partitions } = ledgerPorts({
    store: opened.store,
    database,
    clock: systemClock,
    partitions: params.partitions,
    owners: () => ask('partitions'),
  });
  let version: Promise<string> | undefined;
  const port: AdminPort = {
    node: {
      readiness: readiness.now,
      status: () => ask('status'),
      version: async () => {
        version ??= ask<StatusDocument>('status').then((status) => status.version);
        version.catch(() => {
          version = undefined;
        });
        return { version: await version, node: process.version, api: ['v2', 'v1'] };
      },
    },
    settings: settingsPort({
      database,
      clock: systemClock,
      effective: () => ask('effective'),
      settings: () => inForce.settings,
      onChange,
    }),
    keys: keysPort({
      database,
      clock: systemClock,
      pepper,
      ofNode: params.keys.filter(({ name }) => !stored.has(name)),
      onChange: () => ask<void>('refreshed').catch(onChange),
    }),
    ...rulePorts(database, onChange),
    ...auditPorts(database),
    actors: {
      tree: () => ask<ActorDocument>('tree'),
      restart: (id, how, { keyName }) => calls.ask('restart', { id, how, by: keyName }, RESTART_TIMEOUT_MS),
    },
    partitions,
    ledger,
    metrics: {
      exposition: async () => {
        const samples = await ask<CounterSample[]>('samples');
        return expose([...samples, ...(await ledger.read().then(ledgerSamples, () => []))]);
      },
      rates: () => ask('rates'),
    },
  };

  const feed = new LiveFeed({
    samples: () => ask('samples'),
    ledger: () => ledger.read(),
    post: (message) => host.post(message),
    clock: systemClock,
  });
  const server = new AdminServer({
    port,
    keys,
    clock: systemClock,
    log,
    rate: rateOf(params.settings),
    stream: feed,
  });
  const apply = (news: AdminInForce): void => {
    inForce = news;
    keys.replace(news.keys);
    server.rate = rateOf(news.settings);
    log.level = news.settings['log.level'];
    host.post({ type: 'applied', version: news.version } satisfies Applied);
  };
  host.onMessage((message) => {
    if (calls.receive(message) || feed.receive(message)) return;
    if ((message as Partial<ToWorker>).type === 'snapshot') apply(message as ToWorker<AdminInForce>);
  });
  apply(params);
  server.listen(params.addresses);
  return {
    stop: async () => {
      readiness.stop();
      server.close();
      feed.close();
      await Promise.all([opened.close(), database.close()]);
    },
  };
});

function rateOf(settings: Settings): RateLimits {
  return {
    requestsPerSecond: settings['api.rate.requestsPerSecond'],
    burst: settings['api.rate.burst'],
  };
}

function auditPorts(database: Connection): Pick<AdminPort, 'configAudit' | 'auditLogs'> {
  const configAudit = new PostgresConfigAudit(database);
  const auditLog = new PostgresAuditLog(database);
  return {
    configAudit: {
      search: async (question) => listed(await configAudit.search(question), configAuditDocument),
      get: async (id) => {
        const entry = await configAudit.get(id);
        return entry === undefined ? undefined : configAuditDocument(entry);
      },
      verify: () => configAudit.verify(),
    },
    auditLogs: {
      search: async (question) => listed(await auditLog.search(question), auditLogDocument),
    },
  };
}

/** What the supervisor said last, kept fresh; it must be known without asking. */
function watchReadiness(calls: Calls): {
  now: () => Readiness;
  stop: () => void;
} {
  // Answers are heard when everything here is set up: the first is not waited for.
  let latest: Readiness & { atMs: number } = {
    ready: false,
    reasons: ['starting'],
    atMs: systemClock.monotonicMs(),
  };
  const refresh = async (): Promise<void> => {
    try {
      const news = await calls.ask<Readiness>('readiness', undefined, CALL_TIMEOUT_MS);
      latest = { ...news, atMs: systemClock.monotonicMs() };
    } catch {
      // Answered below by its age.
    }
  };
  const timer = setInterval(() => void refresh(), READINESS_EVERY_MS);
  return {
    stop: () => clearInterval(timer),
    now: () => {
      if (systemClock.monotonicMs() - latest.atMs > READINESS_STALE_MS) {
        return { ready: false, reasons: ['the supervisor does not answer'] };
      }
      return { ready: latest.ready, reasons: latest.reasons };
    },
  };
}
