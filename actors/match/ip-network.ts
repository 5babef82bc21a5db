/**
 * IP addresses and networks: canonical text, and whether an address lies in a network (CIDR). An IPv4 address written
 * as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
 */
import { isIP } from 'node:net';

/** The sixteen-bit groups of an address: two for IPv4, eight for IPv6. */
type Groups = readonly number[];

export interface IpNetwork {
  groups: Groups;
  prefixBits: number;
}

/** Reads an address; undefined when `text` is none. An IPv6 zone (`%eth0`) is left off. */
export function parseAddress(text: string): Groups | undefined {
  const percent = text.indexOf('%');
  const address = percent === -1 ? text : text.slice(0, percent);
  const family = isIP(address);
  if (family === 0) return undefined;
  if (family === 4) return ipv4Groups(address);
  const groups = ipv6Groups(address);
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return isMapped ? groups.slice(6) : groups;
}

/**
 * The one text of an address: RFC 5952 for IPv6, with its zone (`%eth0`) in lower case; dotted decimal for IPv4, also
 * where it was written as IPv6. Undefined when `text` is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 0) return undefined;
  // No part of it can have a leading zero: what is left is the one text of it.
  if (family === 4) return text;
  const groups = parseAddress(text)!;
  if (groups.length === 2) return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.');
  const percent = text.indexOf('%');
  return formatIpv6(groups) + (percent === -1 ? '' : text.slice(percent).toLowerCase());
}

/** Reads `10.0.0.0/8`, `2001:db8::/32` or a single address. Bits behind the prefix are ignored. */
export function parseNetwork(text: string): IpNetwork | undefined {
  const slash = text.indexOf('/');
  const groups = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (groups === undefined || text.includes('%')) return undefined;
  const bitsMax = groups.length * 16;
  if (slash === -1) return { groups, prefixBits: bitsMax };
  const prefix = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(prefix)) return undefined;
  // A mapped network counts the 96 bits in front of the IPv4 address too.
  const isMapped = groups.length === 2 && text.includes(':');
  const prefixBits = Number(prefix) - (isMapped ? 96 : 0);
  return prefixBits >= 0 && prefixBits <= bitsMax ? { groups, prefixBits } : undefined;
}

/** Whether the address lies in the network. Addresses of the other family never do. */
export function isInNetwork(address: Groups, network: IpNetwork): boolean {
  if (address.length !== network.groups.length) return false;
  let bitsLeft = network.prefixBits;
  for (let at = 0; bitsLeft > 0; at++, bitsLeft -= 16) {
    const shift = bitsLeft >= 16 ? 0 : 16 - bitsLeft;
    if (address[at]! >>> shift !== network.groups[at]! >>> shift) return false;
  }
  return true;
}

function ipv4Groups(address: string): number[] {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
  return [a * 256 + b, c * 256 + d];
}

function ipv6Groups(address: string): number[] {
  let text = address;
  const dot = text.indexOf('.');
  if (dot !== -1) {
    const colon = text.lastIndexOf(':');
    const [high, low] = ipv4Groups(text.slice(colon + 1)) as [number, number];
    text = `${text.slice(0, colon + 1)}${high.toString(16)}:${low.toString(16)}`;
  }
  const [head, tail] = text.split('::') as [string, string | undefined];
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
  const first = read(head);
  if (tail === undefined) return first;
  const last = read(tail);
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** RFC 5952 section 4: no leading zeros, and `::` for the longest run of two or more zero groups, the first of equals. */
function formatIpv6(groups: Groups): string {
  let runStart = -1;
  let runLength = 1;
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > runLength) {
      runStart = start;
      runLength = end - start;
    }
  }
  const hex = (part: Groups): string => part.map((group) => group.toString(16)).join(':');
  if (runStart === -1) return hex(groups);
  return `${hex(groups.slice(0, runStart))}::${hex(groups.slice(runStart + runLength))}`;
}
