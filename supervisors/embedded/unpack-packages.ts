/**
 * Unpacks programs from Debian's or Ubuntu's own archive into the tools directory, as root or not, installing nothing:
 * `apt-get download` with list and cache directories of our own, then `dpkg-deb -x`.
 *
 * Invariant: `<tools>/<name>` appears whole or not at all, and nothing outside the tools directory changes.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError } from '../../runtime/errors.ts';
import { waitForLock } from '../exclusive-lock.mjs';
import type { ServerLog } from './private-server.ts';

const COMMAND_TIMEOUT_MS = 120_000;

const run = promisify(execFile);

export interface UnpackOptions {
  toolsDir: string;
  /** The directory below it. */
  name: string;
  packages: readonly string[];
  /** What must be in `usr/bin` or `usr/sbin` afterwards. */
  program: string;
  log: ServerLog;
}

/** Errors: E_UNPACK, or those of the commands it runs. */
export async function unpackPackages(options: UnpackOptions): Promise<void> {
  const { toolsDir, name, packages, program } = options;
  mkdirSync(toolsDir, { recursive: true, mode: 0o755 });
  const target = join(toolsDir, name);
  const lock = await waitForLock(join(toolsDir, `${name}.lock`));
  const work = join(toolsDir, `${name}.draft`);
  try {
    if (holds(target, program)) return;
    options.log(`${name}: none installed; unpacking one from the distribution archive (installs nothing)`);
    rmSync(work, { recursive: true, force: true });
    const root = join(work, 'root');
    const downloads = join(work, 'downloads');
    const lists = join(work, 'lists');
    const cache = join(work, 'cache');
    for (const directory of [root, downloads, join(lists, 'partial'), join(cache, 'archives', 'partial')]) {
      mkdirSync(directory, { recursive: true, mode: 0o755 });
    }
    const own = [
      ...['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${cache}`],
      ...['-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'Debug::NoLocking=1'],
      // As root apt would change to a user that cannot write here.
      ...['-o', 'APT::Sandbox::User=root', '-o', 'APT::Update::Error-Mode=any'],
    ];
    const execute = (file: string, args: string[]): Promise<{ stdout: string }> =>
      run(file, args, { cwd: downloads, timeout: COMMAND_TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C' } });
    await execute('apt-get', [...own, '-q', 'update']);
    const libraries = await missingLibraries(packages, async (names) => {
      const { stdout } = await execute('apt-cache', [...own, 'depends', ...names]);
      return [...stdout.matchAll(/^ {2}Depends: (lib[^\s<:]+)/gm)].map((m) => m[1] ?? '');
    });
    await execute('apt-get', [...own, '-q', 'download', ...packages, ...libraries]);
    for (const file of readdirSync(downloads).filter((name) => name.endsWith('.deb'))) {
      await execute('dpkg-deb', ['-x', join(downloads, file), root]);
    }
    if (!holds(root, program)) {
      throw new CodedError('E_UNPACK', `the archive holds no ${program}`);
    }
    rmSync(target, { recursive: true, force: true });
    renameSync(root, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
    lock.release();
  }
}

/** Where the libraries of an unpacked root are, as `LD_LIBRARY_PATH`; empty when there are none. */
export function libraryPathOf(root: string): string {
  const found: string[] = [];
  for (const base of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    if (!existsSync(base)) continue;
    for (const name of readdirSync(base)) if (name.includes('-linux-')) found.push(join(base, name));
  }
  return found.join(':');
}

function holds(root: string, program: string): boolean {
  return ['bin', 'sbin'].some((directory) => existsSync(join(root, 'usr', directory, program)));
}

/** Those of the packages, and of these libraries in turn, that are not installed. */
async function missingLibraries(
  packages: readonly string[],
  librariesOf: (names: readonly string[]) => Promise<string[]>,
): Promise<string[]> {
  const found = new Set<string>();
  for (let names: readonly string[] = packages; names.length > 0;) {
    const missing = await missingPackages(await librariesOf(names));
    names = missing.filter((name) => !found.has(name) && !packages.includes(name));
    for (const name of names) found.add(name);
  }
  return [...found];
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const name of new Set(names)) {
    try {
      const { stdout } = await run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name]);
      if (stdout !== 'installed') missing.push(name);
    } catch {
      missing.push(name);
    }
  }
  return missing;
}
