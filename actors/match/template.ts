/**
 * The template of a message: the message with everything that varies masked, so that the same thing said again, about
 * another interface or process, has the same template.
 *
 * What is masked, in one pass:
 * - Each run of digits becomes `#`: `GigabitEthernet0` is `GigabitEthernet#`, `45ms` is `#ms`.
 * - A word of letters and digits as a whole when it looks like an identifier: two runs of digits or more (`x9f3kq2`),
 *   `0x…`, or nothing but hexadecimal digits that begin with a digit or are six or more (`deadbeef1`, `45c`).
 * - Masks that only `.`, `:`, `/` or `-` keep apart become one: `10.1.2.3:443` and `2026-05-01` are `#`.
 * - MAC addresses, UUIDs and IPv6 addresses as a whole, also where a part of them has no digit.
 * - Blanks in a row become one.
 *
 * Nothing else: not quoted text, not names of users. Letters keep their case. Messages that are alike for
 * `MASKED_CHARS_MAX` characters of their templates have the same one. ASCII only; everything else stays as it is.
 */

/** Of a message, that are looked at. */
const READ_CHARS_MAX = 1_024;
/** Of a template. */
export const TEMPLATE_CHARS_MAX = 256;
/** Stands for whatever varies. */
export const MASK = '#';

const OTHER = 0;
const JOINER = 1;
const BLANK = 2;
/** From here on what words are made of. */
const DIGIT = 3;
const HEX_LETTER = 4;
const LETTER = 5;
const MASK_UNIT = MASK.charCodeAt(0);
const BLANK_UNIT = 0x20;
const COLON = 0x3a;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const LOWER_X = 0x78;
/** A word of hexadecimal digits that begins with a letter is an identifier from this length on: `bce0` is a name. */
const HEX_WORD_CHARS_MIN = 6;
/** The parts of a UUID; an IPv6 address without `::` has eight. */
const ADDRESS_PARTS_MIN = 5;
const MAC_PARTS = 6;

/** Of every UTF-16 unit, so that nothing has to be asked before. */
const CLASSES = new Uint8Array(0x1_0000);
for (let unit = 0; unit < 128; unit++) CLASSES[unit] = classOf(String.fromCharCode(unit));

function classOf(char: string): number {
  if (/[0-9]/.test(char)) return DIGIT;
  if (/[a-f]/i.test(char)) return HEX_LETTER;
  if (/[a-z]/i.test(char)) return LETTER;
  if (/[.:/-]/.test(char)) return JOINER;
  return /\s/.test(char) ? BLANK : OTHER;
}

export interface TemplateHash {
  high: number;
  low: number;
}

/**
 * Masks one message after another. It holds the last one only, so that whoever wants no more than its hash makes no text.
 */
export class TemplateMask {
  /** The message: a copy of it is read faster than its own units are asked for one by one. */
  readonly #read = new Uint16Array(READ_CHARS_MAX + 1);
  readonly #readBytes = Buffer.from(this.#read.buffer);
  readonly #units = new Uint16Array(TEMPLATE_CHARS_MAX + READ_CHARS_MAX);
  #length = 0;
  readonly #hash: TemplateHash = { high: 0, low: 0 };

