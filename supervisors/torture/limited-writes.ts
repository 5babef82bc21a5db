/**
 * A full disk for some processes alone: their limit on the size of files (RLIMIT_FSIZE) is set to nothing while they run, so
 * that every write to a file fails, with EFBIG instead of ENOSPC. It takes no right but that of their user, and harms
 * nobody else.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

export interface SmallDisk {
  /** From now on nothing can be written, until `free`. */
  fill(): void;
  free(): void;
}

/** The writes of processes, and of all they start from now on. */
export class LimitedWrites implements SmallDisk {
  readonly #chosen: () => readonly number[];
  readonly #all: () => readonly number[];

  /** `chosen`: those that are to fail, parents first; `all`: those and whatever may inherit from them. */
  constructor(chosen: () => readonly number[], all: () => readonly number[]) {
    this.#chosen = chosen;
    this.#all = all;
  }

  fill(): void {
    // What was started during the first round by a parent not yet limited is seen by the second.
    for (let round = 1; round <= 2; round++) {
      for (const pid of this.#chosen()) this.#limit(pid, '0:');
    }
  }

  free(): void {
    // Again until none is left: a child may have inherited the limit a moment before its parent lost it.
    for (let left = this.#limited(); left.length > 0; left = this.#limited()) {
      for (const pid of left) this.#limit(pid, 'unlimited:');
    }
  }

  #limit(pid: number, limit: string): void {
    const owner = ownerOf(pid);
    if (owner === undefined) return;
    // Root in a container may become another user, and yet not set the limits of its processes.
    const as = process.getuid?.() === 0 ? owner : {};
    const { status, stderr, error } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${limit}`], as);
    if (status !== 0 && ownerOf(pid) !== undefined)
      throw new Error(`prlimit: ${error?.message ?? String(stderr)}`);
  }

  #limited(): number[] {
    return this.#all().filter(isLimited);
  }
}

function ownerOf(pid: number): { uid: number; gid: number } | undefined {
  try {
    const { uid, gid } = statSync(`/proc/${pid}`);
    return { uid, gid };
  } catch {
    return undefined;
  }
}

function isLimited(pid: number): boolean {
  try {
    return /^Max file size +0 /m.test(readFileSync(`/proc/${pid}/limits`, 'utf8'));
  } catch {
    return false;
  }
}
