/**
 * What a rule set must do with an event, by a plain loop over its rules: the contract read aloud, in the most obvious
 * way, slow. Knows nothing of how the product does it.
 *
 * Regular expressions and letters in two cases are left to the engine's own `RegExp` under `u` and `iu`, which the
 * contract names as the judge. So give it no expression that takes long there.
 */
import { isIPv4 } from 'node:net';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { canonicalHostname } from '../../../actors/hostname.ts';
import type { RuleRow } from '../../../actors/ports.ts';

type Criterion = (event: NormalizedEvent) => boolean;

/** Whether a rule's criteria and its window hold, all of them asked; made once for a rule and asked of many events. */
export function plainCriteria(rule: RuleRow): Criterion {
  const criteria: Criterion[] = [];
  const wanted = (criterion: Criterion): number => criteria.push(criterion);

  if (rule.match_type === 'oid_prefix') {
    const prefix = arcsOf((rule.trap_oid ?? rule.match_string)!);
    wanted(({ trapOid }) => trapOid !== undefined && beginsWith(arcsOf(trapOid), prefix));
  } else {
    if (rule.match_string !== null) {
      const source = rule.match_type === 'regex' ? rule.match_string : escaped(rule.match_string);
      const expression = new RegExp(source, rule.case_sensitive ? 'u' : 'iu');
      wanted(({ message }) => expression.test(message));
    }
    if (rule.trap_oid !== null) {
      const arcs = arcsOf(rule.trap_oid);
      wanted(({ trapOid }) => trapOid !== undefined && isSame(arcsOf(trapOid), arcs));
    }
  }
  if (rule.syslog_severity !== null) {
    const limit = rule.syslog_severity;
    if (rule.severity_op === '=') wanted(({ severity }) => severity !== undefined && severity === limit);
    if (rule.severity_op === '<=') wanted(({ severity }) => severity !== undefined && severity <= limit);
    if (rule.severity_op === '>=') wanted(({ severity }) => severity !== undefined && severity >= limit);
  }
  if (rule.host !== null) {
    const glob = [...canonicalHostname(rule.host)];
    wanted(({ hostname }) => globTakes(glob, [...hostname]));
  }
  if (rule.program !== null) {
    const whole = new RegExp(`^${escaped(rule.program)}$`, 'iu');
    wanted(({ program }) => program !== undefined && whole.test(program));
  }
  if (rule.facility !== null) wanted(({ facility }) => facility === rule.facility);
  if (rule.network !== null) {
    const network = networkOf(rule.network);
    wanted(({ sourceIp }) => sourceIp !== undefined && isInside(sourceIp, network));
  }

  if (rule.active_from !== null) {
    const fromMs = Date.parse(rule.active_from);
    wanted(({ receivedAtMs }) => fromMs <= receivedAtMs);
  }
  if (rule.active_until !== null) {
    const untilMs = Date.parse(rule.active_until);
    wanted(({ receivedAtMs }) => receivedAtMs < untilMs);
  }
  return (event) => criteria.map((criterion) => criterion(event)).every(Boolean);
}

/** The rules that take part, in the order in which they are tried. */
export function inOrder(rules: readonly RuleRow[]): RuleRow[] {
  const active = rules.filter((rule) => rule.is_active);
  return active.sort((a, b) => (a.priority === b.priority ? a.id - b.id : a.priority - b.priority));
}

/** The ids of the rules that match: the first of which all criteria hold, and behind each `continue` the next. */
export function plainLoop(ordered: readonly RuleRow[], holds: (rule: RuleRow) => boolean): number[] {
  const ids: number[] = [];
  for (const rule of ordered) {
    if (!holds(rule)) continue;
    ids.push(rule.id);
    if (!rule.continue) break;
  }
  return ids;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function arcsOf(oid: string): bigint[] {
  return oid.replace(/^\./, '').split('.').map(BigInt);
}

function isSame(a: readonly bigint[], b: readonly bigint[]): boolean {
  return a.length === b.length && beginsWith(a, b);
}

function beginsWith(arcs: readonly bigint[], prefix: readonly bigint[]): boolean {
  return prefix.every((arc, at) => arcs[at] === arc);
}

function globTakes([wanted, ...glob]: readonly string[], name: readonly string[]): boolean {
  if (wanted === undefined) return name.length === 0;
  if (wanted === '*')
    return globTakes(glob, name) || (name.length > 0 && globTakes(['*', ...glob], name.slice(1)));
  const [first, ...rest] = name;
  if (first === undefined) return false;
  return (wanted === '?' || isSameLetter(wanted, first)) && globTakes(glob, rest);
}

const letters = new Map<string, RegExp>();

function isSameLetter(a: string, b: string): boolean {
  let letter = letters.get(a);
  if (letter === undefined) letters.set(a, (letter = new RegExp(`^${escaped(a)}$`, 'iu')));
  return letter.test(b);
}

interface Bits {
  /** 32 or 128. */
  width: number;
  value: bigint;
}

/** An IPv4 address in IPv6 is that address, so a network of such has 96 bits less. */
function networkOf(text: string): Bits & { prefix: number } {
  const [address, prefix] = text.split('/') as [string, string | undefined];
  const bits = bitsOf(address);
  const written = isIPv4(address) ? 32 : 128;
  return { ...bits, prefix: Number(prefix ?? written) - (written - bits.width) };
}

function isInside(address: string, network: Bits & { prefix: number }): boolean {
  const { width, value } = bitsOf(address);
  const dropped = BigInt(network.width - network.prefix);
  return width === network.width && value >> dropped === network.value >> dropped;
}

function bitsOf(address: string): Bits {
  if (isIPv4(address)) return { width: 32, value: joined(address.split('.').map(Number), 8) };
  const [head, tail] = address.split('%')[0]!.split('::') as [string, string | undefined];
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  const value = joined([...before, ...zeros, ...after], 16);
  return value >> 32n === 0xffffn ? { width: 32, value: value & 0xffff_ffffn } : { width: 128, value };
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a, b, c, d] = group.split('.').map(Number) as [number, number, number, number];
    return [a * 256 + b, c * 256 + d];
  });
}

function joined(parts: readonly number[], bits: number): bigint {
  return parts.reduce((value, part) => (value << BigInt(bits)) | BigInt(part), 0n);
}
