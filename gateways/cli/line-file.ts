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
  /** Lines of this piece that were longer than LINE_BYTES_MAX: they are skipped, and counted so that nothing vanishes. */
  overlong: number;
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
    yield { ...splitter.end(), fileBytes };
    throw new CodedError('E_FILE_DAMAGED', `${path} is damaged or cut off: ${describe(codeOf(thrown))}`, {
      mend: 'What could be read of it was sent. Get a whole copy and look at `mutt status` before sending it again.',
      cause: thrown,
    });
  } finally {
    file.destroy();
  }
  yield { ...splitter.end(), fileBytes };
}

function unzipped(file: Readable): Readable {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => gunzip.destroy(error));
  return file.pipe(gunzip);
}

class LineSplitter {
  /** The beginning of a line whose end has not come yet. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #isSkipping = false;

  take(chunk: Buffer): { lines: Buffer[]; overlong: number } {
    const lines: Buffer[] = [];
    let overlong = 0;
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      overlong += this.#finish(chunk.subarray(start, end), lines);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return { lines, overlong };
  }

  end(): { lines: Buffer[]; overlong: number } {
    const lines: Buffer[] = [];
    return { overlong: this.#finish(Buffer.alloc(0), lines), lines };
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

  /** Ends the current line with `part`; gives 1 when it was too long. */
  #finish(part: Buffer, lines: Buffer[]): 0 | 1 {
    const isOverlong = this.#isSkipping || this.#restBytes + part.length > LINE_BYTES_MAX;
    if (!isOverlong) {
      const whole = this.#rest.length === 0 ? part : Buffer.concat([...this.#rest, part]);
      const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole;
      if (!isBlank(line)) lines.push(line);
    }
    this.#rest = [];
    this.#restBytes = 0;
    this.#isSkipping = false;
    return isOverlong ? 1 : 0;
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
