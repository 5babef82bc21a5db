/**
 * The program that `full-disk.spec.ts` runs on small disks: two nodes under traffic with known ids, whose disks become
 * full and get room again. Its last line is what came of it, as JSON.
 *
 *   full-disk-run.ts <way> <directory for Redis> <for PostgreSQL> <for a whole node>
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findRedis } from '../../supervisors/embedded/find-redis.ts';
import { serverUser } from '../../supervisors/embedded/server-user.ts';
import { descendantsOf } from '../../supervisors/process-identity.mjs';
import type { NodeUnderTest } from '../support/node-under-test.ts';
import { processesOf, until } from '../support/node-under-test.ts';
import { LimitedWrites, MountedDisk } from '../support/small-disk.ts';
import type { DiskWay, SmallDisk } from '../support/small-disk.ts';
import { killRun } from './kill-run.ts';
import type { KillRunRow } from './kill-run.ts';
import type { KnownTraffic } from './known-traffic.ts';
import { queryNode } from './node-database.ts';

/** What a full disk lies under. */
export type Place = 'redis' | 'postgres' | 'everything';
type Store = 'redis' | 'postgres';

export interface FullDiskRow {
  place: Place;
  /** Events answered 200 while the disk was full. */
  answeredWhileFull: number;
  /** 503s while the disk was full, by their code. */
  refusals: Record<string, number>;
  /** How often each store ended or did not start while its disk was full, and the last reason. */
  ends: Partial<Record<Store, { count: number; reason: string }>>;
  /** Restarts of the stores that were counted towards giving up. */
  counted: number;
  /** Everything but the stores that was started again. */
  restarted: string[];
  /** Until an event was taken again, since there was room. */
  recoveryMs: number | undefined;
}

export interface FullDiskResult {
  way: DiskWay;
  rows: FullDiskRow[];
  runs: KillRunRow[];
}

interface Disks {
  /** Those that fill up together for each place. */
  of(node: NodeUnderTest, place: Place): Promise<SmallDisk>;
  env: NodeJS.ProcessEnv;
  prepare(node: NodeUnderTest, places: readonly Place[]): void;
}

const SEED = 20_260_707;
const EVENTS_PER_SECOND = 1_000;
const QUIET_MS = 300;
const STORES_OF: Record<Place, readonly Store[]> = {
  redis: ['redis'],
  postgres: ['postgres'],
  everything: ['redis', 'postgres'],
};
/** So often must each store fail before it gets room: by then a restart has become slow. */
const ENDS_MIN: Record<Store, number> = { redis: 5, postgres: 3 };
const WAIT_MS = 40_000;
/** More than the events of the requests that were under way when the disk became full. */
const TAKEN_MIN = 500;
const LOG_CHARS_SHOWN = 4_000;

async function main([way, ...directories]: string[]): Promise<FullDiskResult> {
  const disks = way === 'limited' ? await limitedDisks(directories) : mountedDisks(directories);
  const rows: FullDiskRow[] = [];
  const runs: KillRunRow[] = [];
  for (const places of [['redis', 'postgres'], ['everything']] as const) {
    let node: NodeUnderTest | undefined;
    runs.push(
      await killRun({
        seed: SEED + runs.length,
        eventsPerSecond: EVENTS_PER_SECOND,
        env: disks.env,
        prepare: (prepared) => {
          node = prepared;
          disks.prepare(prepared, places);
        },
        harm: async (_injector, traffic) => {
          for (const place of places) rows.push(await fillUp(node as NodeUnderTest, traffic, place, disks));
          return [];
        },
      }),
    );
  }
  return { way: way as DiskWay, rows, runs };
}

