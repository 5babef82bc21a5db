/** How calls and replies of the scripts look on the wire: the counterpart of the header blocks in `scripts/`. */
import type { AppendRequest, AppendResult, CommitResult, FullReason, RenewResult } from './durable-store.ts';
import type { ScriptCall } from './script-loader.ts';
import { ID_JUMP } from './store-names.ts';

/** The call of `append.lua`. */
export function appendCall(
  request: AppendRequest,
  keyOf: (partition: number, name: string) => string,
  writerTtlMs: number,
): ScriptCall {
  const { partition, lane, writerId, bounds } = request;
  return {
    script: 'append',
    keys: [keyOf(partition, lane), keyOf(partition, 'ledger'), keyOf(partition, `writer:${writerId}`)],
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
    ],
  };
}

/** What `append.lua` replied. */
export function appendResult(reply: unknown): AppendResult {
  const [status, value, id] = reply as [Buffer, number | Buffer, Buffer | undefined];
  switch (text(status)) {
    case 'stored':
      return { status: 'stored', accepted: Number(value), position: text(id) };
    case 'repeat': {
      const position = text(id);
      return { status: 'repeat', accepted: Number(value), ...(position === '' ? {} : { position }) };
    }
    case 'gap':
      return { status: 'gap', last: Number(value) };
    case 'older':
      return { status: 'older', accepted: Number(value) };
    default:
      return { status: 'full', reason: text(value) as FullReason };
  }
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
