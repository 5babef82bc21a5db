/**
 * Finds a Redis or Valkey server to run: installed, unpacked earlier, or unpacked now from Debian's or Ubuntu's own
 * archive without installing anything.
 *
 * Invariant: what it returns has been executed once and said a version that will do.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError } from '../../runtime/errors.ts';
import { toolsDirectory } from '../data-directory.ts';
import type { ServerLog } from './private-server.ts';
import { closedAncestor } from './server-user.ts';
import type { ServerUser } from './server-user.ts';
import { libraryPathOf, unpackPackages } from './unpack-packages.ts';

export interface RedisProgram {
  file: string;
  version: string;
  /** What it needs in its environment: the path of unpacked libraries, if any. */
  env: Record<string, string>;
}

export interface FindRedisOptions {
  /** Directories to look in; `PATH` and the usual places when not given. */
  directories?: readonly string[];
  toolsDir?: string;
  user?: ServerUser | undefined;
  log?: ServerLog;
}

const NAMES = ['redis-server', 'valkey-server'];
const USUAL_DIRECTORIES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
const VERSION_MIN: readonly [number, number] = [6, 2];
const VERSION_TIMEOUT_MS = 5_000;

const run = promisify(execFile);

/** Errors: E_REDIS_MISSING, with the one command that mends it. */
export async function findRedis(options: FindRedisOptions = {}): Promise<RedisProgram> {
  const directories = options.directories ?? [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((entry) => entry.startsWith('/')),
    ...USUAL_DIRECTORIES,
  ];
  const tooOld: string[] = [];
  for (const directory of new Set(directories)) {
    for (const name of NAMES) {
      const program = await tryProgram(join(directory, name), {}, options.user);
      if (program === undefined) continue;
      if (isNewEnough(program.version)) return program;
      tooOld.push(`${program.file} is ${program.version}`);
    }
  }
  const toolsDir = options.toolsDir ?? toolsDirectory();
  const unpacked = await unpackedIn(toolsDir, options.user);
  if (unpacked !== undefined) return unpacked;
  let reason = tooOld.length > 0 ? tooOld.join(', ') : 'neither redis-server nor valkey-server is installed';
  if (process.platform === 'linux' && existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb')) {
    try {
      await unpackPackages({
        toolsDir,
        name: 'redis',
        packages: ['redis-server', 'redis-tools'],
        program: 'redis-server',
        log: options.log ?? (() => {}),
      });
      const fresh = await unpackedIn(toolsDir, options.user);
      if (fresh !== undefined) return fresh;
      reason += ', and the one unpacked from the archive does not run';
    } catch (error) {
      reason += `, and it could not be unpacked from the archive (${firstLine(error)})`;
    }
  }
  throw new CodedError('E_REDIS_MISSING', `no Redis ${VERSION_MIN.join('.')} or newer: ${reason}`, {
    mend: `Run: ${installCommand()}   (or give REDIS_URL)`,
  });
}

async function unpackedIn(toolsDir: string, user: ServerUser | undefined): Promise<RedisProgram | undefined> {
  const root = join(toolsDir, 'redis');
  const libraryPath = libraryPathOf(root);
  const program = await tryProgram(
    join(root, 'usr', 'bin', 'redis-server'),
    libraryPath === '' ? {} : { LD_LIBRARY_PATH: libraryPath },
    user,
  );
  return program !== undefined && isNewEnough(program.version) ? program : undefined;
}

async function tryProgram(
  file: string,
  env: Record<string, string>,
  user: ServerUser | undefined,
): Promise<RedisProgram | undefined> {
  if (!existsSync(file) || (user !== undefined && closedAncestor(file, user) !== undefined)) return undefined;
  try {
    const { stdout } = await run(file, ['--version'], { env, timeout: VERSION_TIMEOUT_MS });
    const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { file, version, env };
  } catch {
    return undefined;
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}

function installCommand(): string {
  const prefix = process.getuid?.() === 0 ? '' : 'sudo ';
  if (process.platform === 'darwin') return 'brew install redis';
  if (existsSync('/usr/bin/dnf')) return `${prefix}dnf install -y redis || ${prefix}dnf install -y valkey`;
  if (existsSync('/usr/bin/apt-get')) return `${prefix}apt-get install -y redis-server`;
  if (existsSync('/sbin/apk')) return `${prefix}apk add redis`;
  return 'install redis or valkey with your package manager';
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] ?? '';
}
