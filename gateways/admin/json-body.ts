/**
 * Reads the JSON of a request: UTF-8, not too deep, and only text that can be stored as it is.
 *
 * Invariant: nothing of a body that is refused is repeated but the path of the field.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { FieldFault } from './field-faults.ts';

/** Nothing of ours is deeper than 6; what follows may recurse. */
export const JSON_DEPTH_MAX = 32;
const FAULTS_MAX = 20;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Errors: E_JSON_MALFORMED; E_BODY_INVALID (details.faults) for depth and for text that cannot be stored. */
export function parseJsonBody(body: Uint8Array): unknown {
  const document = decodeJson(body);
  const faults: FieldFault[] = [];
  findUnstorable(document, '', faults);
  if (faults.length > 0)
    throw new CodedError('E_BODY_INVALID', 'the body cannot be stored', { details: { faults } });
  return document;
}

/** For documents that are not stored. Errors: E_JSON_MALFORMED; E_BODY_INVALID (details.faults) for depth. */
export function decodeJson(body: Uint8Array): unknown {
  try {
    const text = utf8.decode(body);
    // Before it is parsed: what is made of it is as deep as it is.
    if (depthOf(text) > JSON_DEPTH_MAX) throw tooDeep();
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    if (thrown instanceof CodedError) throw thrown;
    // Where it breaks is in the engine's message, but so is a piece of the body.
    throw new CodedError('E_JSON_MALFORMED', 'the body is not JSON', {
      mend: 'Send one JSON document in UTF-8.',
    });
  }
}

/** False for text with U+0000 or half a surrogate pair: PostgreSQL holds neither, and changing it would be silent. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function findUnstorable(value: unknown, field: string, faults: FieldFault[]): void {
  if (faults.length >= FAULTS_MAX) return;
  if (typeof value === 'string') {
    if (!isStorable(value)) faults.push(unstorable(field));
  } else if (Array.isArray(value)) {
    value.forEach((item, at) => findUnstorable(item, `${field}[${at}]`, faults));
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      if (!isStorable(name)) faults.push(unstorable(field));
      else findUnstorable(item, field === '' ? name : `${field}.${name}`, faults);
    }
  }
}

function unstorable(field: string): FieldFault {
  return {
    field,
    why: 'has the character U+0000 or half a surrogate pair in it',
    mend: 'Send text without them.',
  };
}

/** How deep brackets nest outside of texts. Of what is not JSON any number: it is refused later. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (isInText) {
      if (char === BACKSLASH) at++;
      else if (char === QUOTE) isInText = false;
    } else if (char === QUOTE) isInText = true;
    else if (char === BRACE_OPEN || char === BRACKET_OPEN) deepest = Math.max(deepest, ++depth);
    else if (char === BRACE_CLOSE || char === BRACKET_CLOSE) depth--;
  }
  return deepest;
}
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

function tooDeep(): CodedError {
  const fault = { field: '', why: 'is nested too deep', mend: `Nest at most ${JSON_DEPTH_MAX} levels.` };
  return new CodedError('E_BODY_INVALID', `the body is nested deeper than ${JSON_DEPTH_MAX} levels`, {
    details: { faults: [fault] },
  });
}
