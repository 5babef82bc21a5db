/**
 * API keys for the API: those of the node's own files, which nobody changes here, and those in PostgreSQL.
 *
 * Invariant: a key is in memory only until it is in the answer; stored and published is its HMAC.
 */
import { randomBytes } from 'node:crypto';
import type { KeysPort } from '../../gateways/admin/admin-port.ts';
import { SCOPES } from '../../gateways/admin/documents.ts';
import type { NewKeyDocument } from '../../gateways/admin/documents.ts';
import { keyDigest, pepperFingerprint as fingerprintOf } from '../../gateways/http/key-ring.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';
import type { Connection } from '../../gateways/postgres/connection.ts';
import { PostgresKeyStore } from '../../gateways/postgres/key-store.ts';
import type { StoredApiKey } from '../../gateways/postgres/key-store.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/errors.ts';
import { authorOf, keyDocument, nodeKeyDocument } from './documents.ts';

export interface KeysPortOptions {
  database: Connection;
  clock: Clock;
  pepper: Buffer;
  /** Of the node's own files. */
  ofNode: readonly KeyRecord[];
  /** Settles when what was changed holds on this node's ports, or has been on its way there for long. */
  onChange: () => Promise<void>;
}

const KEY_BYTES = 32;

export function keysPort({ database, clock, pepper, ofNode, onChange }: KeysPortOptions): KeysPort {
  const store = new PostgresKeyStore(database);
  const pepperFingerprint = fingerprintOf(pepper);
  const own = ofNode.map(nodeKeyDocument).sort((a, b) => (a.name < b.name ? -1 : 1));
  const isOwn = (name: string | undefined): boolean => own.some((key) => key.name === name);
  const documentOf = (key: StoredApiKey) => keyDocument(key, pepperFingerprint, clock.wallMs());

  return {
    page: async ({ after, limit }) => {
      const from =
        after === undefined ? 0 : isOwn(after) ? own.findIndex(({ name }) => name === after) + 1 : own.length;
      const first = own.slice(from, from + limit);
      const room = limit - first.length;
      if (room === 0) return { items: first, next: first.at(-1)?.name ?? null };
      const rest = await store.list({ limit: room, after: isOwn(after) ? undefined : after });
      return { items: [...first, ...rest.items.map(documentOf)], next: rest.next };
    },
    get: async (name) => {
      const ofFile = own.find((key) => key.name === name);
      if (ofFile !== undefined) return ofFile;
      const stored = await store.get(name);
      return stored === undefined ? undefined : documentOf(stored);
    },
    create: async ({ name, scopes, expiresAtMs, eventIds }, change) => {
      if (isOwn(name)) throw ofTheNode(name);
      if (expiresAtMs !== null && expiresAtMs <= clock.wallMs()) throw overAlready();
      const key = newKey();
      const hmac = Buffer.from(keyDigest(pepper, key), 'hex');
      const granted = SCOPES.filter((scope) => scopes.includes(scope));
      const stored = await store.insert(
        { name, scopes: granted, hmac, expiresAtMs, pepperFingerprint, eventIds },
        authorOf(change),
      );
      // Whoever has a key uses it at once: a relay would drop what it is refused for.
      await onChange();
      return newKeyDocument(stored, key);
    },
    rotate: async (name, overlapSeconds, change) => {
      if (isOwn(name)) throw ofTheNode(name);
      const key = newKey();
      const hmac = Buffer.from(keyDigest(pepper, key), 'hex');
      const nowMs = clock.wallMs();
      const previousExpiresAtMs = nowMs + overlapSeconds * 1_000;
      const stored = await store.rotate(
        name,
        { hmac, previousExpiresAtMs, pepperFingerprint, nowMs },
        authorOf(change),
      );
      await onChange();
      return stored === undefined ? undefined : newKeyDocument(stored, key);
    },
    revoke: async (name, change) => {
      if (isOwn(name)) throw ofTheNode(name);
      const isRevoked = await store.revoke(name, authorOf(change));
      await onChange();
      return isRevoked;
    },
  };
}

/** 256 bits, as 43 characters. */
function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url');
}

function newKeyDocument(stored: StoredApiKey, key: string): NewKeyDocument {
  const { name, scopes, eventIds, expiresAtMs, previousExpiresAtMs } = stored;
  const timeOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    name,
    key,
    scopes,
    event_ids: eventIds,
    expires_at: timeOrNull(expiresAtMs),
    ...(previousExpiresAtMs === null ? {} : { previous_expires_at: timeOrNull(previousExpiresAtMs) }),
  };
}

function ofTheNode(name: string): CodedError {
  return new CodedError('E_KEY_OF_NODE', `the key ${name} is one of the node's own files`, {
    mend: 'Choose another name. To change this one, remove its file in keys/ of the data directory and restart the node.',
  });
}

function overAlready(): CodedError {
  const fault = { field: 'expires_at', why: 'is in the past', mend: 'Give a time to come, or leave it out.' };
  return new CodedError('E_BODY_INVALID', 'expires_at is in the past', {
    mend: fault.mend,
    details: { faults: [fault] },
  });
}
