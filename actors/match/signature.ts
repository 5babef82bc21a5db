/**
 * The signature of an alert: what a destination folds repeats by. Default `<host>::<rule>::<object>`, where the object
 * is what on the host is affected, so that two interfaces are two alerts and the same interface is one.
 *
 * Time and severity are not offered: with them in it, no repeat would ever fold. At most 767 bytes (wire formats,
 * section 5.1); a longer one is cut and ends in a hash of the whole, so that different ones stay different.
 */
import { hash } from 'node:crypto';
import type { Environment, NormalizedEvent } from '../event.ts';
import type { RuleRow } from '../ports.ts';

export const SIGNATURE_BYTES_MAX = 767;
const DEFAULT_TEMPLATE = '{host}::{rule}::{object}';
const HASH_CHARS = 16;
const OBJECT_CHARS_MAX = 128;
/** Stands for a value that the event does not have. */
const ABSENT = '-';

/** `Interface GigabitEthernet0/1,` `port eth1/2`, `ifName: xe-0/0/1`. */
const INTERFACE = /\b(?:interface|port|ifname|ifdescr)[\s=:"]{1,4}([a-z][a-z-]{0,40}\d[\w./:-]{0,60})/i;
/** `%LINK-3-UPDOWN`, with the severity left out so that up and down of it stay one object. */
const MNEMONIC = /%([A-Z][A-Z0-9_]{0,40}(?:-[A-Z][A-Z0-9_]{0,40})?)-[0-7]-([A-Z0-9_]{1,60})/;
/** ifDescr, ifIndex and ifName (RFC 2863): their instances name the interface of a link trap. */
const INTERFACE_VARBIND =
  /(?:^|\.)1\.3\.6\.1\.2\.1\.(?:31\.1\.1\.1\.1|2\.2\.1\.[12])(?:\.|$)|^if(?:Name|Descr|Index)\b/i;
const VARBINDS_MAX = 64;

type Render = (
  event: NormalizedEvent,
  rule: RuleRow,
  environment: Environment,
) => string | number | undefined;
const RENDERERS: Readonly<Record<string, Render>> = {
  host: (event) => event.hostname,
  rule: (_event, rule) => rule.id,
  program: (event) => event.program,
  oid: (event, rule) => oidOf(event, rule),
  object: (event, rule) => objectOf(event, rule),
  msgid: (event) => event.msgid,
  facility: (event) => event.facility,
  source_ip: (event) => event.sourceIp,
  team: (_event, rule) => rule.team_assignment,
  environment: (_event, _rule, environment) => environment,
};

/** The names that a template may have in braces. */
export const PLACEHOLDERS: readonly string[] = Object.keys(RENDERERS);

/** The names in braces in a template. */
export function placeholdersOf(template: string): string[] {
  return Array.from(template.matchAll(/\{([^{}]*)\}/g), ([, name]) => name!);
}

/** The signature of an alert of `rule` about `event`. Pure; at most 767 bytes of well-formed text. */
export function signatureOf(event: NormalizedEvent, rule: RuleRow, environment: Environment): string {
  const template = rule.signature ?? DEFAULT_TEMPLATE;
  const full = template.replace(/\{([^{}]*)\}/g, (whole, name: string) => {
    if (!Object.hasOwn(RENDERERS, name)) return whole;
    return String(RENDERERS[name]!(event, rule, environment) ?? ABSENT);
  });
  return cutTo(SIGNATURE_BYTES_MAX, full);
}

function cutTo(bytesMax: number, full: string): string {
  if (full.length * 3 <= bytesMax) return full;
  const bytes = Buffer.from(full);
  if (bytes.length <= bytesMax) return full;
  let end = bytesMax - HASH_CHARS - 1;
  // Not into the middle of a character: its later bytes are 10xxxxxx.
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}~${hash('sha256', full, 'hex').slice(0, HASH_CHARS)}`;
}

/** What on the host is affected: an interface, else what kind of thing was said, else the trap, else the program. */
function objectOf(event: NormalizedEvent, rule: RuleRow): string | undefined {
  const named = interfaceOf(event);
  if (named !== undefined) return named.slice(0, OBJECT_CHARS_MAX);
  const mnemonic = MNEMONIC.exec(event.message);
  if (mnemonic !== null) return `${mnemonic[1]}-${mnemonic[2]}`;
  return oidOf(event, rule) ?? event.msgid ?? event.program;
}

function interfaceOf(event: NormalizedEvent): string | undefined {
  for (const name of ['ifName', 'ifDescr', 'interface']) {
    const value = event.fields[name];
    if (typeof value === 'string' && value !== '') return value.replaceAll('\0', '').toWellFormed();
  }
  return interfaceVarbind(event.varbinds) ?? INTERFACE.exec(event.message)?.[1]?.replace(/[.:-]+$/, '');
}

/** Variable bindings come as `{name: value}` or as a list of `{oid | name, value}`. */
function interfaceVarbind(varbinds: unknown): string | undefined {
  if (typeof varbinds !== 'object' || varbinds === null) return undefined;
  const entries: [unknown, unknown][] = Array.isArray(varbinds)
    ? varbinds.slice(0, VARBINDS_MAX).map((varbind: unknown) => {
        if (typeof varbind !== 'object' || varbind === null) return [undefined, undefined];
        const { oid, name, value } = varbind as { oid?: unknown; name?: unknown; value?: unknown };
        return [oid ?? name, value];
      })
    : Object.entries(varbinds).slice(0, VARBINDS_MAX);
  for (const [name, value] of entries) {
    if (typeof name !== 'string' || !INTERFACE_VARBIND.test(name)) continue;
    if (typeof value === 'number' || (typeof value === 'string' && value !== '')) {
      return String(value).replaceAll('\0', '').toWellFormed();
    }
  }
  return undefined;
}

/**
 * The OID an alert is about. A rule for exactly one trap names it; so a rule that clears another gives, with that
 * rule's template, the OID of the trap that raised the alert and not of the one that ends it.
 */
function oidOf(event: NormalizedEvent, rule: RuleRow): string | undefined {
  if (rule.trap_oid !== null && rule.match_type !== 'oid_prefix') return rule.trap_oid;
  return event.trapOid;
}
