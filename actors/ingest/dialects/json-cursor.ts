/**
 * Walks through large JSON by its bytes, so that each record of an envelope is found without parsing the whole.
 *
 * A document of 64 MiB parsed at once can take a gigabyte; a record is small. The cursor knows structure only: whether a
 * piece is valid JSON is for whoever parses it. Invariant: it only moves forward, and every call ends: with a piece, or
 * with `JsonBroken`, or when its budget is spent.
 */
import { RECORD_DEPTH_MAX } from '../limits.ts';
import type { ReadBudget } from '../read-budget.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const SPACE = 0x20;
const BRACKET_BIT = 0x20;
/** Longer names are none that anybody here asks for. */
const NAME_BYTES_MAX = 256;

/** The bytes are no JSON from where the cursor stands. */
export class JsonBroken extends Error {}

export interface JsonPiece {
  start: number;
  end: number;
  isTooDeep: boolean;
}

export class JsonCursor {
  at: number;
  readonly #body: Buffer;
  readonly #end: number;
  readonly #budget: ReadBudget;

  constructor(body: Buffer, budget: ReadBudget, start = 0, end = body.length) {
    this.#body = body;
    this.#budget = budget;
    this.at = start;
    this.#end = end;
  }

  /** Whether the next value is an object, an array, a text, something else, or nothing at all. */
  next(): 'object' | 'array' | 'text' | 'other' | 'end' {
    this.#skipBlanks();
    if (this.at >= this.#end) return 'end';
    const byte = this.#body[this.at];
    if (byte === BRACE_OPEN) return 'object';
    if (byte === BRACKET_OPEN) return 'array';
    return byte === QUOTE ? 'text' : 'other';
  }

  /** Steps into the object or array that `next` saw. */
  enter(): void {
    this.at++;
  }

  /** Stands before the value of the next member and gives its name; undefined behind the end of the object. */
  nextMember(): string | undefined {
    this.#budget.spend();
    if (this.#isOver(BRACE_CLOSE)) return undefined;
    if (this.#body[this.at] !== QUOTE) throw new JsonBroken();
    const start = this.at;
    if (!this.#skipText()) throw new JsonBroken();
    const name = this.#nameAt(start, this.at);
    this.#skipBlanks();
    if (this.#body[this.at] !== COLON) throw new JsonBroken();
    this.at++;
    this.#skipBlanks();
    return name;
  }

  /** Stands before the next element; false behind the end of the array. */
  nextElement(): boolean {
    return !this.#isOver(BRACKET_CLOSE);
  }

  /** Passes over one value; stays before it when it does not end. */
  skip(): JsonPiece {
    this.#skipBlanks();
    const start = this.at;
    const piece = this.#pieceAt(start);
    if (piece !== undefined) return piece;
    this.at = start;
    throw new JsonBroken();
  }

  #pieceAt(start: number): JsonPiece | undefined {
    const body = this.#body;
    let depth = 0;
    let isTooDeep = false;
    while (this.at < this.#end) {
      const byte = body[this.at]!;
      if (byte === QUOTE) {
        if (!this.#skipText()) return undefined;
        if (depth === 0) return { start, end: this.at, isTooDeep };
        continue;
      }
      const folded = byte | BRACKET_BIT;
      if (folded === BRACE_OPEN) {
        depth++;
        if (depth > RECORD_DEPTH_MAX) isTooDeep = true;
      } else if (folded === BRACE_CLOSE) {
        if (depth === 0) return this.#scalar(start);
        depth--;
        if (depth === 0) {
          this.at++;
          return { start, end: this.at, isTooDeep };
        }
      } else if (depth === 0 && (byte === COMMA || byte <= SPACE)) {
        return this.#scalar(start);
      }
      this.at++;
    }
    return depth > 0 ? undefined : this.#scalar(start);
  }

  /**
   * The value of a member of the object that was just entered, wherever in it that is; the cursor stays where it stands.
   * Costs little when the member is the first. Undefined, too, where the object breaks off before it.
   */
  findMember(wanted: string): JsonPiece | undefined {
    const { at } = this;
    try {
      for (let name = this.nextMember(); name !== undefined; name = this.nextMember()) {
        const piece = this.skip();
        if (name === wanted) return piece;
      }
      return undefined;
    } catch (thrown) {
      if (thrown instanceof JsonBroken) return undefined;
      throw thrown;
    } finally {
      this.at = at;
    }
  }

  #isOver(close: number): boolean {
    this.#skipBlanks();
    if (this.#body[this.at] === COMMA) {
      this.at++;
      this.#skipBlanks();
    }
    if (this.at >= this.#end) throw new JsonBroken();
    if (this.#body[this.at] !== close) return false;
    this.at++;
    return true;
  }

  #scalar(start: number): JsonPiece | undefined {
    return this.at === start ? undefined : { start, end: this.at, isTooDeep: false };
  }

  /** False when it does not end. */
  #skipText(): boolean {
    const body = this.#body;
    for (let at = this.at + 1; at < this.#end; at++) {
      const byte = body[at];
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) {
        this.at = at + 1;
        return true;
      }
    }
    return false;
  }

  #nameAt(start: number, end: number): string {
    if (end - start > NAME_BYTES_MAX) return '';
    const quoted = this.#body.toString('utf8', start, end);
    if (!quoted.includes('\\')) return quoted.slice(1, -1);
    try {
      return JSON.parse(quoted) as string;
    } catch {
      throw new JsonBroken();
    }
  }

  #skipBlanks(): void {
    const body = this.#body;
    while (this.at < this.#end && body[this.at]! <= SPACE) this.at++;
  }
}
