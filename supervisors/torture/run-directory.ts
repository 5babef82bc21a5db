/**
 * The directory and the marker of one run, by which all that it started can be found again, also when it was killed.
 *
 * Every process of the run carries the marker in its environment or works inside the directory. Invariant: a directory
 * whose runner lives is never touched by another run.
 */
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, isSameProcess, pidsWithEnvironment } from '../process-identity.mjs';

/** What kind of run. */
export interface RunKind {
  /** With it the name of its directory begins. */
  prefix: string;
  /** The environment variable of all its processes. */
  variable: string;
}

const MARKER_FILE = 'run.json';
const GRACE_MS = 3_000;
const POLL_MS = 50;

interface Marker {
  pid: number;
  identity: string | undefined;
}

export class RunDirectory {
  readonly #kind: RunKind;
  readonly #directory: string;

  constructor(kind: RunKind, parent: string = tmpdir()) {
    this.#kind = kind;
    this.#directory = mkdtempSync(join(parent, kind.prefix));
    const marker: Marker = { pid: process.pid, identity: identityOf(process.pid) };
    writeFileSync(join(this.#directory, MARKER_FILE), JSON.stringify(marker), { mode: 0o600 });
    // As root the servers run as other users and must pass through.
    chmodSync(this.#directory, 0o711);
  }

  /** What every process of the run gets: the marker is the directory's own name, which no other run has. */
  get environment(): Record<string, string> {
    return { [this.#kind.variable]: this.#directory };
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Everything of the run that is still there, without this process. */
  processes(): number[] {
    return processesOf(this.#kind, this.#directory);
  }

  /** Ends and removes everything at once, for when there is no time left. */
  clear(): void {
    clear(this.#kind, this.#directory);
  }

  /** Ends what still runs and leaves the directory; only its owner's to remove from now on. */
  leave(): void {
    endProcesses(this.#kind, this.#directory);
    // Without it the next run does not take the directory for a leftover.
    rmSync(join(this.#directory, MARKER_FILE), { force: true });
  }

  /** Removes everything and returns a line for each process that was still there; those are ended. */
  async remove(): Promise<string[]> {
    for (let waitedMs = 0; waitedMs < GRACE_MS && this.processes().length > 0; waitedMs += POLL_MS) {
      await delay(POLL_MS);
    }
    const left = this.processes().map((pid) => `${pid} ${commandOf(pid)}`);
    this.clear();
    return left;
  }
}

/** Ends and removes what runs that were killed have left behind. Other people's are not ours to see or to touch. */
export function endLeftoverRuns(kind: RunKind, parent: string = tmpdir()): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(kind.prefix))) {
    const directory = join(parent, name);
    let marker: Marker;
    try {
      marker = JSON.parse(readFileSync(join(directory, MARKER_FILE), 'utf8')) as Marker;
    } catch {
      continue;
    }
    if (!isSameProcess(marker.pid, marker.identity)) clear(kind, directory);
  }
}

function clear(kind: RunKind, directory: string): void {
  endProcesses(kind, directory);
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

function endProcesses(kind: RunKind, directory: string): void {
  for (const pid of processesOf(kind, directory)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went by itself meanwhile.
    }
  }
}

function processesOf(kind: RunKind, directory: string): number[] {
  const marked = new Set(pidsWithEnvironment(kind.variable, directory));
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const workingDirectory = readlinkSync(`/proc/${name}/cwd`);
      if (`${workingDirectory}${sep}`.startsWith(`${directory}${sep}`)) marked.add(Number(name));
    } catch {
      // Gone, or another user's.
    }
  }
  marked.delete(process.pid);
  return [...marked].filter((pid) => identityOf(pid) !== undefined);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '(gone)';
  }
}
