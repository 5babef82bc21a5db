/**
 * The directory that holds all of a node's data: where it is, that it is ours alone, and that we can read its format.
 *
 * It makes no files but `FORMAT` and `lock`; what lives below (`redis/`, `postgres/`, `keys/`, `secrets/`, `cache/`, `tools/`)
 * belongs to those who use it. Invariant: a directory that is damaged, newer or in use is refused and left as it is.
 */
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError, codeOf, messageOf } from '../runtime/errors.ts';
import { closedAncestor, isRoot } from './embedded/server-user.ts';
import { holderOf, tryLock } from './exclusive-lock.mjs';
import { makeDirectory } from './make-directory.mjs';

export interface DataDirectory {
  readonly path: string;
  /** Gives the directory free for another process. Safe to call twice. */
  release(): void;
}

export interface OpenOptions {
  /** Where it is; `dataDirectoryPath()` when not given. */
  path?: string;
  /** Free space below which a start is refused, since Redis and PostgreSQL would only fail later and worse. */
  diskFreeBytesMin?: number;
}

const FORMAT_VERSION = 1;
const FORMAT_LINE = /^mutt-data (\d+)$/;
const DISK_FREE_BYTES_MIN = 128 * 1024 ** 2;
/** What only a node writes: a directory that holds one of these is no fresh one. */
const DATA_NAMES = ['redis', 'postgres', join('keys', 'node')];
const SYSTEM_DIRECTORY = '/var/lib/mutt';
const CLONE_HASH_CHARS = 12;
const PERMISSION_BITS = 0o777;

/**
 * Where the data are: `MUTT_DATA_DIR`, else `var/` in the clone, else (as root, when the clone lies below a directory
 * that the servers' unprivileged user cannot traverse) a directory of this clone's own in /var/lib/mutt.
 */
export function dataDirectoryPath(
  cloneDir: string = fileURLToPath(new URL('..', import.meta.url)),
  env: NodeJS.ProcessEnv = process.env,
): string {
  const given = env['MUTT_DATA_DIR'];
  if (given !== undefined && given !== '') return resolve(given);
  const clone = resolve(cloneDir);
  const nobody = { name: 'nobody', uid: -1, gid: -1 };
  if (!isRoot() || closedAncestor(clone, nobody) === undefined) return join(clone, 'var');
  const hash = createHash('sha256').update(clone).digest('hex').slice(0, CLONE_HASH_CHARS);
  return join(SYSTEM_DIRECTORY, hash);
}

/** Where programs that we unpack or copy are kept. */
export function toolsDirectory(): string {
  return join(dataDirectoryPath(), 'tools');
}

/**
 * Makes or opens the data directory and takes it for this process alone. Errors: E_ALREADY_RUNNING (with the pid),
 * E_DATA_NEWER, E_DATA_DAMAGED, E_DATA_UNWRITABLE, E_DISK_FULL.
 */
export function openDataDirectory(options: OpenOptions = {}): DataDirectory {
  const path = options.path ?? dataDirectoryPath();
  try {
    makeDirectory(path, directoryMode());
    // With the dot: root may do everything, but nobody may enter a file.
    accessSync(`${path}/.`, constants.R_OK | constants.W_OK | constants.X_OK);
    requireKnownFormat(path);
    requireSpace(path, options.diskFreeBytesMin ?? DISK_FREE_BYTES_MIN);
    const lock = tryLock(join(path, 'lock'));
    if (lock.release === undefined) {
      throw new CodedError(
        'E_ALREADY_RUNNING',
        `MUTT already runs here, as process ${lock.holderPid} (${path})`,
        {
          mend: `Stop it first: kill ${lock.holderPid}   Or give this one another MUTT_DATA_DIR.`,
          details: { pid: lock.holderPid, path },
        },
      );
    }
    try {
      // As root the servers run as other users, who must pass through; they may neither list nor write.
      chmodSync(path, directoryMode());
      if (!existsSync(join(path, 'FORMAT'))) writeFormat(path);
    } catch (error) {
      lock.release();
      throw error;
    }
    return { path, release: lock.release };
  } catch (error) {
    throw explained(error, path);
  }
}

/** What is at the path of a data directory. */
export interface DataDirectoryState {
  exists: boolean;
  /** The process that uses it now. */
  holderPid: number | undefined;
  /** On the disk that holds it, or will hold it. */
  freeBytes: number;
}

/**
 * Looks at a data directory as a start would, and changes nothing. Errors: E_DATA_NEWER, E_DATA_DAMAGED,
 * E_DATA_UNWRITABLE, E_DISK_FULL.
 */
