/**
 * Reads the HTTP requests of one connection, as far as a destination needs it: a head, and a body of the announced length.
 * It tells of each part as soon as it is there, which an HTTP server does not.
 */

export interface RequestHead {
  method: string;
  path: string;
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>;
}

export interface RequestReaderOptions {
  onHead(head: RequestHead): void;
  /** Part of the body is there: at least one byte, perhaps all. Once per request. */
  onBody(): void;
  onRequest(head: RequestHead, body: Buffer): void;
  /** It cannot be read on. */
  onFault(fault: string): void;
}

const HEAD_BYTES_MAX = 64 * 1024;
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const END_OF_HEAD = '\r\n\r\n';

export class RequestReader {
  readonly #options: RequestReaderOptions;
  /** Of the head, or of the body when there is a head. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  #head: RequestHead | undefined;
  #bodyBytes = 0;
  #hasBodyBegun = false;
  #isFaulty = false;

  constructor(options: RequestReaderOptions) {
    this.#options = options;
  }

  read(chunk: Buffer): void {
    if (this.#isFaulty) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (!this.#isFaulty && (this.#head === undefined ? this.#takeHead() : this.#takeBody(this.#head)));
  }

  /** Whether there may be more to take. */
  #takeHead(): boolean {
    const buffered = this.#joined();
    const end = buffered.indexOf(END_OF_HEAD);
    if (end < 0) {
      if (this.#bytes > HEAD_BYTES_MAX) this.#fail(`a head of more than ${HEAD_BYTES_MAX} bytes`);
      return false;
    }
    const head = headOf(buffered.toString('latin1', 0, end));
    const announced = head?.headers.get('content-length') ?? '0';
    const isReadable = /^\d{1,9}$/.test(announced) && head?.headers.has('transfer-encoding') === false;
    if (head === undefined || !isReadable || Number(announced) > BODY_BYTES_MAX) {
      this.#fail(`no request that can be read: ${JSON.stringify(buffered.toString('latin1', 0, 200))}`);
      return false;
    }
    this.#keep(buffered.subarray(end + END_OF_HEAD.length));
    this.#bodyBytes = Number(announced);
    this.#head = head;
    this.#hasBodyBegun = false;
    this.#options.onHead(head);
    return true;
  }

  #takeBody(head: RequestHead): boolean {
    if (!this.#hasBodyBegun && this.#bytes > 0 && this.#bodyBytes > 0) {
      this.#hasBodyBegun = true;
      this.#options.onBody();
    }
    if (this.#bytes < this.#bodyBytes) return false;
    const buffered = this.#joined();
    const body = buffered.subarray(0, this.#bodyBytes);
    this.#keep(buffered.subarray(this.#bodyBytes));
    this.#head = undefined;
    this.#options.onRequest(head, body);
    return this.#bytes > 0;
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
  }

  #fail(fault: string): void {
    this.#isFaulty = true;
    this.#chunks = [];
    this.#options.onFault(fault);
  }
}

function headOf(text: string): RequestHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(first) ?? [];
  if (method === undefined || path === undefined) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) return undefined;
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { method, path, headers };
}
