/** How calls and replies of the scripts look on the wire: the counterpart of the header blocks in `scripts/`. */
import type {
  AppendRequest,
  AppendResult,
  CommitResult,
  ExpressAppend,
  FullReason,
  OverflowAppend,
  RenewResult,
  SpillLook,
} from './durable-store.ts';
import type { Argument, ScriptCall } from './script-loader.ts';
import {
  ARRIVALS_FAIR_SHARES_MAX,
  ARRIVALS_KEYS_MAX,
  ARRIVALS_TTL_MS,
  DIVERTED_KEYS_MAX,
  encodeKeyCounts,
  FLOOD_PART_MIN,
  ID_JUMP,
} from './store-names.ts';

const DIGIT_ZERO = 0x30;

/** The call of `append.lua`. */
export function appendCall(
  request: AppendRequest,
  keyOf: (partition: number, name: string) => string,
  writerTtlMs: number,
): ScriptCall {
  const { partition, lane, writerId, bounds, diversion, marks = [], markWindow } = request;
  const names = [lane, 'ledger', `writer:${writerId}`, 'marks', 'marks:old', 'diverted', 'arrivals'];
  return {
    script: 'append',
    keys: names.map((name) => keyOf(partition, name)),
    args: [
      lane,
      request.sequence,
      request.count,
      request.payload,
      bounds.entriesMax,
      bounds.bytesMax,
      bounds.messagesMax ?? 0,
      bounds.ageMsMax ?? 0,
      writerTtlMs,
      request.witnessed ?? 0,
      ID_JUMP,
      Buffer.concat(marks.flatMap(({ key, content }) => [key, content])),
      markWindow?.keysMax ?? 0,
      markWindow?.ageMsMax ?? 0,
      ...(diversion === undefined ? [] : diversionArguments(diversion)),
    ],
  };
}

function diversionArguments(diversion: ExpressAppend | OverflowAppend): Argument[] {
  const keys = diversion.keys === undefined ? '' : encodeKeyCounts(diversion.keys);
  if ('expressLane' in diversion) return ['overflow', keys, diversion.expressLane];
  const { version, fairMessages } = diversion;
  return [
    'express',
    keys,
    version,
    fairMessages,
    fairMessages * FLOOD_PART_MIN,
    DIVERTED_KEYS_MAX,
    fairMessages * ARRIVALS_FAIR_SHARES_MAX,
    ARRIVALS_KEYS_MAX,
    ARRIVALS_TTL_MS,
  ];
}

/** What `append.lua` replied. */
export function appendResult(reply: unknown): AppendResult {
  const [status, value, id, verdicts, waiting] = reply as [
    Buffer,
    number | Buffer,
    Buffer?,
    Buffer?,
    number?,
  ];
  switch (text(status)) {
    case 'stored':
      return {
        status: 'stored',
        accepted: Number(value),
        position: text(id),
        ...reused(verdicts),
        ...(waiting === undefined ? {} : { waiting }),
      };
    case 'rerouted': {
      const [, version, ...keys] = reply as [Buffer, number, ...Buffer[]];
      return { status: 'rerouted', version, keys: keys.map((key) => Number(text(key))) };
    }
    case 'repeat': {
      const position = text(id);
      return {
        status: 'repeat',
        accepted: Number(value),
        ...(position === '' ? {} : { position }),
        ...reused(verdicts),
      };
    }
    case 'duplicate': {
      const duplicates = marksThat(id, (verdict) => verdict >= KNOWN);
      return { status: 'duplicate', accepted: Number(value), duplicates, ...reused(id) };
    }
    case 'gap':
      return { status: 'gap', last: Number(value) };
    case 'older':
      return { status: 'older', accepted: Number(value) };
    default:
      return { status: 'full', reason: text(value) as FullReason };
  }
}

/** From here on a digit of the verdicts says that the mark is known; an odd one says that its key was reused. */
const KNOWN = 2;

function reused(verdicts: Buffer | undefined): { reused?: number[] } {
  const found = marksThat(verdicts, (verdict) => verdict % 2 === 1);
  return found.length === 0 ? {} : { reused: found };
}

function marksThat(verdicts: Buffer | undefined, is: (verdict: number) => boolean): number[] {
  const found: number[] = [];
  for (const [mark, digit] of (verdicts ?? []).entries()) if (is(digit - DIGIT_ZERO)) found.push(mark);
  return found;
}

/** What `commit.lua` replied. */
export function commitResult(reply: unknown): CommitResult {
  const [status, value] = (reply as Buffer[]).map(text);
  switch (status) {
    case 'committed':
      return { status: 'committed' };
    case 'repeat':
      return { status: 'repeat' };
    case 'fenced':
      return { status: 'fenced', current: value ?? '' };
    default:
      return { status: 'full', lane: value ?? '' };
  }
}

/** What `spill.lua` replied about these lanes. */
export function spillLook(
  reply: unknown,
  lanes: readonly string[],
): SpillLook | { status: 'fenced'; current: string } {
  const [status = '', ...values] = (reply as Buffer[]).map(text);
  if (status === 'fenced') return { status, current: values[0] ?? '' };
  const [attempt = 0, messages = 0, bytes = 0, ...rest] = values.map(Number);
  const found = lanes.map((lane, index) => {
    const [last = 0, taken = 0, outside = 0, entries = 0, entryBytes = 0] = rest.slice(index * 5);
    return [lane, { last, taken, bytes: outside, entries, entryBytes }] as const;
  });
  return { status: 'looked', attempt, waiting: { messages, bytes }, lanes: Object.fromEntries(found) };
}

/** Any reply as text. */
export function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value);
}

/** A flat list of fields and values. */
export function pairs(flat: unknown): Map<string, string> {
  const list = flat as Buffer[];
  const map = new Map<string, string>();
  for (let index = 0; index < list.length; index += 2) map.set(text(list[index]), text(list[index + 1]));
  return map;
}

/** What `renew.lua` replied. */
export function renewResult(partition: number, reply: unknown): RenewResult {
  const [what, value] = reply as [Buffer, number | Buffer];
  return text(what) === 'renewed' ? { partition, epoch: Number(value) } : { partition, lostTo: text(value) };
}
