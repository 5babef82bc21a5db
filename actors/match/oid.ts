/**
 * Object identifiers of SNMP, compared by arcs: 1.3.9 is no prefix of 1.3.99, and a leading dot says nothing.
 */

/** RFC 2578 section 3.5: at most 128 arcs of at most 32 bits. */
const ARCS_MAX = 128;
const ARC_MAX = 4_294_967_295;
const TEXT_CHARS_MAX = 1024;

/**
 * The names that net-snmp prints where it has no more of a MIB than every installation has: the upper tree (RFC 2578
 * section 2) and the generic traps (RFC 3418 section 2, RFC 2863 section 6). Lower-case.
 */
// prettier-ignore
const NAMES: ReadonlyMap<string, string> = new Map([
  ['iso', '1'], ['org', '1.3'], ['dod', '1.3.6'], ['internet', '1.3.6.1'], ['directory', '1.3.6.1.1'],
  ['mgmt', '1.3.6.1.2'], ['mib-2', '1.3.6.1.2.1'], ['experimental', '1.3.6.1.3'], ['private', '1.3.6.1.4'],
  ['enterprises', '1.3.6.1.4.1'], ['security', '1.3.6.1.5'], ['snmpv2', '1.3.6.1.6'], ['snmpmodules', '1.3.6.1.6.3'],
  ['snmpmib', '1.3.6.1.6.3.1'], ['snmpmibobjects', '1.3.6.1.6.3.1.1'], ['snmptraps', '1.3.6.1.6.3.1.1.5'],
  ['coldstart', '1.3.6.1.6.3.1.1.5.1'], ['warmstart', '1.3.6.1.6.3.1.1.5.2'], ['linkdown', '1.3.6.1.6.3.1.1.5.3'],
  ['linkup', '1.3.6.1.6.3.1.1.5.4'], ['authenticationfailure', '1.3.6.1.6.3.1.1.5.5'],
  ['egpneighborloss', '1.3.6.1.6.3.1.1.5.6'],
]);
/** `SNMPv2-SMI::enterprises`: the module says where the name is from. Only these, since others reuse names. */
const MODULE = /^(?:SNMPv2-SMI|SNMPv2-MIB|IF-MIB|RFC1155-SMI|RFC1213-MIB)::/i;

/**
 * Arcs joined by dots, without a leading dot and without leading zeros; undefined when `text` is no OID. The first arcs
 * may be names: `iso.3.6.1`, `.iso.org.dod.internet.private.enterprises.9`, `SNMPv2-SMI::enterprises.9`, `IF-MIB::linkDown`.
 */
export function canonicalOid(text: string): string | undefined {
  const trimmed = text.trim();
  if (trimmed.length > TEXT_CHARS_MAX) return undefined;
  const named = trimmed.replace(MODULE, '');
  const arcs = numbered((named.startsWith('.') ? named.slice(1) : named).split('.'));
  if (arcs === undefined) return undefined;
  if (arcs.length > ARCS_MAX) return undefined;
  for (let at = 0; at < arcs.length; at++) {
    const arc = arcs[at]!;
    if (!/^\d{1,10}$/.test(arc) || Number(arc) > ARC_MAX) return undefined;
    if (arc.length > 1 && arc.startsWith('0')) arcs[at] = String(Number(arc));
  }
  return arcs.join('.');
}

/** The names that begin the path replaced by their numbers; undefined when one is unknown or not where it belongs. */
function numbered(arcs: string[]): string[] | undefined {
  let path: string | undefined;
  let names = 0;
  for (; names < arcs.length && /^[a-z]/i.test(arcs[names]!); names++) {
    const oid = NAMES.get(arcs[names]!.toLowerCase());
    if (oid === undefined) return undefined;
    if (path !== undefined && oid.slice(0, oid.lastIndexOf('.')) !== path) return undefined;
    path = oid;
  }
  return path === undefined ? arcs : [...path.split('.'), ...arcs.slice(names)];
}

/** Whether `oid` is `prefix` or lies under it. Both canonical. */
export function isUnderOid(oid: string, prefix: string): boolean {
  return oid.startsWith(prefix) && (oid.length === prefix.length || oid.charCodeAt(prefix.length) === 0x2e);
}

/** `oid` itself and every OID above it, longest first. Canonical. */
export function oidsAbove(oid: string): string[] {
  const above = [oid];
  for (let dot = oid.lastIndexOf('.'); dot > 0; dot = oid.lastIndexOf('.', dot - 1))
    above.push(oid.slice(0, dot));
  return above;
}
