/**
 * Turns what snmptrapd prints into events, one to a trap, as lines of JSON.
 *
 * Two forms are told apart by the first two lines. One is its log in the format of `TRAP_LOG_FORMAT`: one trap to a line,
 * for as long as it runs. The other is what it gives to a program of `traphandle`: a host, a transport address, then one
 * variable binding to a line; all of it is one trap. Invariants: nothing is left out, since a line that is no trap is an
 * event of its own; what is kept of a trap that is not whole is bounded.
 */
import type { LinePiece } from '../line-file.ts';
import { textEvent, trapEvent, withBytes } from './trap-event.ts';
import type { Trap, TrapEvent, TrapFacts } from './trap-event.ts';
import { varbindOf } from './varbind.ts';
import type { Varbind } from './varbind.ts';

const MARK = 'mutt-trap';
/** `format print` of snmptrapd.conf. Tabs stand in no address and no name; bindings come last. */
export const TRAP_LOG_FORMAT = `${MARK}\\t%t\\t%b\\t%B\\t%a\\t%A\\t%T\\t%N\\t%w\\t%q\\t%v\\n`;

const LINE_END = Buffer.from('\n');
const HEAD_FIELDS = 10;
/** Printed of a trap that is not of SNMPv1. */
const NO_ENTERPRISE = '.';
/** A datagram of SNMP in hexadecimal digits and more; what is longer is cut into events. */
const TRAP_BYTES_MAX = 256 * 1024;
/** `UDP: [192.0.2.1]:49152->[192.0.2.2]:162`, `UDP/IPv6: [2001:db8::1]:161`, `<UNKNOWN>`. */
const TRANSPORT = /^(?:[A-Z][\w /-]{1,30}: \[[^\]\s]{1,64}\]|Local IPC: |<UNKNOWN>$)/;
const LOG_BINDING = /^(\S+) = ?([^]*)$/;
/** A name or number with a dot or a module, then the value. */
const PROGRAM_BINDING = /^(\.?[A-Za-z0-9][\w-]*(?:::|\.)\S*)[ \t]([^]*)$/;
const VALUE_BEGINS_QUOTED = /^(?:STRING: |Hex-STRING: )?"/;

/** The same pieces, with events in place of the lines of traps. */
export async function* readTraps(
  pieces: AsyncIterable<LinePiece>,
  facts: TrapFacts,
): AsyncGenerator<LinePiece> {
  const reader = new TrapReader(facts);
  let fileBytes = 0;
  for await (const piece of pieces) {
    ({ fileBytes } = piece);
    const lines: Buffer[] = [];
    const numbers: number[] = [];
    for (const [at, line] of piece.lines.entries()) {
      const number = piece.numbers[at] ?? 0;
      for (const event of reader.take(line, number)) {
        lines.push(event);
        numbers.push(number);
      }
    }
    yield { lines, numbers, overlong: piece.overlong, fileBytes };
  }
  const last = reader.end();
  yield { lines: last, numbers: last.map(() => reader.lineNumber), overlong: [], fileBytes };
}

