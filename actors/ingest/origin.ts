/**
 * Who an event came from: the API key, and the sender as the ingest port saw it. Kept beside the event from the frame to
 * the audit row; data for people, and never a matter of trust, since a User-Agent proves nothing and a relay or proxy
 * stands where its own senders should.
 */
import { CodedError } from '../../runtime/errors.ts';

export interface Origin {
  /** Name of the API key. */
  apiKey: string;
  /** `<address> <program> <protocol>`, see `senderOf`. */
  sender: string;
}

/** What a sender is known by; empty for what is not known. */
export interface SenderParts {
  /** The peer's address, RFC 5952 or dotted decimal: that of the last relay or proxy. */
  address: string;
  /** The relay's program, told from its User-Agent. */
  program: string;
  /** How it came: `http`, `websocket`, a dialect, or `resubmission`. */
  protocol: string;
}

/** Begins an origin among a frame's correlation ids, none of which can hold it. */
const ORIGIN_MARK = '\u0001';
const SEPARATOR = '\u001f';
const UNKNOWN = '-';
/** Longer names of keys are cut: what is kept of each request is bounded. */
const API_KEY_CHARS_MAX = 255;
const SENDER_CHARS_MAX = 255;
const CONTROL = /[\u0000-\u001f]/;
const EACH_CONTROL = new RegExp(CONTROL, 'g');

/** In one text, as frames and audit rows hold it. None of the parts has a space in it. */
export function senderOf({ address, program, protocol }: SenderParts): string {
  return `${address === '' ? UNKNOWN : address} ${program} ${protocol}`;
}

export function senderParts(sender: string): SenderParts {
  const [address = '', program = '', protocol = ''] = sender.split(' ');
  return { address: address === UNKNOWN ? '' : address, program, protocol };
}

/** As an entry of a frame's table of correlation ids. */
export function originEntry(apiKey: string, sender: string): string {
  return `${ORIGIN_MARK}${bounded(apiKey, API_KEY_CHARS_MAX)}${SEPARATOR}${bounded(sender, SENDER_CHARS_MAX)}`;
}

function bounded(text: string, charsMax: number): string {
  if (text.length <= charsMax && !CONTROL.test(text)) return text;
  return text.slice(0, charsMax).replace(EACH_CONTROL, ' ');
}

export function isOriginEntry(entry: string): boolean {
  return entry.startsWith(ORIGIN_MARK);
}

/** Further parts are a later version's, and passed over. Throws E_FRAME_DAMAGED for what is no origin. */
export function readOriginEntry(entry: string): Origin {
  const [apiKey, sender] = entry.slice(ORIGIN_MARK.length).split(SEPARATOR);
  if (apiKey !== undefined && sender !== undefined) return { apiKey, sender };
  throw new CodedError('E_FRAME_DAMAGED', 'The frame is damaged: an origin in it is cut off.', {
    mend: 'The frame is kept aside; look for damage of the store it came from.',
  });
}
