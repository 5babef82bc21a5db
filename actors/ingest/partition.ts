/**
 * Which partition an event belongs to: FNV-1a (32 bits) over the UTF-8 bytes of the case-folded hostname, modulo the
 * number of partitions. It never changes: an event's order and everything one commit touches depend on it.
 */

export const FNV_OFFSET_BASIS = 0x811c9dc5;
export const FNV_PRIME = 0x01000193;

/** 32-bit FNV-1a of the UTF-8 bytes of `hostname`, case-folded. Source: Fowler, Noll, Vo; RFC 9923. */
export function hostnameHash(hostname: string): number {
  let hash = FNV_OFFSET_BASIS;
  for (let at = 0; at < hostname.length; at++) {
    const code = hostname.charCodeAt(at);
    if (code >= 0x80) return bytesHash(Buffer.from(hostname.toLowerCase()));
    hash = Math.imul(hash ^ (code >= 0x41 && code <= 0x5a ? code | 0x20 : code), FNV_PRIME);
  }
  return hash >>> 0;
}

function bytesHash(bytes: Uint8Array): number {
  let hash = FNV_OFFSET_BASIS;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

/** The partition, 0 to `partitions - 1`, of every event of `hostname`, in whatever case it is written. */
export function partitionOf(hostname: string, partitions: number): number {
  return partitionOfHash(hostnameHash(hostname), partitions);
}

/** The same, by the hash of the host. */
export function partitionOfHash(hostHash: number, partitions: number): number {
  return hostHash % partitions;
}
