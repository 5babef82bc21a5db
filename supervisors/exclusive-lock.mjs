/**
 * A lock file that one living process holds at a time and that a killed holder cannot leave locked.
 *
 * Plain JavaScript with node: imports only, because the bootstrap uses it before anything is installed. It is no lock
 * between machines: a shared network directory is not protected.
 * Invariant: `tryLock` gives the lock to nobody while the process named in the file lives.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, isSameProcess } from './process-identity.mjs';

/** Each level guards the take-over of the level below and is held for microseconds. */
const TAKEOVER_DEPTH_MAX = 3;
const POLL_MS = 50;

/**
 * Takes the lock, or says who holds it: `{ release }` or `{ holderPid }`. Throws the file system's error when the file
 * cannot be written.
 */
export function tryLock(path, depth = 0) {
  const mine = JSON.stringify({
    pid: process.pid,
    identity: identityOf(process.pid),
    nonce: randomBytes(8).toString('hex'),
  });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    // Inside, so that a full disk leaves no empty draft behind.
    writeFileSync(draft, mine, { mode: 0o600 });
    for (;;) {
      // A link either makes the whole file appear or fails: nobody ever reads half a lock.
      try {
        linkSync(draft, path);
        return { release: () => releaseLock(path, mine) };
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = readHolder(path);
      if (holder === undefined) continue;
      if (isSameProcess(holder.pid, holder.identity)) return { holderPid: holder.pid };
      // Its holder is dead. Two that see this at once must not both replace it, so the replacement has its own lock.
      if (depth >= TAKEOVER_DEPTH_MAX) return { holderPid: holder.pid };
      const guard = tryLock(`${path}.takeover`, depth + 1);
      if (guard.release === undefined) return { holderPid: guard.holderPid };
      try {
        const current = readHolder(path);
        if (current !== undefined && !isSameProcess(current.pid, current.identity)) {
          renameSync(draft, path);
          return { release: () => releaseLock(path, mine) };
        }
      } finally {
        guard.release();
      }
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Waits for the lock. `onWait(holderPid)` is called once, when it is taken by another. */
export async function waitForLock(path, onWait = () => {}) {
  let hasSaidSo = false;
  for (;;) {
    const attempt = tryLock(path);
    if (attempt.release !== undefined) return attempt;
    if (!hasSaidSo) onWait(attempt.holderPid);
    hasSaidSo = true;
    await delay(POLL_MS);
  }
}

/** The living process that holds the lock, or undefined. Only looks. */
export function holderOf(path) {
  const holder = readHolder(path);
  return holder !== undefined && isSameProcess(holder.pid, holder.identity) ? holder.pid : undefined;
}

function readHolder(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { pid, identity } = JSON.parse(text);
    return { pid, identity };
  } catch {
    // Only a crash of the machine leaves an unreadable lock, and its holder did not survive that.
    return { pid: 0, identity: undefined };
  }
}

function releaseLock(path, mine) {
  try {
    if (readFileSync(path, 'utf8') === mine) rmSync(path, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
