/**
 * The fixed corpus of every benchmark: 10,000 distinct syslog-like JSON events of 16 message shapes, about 290 bytes
 * each, from 400 hosts. Made from a seed; its hash is printed with every result, so that figures can be compared.
 */
import { createHash } from 'node:crypto';
import { seededRandom } from '../../supervisors/torture/random.ts';

export const CORPUS_SEED = 20_261_121;
const EVENTS = 10_000;
const HOSTS = 400;

export interface Corpus {
  seed: number;
  sha256: string;
  /** One JSON object each, no line end. */
  events: Buffer[];
  bytesMean: number;
}

type Draw = (below: number) => number;

const ROLES = ['core-rtr', 'edge-rtr', 'dist-sw', 'acc-sw', 'fw', 'wlc', 'srv', 'db'];
const PROGRAMS = ['ios', 'nxos', 'junos', 'sshd', 'kernel', 'systemd', 'asa', 'dhcpd'];

/** Each shape: program, severity, message. `d(n)` draws a whole number below n. */
const SHAPES: ((d: Draw) => [program: string, severity: number, message: string])[] = [
  (d) => [
    'ios',
    3,
    `%LINK-3-UPDOWN: Interface GigabitEthernet${d(4)}/${d(48)}, changed state to ${d(2) === 0 ? 'down' : 'up'}`,
  ],
  (d) => [
    'ios',
    5,
    `%LINEPROTO-5-UPDOWN: Line protocol on Interface TenGigabitEthernet${d(4)}/${d(48)}, changed state to up`,
  ],
  (d) => [
    'ios',
    5,
    `%BGP-5-ADJCHANGE: neighbor 10.${d(256)}.${d(256)}.${d(256)} Up after ${d(90_000)} seconds of waiting`,
  ],
  (d) => [
    'ios',
    6,
    `%SEC-6-IPACCESSLOGP: list ${100 + d(90)} denied tcp 192.0.2.${d(256)}(${d(65_536)}) -> 198.51.100.${d(256)}(${d(1_024)}), 1 packet`,
  ],
  (d) => [
    'nxos',
    4,
    `%ETHPORT-4-IF_HARDWARE: Interface Ethernet${d(8)}/${d(48)}, hardware type changed to ${d(40)}G-SR, serial FNS${d(1e8)}`,
  ],
  (d) => [
    'nxos',
    6,
    `%AUTHPRIV-6-SYSTEM_MSG: pam_aaa:Authentication succeeded for user netops${d(90)} from 203.0.113.${d(256)} - dcos_sshd[${d(32_768)}]`,
  ],
  (d) => [
    'junos',
    4,
    `rpd[${d(9_999)}]: bgp_hold_timeout:4035: NOTIFICATION sent to 10.${d(256)}.${d(256)}.1 (External AS ${64_512 + d(999)}): code 4 (Hold Timer Expired)`,
  ],
  (d) => [
    'junos',
    6,
    `mib2d[${d(9_999)}]: SNMP_TRAP_LINK_UP: ifIndex ${d(600)}, ifAdminStatus up(1), ifOperStatus up(1), ifName xe-${d(8)}/0/${d(48)}`,
  ],
  (d) => [
    'sshd',
    6,
    `Accepted publickey for deploy${d(50)} from 10.${d(256)}.${d(256)}.${d(256)} port ${1_024 + d(60_000)} ssh2: ED25519 SHA256:${d(1e9)}${d(1e9)}`,
  ],
  (d) => [
    'sshd',
    5,
    `Failed password for invalid user guest${d(900)} from 203.0.113.${d(256)} port ${1_024 + d(60_000)} ssh2`,
  ],
  (d) => [
    'kernel',
    6,
    `[${d(1e7)}.${d(1e6)}] eth${d(4)}: renamed from veth${d(1e6)}, carrier lost and found again, queue ${d(64)} of 64 restarted`,
  ],
  (d) => [
    'kernel',
    4,
    `TCP: request_sock_TCP: Possible SYN flooding on port ${d(65_536)}. Sending cookies. Check SNMP counters. zone ${d(5_000)}`,
  ],
  (d) => [
    'systemd',
    6,
    `Started session-${d(1e6)}.scope - Session ${d(1e6)} of User svc${d(40)}, slice user-${1_000 + d(500)}.slice, after ${d(3_000)} ms.`,
  ],
  (d) => [
    'asa',
    6,
    `%ASA-6-302013: Built outbound TCP connection ${d(1e9)} for outside:203.0.113.${d(256)}/443 to inside:10.${d(256)}.${d(256)}.${d(256)}/${d(65_536)}`,
  ],
  (d) => [
    'asa',
    4,
    `%ASA-4-106023: Deny udp src outside:192.0.2.${d(256)}/${d(65_536)} dst inside:10.${d(256)}.${d(256)}.${d(256)}/161 by access-group "OUT" [0x${d(1e9).toString(16)}]`,
  ],
  (d) => [
    'dhcpd',
    6,
    `DHCPACK on 10.${d(256)}.${d(256)}.${d(256)} to 52:54:00:${d(90) + 10}:${d(90) + 10}:${d(90) + 10} (laptop-${d(9_000)}) via vlan${d(4_000)} lease ${d(86_400)}s`,
  ],
];

/** About 5 % of the events: what the benchmark's rules look for, and nothing else contains. */
const MATCHING = [
  '%ENVMON-2-TEMP',
  'chassis fan failure',
  '%STACKMGR-1-DOWN',
  'raid array degraded',
  'power supply lost',
];
export const MATCHING_WORDS: readonly string[] = MATCHING;
const MATCHING_SHARE = 0.05;

export function makeCorpus(seed = CORPUS_SEED): Corpus {
  const random = seededRandom(seed);
  const draw: Draw = (below) => Math.floor(random() * below);
  const hash = createHash('sha256');
  const events: Buffer[] = [];
  let bytes = 0;
  for (let index = 0; index < EVENTS; index++) {
    const shape = SHAPES[index % SHAPES.length] as (typeof SHAPES)[number];
    let [program, severity, message] = shape(draw);
    if (random() < MATCHING_SHARE) {
      message = `${MATCHING[draw(MATCHING.length)]} unit ${draw(9_000)}: ${message}`;
      severity = 2;
      program = PROGRAMS[draw(PROGRAMS.length)] as string;
    }
    const host = draw(HOSTS);
    const event = {
      timestamp: new Date(Date.UTC(2026, 10, 1) + index * 137).toISOString(),
      hostname: `${ROLES[host % ROLES.length]}-${String(host).padStart(3, '0')}.net.example`,
      program,
      source_ip: `10.${host >> 4}.${host & 15}.${1 + draw(250)}`,
      syslog_facility: 16 + draw(8),
      syslog_severity: severity,
      message: `${index}: ${message}`,
    };
    const encoded = Buffer.from(JSON.stringify(event), 'utf8');
    hash.update(encoded);
    bytes += encoded.length;
    events.push(encoded);
  }
  return { seed, sha256: hash.digest('hex'), events, bytesMean: bytes / EVENTS };
}