async function fillUp(
  node: NodeUnderTest,
  traffic: KnownTraffic,
  place: Place,
  disks: Disks,
): Promise<FullDiskRow> {
  const stores = STORES_OF[place];
  await sleep(QUIET_MS);
  const answeredBefore = traffic.answered.size;
  const refusalsBefore = new Map(traffic.refusals);
  const restartsBefore = await restarts(node);
  const disk = await disks.of(node, place);
  const ends: FullDiskRow['ends'] = {};
  disk.fill();
  try {
    if (place === 'postgres') {
      // First it only has no room for rows, and then none for its log either.
      await until(
        async () => traffic.answered.size - answeredBefore >= TAKEN_MIN,
        WAIT_MS,
        () => `no events are taken while PostgreSQL has no room:\n${account(node)}`,
      );
    }
    await until(
      async () => {
        if (stores.includes('postgres')) await exhaustWal(node);
        const actors = await node.actors().catch(() => []);
        for (const { id, restarts: count, exits = [] } of actors) {
          const store = stores.find((each) => each === id);
          if (store === undefined) continue;
          ends[store] = {
            count: count - (restartsBefore.get(store) ?? 0),
            reason: exits.at(-1)?.reason ?? '',
          };
        }
        const isRefused = !stores.includes('redis') || refusalsSince(traffic, refusalsBefore).size > 0;
        return isRefused && stores.every((store) => (ends[store]?.count ?? 0) >= ENDS_MIN[store]);
      },
      WAIT_MS,
      () => `a full disk under ${place} is not felt: ${JSON.stringify(ends)}\n${account(node)}`,
    );
  } finally {
    disk.free();
  }
  const freedMs = performance.now();
  const answeredWhileFull = traffic.answered.size - answeredBefore;
  const refusals = Object.fromEntries(refusalsSince(traffic, refusalsBefore));
  await until(
    async () => {
      const actors = await node.actors().catch(() => []);
      const isBack = stores.every((store) =>
        actors.some(({ id, status }) => id === store && status === 'running'),
      );
      return isBack && traffic.recoveryMs(freedMs) !== undefined && (await isAnswering(node));
    },
    WAIT_MS,
    () => `the node does not heal after a full disk under ${place}:\n${account(node)}`,
  );
  const restartsAfter = await restarts(node);
  return {
    place,
    answeredWhileFull,
    refusals,
    ends,
    counted: countedRestarts(node),
    restarted: [...restartsAfter]
      .filter(
        ([id, count]) => count !== restartsBefore.get(id) && !(stores as readonly string[]).includes(id),
      )
      .map(([id]) => id),
    recoveryMs: traffic.recoveryMs(freedMs),
  };
}

function refusalsSince(traffic: KnownTraffic, earlier: ReadonlyMap<string, number>): Map<string, number> {
  const counts = [...traffic.refusals].map(([code, n]): [string, number] => [
    code,
    n - (earlier.get(code) ?? 0),
  ]);
  return new Map(counts.filter(([, count]) => count > 0));
}

async function restarts(node: NodeUnderTest): Promise<Map<string, number>> {
  return new Map((await node.actors()).map(({ id, restarts: count }) => [id, count]));
}

/** From the log, whose lines have waited in memory while there was no room for them. */
function countedRestarts(node: NodeUnderTest): number {
  const log = readFileSync(join(node.dir, 'log', 'mutt.log'), 'utf8');
  const events = [
    ...log.matchAll(/"childRestarting","child":"(?:redis|postgres)".*?"counted":(true|false)/g),
  ];
  if (events.length === 0) throw new Error('the log tells of no restart');
  return events.filter(([, isCounted]) => isCounted === 'true').length;
}

/** A segment of the log is made in one piece, so a full disk is felt there only when the last one has been used up. */
async function exhaustWal(node: NodeUnderTest): Promise<void> {
  await queryNode(node.dir, `SELECT pg_logical_emit_message(true, 'spec', 'x'), pg_switch_wal()`).catch(
    () => undefined,
  );
}

async function isAnswering(node: NodeUnderTest): Promise<boolean> {
  return queryNode(node.dir, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

function mountedDisks([redis = '', postgres = '', whole = '']: string[]): Disks {
  const directoryOf: Record<Place, string> = { redis, postgres, everything: whole };
  return {
    env: {},
    of: async (_node, place) => new MountedDisk(directoryOf[place]),
    prepare(node, places) {
      if (places.includes('everything')) {
        symlinkSync(whole, node.dir);
        return;
      }
      mkdirSync(node.dir, { mode: 0o711 });
      // Else it would take the directories of the stores for data whose format is unknown.
      writeFileSync(join(node.dir, 'FORMAT'), 'mutt-data 1\n');
      for (const place of places) symlinkSync(directoryOf[place], join(node.dir, place));
    },
  };
}

async function limitedDisks([tools = '']: string[]): Promise<Disks> {
  const { file, env } = await findRedis({ user: serverUser(['redis', 'valkey', 'nobody']) });
  // With the signal ignored a write fails as on a full disk; its default would end Redis before it can say why.
  const libraries = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
  const shim = `#!/bin/sh\ntrap '' XFSZ\n${libraries.join('')}exec '${file}' "$@"\n`;
  writeFileSync(join(tools, 'redis-server'), shim, { mode: 0o755 });
  return {
    env: { PATH: `${tools}:${process.env['PATH']}` },
    of: async (node, place) => {
      const all = (): number[] => withChildren(processesOf(node.dir));
      if (place === 'everything') return new LimitedWrites(all, all);
      const { pid = 0 } = await node.actor(place);
      // The supervisor too: what it starts inherits its limit.
      return new LimitedWrites(() => [node.pid, ...withChildren([pid])], all);
    },
    prepare: () => undefined,
  };
}

/** What the node has said, for the report of a run that went wrong. */
function account(node: NodeUnderTest): string {
  return `${node.output}\n${readFileSync(join(node.dir, 'log', 'mutt.log'), 'utf8').slice(-LOG_CHARS_SHOWN)}`;
}

function withChildren(pids: readonly number[]): number[] {
  return [...new Set(pids.flatMap((pid) => [pid, ...descendantsOf(pid)]))];
}

const result = await main(process.argv.slice(2));
console.log(JSON.stringify(result));
