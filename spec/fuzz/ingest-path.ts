/**
 * The way of a body, from its bytes to the decision about each event, with everything that must hold on it for any bytes
 * whatever. Throws with the name of what does not hold.
 */
import { randomFillSync } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { canonicalHostname } from '../../actors/hostname.ts';
import { decodeRecord } from '../../actors/ingest/decode-record.ts';
import { decodeFrame, encodeFrame } from '../../actors/ingest/frame.ts';
import type { FrameInput } from '../../actors/ingest/frame.ts';
import { partitionOf } from '../../actors/ingest/partition.ts';
import { splitRecords } from '../../actors/ingest/split-records.ts';
import { uuidV7Maker } from '../../actors/ingest/uuid-v7.ts';
import { UnmatchedAudit } from '../../actors/match/audit-policy.ts';
import { RuleSet, buildRuleSet } from '../../actors/match/rule-set/rule-set.ts';
import { TemplateMask } from '../../actors/match/template.ts';
import { decide, decisionBasis } from '../../actors/match/decide.ts';
import { normalizeEvent } from '../../actors/match/normalize.ts';
import type { NormalizedRecord } from '../../actors/match/normalize.ts';
import { ruleOf } from '../actors/match/fixtures.ts';

export const receivedAtMs = Date.parse('2024-06-20T10:00:00Z');
const PARTITIONS = 8;
/** Reads of one byte of a body by the splitter: what it scans, what it may scan again, and the blanks around. */
const READS_PER_BYTE_MAX = 12;
/** Counting every read is slow. */
const COUNTED_BYTES_MAX = 6_000;
/** What an event may weigh as JSON for each byte of its record: six for an escape, and numbers that are written out. */
const WEIGHT_PER_BYTE_MAX = 24;
const WEIGHT_OF_NOTHING = 2_000;
/** What is never part of a record: separators, the brackets of an array, and a byte order mark. */
const SEPARATORS = /^(?:\u00ef\u00bb\u00bf)?[\s,[\]\x1e]*$/;

const rules = [
  ruleOf({ id: 1, match_string: 'updown', continue: true }),
  ruleOf({ id: 2, match_string: '(fail|down).*\\d', match_type: 'regex', continue: true }),
  ruleOf({ id: 3, host: 'core-1.example.net', continue: true }),
  ruleOf({ id: 4, host: '*1*', continue: true }),
  ruleOf({ id: 5, trap_oid: '1.3.6.1.4.1.9', match_type: 'oid_prefix', continue: true }),
  ruleOf({ id: 6, syslog_severity: 4, severity_op: '<=', facility: 4, continue: true }),
  ruleOf({ id: 7, program: 'su', signature: '{host}::{object}::{oid}::{msgid}::{source_ip}' }),
  ruleOf({ id: 8, network: '10.0.0.0/8' }),
];
const destinationless = {
  version: 1,
  rules,
  developmentHosts: ['CORE-1.'],
  teams: { h: 'NETO' },
  destinations: [],
  settings: {},
  keys: [],
};
const basis = decisionBasis(destinationless, (id) => rules.find((rule) => rule.id === id));
const ruleFaults: unknown[] = [];
const { image, refused } = buildRuleSet(rules, 1);
const matcher = new RuleSet(image, { onFault: (_, error) => ruleFaults.push(error) });
const unmatchedAudit = new UnmatchedAudit(() => 'sample');
const templateMask = new TemplateMask();
const nextId = uuidV7Maker({ wallMs: () => receivedAtMs }, randomFillSync);

export interface Travelled {
  accepted: number;
  rejected: number;
  repaired: number;
}

