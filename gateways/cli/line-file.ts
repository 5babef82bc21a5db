/**
 * Reads a file of lines, plain or gzip, piece by piece: memory stays the same however large the file is.
 *
 * Lines are bytes, without their line end (LF or CRLF) and with nothing else changed; lines of nothing but blanks are
 * left out, since no server counts them. A last line without an end is a line.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CodedError, codeOf } from '../../runtime/errors.ts';

/** A longer line is no line of a log; the server takes 64 KiB at most. */
export const LINE_BYTES_MAX = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const LF = 0x0a;
const CR = 0x0d;

export interface LinePiece {
  lines: Buffer[];
  /** Of each line its number in the file, from 1; blank lines count. */
  numbers: number[];
  /** Lines longer than LINE_BYTES_MAX, by number: they are skipped, and told so that nothing vanishes. */
  overlong: number[];
  /** Bytes of the file on disk read so far. */
  fileBytes: number;
}

/** Size in bytes. Rejects with `E_FILE_UNREADABLE` before anything is sent of any file. */
export async function checkLineFile(path: string): Promise<number> {
  try {
    const file = await open(path, 'r');
    try {
      const facts = await file.stat();
      if (facts.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
      return facts.size;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    throw new CodedError('E_FILE_UNREADABLE', `${path} cannot be read: ${describe(codeOf(thrown))}`, {
      mend: 'Name files of lines, plain or ending in .gz.',
      cause: thrown,
    });
  }
}

/** Errors: `E_FILE_DAMAGED`, after all lines that could be read were given. */
export async function* readLineFile(path: string): AsyncGenerator<LinePiece> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  let fileBytes = 0;
  file.on('data', (chunk) => (fileBytes += chunk.length));
  const source = path.endsWith('.gz') ? unzipped(file) : file;
  const splitter = new LineSplitter();
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      yield { ...splitter.take(chunk), fileBytes };
    }
  } catch (thrown) {
    // Where the file breaks off there is a part of a line at best: sent, it would be an event that nobody wrote.
    const { open: cut } = splitter;
    const heldBack = cut === undefined ? '' : `; line ${cut}, in which it breaks off, was not sent`;
    const why = `is damaged or cut off: ${describe(codeOf(thrown))}${heldBack}`;
    throw new CodedError('E_FILE_DAMAGED', `${path} ${why}`, {
      mend: 'What could be read of it was sent. Get a whole copy and look at `mutt status` before sending it again.',
      cause: thrown,
    });
  } finally {
    file.destroy();
  }
  yield { ...splitter.end(), fileBytes };
}

/** The same of what is piped in; `fileBytes` counts what has come. */
export async function* readLineStream(source: AsyncIterable<Buffer>): AsyncGenerator<LinePiece> {
  const splitter = new LineSplitter();
  let fileBytes = 0;
  for await (const chunk of source) {
    fileBytes += chunk.length;
    yield { ...splitter.take(chunk), fileBytes };
  }
  yield { ...splitter.end(), fileBytes };
}

function unzipped(file: Readable): Readable {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => gunzip.destroy(error));
  return file.pipe(gunzip);
}

type Lines = Omit<LinePiece, 'fileBytes'>;

class LineSplitter {
  /** The beginning of a line whose end has not come yet. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #isSkipping = false;
  #number = 0;

  take(chunk: Buffer): Lines {
    const taken: Lines = { lines: [], numbers: [], overlong: [] };
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#finish(chunk.subarray(start, end), taken);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return taken;
  }

  end(): Lines {
    const taken: Lines = { lines: [], numbers: [], overlong: [] };
    this.#finish(Buffer.alloc(0), taken);
    return taken;
  }

  /** The number of the line whose end has not come yet, if there is one. */
  get open(): number | undefined {
    return this.#restBytes === 0 ? undefined : this.#number + 1;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#restBytes += part.length;
    if (this.#restBytes > LINE_BYTES_MAX) {
      this.#isSkipping = true;
      this.#rest = [];
    } else {
      this.#rest.push(part);
    }
  }

  /** Ends the current line with `part`. */
  #finish(part: Buffer, { lines, numbers, overlong }: Lines): void {
    this.#number += 1;
    const isOverlong = this.#isSkipping || this.#restBytes + part.length > LINE_BYTES_MAX;
    if (isOverlong) {
      overlong.push(this.#number);
    } else {
      const whole = this.#rest.length === 0 ? part : Buffer.concat([...this.#rest, part]);
      const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole;
      if (!isBlank(line)) {
        lines.push(line);
        numbers.push(this.#number);
      }
    }
    this.#rest = [];
    this.#restBytes = 0;
    this.#isSkipping = false;
  }
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== CR) return false;
  }
  return true;
}

function describe(code: string): string {
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a directory';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'Z_BUF_ERROR') return 'the compressed data end too early';
  if (code.startsWith('Z_')) return 'the compressed data are broken';
  return code;
}
