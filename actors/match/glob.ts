/**
 * Matches names against patterns in which `*` stands for any run of characters, none included, and `?` for one.
 *
 * No regular expression: `*a*a*a*b` as one takes exponential time on a hostile host name; this never takes more than
 * the product of the two lengths.
 */

/** A test of whole names against `pattern`. Both must be folded to the same case by the caller. */
export function compileGlob(pattern: string): (name: string) => boolean {
  if (!isGlob(pattern)) return (name) => name === pattern;
  return (name) => matches(pattern, name);
}

/** Whether `pattern` holds a wildcard. */
export function isGlob(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}

function matches(pattern: string, name: string): boolean {
  let patternAt = 0;
  let nameAt = 0;
  // Where the last star stood, and how far it has been stretched: only the last one ever needs to stretch further.
  let starAt = -1;
  let stretchedTo = 0;
  while (nameAt < name.length) {
    const code = patternAt < pattern.length ? pattern.charCodeAt(patternAt) : -1;
    if (code === 0x2a) {
      starAt = patternAt++;
      stretchedTo = nameAt;
    } else if (code === 0x3f) {
      patternAt++;
      // Beyond the basic plane one character is two units.
      nameAt += name.codePointAt(nameAt)! > 0xffff ? 2 : 1;
    } else if (code === name.charCodeAt(nameAt)) {
      patternAt++;
      nameAt++;
    } else if (starAt !== -1) {
      patternAt = starAt + 1;
      nameAt = ++stretchedTo;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(patternAt) === 0x2a) patternAt++;
  return patternAt === pattern.length;
}
