/**
 * Unicode's simple case folding, as the engine itself does it: two characters are one when an expression of the one
 * matches the other under the flags `iu`. So K is the Kelvin sign too, and the dotless i is no i.
 *
 * Texts are folded by UTF-16 units: characters beyond the basic plane (Deseret, Adlam and a few more have cases) are two
 * units there, which stand for themselves. `caseClasses` knows them by their code points.
 */

const UNITS = 0x10000;
/** Beyond this no character has cases. */
const CASED_MAX = 0x1ffff;
const SURROGATE_FIRST = 0xd800;
const SURROGATE_LAST = 0xdfff;

let classes: Map<number, readonly number[]> | undefined;
let table: Uint16Array | undefined;

/** For each code point that has other cases: all of them and itself, ascending. Made at the first call: some 80 ms. */
export function caseClasses(): ReadonlyMap<number, readonly number[]> {
  return (classes ??= makeClasses());
}

/** For each UTF-16 unit the least unit that it is one with. */
export function foldTable(): Uint16Array {
  return (table ??= makeTable());
}

/** Units turned into text at once: as many arguments as a call surely takes. */
const CHUNK_UNITS = 8192;

/** `text` with each unit replaced by the least one that it is one with: equal for texts that differ in case only. */
export function foldText(text: string): string {
  // Of two ASCII letters the capital is the lesser.
  if (/^[\x00-\x7f]*$/.test(text)) return text.toUpperCase();
  const folds = foldTable();
  const units = new Uint16Array(text.length);
  for (let at = 0; at < units.length; at++) units[at] = folds[text.charCodeAt(at)]!;
  let folded = '';
  for (let at = 0; at < units.length; at += CHUNK_UNITS) {
    folded += String.fromCharCode(...units.subarray(at, at + CHUNK_UNITS));
  }
  return folded;
}

/** The one form of all texts that differ in case only, characters beyond the basic plane too: for names, which are short. */
export function foldName(text: string): string {
  // There each character that has cases has one lower case, which stands for them all.
  return foldText(text.replace(/[\ud800-\udfff]+/g, (characters) => characters.toLowerCase()));
}

function makeTable(): Uint16Array {
  const folds = Uint16Array.from({ length: UNITS }, (_, unit) => unit);
  for (const [codePoint, cases] of caseClasses()) {
    if (codePoint < UNITS) folds[codePoint] = cases[0]!;
  }
  return folds;
}

function makeClasses(): Map<number, readonly number[]> {
  const found = new Map<number, number[]>();
  const byUpper = new Map<string, number>();
  const join = (a: number, b: number): void => {
    const ones = found.get(a) ?? [a];
    const others = found.get(b) ?? [b];
    if (a === b || ones === others || !isOne(a, b)) return;
    const all = [...ones, ...others];
    for (const codePoint of all) found.set(codePoint, all);
  };
  for (let codePoint = 0; codePoint <= CASED_MAX; codePoint++) {
    if (codePoint >= SURROGATE_FIRST && codePoint <= SURROGATE_LAST) continue;
    const character = String.fromCodePoint(codePoint);
    const upper = character.toUpperCase();
    const lower = character.toLowerCase();
    if (upper === character && lower === character) continue;
    for (const other of [lower, upper]) {
      const otherPoint = other.codePointAt(0)!;
      if (other.length === String.fromCodePoint(otherPoint).length) join(codePoint, otherPoint);
    }
    // A few characters are one only through an upper case of several characters (U+FB05 and U+FB06: both are ST).
    const first = byUpper.get(upper);
    if (first === undefined) byUpper.set(upper, codePoint);
    else join(first, codePoint);
  }
  for (const cases of found.values()) cases.sort((a, b) => a - b);
  return found;
}

/** Lower case and upper case only propose: some of their pairs (the dotted I and i) are two for an expression. */
function isOne(a: number, b: number): boolean {
  return new RegExp(`^\\u{${a.toString(16)}}$`, 'iu').test(String.fromCodePoint(b));
}
