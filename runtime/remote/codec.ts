/**
 * How messages become bytes and bytes become messages again, checked on both sides.
 *
 * A codec is named, versioned and known by the hash of its schema, so that two threads can tell before the first message
 * whether they mean the same. Invariant: what `decode` returns is what the schema says; anything else throws, and never
 * reaches an actor. The codec for plain data is json-codec.ts: a file of its own, since a thread that only passes bytes
 * should not wait for a schema library to load.
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../errors.ts';
import type { BytesView } from '../ring/bytes-view.ts';

export interface CodecIdentity {
  readonly name: string;
  readonly version: number;
  /** Of everything that both sides must agree on. */
  readonly schemaHash: string;
}

export interface MessageCodec<Sent, Received = Sent> extends CodecIdentity {
  /** For the answers to asks; without it the ref cannot be asked. */
  readonly replies: MessageCodec<unknown> | undefined;
  /** Text is sent as UTF-8. Errors: `E_MESSAGE_UNSENDABLE` (it says what is wrong). */
  encode(message: Sent, isAsk: boolean): Uint8Array | string;
  /** `view.replyTo` is set for an ask. Errors: `E_MESSAGE_UNREADABLE`. */
  decode(view: BytesView): Received;
}

/** Bytes as they are: nothing is checked, nothing copied. The receiver has a view that ends with its handler. */
export const bytesCodec: MessageCodec<Uint8Array, BytesView> = {
  name: 'bytes',
  version: 1,
  schemaHash: hashOf('bytes'),
  // The asker keeps its answer, so an answer is copied.
  replies: {
    name: 'bytes.reply',
    version: 1,
    schemaHash: hashOf('bytes'),
    replies: undefined,
    encode: (reply) => asBytes(reply, 'bytes.reply'),
    decode: (view) => view.copy(),
  },
  encode: (message) => asBytes(message, 'bytes'),
  decode: (view) => view,
};

function asBytes(value: unknown, codec: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw unsendable(codec, `it is of type ${value === null ? 'null' : typeof value}, not a Uint8Array`);
}

/** A number for an actor's name under a codec: what stands in a record instead of both. */
export function targetOf(actor: string, { name, version, schemaHash }: CodecIdentity): number {
  return createHash('sha256')
    .update(JSON.stringify([actor, name, version, schemaHash]))
    .digest()
    .readInt32LE();
}

export function describeCodec({ name, version, schemaHash }: CodecIdentity): string {
  return `${name} v${version} (${schemaHash})`;
}

/** Whatever the order of its keys was. */
export function hashOf(value: unknown): string {
  const canonical = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

export function unsendable(codec: string, why: string, cause?: unknown): CodedError {
  return new CodedError('E_MESSAGE_UNSENDABLE', `not sendable by codec ${codec}: ${why}`, {
    kind: 'defect',
    mend: 'Send what the schema says: plain data, no functions, circles or bigints.',
    ...(cause === undefined ? {} : { cause }),
  });
}

export function unreadable(codec: string, why: string, cause?: unknown): CodedError {
  return new CodedError('E_MESSAGE_UNREADABLE', `not readable by codec ${codec}: ${why}`, {
    kind: 'permanent',
    mend: 'Send with the same codec and schema as the receiver has.',
    ...(cause === undefined ? {} : { cause }),
  });
}
