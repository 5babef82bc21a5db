/**
 * A payload where it lies, without a copy: bytes of a ring (or of one large message) that are the reader's for a while.
 *
 * The memory belongs to the ring and is written over once the record is settled, so a view ends with its handler: from
 * then on every use throws `E_VIEW_OVER`. What is to be kept longer is copied. Not a Uint8Array, which could not be ended.
 */
import type { ReplyTo } from '../actor-ref.ts';
import { CodedError } from '../errors.ts';

export class BytesView {
  /** Set when the message is a question: where its answer goes. May be kept beyond the handler. */
  readonly replyTo: ReplyTo<unknown> | undefined;
  private memory: Buffer | undefined;
  private readonly start: number;
  private readonly byteLength: number;

  constructor(memory: Buffer, start: number, byteLength: number, replyTo?: ReplyTo<unknown>) {
    this.memory = memory;
    this.start = start;
    this.byteLength = byteLength;
    this.replyTo = replyTo;
  }

  get length(): number {
    return this.byteLength;
  }

  /** The byte at `index`; undefined beyond the end. */
  at(index: number): number | undefined {
    return index >= 0 && index < this.byteLength ? this.memoryNow()[this.start + index] : undefined;
  }

  /** The bytes as UTF-8 text. */
  text(): string {
    return this.memoryNow().toString('utf8', this.start, this.start + this.byteLength);
  }

  /** The bytes, to be kept. */
  copy(): Buffer {
    const copied = Buffer.allocUnsafe(this.byteLength);
    this.copyTo(copied, 0);
    return copied;
  }

  copyTo(target: Uint8Array, at: number): void {
    this.memoryNow().copy(target, at, this.start, this.start + this.byteLength);
  }

  /** For parsers that work in place. What `reader` is given must not be kept. */
  read<T>(reader: (memory: Buffer, start: number, end: number) => T): T {
    return reader(this.memoryNow(), this.start, this.start + this.byteLength);
  }

  /** For the owner of the memory. */
  end(): void {
    this.memory = undefined;
  }

  private memoryNow(): Buffer {
    if (this.memory !== undefined) return this.memory;
    throw new CodedError('E_VIEW_OVER', 'this view ended with the handler that it was given to', {
      kind: 'defect',
      mend: 'Copy what is needed later (copy()) before the handler settles.',
    });
  }
}
