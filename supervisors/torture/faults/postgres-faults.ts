/** The PostgreSQL that both nodes share: away, stopped, locked, without room. */
import { readFileSync, readdirSync } from 'node:fs';
import { LimitedWrites } from '../limited-writes.ts';
import { send } from '../signals.ts';
import { between, lasting, persistently } from './fault.ts';
import type { FaultKind, Harm } from './fault.ts';
import { stopFor } from './process-faults.ts';
import { writesUnlimitable } from './redis-faults.ts';

const LOCK_MS = { min: 1_000, max: 5_000 };
const FULL_MS = { min: 1_000, max: 5_000 };
const SCRIPTS = new URL('../../../sql/torture/', import.meta.url);

async function lock({ rig, random, signal }: Harm): Promise<void> {
  const scripts = readdirSync(SCRIPTS).filter((file) => file.endsWith('.sql'));
  const script = scripts[Math.floor(random() * scripts.length)] ?? '';
  const text = readFileSync(new URL(script, SCRIPTS), 'utf8');
  const lockMs = between(random, LOCK_MS.min, LOCK_MS.max);
  await persistently(() => rig.postgres.oracle.hold(text, script, () => lasting(lockMs, signal)), signal);
}

async function fillDisk({ rig, random, signal }: Harm): Promise<void> {
  const all = (): number[] => rig.postgres.pids;
  const disk = new LimitedWrites(all, all);
  disk.fill();
  try {
    await lasting(between(random, FULL_MS.min, FULL_MS.max), signal);
  } finally {
    disk.free();
  }
}

export const POSTGRES_FAULTS: readonly FaultKind[] = [
  {
    name: 'postgres-kill',
    what: 'PostgreSQL gets SIGKILL; a service manager starts it again',
    takes: ['postgres'],
    inject: async ({ rig }) => send(rig.postgres.pid, 'SIGKILL'),
  },
  {
    name: 'postgres-backend-kill',
    what: 'the server process of one connection gets SIGKILL: PostgreSQL ends all others and recovers',
    takes: ['postgres'],
    async inject({ rig, random, signal }) {
      const pids = await persistently(() => rig.postgres.oracle.otherBackends(), signal);
      const pid = pids[Math.floor(random() * pids.length)];
      if (pid === undefined) throw new Error('nobody is connected to PostgreSQL');
      send(pid, 'SIGKILL');
    },
  },
  {
    name: 'postgres-stop',
    what: 'all processes of PostgreSQL are stopped and continued',
    takes: ['postgres'],
    inject: (harm) => stopFor(harm, 'PostgreSQL', ({ rig }) => rig.postgres.pids),
  },
  {
    name: 'postgres-connections-cut',
    what: 'PostgreSQL ends every connection (pg_terminate_backend)',
    takes: ['postgres'],
    inject: async ({ rig, signal }) =>
      void (await persistently(() => rig.postgres.oracle.endOtherConnections(), signal)),
  },
  {
    name: 'postgres-lock',
    what: 'a lock is held on the audit log, the dead letters or the configuration for seconds',
    takes: ['postgres'],
    inject: lock,
  },
  {
    name: 'postgres-disk-full',
    what: 'the disk under PostgreSQL is full: nothing it writes to a file fits (RLIMIT_FSIZE of 0)',
    takes: ['postgres'],
    impossible: writesUnlimitable,
    inject: fillDisk,
  },
];