  /** Of the last message. */
  get text(): string {
    return String.fromCharCode(...this.#units.subarray(0, this.#length));
  }

  /** Of the last message, with what else it is known by. Two numbers of 32 bits: for a table, not for the world. */
  get hash(): TemplateHash {
    return this.#hash;
  }

  /** `seed` begins the hashes: what else belongs to the template. */
  mask(message: string, seed = 0): void {
    const units = this.#units;
    const read = this.#read;
    // Little endian, as every machine that Node.js runs on here.
    const end = this.#readBytes.write(message, 0, READ_CHARS_MAX * 2, 'utf16le') >>> 1;
    read[end] = 0;
    let length = 0;
    // The chain of words that single joiners (or `::`) hold together, as far as it may be one address.
    let chainFrom = -1;
    let chainParts = 0;
    let chainJoiner = 0;
    let isAddress = false;
    let hasDigit = false;
    let hasGap = false;
    let isInFours = false;
    let isInPairs = false;

    for (let at = 0; at < end && length < TEMPLATE_CHARS_MAX;) {
      const unit = read[at]!;
      const kind = CLASSES[unit]!;
      if (kind === OTHER || kind === JOINER) {
        units[length++] = unit;
        at += 1;
        continue;
      }
      if (kind === BLANK) {
        if (length === 0 || units[length - 1] !== BLANK_UNIT) units[length++] = BLANK_UNIT;
        at += 1;
        continue;
      }

      // Letters as they are, one mask for the first run of digits; what that makes is looked at when the word ends.
      const from = at;
      const begun = length;
      let digitRuns = 0;
      let isHex = true;
      let before = LETTER;
      let next = unit;
      let is = kind;
      for (;;) {
        if (is === DIGIT) {
          if (before !== DIGIT) {
            digitRuns += 1;
            if (digitRuns === 1) units[length++] = MASK_UNIT;
          }
        } else {
          units[length++] = next;
          if (is === LETTER) isHex = false;
        }
        before = is;
        at += 1;
        next = read[at]!;
        is = CLASSES[next]!;
        if (is < DIGIT) break;
      }
      const chars = at - from;
      if (chainFrom < 0) {
        chainFrom = begun;
        chainParts = 0;
        chainJoiner = 0;
        isAddress = true;
        hasDigit = false;
        hasGap = false;
        isInFours = true;
        isInPairs = true;
      }
      chainParts += 1;
      isAddress &&= isHex;
      isInFours &&= chars === 4;
      isInPairs &&= chars === 2;
      if (digitRuns > 0) {
        hasDigit = true;
        const isIdentifier =
          digitRuns > 1 ||
          (isHex && (kind === DIGIT || chars >= HEX_WORD_CHARS_MIN)) ||
          (unit === ZERO && (read[from + 1]! | 0x20) === LOWER_X);
        if (isIdentifier) {
          length = begun;
          units[length++] = MASK_UNIT;
        }
        // One mask for what masks and a joiner make together.
        if (
          units[begun] === MASK_UNIT &&
          begun > 1 &&
          units[begun - 2] === MASK_UNIT &&
          CLASSES[units[begun - 1]!] === JOINER
        ) {
          units.copyWithin(begun - 1, begun + 1, length);
          length -= 2;
        }
      }

      // Does the chain go on?
      if (is === JOINER && next !== SLASH) {
        const joiner = next;
        const isGap = joiner === COLON && read[at + 1] === COLON;
        const after = at + (isGap ? 2 : 1);
        if (after < end && CLASSES[read[after]!]! >= DIGIT) {
          if (chainJoiner !== 0 && chainJoiner !== joiner) isAddress = false;
          chainJoiner = joiner;
          hasGap ||= isGap;
          continue;
        }
      }
      const isDotted = chainJoiner === DOT;
      if (
        isAddress &&
        ((chainParts === MAC_PARTS && isInPairs && !isDotted) ||
          (hasDigit &&
            (hasGap || (isDotted ? chainParts === 3 && isInFours : chainParts >= ADDRESS_PARTS_MIN))))
      ) {
        length = chainFrom;
        units[length++] = MASK_UNIT;
      }
      chainFrom = -1;
    }
    this.#length = Math.min(length, TEMPLATE_CHARS_MAX);
    this.#digest(seed);
  }

  /** As if a message with this template had been masked. */
  recall(template: string, seed = 0): void {
    this.#length = Math.min(template.length, TEMPLATE_CHARS_MAX);
    for (let at = 0; at < this.#length; at++) this.#units[at] = template.charCodeAt(at);
    this.#digest(seed);
  }

  /** Both at once: neither waits for the other. Multipliers of MurmurHash. */
  #digest(seed: number): void {
    const units = this.#units;
    let high = seed;
    let low = ~seed;
    for (let at = 0; at < this.#length; at++) {
      const unit = units[at]!;
      high = Math.imul(high ^ unit, 0x5bd1e995);
      low = Math.imul(low ^ unit, 0x1b873593);
      high ^= high >>> 15;
      low ^= low >>> 13;
    }
    this.#hash.high = high | 0;
    this.#hash.low = low | 0;
  }
}
