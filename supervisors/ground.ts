/**
 * What everything in a node stands on: the two stores with their addresses, checked and prepared, the rule set, the
 * leases. Opened once the stores run, closed after everything above it has stopped.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { checkChange } from '../actors/settings.ts';
import { openConnection } from '../gateways/postgres/connection.ts';
import { createAuditMonths } from '../gateways/postgres/audit-months.ts';
import { PostgresOutboxStore } from '../gateways/postgres/outbox-store.ts';
import { PostgresOwnAlertStore } from '../gateways/postgres/own-alert-store.ts';
import { PostgresRuleActivityStore } from '../gateways/postgres/rule-activity-store.ts';
import { PostgresRuleSuspensionStore } from '../gateways/postgres/rule-suspension-store.ts';
import { PostgresSettingsStore } from '../gateways/postgres/settings-store.ts';
import { PostgresSnapshotSource } from '../gateways/postgres/snapshot-source.ts';
import { PostgresStoreAdoption } from '../gateways/postgres/store-adoption.ts';
import { PostgresWitnessStore } from '../gateways/postgres/witness-store.ts';
import { connectRedis, whenReady } from '../gateways/redis/connection.ts';
import { SnapshotChannel } from '../gateways/redis/snapshot-channel.ts';
import { systemClock } from '../runtime/clock.ts';
import { REPLY_TIMEOUT_MS } from '../runtime/durable/redis-store.ts';
import { readStoreSettings, assertStoreIsSafe } from '../runtime/durable/store-safety.ts';
import type { StoreSafetyOptions } from '../runtime/durable/store-safety.ts';
import type { DurableStore } from '../runtime/durable/durable-store.ts';
import { CodedError, codeOf, kindOf, messageOf } from '../runtime/errors.ts';
import { mailboxBounds } from './mailbox-bounds.ts';
import type { MailboxBounds } from './mailbox-bounds.ts';
import { PartitionLeases } from './partition-leases.ts';
import { prepareDatabase, withPatience } from './prepare-database.ts';
import type { PrepareOptions } from './prepare-database.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import { keepStoreName } from './store-name.ts';
import type { StaticConfig } from './static-config.ts';
import { openStore } from './threads/store.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface GroundOptions extends PrepareOptions {
  config: StaticConfig;
  dataDir: string;
  redisUrl: string;
  /** Hex. Nodes that share it believe each other's snapshots. */
  pepper: string;
  /** Names this installation in its leases: the same after a restart, so that nobody waits for their expiry. */
  nonce: string;
  /** Aborted when the node stops: a ground that is being opened is given up. */
  signal: AbortSignal;
}

export const LEASED_ROLES = ['match', 'forward', 'remediation'] as const;
export type LeasedRole = (typeof LEASED_ROLES)[number];

export interface Ground {
  store: DurableStore;
  storeName: string;
  snapshots: SnapshotKeeper;
  settings: PostgresSettingsStore;
  ruleActivity: PostgresRuleActivityStore;
  ruleSuspensions: PostgresRuleSuspensionStore;
  witness: PostgresWitnessStore;
  ownAlerts: PostgresOwnAlertStore;
  leases: Record<LeasedRole, PartitionLeases>;
  bounds: MailboxBounds;
  /** What Redis must be for an acknowledgement to be true. */
  safety: StoreSafetyOptions;
  /** What PostgreSQL remembers of acknowledged sequences. */
  witnessed: [partition: number, accepted: number][];
  /** Whether Redis has answered lately. */
  isStoreThere(): boolean;
  /** Why a Redis that answers is not safe to use, as it was found last. */
  storeTrouble(): string | undefined;
  /** Never rejects. Safe to call twice. */
  close(): Promise<void>;
}

/** In the data directory. */
export const SNAPSHOT_FILE = 'snapshot.json';
const STORE_NAME_FILE = 'store-name';
const CONNECT_TIMEOUT_MS = 5_000;
/** Of its own: to read, and to settle notices. */
const SNAPSHOT_CONNECTIONS_MAX = 2;
/** While PostgreSQL is silent there are so many attempts at once as begin in this time. */
const SNAPSHOT_CONNECT_TIMEOUT_MS = 3_000;
const MONTHS_EVERY_MS = 6 * 3_600_000;
/** Far more often than a store is taken for gone (store-adoption.ts). */
const NOTE_STORE_EVERY_MS = 20_000;
const PING_EVERY_MS = 500;
const PING_STALE_MS = 2_000;
/** With settings that cannot be read, a small server is assumed. */
const MAXMEMORY_ASSUMED_BYTES = 1024 ** 3;
/** Lanes are sized for this many destinations from the start, so that adding one needs no new bounds. */
const DESTINATIONS_PLANNED = 4;
const PARTITIONS_KEY = 'partitions';

/** Rejects with what keeps the node from starting, or at once with E_INTERRUPTED; everything is closed again then. */
export function openGround(options: GroundOptions): Promise<Ground> {
  return unlessAborted(open(options), options.signal, (ground) => ground.close());
}

