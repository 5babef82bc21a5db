/**
 * Object identifiers of SNMP, compared by arcs: 1.3.9 is no prefix of 1.3.99, and a leading dot says nothing.
 */

/** RFC 2578 section 3.5: at most 128 arcs of at most 32 bits. */
const ARCS_MAX = 128;
const ARC_MAX = 4_294_967_295;
const TEXT_CHARS_MAX = 1024;

/** Arcs joined by dots, without a leading dot and without leading zeros; undefined when `text` is no OID. */
export function canonicalOid(text: string): string | undefined {
  const trimmed = text.trim();
  if (trimmed.length > TEXT_CHARS_MAX) return undefined;
  const arcs = (trimmed.startsWith('.') ? trimmed.slice(1) : trimmed).split('.');
  if (arcs.length > ARCS_MAX) return undefined;
  for (let at = 0; at < arcs.length; at++) {
    const arc = arcs[at]!;
    if (!/^\d{1,10}$/.test(arc) || Number(arc) > ARC_MAX) return undefined;
    if (arc.length > 1 && arc.startsWith('0')) arcs[at] = String(Number(arc));
  }
  return arcs.join('.');
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
