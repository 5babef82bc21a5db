/**
 * The keys of a node that nobody has given any: made once, kept in files that only their owner reads.
 *
 * There is no default key anywhere: a fresh installation has keys that nobody else knows. What the gateways get is
 * each key's name, scopes and HMAC, never the key itself.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../runtime/errors.ts';
import type { KeyRecord, KeyScope } from '../gateways/http/key-ring.ts';

export interface NodeKeys {
  /** 64 hex digits; part of every digest, so that a stolen table of digests is of no use alone. */
  pepper: string;
  records: KeyRecord[];
  /** Name to the file that holds the key. */
  files: Record<NodeKeyName, string>;
  /** Names this data directory, whose lock only one process holds. */
  nonce: string;
  /** Those made just now: all at the first start, later what had been removed. */
  made: NodeKeyName[];
}

export type NodeKeyName = 'ingest' | 'admin' | 'sink';

const SCOPES: Record<NodeKeyName, (KeyScope | 'sink')[]> = {
  ingest: ['ingest'],
  admin: ['ingest', 'read', 'operate', 'admin'],
  // What the built-in destination is delivered with; it opens nothing else.
  sink: ['sink'],
};
const KEY_BYTES = 32;
/** Of what is not hex only the beginning would count, and of most texts nothing: a pepper that everybody knows. */
const PEPPER = /^[0-9a-f]{64}$/i;
const NONCE_BYTES = 12;

/** Errors: E_PEPPER_INVALID. */
export function openNodeKeys(dataDir: string): NodeKeys {
  const dir = join(dataDir, 'keys');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const pepper = secretFile(join(dir, 'pepper'), () => randomBytes(KEY_BYTES).toString('hex'));
  if (!PEPPER.test(pepper)) {
    throw new CodedError(
      'E_PEPPER_INVALID',
      `${join(dir, 'pepper')} does not hold ${KEY_BYTES * 2} hex digits`,
      {
        mend: 'Copy it whole from a backup or from the node that it was to be shared with.',
      },
    );
  }
  const nonce = secretFile(join(dir, 'node'), () => randomBytes(NONCE_BYTES).toString('hex'));
  const names = Object.keys(SCOPES) as NodeKeyName[];
  const files = Object.fromEntries(
    names.map((name) => [name, join(dir, `${name}.key`)]),
  ) as NodeKeys['files'];
  const made = names.filter((name) => isEmpty(files[name]));
  const records = names.map((name): KeyRecord => {
    const key = secretFile(files[name], () => randomBytes(KEY_BYTES).toString('base64url'));
    return {
      name,
      scopes: SCOPES[name] as KeyScope[],
      hmacSha256: createHmac('sha256', Buffer.from(pepper, 'hex')).update(key, 'utf8').digest('hex'),
      expiresAt: null,
    };
  });
  return { pepper, records, files, nonce, made };
}

/** An empty key would be one that everybody knows. */
function isEmpty(path: string): boolean {
  return !existsSync(path) || readFileSync(path, 'utf8').trim() === '';
}

function secretFile(path: string, make: () => string): string {
  if (isEmpty(path)) {
    const draft = `${path}.draft`;
    writeFileSync(draft, `${make()}\n`, { mode: 0o600, flush: true });
    renameSync(draft, path);
  }
  chmodSync(path, 0o600);
  return readFileSync(path, 'utf8').trim();
}
