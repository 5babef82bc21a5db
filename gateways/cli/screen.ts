/**
 * The whole terminal, drawn again in place without any library and without flicker: of each picture only the lines that
 * have changed are written, in one piece.
 *
 * It uses the terminal's second page, so that what was on the first is there again afterwards. Invariant: after `end` the
 * first page is shown, with a visible cursor.
 */
import type { CliStream } from './context.ts';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const CLEAR = '\u001b[2J';
const CLEAR_TO_END_OF_LINE = '\u001b[K';
/** A terminal that knows it shows what lies between only when it is whole; others ignore it. */
const BEGIN_UPDATE = '\u001b[?2026h';
const END_UPDATE = '\u001b[?2026l';

export class Screen {
  readonly #stream: CliStream;
  #shown: readonly string[] | undefined;

  constructor(stream: CliStream) {
    this.#stream = stream;
  }

  /** Shows these lines from the top. Each must fit the terminal, and so must all of them. */
  draw(lines: readonly string[]): void {
    const before = this.#shown ?? [];
    let text = this.#shown === undefined ? ENTER + CLEAR : '';
    for (let row = 0; row < Math.max(lines.length, before.length); row++) {
      const line = lines[row] ?? '';
      if (line !== (before[row] ?? '')) text += `\u001b[${row + 1};1H${line}${CLEAR_TO_END_OF_LINE}`;
    }
    if (text !== '') this.#stream.write(BEGIN_UPDATE + text + END_UPDATE);
    this.#shown = lines;
  }

  /** Forgets what is shown: after a resize nothing of it can be relied on. */
  forget(): void {
    if (this.#shown === undefined) return;
    this.#shown = [];
    this.#stream.write(CLEAR);
  }

  end(): void {
    if (this.#shown !== undefined) this.#stream.write(LEAVE);
    this.#shown = undefined;
  }
}
