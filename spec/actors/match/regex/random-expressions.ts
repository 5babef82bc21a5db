/** Random regular expressions, and texts that they nearly match: from small alphabets, with every character that folding treats in its own way. */

export type Random = () => number;

/** The same numbers for the same seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** Deseret, Adlam and Old Hungarian letters in both cases, halves of characters, ends of lines, and letters with odd cases. */
export const CHARACTERS = [
  'a', 'b', 'A', 'B', 'a', 'b', 'ab', '_', '-', ' ', '1', '0', 'k', 'K', '\u212a', 's', 'S', '\u017f', 'i', 'I', '\u0130', '\u0131', 'ß', '\u1e9e',
  '\u0390', '\u1fd3', '\ufb05', '\ufb06', 'µ', 'μ', 'Σ', 'σ', 'ς', '\n', '\r', '\u2028', '\u0085', '\u00a0', '\ufeff', 'é', 'É', '中',
  '\u{10400}', '\u{10428}', '\u{1e900}', '\u{1e922}', '\u{10c80}', '\u{1f600}', '\ud801', '\udc00', '\udc28', '\ud83d',
] as const; // prettier-ignore

const ATOMS = [
  '.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '[ab]', '[^a]', '[^ab]', '[^k]', '[\\w-]', '[^\\w]', '[^\\W]', '[\\W_]', '[a-k]', '[^A-K]', '[]', '[^]',
  '\\x61', '\\u0061', '\\u{61}', '\\u212a', '\\u{10400}', '\\ud801\\udc28', '\\ud801', '\\udc28', '[\\u{10400}-\\u{10410}]', '[^\\u{10428}]',
  '[\\ud801\\udc00]', '[\\ud800-\\udfff]', '[^\\udc00]', '\\p{Lu}', '\\P{Lu}', '\\p{L}', '[^\\p{Lu}]', '[^\\P{Lu}]', '[\\P{Lu}b]', '\\p{Script=Greek}',
  '\\cJ', '\\0', '\\t', '\\n', '\\.', '\\-'.slice(1), '[\\b]', '[\\-a]', '[s-\\u{10ffff}]', '\\u017f', '[\\u0130]', '[^\\u0131]', '[\\s\\S]', '[\\d\\s]',
] as const; // prettier-ignore

const QUANTIFIERS = [
  '*',
  '+',
  '?',
  '{2}',
  '{1,3}',
  '{0,2}',
  '{2,}',
  '{0}',
  '*?',
  '+?',
  '??',
  '{1,2}?',
  '{3,5}',
] as const;

/** An expression of some `size` parts. */
export function randomSource(random: Random, size: number): string {
  if (size <= 1) return atom(random);
  const roll = random();
  if (roll < 0.5) {
    const left = 1 + Math.floor(random() * (size - 1));
    return randomSource(random, left) + randomSource(random, size - left);
  }
  if (roll < 0.62) {
    const left = 1 + Math.floor(random() * (size - 1));
    return `(?:${randomSource(random, left)}|${random() < 0.15 ? '' : randomSource(random, size - left)})`;
  }
  if (roll < 0.7) {
    const left = 1 + Math.floor(random() * (size - 1));
    return `${randomSource(random, left)}|${randomSource(random, size - left)}`.replace(/^(.*)$/s, '($1)');
  }
  if (roll < 0.95) return `(?:${randomSource(random, size - 1)})${pick(random, QUANTIFIERS)}`;
  return `${atom(random, false)}${pick(random, QUANTIFIERS)}${randomSource(random, size - 1)}`;
}

function atom(random: Random, withAssertions = true): string {
  const roll = random();
  if (withAssertions && roll < 0.06) return '^';
  if (withAssertions && roll < 0.12) return '$';
  if (withAssertions && roll < 0.2) return '\\b';
  if (withAssertions && roll < 0.25) return '\\B';
  if (roll < 0.65) return literal(pick(random, CHARACTERS));
  return pick(random, ATOMS);
}

/** In front of a quantifier too, a literal is one character. */
function literal(characters: string): string {
  return Array.from(characters)[0]!.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}

export function randomText(random: Random, charactersMax: number): string {
  const few = [pick(random, CHARACTERS), pick(random, CHARACTERS), pick(random, CHARACTERS)];
  const from = random() < 0.5 ? few : CHARACTERS;
  let text = '';
  for (let left = Math.floor(random() * (charactersMax + 1)); left > 0; left--) text += pick(random, from);
  return text;
}
