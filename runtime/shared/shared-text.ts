/**
 * A short text in shared memory with one writer: what another thread reads is empty, or cut, and never two texts mixed
 * for longer than a write takes. Longer text is cut to its room.
 */
export class SharedText {
  /** What a text of so many bytes takes. */
  static bytesFor(textBytesMax: number): number {
    return Int32Array.BYTES_PER_ELEMENT + textBytesMax;
  }

  readonly #length: Int32Array;
  readonly #bytes: Buffer;

  /** `offset`: a multiple of four. */
  constructor(buffer: SharedArrayBuffer, offset: number, textBytesMax: number) {
    this.#length = new Int32Array(buffer, offset, 1);
    this.#bytes = Buffer.from(buffer, offset + Int32Array.BYTES_PER_ELEMENT, textBytesMax);
  }

  set text(text: string) {
    Atomics.store(this.#length, 0, 0);
    const length = this.#bytes.write(text, 'utf8');
    Atomics.store(this.#length, 0, length);
  }

  get text(): string {
    return this.#bytes.toString('utf8', 0, Atomics.load(this.#length, 0));
  }
}