/** Sends `body` all the way. What came of its records; throws when anything does not hold. */
export function travel(body: Buffer): Travelled {
  must(refused.length === 0, 'every rule compiles');
  if (body.length <= COUNTED_BYTES_MAX) countReads(body);
  const { records, rejects } = splitRecords(body);
  accountForEveryByte(body, [...records, ...rejects]);

  const inputs = new Map<number, { input: FrameInput; hostname: string }[]>();
  let rejected = rejects.length;
  for (const { kind, start, end } of records) {
    const judged = decodeRecord(body, kind, start, end, receivedAtMs);
    if (!judged.ok) {
      must(/^E_[A-Z_]+$/.test(judged.code) && judged.message.length <= 300, 'a reject says why, in bounds');
      rejected++;
      continue;
    }
    must(
      judged.hostname !== '' && canonicalHostname(judged.hostname) === judged.hostname,
      'a host is canonical',
    );
    const partition = partitionOf(judged.hostname, PARTITIONS);
    const group = inputs.get(partition) ?? [];
    inputs.set(partition, group);
    group.push({ input: { kind, correlationId: 'c', body, start, end }, hostname: judged.hostname });
  }

  const travelled = { accepted: 0, rejected, repaired: 0 };
  for (const group of inputs.values()) {
    const stored = encodeFrame(
      nextId(),
      receivedAtMs,
      group.map(({ input }) => input),
    );
    const frame = decodeFrame(stored);
    must(frame.records.length === group.length, 'a frame holds its records');
    frame.records.forEach((record, index) => {
      const { input, hostname } = group[index]!;
      must(
        record.bytes.equals(body.subarray(input.start, input.end)),
        'a record comes out of its frame as it went in',
      );
      const received = { ...record, id: `${frame.id}-${index}`, receivedAtMs: frame.receivedAtMs };
      const normalized = normalizeEvent(received);
      mustBeSound(normalized, record.bytes, hostname);
      must(isDeepStrictEqual(normalizeEvent(received), normalized), 'a record is always read the same');
      decideAbout(normalized);
      travelled.accepted++;
      if (normalized.event.textRepaired) travelled.repaired++;
    });
  }
  return travelled;
}

function mustBeSound({ event, raw, rawBytes }: NormalizedRecord, bytes: Buffer, hostname: string): void {
  must(event.hostname === hostname, 'the host that decided the partition is the host of the event');
  must(event.message.trim() !== '', 'a message is not blank');
  must(Number.isSafeInteger(event.eventTimeMs), 'a time is whole milliseconds');
  must(!Number.isNaN(new Date(event.eventTimeMs).getTime()), 'a time can be written');
  must(isIn(event.severity, 7) && isIn(event.facility, 23), 'severity and facility are in range');
  const { program = '', pid = '', msgid = '', sourceIp = '', trapOid = '' } = event;
  for (const text of [event.hostname, event.message, raw, program, pid, msgid, sourceIp, trapOid]) {
    must(text.isWellFormed() && !text.includes('\0'), 'every store takes the text');
  }
  if (rawBytes === null) must(Buffer.from(raw).equals(bytes), 'the text says the bytes');
  else must(rawBytes.equals(bytes) && event.textRepaired, 'the bytes are kept, and the event is flagged');
  must(
    JSON.stringify(event).length <= bytes.length * WEIGHT_PER_BYTE_MAX + WEIGHT_OF_NOTHING,
    'an event weighs in proportion to its bytes',
  );
}

function decideAbout(normalized: NormalizedRecord): void {
  const matches = matcher.match(normalized.event);
  must(ruleFaults.length === 0, 'no rule throws');
  templateMask.mask(normalized.event.message);
  unmatchedAudit.keeps(normalized.event, templateMask.hash.high);
  const row = decide(normalized, matches, basis);
  must(
    row.decision === 'Unmatched' ? matches.length === 0 : matches.length > 0,
    'a decision follows its matches',
  );
}

/** Every byte lies in exactly one record or reject, or is a separator. */
function accountForEveryByte(body: Buffer, slices: { index: number; start: number; end: number }[]): void {
  slices.sort((a, b) => a.index - b.index);
  let left = '';
  let last = 0;
  slices.forEach(({ index, start, end }, at) => {
    must(index === at && start >= last && end > start && end <= body.length, 'slices follow one another');
    left += body.toString('latin1', last, start);
    last = end;
  });
  must(SEPARATORS.test(left + body.toString('latin1', last)), 'no byte is left out but separators');
}

/** Work of the splitter by count, not by clock: it looks at each byte a bounded number of times. */
export function countReads(body: Buffer): void {
  let reads = 0;
  const counted = new Proxy(body, {
    get(target, name): unknown {
      if (name === 'length') return target.length;
      if (name === 'indexOf') {
        return (byte: number, from: number): number => {
          const found = target.indexOf(byte, from);
          reads += (found === -1 ? target.length : found) - from + 1;
          return found;
        };
      }
      reads++;
      return target[Number(name)];
    },
  });
  splitRecords(counted);
  must(reads <= (body.length + 1) * READS_PER_BYTE_MAX, `${reads} reads of ${body.length} bytes`);
}

function isIn(value: number | undefined, max: number): boolean {
  return value === undefined || (Number.isInteger(value) && value >= 0 && value <= max);
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`does not hold: ${what}`);
}