export class TrapReader {
  readonly #facts: TrapFacts;
  #form: 'unknown' | 'log' | 'program' = 'unknown';
  /** Lines of a trap that is not whole. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #lineNumber = 0;

  constructor(facts: TrapFacts) {
    this.#facts = facts;
  }

  get lineNumber(): number {
    return this.#lineNumber;
  }

  /** Takes a line; gives the events that it completes. Blank lines are left out by who reads, and known by the number. */
  take(line: Buffer, number: number): Buffer[] {
    const blanksBefore = this.#held.length === 0 ? 0 : Math.max(0, number - this.#lineNumber - 1);
    this.#lineNumber = number;
    if (this.#form === 'log') return this.#takeLog(line, blanksBefore);
    if (isMarked(line)) return this.#beginLog(line);
    const first = this.#held[0];
    if (this.#form === 'unknown' && first !== undefined) {
      if (!isTransport(first) && !isTransport(line)) return this.#beginLog(line);
      this.#form = 'program';
    }
    return this.#hold(line, blanksBefore);
  }

  /** What is left. */
  end(): Buffer[] {
    if (this.#form === 'log') return this.#endLog();
    return this.#form === 'program' ? this.#endProgram() : this.#endText();
  }

  #beginLog(line: Buffer): Buffer[] {
    const before = this.end();
    this.#form = 'log';
    return [...before, ...this.#takeLog(line, 0)];
  }

  #hold(line: Buffer, blanksBefore: number): Buffer[] {
    if (blanksBefore > 0) {
      const blanks = Buffer.alloc(Math.min(blanksBefore, TRAP_BYTES_MAX) - 1, LINE_END);
      this.#held.push(blanks);
      this.#heldBytes += blanks.length + 1;
    }
    if (this.#held.length > 0 && this.#heldBytes + line.length > TRAP_BYTES_MAX) {
      const events = this.end();
      // What follows belongs to no trap any more.
      this.#form = 'log';
      return [...events, this.#text(line, 'it follows a trap that is too long')];
    }
    this.#held.push(line);
    this.#heldBytes += line.length + 1;
    return [];
  }

  #release(): Buffer {
    const whole = Buffer.concat(this.#held.flatMap((line, at) => (at === 0 ? [line] : [LINE_END, line])));
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }

  #endText(): Buffer[] {
    return this.#held.length === 0 ? [] : [this.#text(this.#release())];
  }

  #text(bytes: Buffer, unreadable?: string): Buffer {
    return encoded(textEvent(bytes.toString('utf8'), this.#facts, unreadable), bytes);
  }

  /** A line that is whole goes at once; without -Ox a text in it may hold line ends, so that more must come. */
  #takeLog(line: Buffer, blanksBefore: number): Buffer[] {
    if (!isMarked(line)) {
      if (this.#held.length === 0) return [this.#text(line)];
      const events = this.#hold(line, blanksBefore);
      const isClosed = countQuotes(line.toString('utf8')) % 2 === 1;
      return isClosed && events.length === 0 ? this.#endLog() : events;
    }
    const before = this.#endLog();
    const { event, isInText } = this.#logged(line);
    return isInText ? [...before, ...this.#hold(line, 0)] : [...before, event];
  }

  #endLog(): Buffer[] {
    return this.#held.length === 0 ? [] : [this.#logged(this.#release()).event];
  }

  #logged(bytes: Buffer): { event: Buffer; isInText: boolean } {
    const fields = bytes.toString('utf8').split('\t');
    const [, receivedAt, transport = '', peerName, agentAddress, agentName, ...more] = fields;
    const [uptime, enterprise = '', generic, specific = '', ...printed] = more;
    if (fields.length < HEAD_FIELDS) {
      return { event: this.#text(bytes, 'it is cut off, or in another format'), isInText: false };
    }
    const { varbinds, isInText } = bindings(printed, '\t', LOG_BINDING);
    const trap: Trap = {
      receivedAtS: wholeIn(receivedAt),
      transport,
      peerName,
      agentAddress,
      agentName,
      varbinds,
      ...(enterprise === NO_ENTERPRISE
        ? {}
        : {
            enterprise,
            generic: wholeIn(generic),
            specific: wholeIn(specific.replace('.', '')),
            uptimeTicks: wholeIn(uptime),
          }),
    };
    return { event: encoded(trapEvent(trap, this.#facts), bytes), isInText };
  }

  #endProgram(): Buffer[] {
    const bytes = this.#release();
    const lines = bytes.toString('utf8').split('\n');
    const peerName = isTransport(Buffer.from(lines[1] ?? '')) ? lines.shift() : undefined;
    const [transport = '', ...rest] = lines;
    const event = trapEvent(
      { transport, peerName, varbinds: bindings(rest, '\n', PROGRAM_BINDING).varbinds },
      this.#facts,
    );
    return [encoded(event, bytes)];
  }
}

function encoded(event: TrapEvent, bytes: Buffer): Buffer {
  const message = event.message.trim() === '' ? '(no text)' : event.message;
  return Buffer.from(JSON.stringify(withBytes({ ...event, message }, bytes)));
}

/** Pieces that begin a binding, each with those behind it that belong to its text; and whether the last one is not over. */
function bindings(
  pieces: readonly string[],
  separator: string,
  shape: RegExp,
): { varbinds: Varbind[]; isInText: boolean } {
  const varbinds: Varbind[] = [];
  let oid = '';
  let value: string[] = [];
  let isInText = false;
  const finish = (): void => {
    if (oid !== '' || value.length > 0) varbinds.push(varbindOf(oid, value.join(separator)));
  };
  for (const piece of pieces) {
    const [, name, begin = ''] = isInText ? [] : (shape.exec(piece) ?? []);
    if (name === undefined) {
      value.push(piece);
      if (isInText) isInText = countQuotes(piece) % 2 === 0;
      continue;
    }
    finish();
    oid = name;
    value = [begin];
    isInText = VALUE_BEGINS_QUOTED.test(begin) && countQuotes(begin) % 2 === 1;
  }
  finish();
  return { varbinds, isInText };
}

function countQuotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1))
    if (!isEscaped(text, at)) count += 1;
  return count;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
  return backslashes % 2 === 1;
}

function isMarked(line: Buffer): boolean {
  return line.subarray(0, MARK.length + 1).toString('latin1') === `${MARK}\t`;
}

function isTransport(line: Buffer): boolean {
  return TRANSPORT.test(line.subarray(0, 300).toString('latin1'));
}

function wholeIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
