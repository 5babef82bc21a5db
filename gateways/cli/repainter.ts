/**
 * Lines on a terminal that are drawn again in place, without any library: the cursor goes up and every line is replaced.
 *
 * Invariant: after `end` the cursor is visible and below everything that was drawn.
 */
import type { CliStream } from './context.ts';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_LINE = '\u001b[2K';
const CLEAR_BELOW = '\u001b[0J';

export class Repainter {
  readonly #stream: CliStream;
  #lines = 0;
  #isBegun = false;

  constructor(stream: CliStream) {
    this.#stream = stream;
  }

  /** Replaces what was drawn. Lines must fit the terminal: a wrapped one would shift everything below it. */
  draw(lines: readonly string[]): void {
    const up = this.#lines === 0 ? '' : `\u001b[${this.#lines}A`;
    const body = lines.map((line) => `\r${CLEAR_LINE}${line}\n`).join('');
    this.#stream.write(`${this.#isBegun ? '' : HIDE_CURSOR}${up}${body}${CLEAR_BELOW}`);
    this.#isBegun = true;
    this.#lines = lines.length;
  }

  /** Leaves what was drawn last; `erase` takes it away. */
  end(options: { erase?: boolean } = {}): void {
    if (!this.#isBegun) return;
    const erase = options.erase === true && this.#lines > 0 ? `\u001b[${this.#lines}A\r${CLEAR_BELOW}` : '';
    this.#stream.write(`${erase}${SHOW_CURSOR}`);
    this.#isBegun = false;
    this.#lines = 0;
  }
}
