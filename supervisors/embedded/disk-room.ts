/**
 * Whether a disk has room, and the error that says it has none.
 *
 * A server on a full disk often cannot even log why it ended, so its output does not tell: the disk itself is asked.
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, codeOf } from '../../runtime/errors.ts';

/** No space, no quota, or over the limit on the size of a file. */
const NO_ROOM_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** The same in what a server wrote. */
export const NO_ROOM_TEXT = /No space left on device|Disk quota exceeded|File too large/i;
/** PostgreSQL makes its log in pieces of 16 MiB and cannot go on without the next one. */
const ROOM_BYTES_MIN = 32 * 1024 ** 2;
const PROBE_BYTES = 4096;

/** E_DISK_FULL, transient: the server is started again until there is room. */
export function diskFull(dir: string, facts: { output?: string; cause?: unknown } = {}): CodedError {
  const { output, cause } = facts;
  return new CodedError('E_DISK_FULL', `the disk that holds ${dir} is full`, {
    kind: 'transient',
    mend: 'Free some space; nothing was lost, and what runs goes on by itself.',
    details: { dir, ...(output === undefined ? {} : { output }) },
    ...(cause === undefined ? {} : { cause }),
  });
}

export function isNoRoom(thrown: unknown): boolean {
  return NO_ROOM_CODES.has(codeOf(thrown));
}

/** Whether a private server could not work in `dir`. Never throws. */
export function isDiskFull(dir: string): boolean {
  const probe = join(dir, `room.${process.pid}.probe`);
  try {
    const { bavail, bsize } = statfsSync(dir);
    if (bavail * bsize < ROOM_BYTES_MIN) return true;
    // A quota and a limit on the size of files do not show in the free space.
    writeFileSync(probe, Buffer.alloc(PROBE_BYTES), { mode: 0o600, flush: true });
    return false;
  } catch (thrown) {
    return isNoRoom(thrown);
  } finally {
    rmSync(probe, { force: true });
  }
}