async function open(options: GroundOptions): Promise<Ground> {
  const { config, log } = options;
  const database = openConnection({
    url: options.databaseUrl,
    connectionsMax: 4,
    applicationName: 'mutt-supervisor',
  });
  const snapshotDatabase = openConnection({
    url: options.databaseUrl,
    connectionsMax: SNAPSHOT_CONNECTIONS_MAX,
    connectTimeoutMs: SNAPSHOT_CONNECT_TIMEOUT_MS,
    applicationName: 'mutt-snapshot',
  });
  const channel = new SnapshotChannel({
    url: options.redisUrl,
    keyPrefix: config.keyPrefix,
    pepper: Buffer.from(options.pepper, 'hex'),
  });
  const snapshots = new SnapshotKeeper(
    new PostgresSnapshotSource(snapshotDatabase),
    join(options.dataDir, SNAPSHOT_FILE),
    log,
    { channel, outbox: new PostgresOutboxStore(snapshotDatabase) },
  );
  const closers: (() => Promise<void>)[] = [
    () => database.close(),
    () => snapshotDatabase.close(),
    async () => channel.close(),
  ];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (const closeOne of closers.reverse()) {
        await closeOne().catch((thrown: unknown) => {
          log.warn({ code: codeOf(thrown), message: messageOf(thrown) }, 'a connection could not be closed');
        });
      }
    })();
    return closing;
  };
  try {
    const closed = new AbortController();
    closers.push(async () => closed.abort());
    await prepareDatabase(options, closed.signal, () => snapshots.hear());
    const monthsTimer = setInterval(() => void keepMonths(options), MONTHS_EVERY_MS);
    closers.push(async () => clearInterval(monthsTimer));
    const { storeName, bounds, safety, stopWatching, isThere, trouble } = await checkStore(options);
    closers.push(async () => stopWatching());
    const opened = await openStore(
      { redisUrl: options.redisUrl, keyPrefix: config.keyPrefix },
      'mutt-supervisor',
    );
    closers.push(() => opened.close());
    await startSnapshots(snapshots);
    closers.push(() => snapshots.stop());
    const leases = {} as Ground['leases'];
    for (const role of LEASED_ROLES) {
      leases[role] = new PartitionLeases({
        store: opened.store,
        laneGroup: role,
        nonce: options.nonce,
        ttlMs: config.leaseTtlMs,
        partitions: config.partitions,
        log,
      });
      closers.push(() => leases[role].stop());
      await leases[role].start();
    }
    const stores = new PostgresStoreAdoption(database);
    // When PostgreSQL is away, the next time will do.
    const noteStore = (): void =>
      void stores.note(storeName, `${hostname()}:${config.adminPort}`).catch(() => undefined);
    noteStore();
    const storeTimer = setInterval(noteStore, NOTE_STORE_EVERY_MS);
    closers.push(async () => clearInterval(storeTimer));
    const witness = new PostgresWitnessStore(database, storeName);
    const witnessed = (await witness.list().catch(() => [])).map(
      ({ partition, sequence }): [number, number] => [partition, sequence],
    );
    return {
      store: opened.store,
      storeName,
      snapshots,
      settings: new PostgresSettingsStore(database, (values, key) =>
        checkChange(key, values, config.settings),
      ),
      ruleActivity: new PostgresRuleActivityStore(database),
      ruleSuspensions: new PostgresRuleSuspensionStore(database),
      witness,
      ownAlerts: new PostgresOwnAlertStore(database, options.nonce),
      leases,
      bounds,
      safety,
      witnessed,
      isStoreThere: isThere,
      storeTrouble: trouble,
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function startSnapshots(snapshots: SnapshotKeeper): Promise<void> {
  try {
    await snapshots.start();
  } catch (thrown) {
    if (kindOf(thrown) !== 'transient') throw thrown;
    throw new CodedError(
      'E_DATABASE_UNREACHABLE',
      `PostgreSQL cannot be reached, and no rule set has been kept on disk yet: ${messageOf(thrown)}`,
      { kind: 'transient', mend: 'Start it, or correct DATABASE_URL.' },
    );
  }
}

/** Months of audit rows are made ahead of need; what came too early for its month is moved. */
async function keepMonths(options: GroundOptions): Promise<void> {
  try {
    await withPatience(options.databaseUrl, (connection) =>
      createAuditMonths(connection, systemClock.wallMs()),
    );
  } catch (thrown) {
    options.log.warn({ code: codeOf(thrown), message: messageOf(thrown) }, 'audit months cannot be made now');
  }
}

/** Refuses a Redis that could lose what was acknowledged; after a reconnect the node is not ready with one. */
async function checkStore(options: GroundOptions): Promise<{
  storeName: string;
  bounds: MailboxBounds;
  safety: StoreSafetyOptions;
  stopWatching: () => void;
  isThere: () => boolean;
  trouble: () => string | undefined;
}> {
  const { config, log } = options;
  const connection = connectRedis({ url: options.redisUrl, name: 'mutt-watch' });
  try {
    await whenReady(connection, CONNECT_TIMEOUT_MS);
    const settings = await readStoreSettings(connection);
    const bounds = mailboxBounds({
      // Without a limit it is refused below, with what it takes as a proposal.
      maxmemoryBytes:
        settings.maxmemoryBytes === undefined || settings.maxmemoryBytes === 0
          ? MAXMEMORY_ASSUMED_BYTES
          : settings.maxmemoryBytes,
      partitions: config.partitions,
      destinations: DESTINATIONS_PLANNED,
    });
    const safety: StoreSafetyOptions = {
      ackLevel: config.ackLevel,
      boundsBytes: bounds.bytesTotal,
      isUnreadableConfigAccepted: config.trustRedis,
    };
    await assertStoreIsSafe(connection, safety);
    await keepPartitions(connection, config);
    const storeName = await keepStoreName(
      connection,
      config.keyPrefix,
      join(options.dataDir, STORE_NAME_FILE),
      log,
    );

    let answeredAtMs = systemClock.monotonicMs();
    /** When the connection was made, or answered last. */
    let heardAtMs = answeredAtMs;
    let isLooking = false;
    let trouble: string | undefined;
    // Replicas come and go while the connection to the master stands.
    const isCheckedOnce = config.ackLevel !== 'replicated';
    let isChecked = isCheckedOnce;
    connection.on('close', () => {
      isChecked = false;
    });
    connection.on('ready', () => {
      heardAtMs = systemClock.monotonicMs();
    });
    const timer = setInterval(() => {
      if (connection.status === 'ready' && systemClock.monotonicMs() - heardAtMs > REPLY_TIMEOUT_MS) {
        connection.disconnect(true);
      }
      if (isLooking) return;
      isLooking = true;
      const look = async (): Promise<void> => {
        await connection.ping();
        if (!isChecked) {
          trouble = await assertStoreIsSafe(connection, safety).then(
            () => undefined,
            (thrown: unknown) => {
              const message = messageOf(thrown);
              // Once, not at every look until it is mended.
              if (trouble === undefined) {
                log.error({ code: codeOf(thrown), message }, 'Redis is no longer safe to use');
              }
              return message;
            },
          );
          isChecked = trouble === undefined && isCheckedOnce;
        }
        answeredAtMs = systemClock.monotonicMs();
        heardAtMs = answeredAtMs;
      };
      look()
        .catch(() => undefined)
        .finally(() => {
          isLooking = false;
        });
    }, PING_EVERY_MS);
    return {
      storeName,
      bounds,
      safety,
      stopWatching: () => {
        clearInterval(timer);
        connection.disconnect();
      },
      trouble: () => trouble,
      isThere: () => trouble === undefined && systemClock.monotonicMs() - answeredAtMs < PING_STALE_MS,
    };
  } catch (thrown) {
    connection.disconnect();
    throw explained(thrown);
  }
}

const ACK_SWITCH =
  'MUTT_ACK_LEVEL=written does that: a machine that dies may then lose what was acknowledged.';
const REPLICA_SWITCH =
  'MUTT_ACK_LEVEL=fsynced does that: a fail-over may then lose what was acknowledged, and says how much.';
/** The variables behind what the runtime proposes. */
const SWITCHES: Partial<Record<string, string>> = {
  E_STORE_APPENDONLY: ACK_SWITCH,
  E_STORE_FSYNC: ACK_SWITCH,
  E_STORE_FSYNC_ON_REWRITE: ACK_SWITCH,
  E_STORE_MIN_REPLICAS: REPLICA_SWITCH,
  E_STORE_REPLICA_LAG: REPLICA_SWITCH,
  E_STORE_NO_REPLICA: REPLICA_SWITCH,
  E_STORE_CONFIG_UNREADABLE: 'MUTT_TRUST_REDIS=yes confirms that.',
};

/** Names the variable that mends it: the runtime below knows none. */
function explained(thrown: unknown): unknown {
  const code = codeOf(thrown);
  if (code === 'E_PARTITIONS_CHANGED') return thrown;
  if (code.startsWith('E_STORE_') && kindOf(thrown) === 'permanent') {
    const { mend, details } = thrown as CodedError;
    return new CodedError(code, `Redis is not safe to use: ${messageOf(thrown)}`, {
      mend: `${mend ?? ''} ${SWITCHES[code] ?? ''}`.trim(),
      details,
      cause: thrown,
    });
  }
  return new CodedError('E_REDIS_UNREACHABLE', `Redis cannot be used: ${messageOf(thrown)}`, {
    kind: 'transient',
    mend: 'Start it, or correct REDIS_URL (address, master group, user and password).',
  });
}

/** The number of partitions belongs to the installation: with another one, hosts would change their partition. */
async function keepPartitions(
  connection: ReturnType<typeof connectRedis>,
  config: StaticConfig,
): Promise<void> {
  const key = `${config.keyPrefix}:${PARTITIONS_KEY}`;
  await connection.setnx(key, String(config.partitions));
  const kept = Number(await connection.get(key));
  if (kept === config.partitions) return;
  throw new CodedError(
    'E_PARTITIONS_CHANGED',
    `this installation has ${kept} partitions, not ${config.partitions}`,
    {
      mend: `Set MUTT_PARTITIONS=${kept}, or unset it.`,
      details: { kept, given: config.partitions },
    },
  );
}
