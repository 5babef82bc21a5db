/**
 * Puts lines together into request bodies, unchanged, so that the server counts exactly as many records as there are
 * lines.
 *
 * The server reads a body by its first byte. So JSON objects travel as NDJSON, text as text, and a text body never
 * begins with a line that looks like JSON and is none, if there is another line to begin with.
 */
export type BatchKind = 'text' | 'json' | 'array';

export interface Batch {
  kind: BatchKind;
  body: Buffer;
  /** Records in the body: what the server must have accepted and rejected, together. */
  events: number;
  /** Where each record comes from, if that is known. */
  origins?: readonly LineOrigin[];
}

export interface LineOrigin {
  file: string;
  /** From 1. */
  line: number;
}
interface Line {
  bytes: Buffer;
  origin: LineOrigin | undefined;
}

export const CONTENT_TYPE: Readonly<Record<BatchKind, string>> = {
  text: 'text/plain',
  json: 'application/x-ndjson',
  array: 'application/json',
};

const BRACE = 0x7b;
const BRACKET = 0x5b;
const LINE_END = Buffer.from('\n');

export interface LineBatcherOptions {
  linesMax: number;
  bytesMax: number;
  /** Lines of text and of JSON never overtake each other; batches are smaller where they mix. */
  isOrdered?: boolean;
}

export class LineBatcher {
  readonly #options: LineBatcherOptions;
  readonly #text: Gathering;
  readonly #json: Gathering;

  constructor(options: LineBatcherOptions) {
    this.#options = options;
    this.#text = new Gathering('text');
    this.#json = new Gathering('json');
  }

  /** Takes one line that is not blank; gives the batches it has completed, in order. */
  add(line: Buffer, origin?: LineOrigin): Batch[] {
    const first = firstByte(line);
    const value = first === BRACE || first === BRACKET ? parse(line) : undefined;
    const gathering = value === undefined ? this.#text : this.#json;
    const batches = this.#options.isOrdered === true ? this.#flushAllBut(gathering, value) : [];
    if (Array.isArray(value)) {
      if (value.length === 0) return batches;
      const origins = value.flatMap(() => origin ?? []);
      return [...batches, { kind: 'array', body: line, events: value.length, origins }];
    }
    if (!gathering.isEmpty && gathering.bytes + line.length + 1 > this.#options.bytesMax) {
      batches.push(gathering.take());
    }
    gathering.push({ bytes: line, origin });
    if (gathering.lines >= this.#options.linesMax) batches.push(gathering.take());
    return batches;
  }

  /** What must go before a line that is gathered there, or goes by itself. */
  #flushAllBut(gathering: Gathering, value: object | undefined): Batch[] {
    return [this.#text, this.#json]
      .filter((each) => !each.isEmpty && (each !== gathering || Array.isArray(value)))
      .map((each) => each.take());
  }

  /** What is left. */
  flush(): Batch[] {
    return [this.#text, this.#json].filter(({ isEmpty }) => !isEmpty).map((gathering) => gathering.take());
  }
}

/**
 * Two smaller batches of the same lines, for a server that takes less at once; undefined when there is only one record,
 * or one that cannot be cut.
 */
export function halves(batch: Batch): [Batch, Batch] | undefined {
  if (batch.events < 2 || batch.kind === 'array') return undefined;
  const lines: Line[] = [];
  for (let start = 0; start <= batch.body.length;) {
    const end = batch.body.indexOf(LINE_END, start);
    const bytes = batch.body.subarray(start, end === -1 ? undefined : end);
    lines.push({ bytes, origin: batch.origins?.[lines.length] });
    if (end === -1) break;
    start = end + 1;
  }
  const middle = Math.ceil(lines.length / 2);
  const part = (some: Line[]): Batch => {
    const gathering = new Gathering(batch.kind);
    for (const line of some) gathering.push(line);
    return gathering.take();
  };
  return [part(lines.slice(0, middle)), part(lines.slice(middle))];
}

class Gathering {
  readonly #kind: BatchKind;
  #lines: Line[] = [];
  bytes = 0;

  constructor(kind: BatchKind) {
    this.#kind = kind;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  get lines(): number {
    return this.#lines.length;
  }

  push(line: Line): void {
    this.#lines.push(line);
    this.bytes += line.bytes.length + 1;
  }

  take(): Batch {
    const lines = this.#lines;
    this.#lines = [];
    this.bytes = 0;
    if (this.#kind === 'text') putPlainFirst(lines);
    const parts = lines.flatMap(({ bytes }, index) => (index === 0 ? [bytes] : [LINE_END, bytes]));
    const origins = lines.flatMap(({ origin }) => origin ?? []);
    return { kind: this.#kind, body: Buffer.concat(parts), events: lines.length, origins };
  }
}

/** Lines that look like JSON and are none become rejects in any order, so moving a plain one before them harms nobody. */
function putPlainFirst(lines: Line[]): void {
  const isPlain = ({ bytes }: Line): boolean => {
    const first = firstByte(bytes);
    return first !== BRACE && first !== BRACKET;
  };
  const index = lines.findIndex(isPlain);
  if (index > 0) lines.unshift(...lines.splice(index, 1));
}

/** The first byte that is no blank; a byte order mark counts as blank. */
function firstByte(line: Buffer): number | undefined {
  let at = line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0;
  while (line[at] === 0x20 || line[at] === 0x09) at++;
  return line[at];
}

/** The object or array that the line is; undefined when it is neither. */
function parse(line: Buffer): object | undefined {
  try {
    const value = JSON.parse(line.toString('utf8').replace(/^\ufeff/, '')) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
