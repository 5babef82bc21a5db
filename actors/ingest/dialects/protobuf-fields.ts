/**
 * Walks the fields of a protobuf message in a body, so that what is broken costs as little as possible.
 *
 * Over the wire reader of a library; what is added is where each part lies, and what is left when the bytes stop making
 * sense: a message that is broken from some field on has lost only what follows within itself.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { EventsTooLarge } from '../event-collector.ts';
import type { EventCollector } from '../event-collector.ts';
import { BodyAbsurd } from '../read-budget.ts';

export { WireType };
export type { BinaryReader };

/** UTF-8 that is not valid never costs a record, and bodies lie in shared memory. */
function decodeText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** A message nests deeper than a record may. */
export class TooDeep extends Error {}

/** A message that is of use only whole is broken. */
class MessageBroken extends Error {}

/** A message within a body. */
export interface MessagePiece {
  start: number;
  end: number;
}

export interface FieldsRead {
  /** Where the message stops making sense; its end when it does not. */
  brokenAt: number;
  isWhole: boolean;
  /** Whether `take` knew at least one field. */
  isKnown: boolean;
}

/**
 * Gives each field to `take`, with the reader behind its tag. `take` says whether it knew the field and read it; one that
 * it did not know is passed over, at the cost of the budget. It may throw to say that the field makes no sense. `stop` ends the walk early.
 */
export function readFields(
  { body, budget }: EventCollector,
  { start, end }: MessagePiece,
  take: (field: number, wireType: WireType, reader: BinaryReader) => boolean,
  stop: () => boolean = () => false,
): FieldsRead {
  const reader = new BinaryReader(body.subarray(start, end), decodeText);
  let isKnown = false;
  let fieldAt = 0;
  try {
    while (reader.pos < reader.len && !stop()) {
      fieldAt = reader.pos;
      const [field, wireType] = reader.tag();
      const at = reader.pos;
      if (take(field, wireType, reader)) isKnown = true;
      else {
        budget.spend();
        reader.pos = at;
        reader.skip(wireType, field);
      }
      if (reader.pos > reader.len) throw new RangeError('A field ends behind its message.');
    }
  } catch (thrown) {
    if (isForAll(thrown)) throw thrown;
    return { brokenAt: start + fieldAt, isWhole: false, isKnown };
  }
  return { brokenAt: end, isWhole: true, isKnown };
}

/** Whether it is about more than the bytes of one message. */
function isForAll(thrown: unknown): boolean {
  return thrown instanceof TooDeep || thrown instanceof EventsTooLarge || thrown instanceof BodyAbsurd;
}

/** Whether one message cannot be read, and others can. */
export function isAboutMessage(thrown: unknown): boolean {
  return thrown instanceof TooDeep || thrown instanceof MessageBroken;
}

/** As `readFields`, for a message that is of use only whole: throws when it is broken. */
export function readMessage(
  into: EventCollector,
  piece: MessagePiece,
  take: (field: number, wireType: WireType, reader: BinaryReader) => boolean,
): void {
  if (!readFields(into, piece, take).isWhole) throw new MessageBroken();
}

/** The message or bytes that the reader stands before, as a piece of `body`. */
export function pieceAt(body: Buffer, reader: BinaryReader): MessagePiece {
  const bytes = reader.bytes();
  const start = bytes.byteOffset - body.byteOffset;
  return { start, end: start + bytes.byteLength };
}
