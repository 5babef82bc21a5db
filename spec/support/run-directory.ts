/**
 * The directory and the marker of one test run, by which all that it started can be found again.
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
import { identityOf, isSameProcess, pidsWithEnvironment } from '../../supervisors/process-identity.mjs';

const PREFIX = 'mutt-run-';
const MARKER_VARIABLE = 'MUTT_SPEC_RUN';
const GRACE_MS = 3_000;
const POLL_MS = 50;

interface Marker {
  pid: number;
  identity: string | undefined;
}

export class RunDirectory {
  readonly #directory: string;

  constructor(parent: string = tmpdir()) {
    this.#directory = mkdtempSync(join(parent, PREFIX));
    const marker: Marker = { pid: process.pid, identity: identityOf(process.pid) };
    writeFileSync(join(this.#directory, 'run.json'), JSON.stringify(marker), { mode: 0o600 });
    // As root the servers run as other users and must pass through.
    chmodSync(this.#directory, 0o711);
  }

  /** What every process of the run gets: the marker is the directory's own name, which no other run has. */
  get environment(): Record<string, string> {
    return { [MARKER_VARIABLE]: this.#directory };
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Removes everything and returns a line for each process that was still there; those are ended. */
  async remove(): Promise<string[]> {
    for (let waitedMs = 0; waitedMs < GRACE_MS && this.#processes().length > 0; waitedMs += POLL_MS) {
      await delay(POLL_MS);
    }
    const left = this.#processes().map((pid) => `${pid} ${commandOf(pid)}`);
    clear(this.#directory);
    return left;
  }

  #processes(): number[] {
    return processesOf(this.#directory);
  }
}

/** Ends and removes what runs that were killed have left behind. Other people's are not ours to see or to touch. */
export function endLeftoverRuns(parent: string = tmpdir()): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(PREFIX))) {
    const directory = join(parent, name);
    let marker: Marker;
    try {
      marker = JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as Marker;
    } catch {
      continue;
    }
    if (!isSameProcess(marker.pid, marker.identity)) clear(directory);
  }
}

function clear(directory: string): void {
  for (const pid of processesOf(directory)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went by itself meanwhile.
    }
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

function processesOf(directory: string): number[] {
  const marked = new Set(pidsWithEnvironment(MARKER_VARIABLE, directory));
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
