/**
 * A terminal for specs: carries out the few sequences that our commands write, and fails at any other.
 */
import type { CliStream } from '../../../gateways/cli/context.ts';

const SEQUENCE = /\u001b\[(\??)([\d;]*)([A-Za-z])/y;

export class VirtualTerminal implements CliStream {
  written: string[] = [];
  isSecondPage = false;
  isCursorShown = true;
  #rows: string[][] = [];
  #row = 0;
  #column = 0;

  write(text: string): void {
    this.written.push(text);
    for (let at = 0; at < text.length;) {
      SEQUENCE.lastIndex = at;
      const [whole, mark = '', numbers = '', letter = ''] = SEQUENCE.exec(text) ?? [];
      if (whole === undefined) {
        this.#put(text[at] ?? '');
        at += 1;
      } else {
        this.#obey(`${mark}${letter}`, numbers);
        at += whole.length;
      }
    }
  }

  /** The lines that are shown, without what is blank at their ends and below. */
  picture(): string[] {
    const lines = Array.from({ length: this.#rows.length }, (_, row) =>
      Array.from(this.#rows[row] ?? [], (each) => each ?? ' ')
        .join('')
        .trimEnd(),
    );
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** What a resize may do. */
  scramble(): void {
    this.#rows = [['?'], ['?'], ['?'], ['?']];
  }

  #put(character: string): void {
    if (character === '\n') {
      this.#row += 1;
      this.#column = 0;
      return;
    }
    const line = (this.#rows[this.#row] ??= []);
    line[this.#column] = character;
    this.#column += 1;
  }

  #obey(command: string, numbers: string): void {
    const [first = 0, second = 0] = numbers.split(';').map(Number);
    if (command === 'H') {
      this.#row = Math.max(1, first) - 1;
      this.#column = Math.max(1, second) - 1;
    } else if (command === 'K' && first === 0)
      this.#rows[this.#row] = (this.#rows[this.#row] ?? []).slice(0, this.#column);
    else if (command === 'J' && first === 2) this.#rows = [];
    else if (command === '?h' || command === '?l') this.#setMode(first, command === '?h');
    else if (command !== 'm') throw new Error(`an unknown sequence: ${command} ${numbers}`);
  }

  #setMode(mode: number, isOn: boolean): void {
    if (mode === 1049) {
      this.isSecondPage = isOn;
      this.#rows = [];
    } else if (mode === 25) this.isCursorShown = isOn;
    else if (mode !== 2026) throw new Error(`an unknown mode: ${mode}`);
  }
}
