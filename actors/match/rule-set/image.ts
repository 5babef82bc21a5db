/**
 * The form of a rule set in shared memory: a header, and sections of numbers and text behind it. Made once, opened by any
 * number of threads; nothing is copied.
 */
import { CodedError } from '../../../runtime/errors.ts';

/** Everything in an image. The first three change while it is in force; nothing else ever does. */
export interface Sections {
  /** For each rule: receipt time of the newest event that it matched, ms since 1970 UTC. */
  lastReceivedAtMs: Float64Array;
  /** For each rule: how many events it matched, modulo 2^32. */
  hits: Int32Array;
  /** For each rule: 1 when it is suspended. */
  suspended: Int32Array;
  /** For each rule: what of it is tested without its row, see traits.ts. */
  traits: Int32Array;
  /** Ids of all rows, ascending; then for each of them the number of its row. */
  ids: Int32Array;
  /** Where each row begins in `rows`, and where the last ends. Rows of rules come first, in order of rank. */
  rowStarts: Int32Array;
  /** JSON of all rows. */
  rows: Uint8Array;
  /** The automaton, see automaton.ts. */
  classOf: Uint16Array;
  cells: Int32Array;
  nextLiterals: Int32Array;
  /** Where the ranks under each literal begin in `literalRanks`, and where the last end. */
  literalStarts: Int32Array;
  literalRanks: Int32Array;
  /** Key tables, see key-table.ts, and the ranks they lead to. */
  oids: Int32Array;
  hosts: Int32Array;
  programs: Int32Array;
  keyRanks: Int32Array;
  /** Where the ranks of rules that nothing narrows begin for each severity and for none, and where the last end. */
  alwaysStarts: Int32Array;
  alwaysRanks: Int32Array;
}

export interface Image extends Sections {
  version: number;
  rules: number;
  classes: number;
  /** States of the automaton from here on are sparse. */
  sparseFrom: number;
}

const MAGIC = 0x4d525332;
/** Eight-byte words: magic, version, bytes, rules, classes, sparseFrom, checksum; then offset and length of each section. */
const HEADER_WORDS = 7;
const CHECKSUM_AT = 6;
/** In the order they are laid out: those of eight bytes an entry first. */
const TYPES = {
  lastReceivedAtMs: Float64Array,
  hits: Int32Array,
  suspended: Int32Array,
  traits: Int32Array,
  ids: Int32Array,
  rowStarts: Int32Array,
  rows: Uint8Array,
  classOf: Uint16Array,
  cells: Int32Array,
  nextLiterals: Int32Array,
  literalStarts: Int32Array,
  literalRanks: Int32Array,
  oids: Int32Array,
  hosts: Int32Array,
  programs: Int32Array,
  keyRanks: Int32Array,
  alwaysStarts: Int32Array,
  alwaysRanks: Int32Array,
} as const;
const NAMES = Object.keys(TYPES) as (keyof Sections)[];
const WORDS = HEADER_WORDS + 2 * NAMES.length;

/** Copies the sections into one shared image. */
export function makeImage(parts: Image): SharedArrayBuffer {
  let bytes = WORDS * 8;
  const words = [MAGIC, parts.version, 0, parts.rules, parts.classes, parts.sparseFrom, 0];
  for (const name of NAMES) {
    words.push(bytes, parts[name].length);
    bytes = Math.ceil((bytes + parts[name].byteLength) / 8) * 8;
  }
  words[2] = bytes;
  words[CHECKSUM_AT] = checksumOf(words);
  const image = new SharedArrayBuffer(bytes);
  new Float64Array(image, 0, WORDS).set(words);
  for (const [at, name] of NAMES.entries()) {
    const part = parts[name];
    const from = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    new Uint8Array(image, words[HEADER_WORDS + 2 * at]).set(from);
  }
  return image;
}

/** @throws CodedError E_RULE_SET_DAMAGED (defect) when `image` is none, or not whole. */
export function openImage(image: SharedArrayBuffer): Image {
  if (image.byteLength < WORDS * 8) throw damaged('it is too short');
  const words = [...new Float64Array(image, 0, WORDS)];
  const [magic, version, bytes, rules, classes, sparseFrom, checksum] = words as [number, ...number[]];
  if (magic !== MAGIC) throw damaged('it does not begin as one');
  if (checksum !== checksumOf(words)) throw damaged('its header does not agree with itself');
  if (bytes !== image.byteLength) throw damaged(`it has ${image.byteLength} bytes, and should have ${bytes}`);
  const sections = NAMES.map((name, at) => {
    const [offset, length] = words.slice(HEADER_WORDS + 2 * at);
    const View: new (of: SharedArrayBuffer, from?: number, entries?: number) => unknown = TYPES[name];
    return [name, new View(image, offset, length)] as const;
  });
  const head = { version: version!, rules: rules!, classes: classes!, sparseFrom: sparseFrom! };
  return { ...head, ...(Object.fromEntries(sections) as unknown as Sections) };
}

function checksumOf(words: readonly number[]): number {
  let sum = 0;
  for (const [at, word] of words.entries()) if (at !== CHECKSUM_AT) sum = (sum * 31 + word) % 4_294_967_291;
  return sum;
}

function damaged(why: string): CodedError {
  return new CodedError('E_RULE_SET_DAMAGED', `This is no rule set: ${why}.`, { kind: 'defect' });
}
