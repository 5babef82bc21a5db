/**
 * The one form of a host's name, wherever it comes from: a record, a rule, the list of development hosts.
 *
 * Two spellings of one name become the same; two names stay two. So nothing is looked up, a short name is not made
 * whole, and a zone stays: `fe80::1%eth0` and `fe80::1%eth1` are different hosts. Invariant: idempotent, since the form
 * decides which partition an event is in.
 */
import { canonicalAddress } from './match/ip-network.ts';
import { storableText } from './storable-text.ts';

/**
 * `text` without blanks around it, case-folded, without the dots that end it (the root of DNS), and an IPv6 address,
 * bare or in brackets, as RFC 5952 writes it. Never empty unless `text` is blank.
 */
export function canonicalHostname(text: string): string {
  let name = foldedCase(storableText(text).trim());
  if (name.endsWith('.')) name = withoutRoot(name);
  if (!name.includes(':')) return name;
  const isBracketed = name.startsWith('[') && name.endsWith(']');
  return canonicalAddress(isBracketed ? name.slice(1, -1) : name) ?? name;
}

/** One character for each, as rules compare: `İ` alone would become two. */
function foldedCase(name: string): string {
  return name.includes('\u0130') ? name.split('\u0130').map(foldedCase).join('\u0130') : name.toLowerCase();
}

function withoutRoot(name: string): string {
  let bare = name;
  while (bare.endsWith('.')) bare = bare.slice(0, -1).trimEnd();
  return bare === '' ? name : bare;
}