export function inspectDataDirectory(path: string): DataDirectoryState {
  try {
    const exists = existsSync(path);
    const place = exists ? path : nearestExisting(path);
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
    if (!statSync(place).isDirectory())
      throw Object.assign(new Error(`${place} is no directory`), { code: 'ENOTDIR' });
    if (exists) requireKnownFormat(path);
    requireSpace(place, DISK_FREE_BYTES_MIN);
    const { bavail, bsize } = statfsSync(place);
    return { exists, holderPid: holderOf(join(path, 'lock')), freeBytes: bavail * bsize };
  } catch (error) {
    throw explained(error, path);
  }
}

/** Does something with the files of the data directory; what the file system refuses is E_DATA_UNWRITABLE, by name. */
export function inDataDirectory<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explained(error, path);
  }
}

function directoryMode(): number {
  return isRoot() ? 0o711 : 0o700;
}

function requireKnownFormat(path: string): void {
  const formatPath = join(path, 'FORMAT');
  if (!existsSync(formatPath)) {
    const data = DATA_NAMES.filter((name) => existsSync(join(path, name)));
    if (data.length === 0) return;
    throw new CodedError('E_DATA_DAMAGED', `${path} holds data (${data.join(', ')}) but no FORMAT file`, {
      mend: `Restore it from a backup, or move it aside to start empty. Nothing was changed.`,
      details: { path },
    });
  }
  const text = readFileSync(formatPath, 'utf8').trim();
  const version = Number(FORMAT_LINE.exec(text)?.[1] ?? NaN);
  if (!Number.isInteger(version)) {
    throw new CodedError('E_DATA_DAMAGED', `${formatPath} is damaged: it does not name a format`, {
      mend: `It should read "mutt-data ${FORMAT_VERSION}". Restore it, or move ${path} aside to start empty. Nothing was changed.`,
      details: { path },
    });
  }
  if (version > FORMAT_VERSION) {
    throw new CodedError(
      'E_DATA_NEWER',
      `${path} has data format ${version}, and this MUTT knows formats up to ${FORMAT_VERSION}`,
      {
        mend: 'Use the newer MUTT that wrote it, or give this one another MUTT_DATA_DIR. Nothing was changed.',
        details: { path, found: version, ours: FORMAT_VERSION },
      },
    );
  }
}

function requireSpace(path: string, bytesMin: number): void {
  const { bavail, bsize } = statfsSync(path);
  const freeBytes = bavail * bsize;
  if (freeBytes < bytesMin) throw diskFull(path, { freeBytes, bytesMin });
}

function writeFormat(path: string): void {
  const formatPath = join(path, 'FORMAT');
  const draft = `${formatPath}.draft`;
  try {
    writeFileSync(draft, `mutt-data ${FORMAT_VERSION}\n`, { mode: 0o600, flush: true });
    renameSync(draft, formatPath);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Only what the file system says is explained: the rest is coded already, or a fault of ours. */
function explained(error: unknown, path: string): unknown {
  if (!(error instanceof Error && 'syscall' in error)) return error;
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(path, {}, error);
  const { at, why, mend } = obstacle((error as NodeJS.ErrnoException).path ?? path, error);
  return new CodedError('E_DATA_UNWRITABLE', `the data directory ${path} cannot be used: ${at} ${why}`, {
    mend: `${mend} Or give another MUTT_DATA_DIR.`,
    details: { path, at, reason: code },
    cause: error,
  });
}

/** What is in the way: `path` itself, or the nearest above it that is there. */
function obstacle(path: string, error: unknown): { at: string; why: string; mend: string } {
  const at = nearestExisting(resolve(path));
  const found = statSync(at);
  const code = codeOf(error);
  const isOurs = found.uid === process.getuid?.();
  if (code === 'EISDIR') return { at, why: 'is a directory, not a file', mend: 'Move it away.' };
  if (code === 'ENOTDIR') {
    return { at, why: 'is a file, not a directory', mend: 'Move it away.' };
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const mode = (found.mode & PERMISSION_BITS).toString(8);
    const owner = isOurs ? 'us' : `user ${found.uid}`;
    return {
      at,
      why: `cannot be read and written by this user (it belongs to ${owner}, mode ${mode})`,
      mend: isOurs ? `Run chmod u+rwX '${at}'.` : `Start as user ${found.uid}, or change its owner.`,
    };
  }
  return { at, why: `takes nothing new: ${messageOf(error)}`, mend: 'Choose a place that can be written.' };
}

function nearestExisting(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function diskFull(path: string, details: Record<string, unknown>, cause?: unknown): CodedError {
  return new CodedError('E_DISK_FULL', `the disk that holds ${path} is full`, {
    mend: 'Free some space and start again; nothing was lost.',
    details: { path, ...details },
    cause,
  });
}
