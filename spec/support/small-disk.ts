/**
 * A disk that can be filled to its last byte without harm to the machine, for whoever runs the specs.
 *
 * The ways, the first that this user may take:
 * - `mounted`: small file systems in a mount namespace of their own, as root;
 * - `mapped`: the same inside a user namespace, as an ordinary user;
 * - `limited`: where neither is permitted (most containers) the limit on the size of files (RLIMIT_FSIZE) of the running
 *   processes is set to nothing: every write to a file then fails, with EFBIG instead of ENOSPC.
 *
 * The file systems exist for the command that is run with them and go with its last process, however it ends.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SmallDisk } from '../../supervisors/torture/limited-writes.ts';

export type DiskWay = 'mounted' | 'mapped' | 'limited';

export { LimitedWrites } from '../../supervisors/torture/limited-writes.ts';
export type { SmallDisk } from '../../supervisors/torture/limited-writes.ts';

const WAYS: readonly DiskWay[] = ['mounted', 'mapped', 'limited'];
const TOP_UP_EVERY_MS = 50;
/** From the coarse to the last byte. */
const STEPS_BYTES = [1024 ** 2, 4096, 1];
const MOUNT_ALL =
  'size=$1; shift; while [ "$1" != -- ]; do mount -t tmpfs -o "size=$size" small-disk "$1" || exit 1; shift; done; shift;';

/** What to put before a command so that each directory is a small disk to it; nothing for `limited`. */
export function smallDiskCommand(way: DiskWay, directories: readonly string[], bytes: number): string[] {
  if (way === 'limited') return [];
  const mounted = [String(bytes), ...directories, '--'];
  if (way === 'mounted')
    return ['unshare', '--mount', 'sh', '-c', `${MOUNT_ALL} exec "$@"`, 'sh', ...mounted];
  // Mounting takes a root of the namespace, and PostgreSQL refuses to run as one: back to the own user inside.
  const self = `--map-user=${process.getuid?.()} --map-group=${process.getgid?.()}`;
  return [
    ...['unshare', '--user', '--map-root-user', '--mount'],
    ...['sh', '-c', `${MOUNT_ALL} exec unshare --user ${self} "$@"`, 'sh', ...mounted],
  ];
}

/** The first way that works here; `SMALL_DISK_WAY` names another, to try it. `directory` is any empty one. */
export function diskWay(directory: string): DiskWay {
  const wanted = process.env['SMALL_DISK_WAY'];
  const ways = wanted === undefined ? WAYS : WAYS.filter((way) => way === wanted);
  const found = ways.find((way) => {
    if (way === 'limited') return true;
    // Root without the right to mount could map itself only, and the private servers run as others.
    if (way === 'mapped' && process.getuid?.() === 0) return false;
    const [file = '', ...args] = smallDiskCommand(way, [directory], STEPS_BYTES[0] as number);
    const writes = ['sh', '-c', `echo x > '${directory}/probe'`];
    return spawnSync(file, [...args, ...writes], { stdio: 'ignore' }).status === 0;
  });
  if (found === undefined) throw new Error(`no small disk can be had by "${wanted}"`);
  return found;
}

/** A mounted one. While it is full, what its users give back is taken again. */
export class MountedDisk implements SmallDisk {
  readonly #directory: string;
  readonly #file: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#file = join(directory, 'filler');
  }

  fill(): void {
    // Never by mistake the disk of the machine.
    if (statSync(this.#directory).dev === statSync(join(this.#directory, '..')).dev) {
      throw new Error(`${this.#directory} is no disk of its own`);
    }
    this.#topUp();
    this.#timer = setInterval(() => this.#topUp(), TOP_UP_EVERY_MS);
  }

  free(): void {
    clearInterval(this.#timer);
    rmSync(this.#file, { force: true });
  }

  #topUp(): void {
    const file = openSync(this.#file, 'a');
    try {
      for (const step of STEPS_BYTES) fillBy(file, Buffer.alloc(step, 'x'));
    } finally {
      closeSync(file);
    }
  }
}

function fillBy(file: number, chunk: Buffer): void {
  try {
    while (writeSync(file, chunk) > 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
  }
}
