/**
 * Entry of the admin process: the admin and health ports, with connections of its own to Redis and PostgreSQL. What
 * only the supervisor knows (the tree, the counters, what is in effect) it asks for.
 */
import type { AdminPort, Caller, Readiness } from '../../gateways/admin/admin-port.ts';
import type { ActorDocument } from '../../gateways/admin/documents.ts';
import type { StatusDocument } from '../../gateways/admin/status-document.ts';
import { AdminServer } from '../../gateways/admin/admin-server.ts';
import { KeyRing } from '../../gateways/http/key-ring.ts';
import type { RateLimits } from '../../gateways/http/rate-limiter.ts';
import { PostgresAuditLog } from '../../gateways/postgres/audit-log.ts';
import { PostgresConfigAudit } from '../../gateways/postgres/config-audit.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresAlertOutbox } from '../../gateways/postgres/alert-outbox.ts';
import { PostgresLetterOperations } from '../../gateways/postgres/letter-operations.ts';
import { PostgresStoreAdoption } from '../../gateways/postgres/store-adoption.ts';
import { PostgresLineageLog } from '../../gateways/postgres/lineage-log.ts';
import { PostgresTeamStore } from '../../gateways/postgres/team-store.ts';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import type { SecretPlaces } from '../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { PostgresRuleStore } from '../../gateways/postgres/rule-store.ts';
import { canonicalHostname } from '../../actors/hostname.ts';
import type { Settings } from '../../actors/settings.ts';
import { Calls } from '../../runtime/calls.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Bounds } from '../../runtime/durable/durable-store.ts';
import type { StoreSafetyOptions } from '../../runtime/durable/store-safety.ts';
import { hostProcess } from '../../runtime/process/process-host.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import type { ChildOperation } from '../../runtime/supervision/child-operation.ts';
import { expose } from '../../runtime/telemetry/exposition.ts';
import { openLog } from '../../runtime/telemetry/log.ts';
import type { LogOptions } from '../../runtime/telemetry/log.ts';
import { booksRead } from '../own-alerts/books-read.ts';
import { rejectBounds } from '../reject-bounds.ts';
import { openStore } from '../threads/store.ts';
import type { StoreParams } from '../threads/store.ts';
import type { AdminInForce, Applied, ToWorker } from '../threads/worker-messages.ts';
import { adoptionsPort } from './adoptions-port.ts';
import { Books } from './books.ts';
import { auditLogDocument, configAuditDocument, listed } from './documents.ts';
import { DestinationTester } from './destination-tests.ts';
import { failuresPort } from './failures-port.ts';
import { keysPort } from './keys-port.ts';
import { ledgerPort } from './ledger-port.ts';
import { ledgerSamples, rejectSamples } from './ledger-samples.ts';
import { lineagePort } from './lineage-port.ts';
import { OutboxCheck } from './outbox-check.ts';
import { LiveFeed } from './live-feed.ts';
import { partitionsPort } from './partitions-port.ts';
import { replaysPort } from './replays-port.ts';
import { rulePorts } from './rule-ports.ts';
import { RuleBuilder } from '../rule-set/rule-builder.ts';
import { ruleTrials } from './rule-trials.ts';
import { ResubmissionStore } from './resubmission-store.ts';
import { settingsPort } from './settings-port.ts';
import { unmatchedPort } from './unmatched-port.ts';

export interface AdminParams extends StoreParams, AdminInForce {
  databaseUrl: string;
  storeName: string;
  partitions: number;
  /** Of the ingest mailbox, from the memory of the store. */
  bounds: Bounds;
  /** What the store must be for an acknowledgement to be true. */
  safety: StoreSafetyOptions;
  /** Hex. */
  pepper: string;
  secretPlaces: SecretPlaces;
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
  const operate = <T>(operation: ChildOperation, id: string, { keyName }: Caller): Promise<T> =>
    calls.ask('operate', { operation, id, by: keyName }, RESTART_TIMEOUT_MS);
  const onChange = (): void => host.post({ type: 'configuration changed' });
  const stored = new Set(params.storedKeys);

