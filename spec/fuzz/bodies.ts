/**
 * Bodies that nobody would send on purpose: a corpus of what relays and devices send, mutated and spliced, and bytes from
 * structure alone. Every arbitrary shrinks, so that a failure names the smallest body that shows it.
 */
import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';

const FOLDER = new URL('../fixtures/bodies/', import.meta.url);
/** Longer ones of the fixtures test limits, and would only make every run slow. */
const SEED_BYTES_MAX = 4_096;

/** Lines in the shapes of devices and relays; hosts, numbers and texts are made up. */
const LINES = [
  '<34>Oct 11 22:14:15 mymachine su[230]: failed for lonvick on /dev/pts/8',
  '<165>1 2003-10-11T22:14:15.003Z host.example. evntslog 8710 ID47 [e@32473 iut="3" a="q\\"u\\]\\\\"][b x="1" x="2"] \uFEFFtext',
  '<34>1 - host - - - [origin ip="192.0.2.1"]',
  `<189>Jun 14 15:16:01 rtr1 45: 000046: *Jun 14 2024 15:16:00.123 CEST: %LINK-3-UPDOWN: Interface Gi0/1, changed state to down`,
  '<189>45: rtr1: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console by vty0 (10.0.0.1)',
  '<189>45: rtr1: 1w2d: %BGP-5-ADJCHANGE: neighbor 10.0.0.2 Down',
  '<166>Jun 14 2024 15:16:01 fw1 : %ASA-6-302013: Built outbound TCP connection',
  '<189>: nx1: 2024 Jun 14 15:16:01.5 UTC: %ETHPORT-5-IF_DOWN_ADMIN: Ethernet1/1 is down',
  '<28>Jun 14 15:16:01.211 2022 mx-1 rpd[1234]: %DAEMON-4-RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer',
  'Feb 29 00:00:00 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0',
  '2024-06-14 15:16:01,250 +0200 web-1 nginx[7]: GET / 200',
  '1718378161.25 [fe80::1%eth0] app: grün',
  'Jun 14 15:16:01 combo -- MARK --',
];
const OBJECTS = [
  '{"hostname":"Core-1.Example.NET.","message":"%LINK-3-UPDOWN: Gi0/1","timestamp":"2024-05-01T12:00:00Z","syslog_severity":"Error"}',
  '{"hostname":"[2001:DB8::1]","message":"m","timestamp":1714564800123,"pri":"<131>","source_ip":"::ffff:10.0.0.1"}',
  '{"hostname":"h\\u0000","message":"a\\ud800b","timestamp":"1714564800.123","_retry_count":9,"__proto__":{"x":1}}',
  '{"hostname":"h","message":"trap","timestamp":1714564800123456789,"trap_oid":"SNMPv2-SMI::enterprises.9.9.41","source":"snmp",' +
    '"varbinds":[{"oid":"1.3.6.1.2.1.2.2.1.2.3","name":"ifDescr","value":"Gi0/3"}],"ifName":"Gi0/3"}',
  '{"hostname":"h","message":"m","timestamp":1e9,"severity":"warning","facility":"local7","fields":{"a":[{"b":[1,2]}]}}',
];

const fixtures = readdirSync(FOLDER)
  .map((name) => readFileSync(new URL(name, FOLDER)))
  .filter(({ length }) => length <= SEED_BYTES_MAX);
const SEEDS: readonly Buffer[] = [
  ...[...LINES, ...OBJECTS].map((text) => Buffer.from(text)),
  Buffer.from(LINES.join('\n')),
  Buffer.from(OBJECTS.join('\n')),
  Buffer.from(`[${OBJECTS.join(',')}]`),
  Buffer.from([...OBJECTS, ...LINES].join('\r\n')),
  ...fixtures,
];

// prettier-ignore
const TOKENS = [
  '{', '}', '[', ']', '"', '\\', ',', ':', '\n', '\r\n', '\n{', '\x1e', '\0', ' ', '\uFEFF', '\u2028', 'null', '-0', '1e999',
  '\\u0000', '\\ud800', '{"hostname":', '"timestamp":', '"hostname":"h","message":"m","timestamp":1', '<34>', '<191>',
  '<34>1 ', 'Feb 29 23:59:60 ', '*', '.', '%A-1-B: ', '9999999999', '+14:00', '::', '%', '__proto__', 'constructor',
].map((text) => Buffer.from(text));
/** Half of a character, an overlong one, a surrogate, what is never in UTF-8, and Latin-1. */
const BROKEN = [[0xc3], [0xe2, 0x82], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xff], [0xf8], [0xfc, 0x6e]].map(
  (bytes) => Buffer.from(bytes),
);

const position = fc.nat({ max: 1_000_000 });
type Mutation = (body: Buffer) => Buffer;
const replaced = (body: Buffer, start: number, end: number, by: Uint8Array): Buffer =>
  Buffer.concat([body.subarray(0, start), by, body.subarray(end)]);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.constantFrom(...TOKENS, ...BROKEN)).map(
    ([at, token]): Mutation =>
      (body) =>
        replaced(body, at % (body.length + 1), at % (body.length + 1), token),
  ),
  fc.tuple(position, fc.nat(7)).map(([at, bit]): Mutation => (body) => {
    if (body.length === 0) return body;
    const flipped = Buffer.from(body);
    flipped[at % body.length]! ^= 1 << bit;
    return flipped;
  }),
  fc.tuple(position, fc.nat(40)).map(
    ([at, length]): Mutation =>
      (body) =>
        replaced(
          body,
          at % (body.length + 1),
          Math.min(body.length, (at % (body.length + 1)) + length),
          Buffer.of(),
        ),
  ),
  fc
    .tuple(position, fc.nat(60), fc.integer({ min: 1, max: 5 }))
    .map(([at, length, times]): Mutation => (body) => {
      const start = at % (body.length + 1);
      const part = body.subarray(start, start + length);
      return replaced(body, start, start, Buffer.concat(new Array<Buffer>(times).fill(part)));
    }),
  position.map(
    (at): Mutation =>
      (body) =>
        body.subarray(0, at % (body.length + 1)),
  ),
  fc.tuple(position, fc.nat(SEEDS.length - 1)).map(
    ([at, other]): Mutation =>
      (body) =>
        replaced(body, at % (body.length + 1), body.length, SEEDS[other]!),
  ),
);

const seed = fc.nat(SEEDS.length - 1).map((at) => SEEDS[at]!);
const mutated = fc
  .tuple(seed, fc.array(mutation, { maxLength: 6 }))
  .map(([body, mutations]) => mutations.reduce((sofar, mutate) => mutate(sofar), body));
const structural = fc
  .array(fc.constantFrom(...TOKENS, ...BROKEN), { maxLength: 60 })
  .map((parts) => Buffer.concat(parts));
const noise = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));

/** Any body of the above; most are mutants. */
export const hostileBody: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 8, arbitrary: mutated },
  { weight: 2, arbitrary: structural },
  { weight: 1, arbitrary: noise },
);

/** The bodies as they were before anybody broke them. */
export const wholeBodies: readonly Buffer[] = SEEDS;
