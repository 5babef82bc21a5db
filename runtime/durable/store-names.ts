/**
 * Names, ids and checks that both stores share, so that they refuse the same requests with the same errors before
 * anything is sent. A script must never fail after its first write: everything that could make it fail is checked here.
 */
import { CodedError } from '../errors.ts';
import type {
  AppendRequest,
  Bounds,
  CommitRequest,
  ExpressAppend,
  KeyCounts,
  Mark,
  MarkWindow,
  OverflowAppend,
  Strike,
} from './durable-store.ts';
import { MARK_CONTENT_BYTES, MARK_KEY_BYTES, STRIKE_MESSAGE_LENGTH_MAX } from './durable-store.ts';

const LANE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
const GROUP_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const NONCE_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;
const WRITER_PATTERN = /^[0-9a-f]{32}$/;
const ID_PATTERN = /^\d{1,16}-\d{1,10}$/;
const RESERVED = new Set([
  'owner',
  'ledger',
  'strikes',
  'groups',
  'marks',
  'marks:old',
  'diverted',
  'arrivals',
]);
const KEYS_PATTERN = /^(?:-?\d{1,10} \d{1,10} )*$/;
const COUNT_MAX = 2 ** 31;

/** How far ids of every lane jump, at least, when a store came back older: more than can have been lost. */
export const ID_JUMP = 1_000_000_000;

/** Keys that are diverted at a time in one partition, at most; a key decided on beyond it stays where it is. */
export const DIVERTED_KEYS_MAX = 1_024;

/**
 * What a lane's keys have brought since it was crowded is forgotten when nothing came to a crowded lane for so long, and
 * after so many times its fair number of messages or so many keys: what was long ago says nothing of who floods now.
 */
export const ARRIVALS_TTL_MS = 2_000;
export const ARRIVALS_FAIR_SHARES_MAX = 16;
export const ARRIVALS_KEYS_MAX = 10_000;

/** A key that has brought less than this part of the fair number is no flood, however quiet all others are. */
export const FLOOD_PART_MIN = 1 / 16;

/** How long a store remembers an idle writer's last sequence. */
export const WRITER_TTL_MS = 600_000;

/** The number of messages in an entry, from its id. */
export function countOf(id: string): number {
  return Number(id.slice(id.indexOf('-') + 1));
}

/** Messages of the lane up to and with this entry, from its id. */
export function cumulativeOf(id: string): number {
  return Number(id.slice(0, id.indexOf('-')));
}

/** Orders entry ids. */
export function compareIds(a: string, b: string): number {
  return cumulativeOf(a) - cumulativeOf(b) || countOf(a) - countOf(b);
}

/** Key counts as an overflow lane's entry keeps them: `key count key count `. */
export function encodeKeyCounts(keys: KeyCounts): string {
  let text = '';
  for (const [key, count] of keys) text += `${key} ${count} `;
  return text;
}

/** Adds what `encodeKeyCounts` wrote to `sums`. */
export function addKeyCounts(sums: Map<string, number>, text: string): void {
  const parts = text.split(' ');
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const key = parts[at] as string;
    sums.set(key, (sums.get(key) ?? 0) + Number(parts[at + 1]));
  }
}

/** The field of an entry in the strikes hash. */
export function strikeField(lane: string, entryId: string): string {
  return `${lane} ${entryId}`;
}

/** A strike with whole bounds and a bounded message. */
export function cutStrike(strike: Strike): Strike {
  checkWhole('lo', strike.lo, 0, COUNT_MAX);
  checkWhole('hi', strike.hi, strike.lo + 1, COUNT_MAX);
  return {
    lo: strike.lo,
    hi: strike.hi,
    reason: strike.reason.slice(0, STRIKE_MESSAGE_LENGTH_MAX),
    message: strike.message.slice(0, STRIKE_MESSAGE_LENGTH_MAX),
    atMs: strike.atMs,
  };
}

export function checkPartition(partition: number): void {
  if (!Number.isSafeInteger(partition) || partition < 0) {
    throw badRequest(`a partition is a whole number from 0 on, not ${partition}`);
  }
}

export function checkLane(lane: string): void {
  if (!LANE_PATTERN.test(lane) || RESERVED.has(lane) || lane.startsWith('writer:')) {
    throw badRequest(`'${lane}' cannot name a lane or set`, {
      mend: `Use letters, digits and _.:- (128 at most); ${[...RESERVED].join(', ')} and writer:* are taken.`,
    });
  }
}

export function checkLease(laneGroup: string, nonce: string, ttlMs?: number): void {
  if (!GROUP_PATTERN.test(laneGroup)) throw badRequest(`'${laneGroup}' cannot name a lane group`);
  if (!NONCE_PATTERN.test(nonce)) throw badRequest('a nonce is 1 to 64 letters, digits, _ or -');
  if (ttlMs !== undefined) checkWhole('ttlMs', ttlMs, 1);
}

export function checkEntryId(id: string): void {
  if (!ID_PATTERN.test(id)) throw badRequest(`'${id}' is not an entry id`);
}

