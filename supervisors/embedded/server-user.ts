/**
 * The unprivileged user a private server runs as when we are root, and which paths that user can reach.
 *
 * PostgreSQL refuses to run as root, and Redis as root would give whoever breaks it the machine. An ordinary user runs
 * the servers as itself. Invariant: a server is never started as uid 0.
 */
import { chownSync, lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CodedError } from '../../runtime/errors.ts';

export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

const EXECUTE_BIT = 1;

/** Whether this process may become another user. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The user to run as, the first of the names that exists; undefined when we are not root. Errors: E_NO_SERVER_USER. */
export function serverUser(names: readonly string[]): ServerUser | undefined {
  if (!isRoot()) return undefined;
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of names) {
    const entry = entries.find((fields) => fields[0] === name);
    const uid = Number(entry?.[2]);
    const gid = Number(entry?.[3]);
    if (entry !== undefined && uid > 0 && gid > 0) return { name, uid, gid };
  }
  throw new CodedError('E_NO_SERVER_USER', `none of the users ${names.join(', ')} exists`, {
    mend: 'Create one of them, start as an ordinary user, or give REDIS_URL and DATABASE_URL.',
  });
}

/** The nearest existing directory on the way to `path` that the user cannot traverse; undefined when all are open. */
export function closedAncestor(path: string, user: ServerUser): string | undefined {
  const chain: string[] = [];
  for (let current = resolve(path); ; current = dirname(current)) {
    chain.unshift(current);
    if (current === dirname(current)) break;
  }
  return chain.find((directory) => {
    try {
      const stat = statSync(directory);
      return stat.isDirectory() && !mayTraverse(stat, user);
    } catch {
      return false;
    }
  });
}

/** Gives a directory and what it holds to the user. Links are given, never followed. */
export function giveTo(path: string, user: ServerUser | undefined): void {
  if (user === undefined) return;
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (stat.uid !== user.uid || stat.gid !== user.gid) chownSync(path, user.uid, user.gid);
  if (stat.isDirectory()) for (const name of readdirSync(path)) giveTo(join(path, name), user);
}

function mayTraverse(stat: { uid: number; gid: number; mode: number }, user: ServerUser): boolean {
  if (stat.uid === user.uid) return (stat.mode & (EXECUTE_BIT << 6)) !== 0;
  if (stat.gid === user.gid) return (stat.mode & (EXECUTE_BIT << 3)) !== 0;
  return (stat.mode & EXECUTE_BIT) !== 0;
}
