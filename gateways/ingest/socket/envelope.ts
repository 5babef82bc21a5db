/**
 * Finds the number of a message, and where its events lie, by looking at both ends of it only.
 *
 * The loop must not read what it moves: a message of any size costs the same few hundred bytes of looking. What is
 * between the ends is for the ingest threads to judge; a message that looks like no envelope is a body as it is.
 */
export interface Envelope {
  /** Undefined when the sender gives no numbers. */
  seq: number | undefined;
  /** The body: bytes `start` (inclusive) to `end` (exclusive) of the message. */
  start: number;
  end: number;
}

/** How much of an end is looked at; more white space than that is no envelope. */
const END_BYTES = 128;
const NUMBER = '([1-9][0-9]{0,14})';
/** `{"seq":7}` alone on the first line; the body follows it. */
const NUMBERED_LINE = new RegExp(`^\\s*\\{\\s*"seq"\\s*:\\s*${NUMBER}\\s*\\}[ \\t]*\\r?\\n`);
const SEQ_FIRST = new RegExp(`^\\s*\\{\\s*"seq"\\s*:\\s*${NUMBER}\\s*,\\s*"events"\\s*:\\s*(?=\\[)`);
const SEQ_FIRST_END = /\]\s*\}\s*$/;
const EVENTS_FIRST = /^\s*\{\s*"events"\s*:\s*(?=\[)/;
const EVENTS_FIRST_END = new RegExp(`\\]\\s*,\\s*"seq"\\s*:\\s*${NUMBER}\\s*\\}\\s*$`);

/** Never throws, whatever the bytes. */
export function readEnvelope(message: Buffer): Envelope {
  const head = message.toString('latin1', 0, END_BYTES);
  const line = NUMBERED_LINE.exec(head);
  if (line !== null) return { seq: Number(line[1]), start: line[0].length, end: message.length };
  const tailAt = Math.max(0, message.length - END_BYTES);
  const seqFirst = SEQ_FIRST.exec(head);
  if (seqFirst !== null) {
    const found = SEQ_FIRST_END.exec(message.toString('latin1', tailAt));
    const end = found === null ? -1 : tailAt + found.index + 1;
    if (end > seqFirst[0].length) return { seq: Number(seqFirst[1]), start: seqFirst[0].length, end };
  }
  const eventsFirst = EVENTS_FIRST.exec(head);
  if (eventsFirst !== null) {
    const found = EVENTS_FIRST_END.exec(message.toString('latin1', tailAt));
    const end = found === null ? -1 : tailAt + found.index + 1;
    if (end > eventsFirst[0].length) return { seq: Number(found?.[1]), start: eventsFirst[0].length, end };
  }
  return { seq: undefined, start: 0, end: message.length };
}
