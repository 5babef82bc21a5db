/**
 * What counts as one peer: an IPv4 address whole; of IPv6 the /64, which is what one machine can choose from freely.
 */
const IPV6_NETWORK_BYTES = 8;
const IPV4_MAPPED_PREFIX = '00000000000000000000ffff';

/** In hexadecimal digits, of an address of 4 or 16 bytes. */
export function networkOf(address: ArrayBuffer): string {
  const hex = Buffer.from(address).toString('hex');
  if (address.byteLength !== 16) return hex;
  if (hex.startsWith(IPV4_MAPPED_PREFIX)) return hex.slice(IPV4_MAPPED_PREFIX.length);
  return hex.slice(0, 2 * IPV6_NETWORK_BYTES);
}
