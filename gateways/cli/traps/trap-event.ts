/**
 * Makes an event of a trap: who sent it, which trap it is, its variable bindings, and a line for people.
 *
 * Invariants: the community never gets into an event; a trap without a name of its own gets one by the rules of RFC 3584.
 */
import { isUtf8 } from 'node:buffer';
import { numericOid, oidForPeople } from './oid-names.ts';
import type { Varbind } from './varbind.ts';

export interface Trap {
  /** Seconds since 1970; absent when snmptrapd did not say. */
  receivedAtS?: number | undefined;
  /** As snmptrapd prints it: `UDP: [192.0.2.1]:49152->[192.0.2.2]:162`. */
  transport: string;
  /** Of the peer, as snmptrapd found it. */
  peerName?: string | undefined;
  /** SNMPv1 only. */
  agentAddress?: string | undefined;
  agentName?: string | undefined;
  enterprise?: string | undefined;
  generic?: number | undefined;
  specific?: number | undefined;
  uptimeTicks?: number | undefined;
  varbinds: readonly Varbind[];
}

export interface TrapEvent {
  hostname: string;
  timestamp: string;
  source: 'snmp';
  program: string;
  message: string;
  source_ip?: string;
  /** Who handed the trap on, where that is not who sent it. */
  relay_ip?: string;
  trap_oid?: string;
  varbinds?: readonly Varbind[];
  /** Why this is only the text that came. */
  unreadable?: string;
  /** The bytes that came, where they are no text. */
  raw_base64?: string;
}

/** What the machine knows that traps do not say. */
export interface TrapFacts {
  wallMs: () => number;
  /** Where snmptrapd runs. */
  hostname: string;
}

export const TRAP_PROGRAM = 'snmptrapd';

const SYS_UP_TIME = '1.3.6.1.2.1.1.3.0';
const TRAP_OID = '1.3.6.1.6.3.1.1.4.1.0';
const TRAP_ENTERPRISE = '1.3.6.1.6.3.1.1.4.3.0';
const TRAP_ADDRESS = '1.3.6.1.6.3.18.1.3.0';
const TRAP_COMMUNITY = '1.3.6.1.6.3.18.1.4.0';
/** snmpTraps of SNMPv2-MIB. */
const GENERIC_TRAPS = '1.3.6.1.6.3.1.1.5';
const ENTERPRISE_SPECIFIC = 6;
/** Said by other fields of the event, or by the name of the trap. */
const NOT_FOR_PEOPLE = new Set([SYS_UP_TIME, TRAP_OID, TRAP_ENTERPRISE, TRAP_ADDRESS]);

const MESSAGE_CHARS_MAX = 1_000;
const NOBODY = '0.0.0.0';
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})$/;
const ADDRESS_IN_BRACKETS = /\[([0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,15})?)\]/;
const SECONDS_MAX = 253_402_300_799;

const CONTROLS = /[\u0000-\u001f\u007f]+/g;
/** As snmptrapd prints it in a format of its own, and as a binding. */
const COMMUNITY = /(\bcommunity |(?:\b18\.1\.4\.0|snmpTrapCommunity\.0) (?:= )?)[^\t\n]+/g;

export function trapEvent(trap: Trap, facts: TrapFacts): TrapEvent {
  const varbinds = [...trap.varbinds.filter(({ oid }) => oid !== TRAP_COMMUNITY)];
  const trapOid = stringOf(varbinds, TRAP_OID) ?? version1TrapOid(trap);
  if (trap.uptimeTicks !== undefined && !varbinds.some(({ oid }) => oid === SYS_UP_TIME)) {
    varbinds.unshift({ oid: SYS_UP_TIME, type: 'timeticks', value: trap.uptimeTicks });
  }
  const peer = ADDRESS_IN_BRACKETS.exec(trap.transport)?.[1];
  const agent = [trap.agentAddress, stringOf(varbinds, TRAP_ADDRESS)].find(isSomebody);
  const sourceIp = agent ?? peer;
  const name = agent === undefined || agent === peer ? trap.peerName : trap.agentName;
  return {
    hostname: isHostName(name) ? name : (sourceIp ?? facts.hostname),
    timestamp: timestampOf(trap, facts),
    source: 'snmp',
    program: TRAP_PROGRAM,
    message: messageOf(trapOid, varbinds),
    ...(sourceIp === undefined ? {} : { source_ip: sourceIp }),
    ...(peer === undefined || peer === sourceIp ? {} : { relay_ip: peer }),
    ...(trapOid === undefined ? { unreadable: 'it names no trap' } : { trap_oid: trapOid }),
    varbinds,
  };
}

/** Text in which no trap is found: an event with that text, on the account of the machine where snmptrapd runs. */
export function textEvent(text: string, facts: TrapFacts, unreadable?: string): TrapEvent {
  return {
    hostname: facts.hostname,
    timestamp: new Date(facts.wallMs()).toISOString(),
    source: 'snmp',
    program: TRAP_PROGRAM,
    message: text.replaceAll(COMMUNITY, '$1(hidden)'),
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

/** With the bytes that came, where they are no text and hold no community. */
export function withBytes(event: TrapEvent, bytes: Buffer): TrapEvent {
  const isText = isUtf8(bytes) || bytes.toString('latin1').search(COMMUNITY) !== -1;
  return isText ? event : { ...event, raw_base64: bytes.toString('base64') };
}

/** RFC 3584 section 3.1. */
function version1TrapOid({ enterprise, generic, specific }: Trap): string | undefined {
  if (generic === undefined || specific === undefined || enterprise === undefined) return undefined;
  if (generic < ENTERPRISE_SPECIFIC) return `${GENERIC_TRAPS}.${generic + 1}`;
  const oid = numericOid(enterprise);
  return oid === undefined ? undefined : `${oid}.0.${specific}`;
}

function stringOf(varbinds: readonly Varbind[], wanted: string): string | undefined {
  const value = varbinds.find(({ oid }) => oid === wanted)?.value;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isSomebody(address: string | undefined): address is string {
  return address !== undefined && address !== NOBODY && ADDRESS_IN_BRACKETS.test(`[${address}]`);
}

function isHostName(name: string | undefined): name is string {
  return name !== undefined && name !== NOBODY && HOST_NAME.test(name);
}

function timestampOf({ receivedAtS }: Trap, { wallMs }: TrapFacts): string {
  const isTold = receivedAtS !== undefined && receivedAtS > 0 && receivedAtS <= SECONDS_MAX;
  return new Date(isTold ? receivedAtS * 1_000 : wallMs()).toISOString();
}

function messageOf(trapOid: string | undefined, varbinds: readonly Varbind[]): string {
  let text = trapOid === undefined ? 'a trap without a name' : oidForPeople(trapOid);
  let separator = ': ';
  for (const { oid, name, value } of varbinds) {
    if (oid !== undefined && NOT_FOR_PEOPLE.has(oid)) continue;
    text += `${separator}${oid === undefined ? name : oidForPeople(oid)} ${value}`.replaceAll(CONTROLS, ' ');
    separator = ', ';
    if (text.length > MESSAGE_CHARS_MAX) return `${text.slice(0, MESSAGE_CHARS_MAX).toWellFormed()}…`;
  }
  return text;
}