  const ruleBuilder = new RuleBuilder();
  const testClient = new HttpWebhookClient({
    secrets: new SecretSource(() => systemClock.monotonicMs(), params.secretPlaces),
    connectionsMax: CONNECTIONS_MAX,
  });
  const outbox = new PostgresAlertOutbox(database, params.storeName);
  const books = new Books({
    store: opened.store,
    outbox: new OutboxCheck(outbox, systemClock),
    clock: systemClock,
    partitions: params.partitions,
    onRead: (ledgers) => host.post(booksRead(ledgers)),
  });
  const ledger = ledgerPort({
    books,
    database,
    storeName: params.storeName,
    clock: systemClock,
  });
  const partitions = partitionsPort({
    store: opened.store,
    books,
    ledger,
    owners: () => ask('partitions'),
    destinations: () => inForce.destinations.map(({ name }) => name),
  });
  const rules = new PostgresRuleStore(database);
  const teams = new PostgresTeamStore(database);
  const resubmissions = new ResubmissionStore(params, params.safety);
  const letters = new PostgresLetterOperations(database);
  const failures = failuresPort({
    database,
    letters,
    store: () => resubmissions.open(),
    storeName: params.storeName,
    partitions: params.partitions,
    bounds: () => ({ ...params.bounds, messagesMax: inForce.settings['mailbox.ingest.eventsMax'] }),
    rejectBounds: () => rejectBounds(inForce.settings),
    clock: systemClock,
    log,
  });
  const trials = ruleTrials({
    databaseUrl: params.databaseUrl,
    clock: systemClock,
    unmatchedPolicy: () => inForce.settings['audit.unmatched.policy'],
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
    ...rulePorts({
      database,
      onChange,
      builder: ruleBuilder,
      secretPlaces: params.secretPlaces,
      tester: new DestinationTester({ client: testClient, clock: systemClock }),
    }),
    ruleTrials: trials,
    ...auditPorts(database),
    events: lineagePort({
      log: new PostgresLineageLog(database),
      store: opened.store,
      outbox,
      partitions: params.partitions,
      clock: systemClock,
      auditPolicy: () => inForce.settings['audit.unmatched.policy'],
      rule: (id) => rules.get(id),
      nearest: (event, signal) => trials.nearest(event, signal),
      partitionList: () => partitions.list(),
    }),
    failures,
    adoptions: adoptionsPort({
      adoptions: new PostgresStoreAdoption(database),
      storeName: params.storeName,
      partitions: params.partitions,
    }),
    replays: replaysPort({ letters, destinations: () => inForce.destinations.map(({ name }) => name) }),
    unmatched: unmatchedPort({
      database,
      teamOf: async (host) => (await teams.get(host))?.team,
      fallbackTeam: () => inForce.settings['unmatched.team'],
    }),
    actors: {
      tree: () => ask<ActorDocument>('tree'),
      restart: (id, how, { keyName }) => calls.ask('restart', { id, how, by: keyName }, RESTART_TIMEOUT_MS),
      suspend: (id, caller) => operate('suspend', id, caller),
      resume: (id, caller) => operate('resume', id, caller),
      inspect: (id, caller) => operate('inspect', id, caller),
    },
    partitions,
    ledger,
    metrics: {
      exposition: async () => {
        const samples = await ask<CounterSample[]>('samples');
        const [books, rejects] = await Promise.all([
          ledger.read().then(ledgerSamples, () => []),
          ledger.rejects().then(rejectSamples, () => []),
        ]);
        return expose([...samples, ...books, ...rejects]);
      },
      rates: () => ask('rates'),
      latency: () => ask('latency'),
      slo: () => ask('slo'),
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
    log.debug({ version: news.version, api_keys: news.keys.length }, 'configuration applied');
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
      books.stop();
      failures.stop();
      testClient.close();
      await Promise.all([
        opened.close(),
        resubmissions.close(),
        trials.close(),
        database.close(),
        ruleBuilder.close(),
      ]);
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
      search: async (question) => {
        const hostname = question.hostname === undefined ? undefined : canonicalHostname(question.hostname);
        return listed(await auditLog.search({ ...question, hostname }), auditLogDocument);
      },
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
