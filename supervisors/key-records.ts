/**
 * The keys in force on a node: those of its own files, then those of the whole installation.
 *
 * A digest is worth nothing without the pepper it was made with, so a stored key that was made under another one is left
 * out and named. Invariant: every name comes once; the node's own key wins.
 */
import type { ApiKeyRecord } from '../actors/ports.ts';
import type { KeyRecord } from '../gateways/http/key-ring.ts';

export interface KeysInForce {
  records: KeyRecord[];
  /** Names of stored keys that were made with another pepper. */
  foreign: string[];
}

/** `fingerprint`: of this node's pepper. */
export function keysInForce(
  own: readonly KeyRecord[],
  stored: readonly ApiKeyRecord[],
  fingerprint: string,
): KeysInForce {
  const ownNames = new Set(own.map(({ name }) => name));
  const others = stored.filter(({ name }) => !ownNames.has(name));
  const isForeign = (key: ApiKeyRecord): boolean =>
    key.pepperFingerprint !== '' && key.pepperFingerprint !== fingerprint;
  return {
    records: [...own, ...others.filter((key) => !isForeign(key)).flatMap(toRecord)],
    foreign: others.filter(isForeign).map(({ name }) => name),
  };
}

function toRecord({ name, scopes, hmacSha256s, eventIds = false }: ApiKeyRecord): KeyRecord[] {
  const [present, ...earlier] = hmacSha256s.map(({ hmac, expiresAt }) => ({ hmacSha256: hmac, expiresAt }));
  return present === undefined ? [] : [{ name, scopes, eventIds, ...present, earlier }];
}
