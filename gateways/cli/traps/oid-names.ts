/**
 * Object identifiers as snmptrapd prints them, numeric or by the names that need no MIB of a vendor.
 *
 * What cannot be put into numbers stays a name: the node knows which names it takes for an identifier.
 */

/** By the last name of a path: the upper tree, and what every trap may hold (RFC 3418, RFC 3584, RFC 2863). */
const OIDS: ReadonlyMap<string, string> = new Map([
  ['iso', '1'],
  ['org', '1.3'],
  ['dod', '1.3.6'],
  ['internet', '1.3.6.1'],
  ['mgmt', '1.3.6.1.2'],
  ['mib-2', '1.3.6.1.2.1'],
  ['private', '1.3.6.1.4'],
  ['enterprises', '1.3.6.1.4.1'],
  ['snmpV2', '1.3.6.1.6'],
  ['snmpModules', '1.3.6.1.6.3'],
  ['sysDescr', '1.3.6.1.2.1.1.1'],
  ['sysUpTime', '1.3.6.1.2.1.1.3'],
  ['sysUpTimeInstance', '1.3.6.1.2.1.1.3.0'],
  ['sysName', '1.3.6.1.2.1.1.5'],
  ['sysLocation', '1.3.6.1.2.1.1.6'],
  ['ifIndex', '1.3.6.1.2.1.2.2.1.1'],
  ['ifDescr', '1.3.6.1.2.1.2.2.1.2'],
  ['ifType', '1.3.6.1.2.1.2.2.1.3'],
  ['ifAdminStatus', '1.3.6.1.2.1.2.2.1.7'],
  ['ifOperStatus', '1.3.6.1.2.1.2.2.1.8'],
  ['ifName', '1.3.6.1.2.1.31.1.1.1.1'],
  ['ifAlias', '1.3.6.1.2.1.31.1.1.1.18'],
  ['snmpTrapOID', '1.3.6.1.6.3.1.1.4.1'],
  ['snmpTrapEnterprise', '1.3.6.1.6.3.1.1.4.3'],
  ['coldStart', '1.3.6.1.6.3.1.1.5.1'],
  ['warmStart', '1.3.6.1.6.3.1.1.5.2'],
  ['linkDown', '1.3.6.1.6.3.1.1.5.3'],
  ['linkUp', '1.3.6.1.6.3.1.1.5.4'],
  ['authenticationFailure', '1.3.6.1.6.3.1.1.5.5'],
  ['egpNeighborLoss', '1.3.6.1.6.3.1.1.5.6'],
  ['snmpTrapAddress', '1.3.6.1.6.3.18.1.3'],
  ['snmpTrapCommunity', '1.3.6.1.6.3.18.1.4'],
]);
const NAMES: ReadonlyMap<string, string> = new Map([...OIDS].map(([name, oid]) => [oid, name]));
/** Names of other modules may be the same and mean something else. */
const MODULES =
  /^(?:SNMPv2-SMI|SNMPv2-MIB|IF-MIB|RFC1155-SMI|RFC1213-MIB|SNMP-COMMUNITY-MIB|DISMAN-EVENT-MIB)::/;
const NUMBERS = /^\.?(\d+(?:\.\d+)*)$/;
/** The names before the last are those of its path. */
const NAMED = /^(?:\.?(?:[A-Za-z][\w-]*\.)*)([A-Za-z][\w-]*)((?:\.\d+)*)$/;

/** Above this a name says too little to stand for its numbers. */
const NAMED_PREFIX_ARCS_MIN = 7;
/** RFC 2578 allows 128 arcs of ten digits. */
const OID_CHARS_MAX = 1_500;

/** Numbers joined by dots, without a leading dot; undefined when it is no identifier, or one under an unknown name. */
export function numericOid(text: string): string | undefined {
  if (text.length > OID_CHARS_MAX) return undefined;
  const numbers = NUMBERS.exec(text)?.[1];
  if (numbers !== undefined) return numbers;
  const [, name = '', index = ''] = NAMED.exec(text.replace(MODULES, '')) ?? [];
  const oid = OIDS.get(name);
  return oid === undefined ? undefined : oid + index;
}

/** As a person would call it: `ifDescr.7`, `linkDown`; the numbers where nothing shorter is known. */
export function oidForPeople(oid: string): string {
  for (let end = oid.length, arcs = oid.split('.').length; arcs >= NAMED_PREFIX_ARCS_MIN; arcs--) {
    const name = NAMES.get(oid.slice(0, end));
    if (name !== undefined) return name + oid.slice(end);
    end = oid.lastIndexOf('.', end - 1);
  }
  return oid;
}
