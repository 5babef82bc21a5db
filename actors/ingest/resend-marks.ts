/**
 * What a resend is recognised by: the Idempotency-Key of a request, and the `id` of an event where the API key opts in.
 *
 * Both are scoped to the API key. Only digests leave this file, so that nobody can choose where two meet. Invariants: the
 * same body under the same key gives the same marks and reject ids on every thread and node; whatever may have been cut
 * or decoded otherwise, by another version say, counts as another content: storing twice is better than losing.
 */
import { createHash } from 'node:crypto';
import type { RangeMark } from '../../runtime/durable/marking.ts';
import { MARK_CONTENT_BYTES, MARK_KEY_BYTES } from '../../runtime/durable/durable-store.ts';
import type { AcceptedRecord } from './event-collector.ts';
import { RECORD_JSON } from './split-records.ts';
import { UUID_BYTES, formatUuid } from './uuid-v7.ts';

/** Longer ones are no ids. */
export const EVENT_ID_CHARS_MAX = 256;

/** A request that says which one it is. */
export interface RequestIdentity {
  keyName: string;
  idempotencyKey: string;
  /** Of what it brings: the body, and what says how to read it. */
  content: Buffer;
}

/** `body` is the plain one: the same events may be compressed otherwise when they come again. */
export function requestIdentity(
  request: { keyName: string; idempotencyKey: string; dialect: string; hint: string },
  body: Buffer,
): RequestIdentity {
  const { keyName, idempotencyKey, dialect, hint } = request;
  return { keyName, idempotencyKey, content: digest(body, dialect, hint) };
}

/** The mark of the `nth` part that a request has in its partition. */
export function partMark(
  { keyName, idempotencyKey, content }: RequestIdentity,
  nth: number,
  part: { inputs: readonly unknown[]; byteLength: number },
): RangeMark {
  const count = part.inputs.length;
  return {
    key: markKey('request', keyName, idempotencyKey, String(nth)),
    content: markContent(content, String(count), String(part.byteLength)),
    first: 0,
    count,
  };
}

/** The id of what could not be used at `index` of a request: parked once, however often it comes. */
export function rejectId({ keyName, idempotencyKey, content }: RequestIdentity, index: number): string {
  const id = digest(content, 'reject', keyName, idempotencyKey, String(index)).subarray(0, UUID_BYTES);
  id[6] = (id[6]! & 0x0f) | 0x80;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return formatUuid(id);
}

/** The mark of an event that has an `id`, as message `first` of its part; undefined when it has none. Hosts have ids of
 * their own, so that it does not depend on which of them share a partition. */
export function eventMark(
  keyName: string,
  { kind, hostHash, body, start, end }: AcceptedRecord,
  first: number,
): RangeMark | undefined {
  if (kind !== RECORD_JSON) return undefined;
  const { id } = JSON.parse(body.toString('utf8', start, end)) as { id?: unknown };
  const isId =
    typeof id === 'number' || (typeof id === 'string' && id !== '' && id.length <= EVENT_ID_CHARS_MAX);
  if (!isId) return undefined;
  return {
    key: markKey('event', keyName, String(hostHash), JSON.stringify(id)),
    content: markContent(body.subarray(start, end)),
    first,
    count: 1,
  };
}

function markKey(...names: string[]): Buffer {
  return digest('', ...names).subarray(0, MARK_KEY_BYTES);
}

function markContent(content: Buffer, ...more: string[]): Buffer {
  return digest(content, ...more).subarray(0, MARK_CONTENT_BYTES);
}

function digest(content: Buffer | string, ...names: string[]): Buffer {
  return createHash('sha256').update(JSON.stringify(names)).update(content).digest();
}
