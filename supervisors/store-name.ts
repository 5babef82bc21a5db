/**
 * Names the mailboxes of a Redis, so that what PostgreSQL remembers of them is not taken for a memory of others that
 * share the PostgreSQL: their sequences are other ones, and the higher would look like a loss of the lower.
 *
 * Kept in Redis, where every node of it finds it, and in the data directory. A Redis that comes back empty gets its name
 * again, so that what it has lost is found out; a node that comes back empty finds the name in Redis.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { connectRedis } from '../gateways/redis/connection.ts';
import type { Log } from '../runtime/telemetry/log.ts';

const NAME_BYTES = 12;

/** Rejects with what Redis says. */
export async function keepStoreName(
  connection: ReturnType<typeof connectRedis>,
  keyPrefix: string,
  file: string,
  log: Log,
): Promise<string> {
  const key = `${keyPrefix}:store`;
  const remembered = (await readFile(file, 'utf8').catch(() => '')).trim();
  await connection.setnx(key, remembered === '' ? randomBytes(NAME_BYTES).toString('hex') : remembered);
  const name = (await connection.get(key)) ?? remembered;
  if (name !== remembered) {
    const draft = `${file}.draft`;
    await writeFile(draft, `${name}\n`, { mode: 0o600, flush: true })
      .then(() => rename(draft, file))
      // Redis has it, and the next start tries again.
      .catch((error: unknown) => log.warn({ error }, 'the name of the store cannot be kept on disk'));
  }
  return name;
}