/** Throws E_STORE_REQUEST for anything a store cannot take. */
export function checkAppend(request: AppendRequest): void {
  checkPartition(request.partition);
  checkLane(request.lane);
  if (!WRITER_PATTERN.test(request.writerId)) throw badRequest('a writer id is 32 hex digits');
  checkWhole('sequence', request.sequence, 1);
  checkWhole('count', request.count, 1, COUNT_MAX);
  checkBounds(request.bounds);
  if (request.witnessed !== undefined) checkWhole('witnessed', request.witnessed, 0);
  if (request.diversion !== undefined) checkDiversion(request.diversion, request.count);
  if (request.marks !== undefined) checkMarks(request.marks, request.markWindow);
}

function checkDiversion(diversion: ExpressAppend | OverflowAppend, messages: number): void {
  if ('version' in diversion) {
    checkWhole('version', diversion.version, 0);
    checkWhole('fairMessages', diversion.fairMessages, 0);
  } else {
    checkLane(diversion.expressLane);
  }
  if (diversion.keys === undefined) return;
  let counted = 0;
  for (const [key, count] of diversion.keys) {
    checkWhole('key', key, -COUNT_MAX, COUNT_MAX);
    checkWhole('messages of a key', count, 1, COUNT_MAX);
    counted += count;
  }
  if (counted !== messages) throw badRequest(`keys of ${counted} messages in an entry of ${messages}`);
}

function checkMarks(marks: readonly Mark[], window: MarkWindow | undefined): void {
  for (const { key, content } of marks) {
    checkWhole('bytes of a key', key.length, MARK_KEY_BYTES, MARK_KEY_BYTES);
    checkWhole('bytes of a content', content.length, MARK_CONTENT_BYTES, MARK_CONTENT_BYTES);
  }
  if (window === undefined) throw badRequest('marks need their window');
  checkWhole('keysMax', window.keysMax, 1);
  checkWhole('ageMsMax', window.ageMsMax, 1);
}

/** Throws E_STORE_REQUEST for anything a store cannot take. */
export function checkCommit(request: CommitRequest): void {
  checkPartition(request.partition);
  checkLease(request.token.laneGroup, request.token.nonce);
  checkWhole('epoch', request.token.epoch, 1);
  for (const input of request.inputs ?? []) {
    checkLane(input.lane);
    checkEntryId(input.id);
    checkWhole('bytes', input.bytes, 0);
    if (input.keys !== undefined && !KEYS_PATTERN.test(input.keys))
      throw badRequest('keys are not key counts');
  }
  for (const removal of request.removeDelayed ?? []) checkLane(removal.set);
  for (const output of request.outputs ?? []) {
    checkLane(output.lane);
    checkWhole('count', output.count ?? 1, 1, COUNT_MAX);
    checkBounds(output.bounds);
  }
  for (const delayed of request.delayed ?? []) {
    checkLane(delayed.set);
    checkWhole('delayMs', delayed.delayMs, 0);
    checkBounds(delayed.bounds);
  }
  for (const [name, amount] of Object.entries(request.counters ?? {})) {
    checkCounter(name);
    checkWhole(`counter ${name}`, amount, 0);
  }
  checkSpills(request);
  for (const group of request.openGroups ?? []) checkWhole('parts', group.parts, 1, COUNT_MAX);
  for (const group of request.settleGroups ?? []) {
    checkCounter(group.counter);
    checkWhole('parts', group.parts ?? 1, 1, COUNT_MAX);
  }
}

function checkSpills({ spills, refill, inputs = [], outputs = [] }: CommitRequest): void {
  if (spills !== undefined) {
    if (inputs.length === 0 || refill !== undefined)
      throw badRequest('a spill needs inputs, and is no refill');
    checkWhole('attempt', spills.attempt, 1);
  }
  for (const { lane, after, count, bytes } of spills?.lanes ?? []) {
    checkLane(lane);
    checkWhole('after', after, 0);
    checkWhole('count', count, 1);
    checkWhole('bytes', bytes, 0);
    if (outputs.some((output) => output.lane === lane))
      throw badRequest(`lane ${lane} spills and has outputs`);
  }
  if (refill === undefined) return;
  const { lane, after, count, missing, bytes } = refill;
  checkLane(lane);
  checkWhole('after', after, 0);
  checkWhole('count', count, 1);
  checkWhole('missing', missing, 0, count);
  checkWhole('bytes', bytes, 0);
  if (inputs.length > 0) throw badRequest('a refill has no inputs');
  if (outputs.some((output) => output.lane !== lane) || outputs.length !== count - missing) {
    throw badRequest(
      `a refill of ${count} without ${missing} has ${outputs.length} outputs, all of its lane`,
    );
  }
}

function checkBounds(bounds: Bounds): void {
  checkWhole('entriesMax', bounds.entriesMax, 1);
  checkWhole('bytesMax', bounds.bytesMax, 1);
  if (bounds.messagesMax !== undefined) checkWhole('messagesMax', bounds.messagesMax, 1);
  if (bounds.ageMsMax !== undefined) checkWhole('ageMsMax', bounds.ageMsMax, 1);
}

function checkCounter(name: string): void {
  if (!GROUP_PATTERN.test(name)) throw badRequest(`'${name}' cannot name a counter`);
}

function checkWhole(what: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw badRequest(`${what} is a whole number from ${min} to ${max}, not ${value}`);
  }
}

function badRequest(message: string, options: { mend?: string } = {}): CodedError {
  return new CodedError('E_STORE_REQUEST', message, {
    kind: 'permanent',
    details: { stored: 'no' },
    ...options,
  });
}
