/**
 * A real ingest server on a free port, with an ingest port that keeps bodies in memory instead of handing them to
 * threads. It honours the interface: every row gets one verdict, in a later turn, and no row is read after it.
 */
import { KeyRing, keyDigest } from '../../../gateways/http/key-ring.ts';
import type { KeyRecord, KeyScope } from '../../../gateways/http/key-ring.ts';
import { readRow } from '../../../gateways/ingest/ingest-port.ts';
import type { IngestBatch, IngestPort, IngestVerdict } from '../../../gateways/ingest/ingest-port.ts';
import { IngestServer } from '../../../gateways/ingest/ingest-server.ts';
import type { IngestServerOptions } from '../../../gateways/ingest/ingest-server.ts';
import { INGEST_LAYOUT } from '../../../gateways/ingest/metrics.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { CounterBlock } from '../../../runtime/shared/counters.ts';
import { rawExchange } from '../http/raw-http.ts';
import type { RawReply } from '../http/raw-http.ts';

export interface StoredRow {
  body: Buffer;
  encoding: string;
  dialect: string;
  hint: string;
  isStrict: boolean;
  hasEventIds: boolean;
  keyName: string;
  sender: string;
  correlationId: string;
  idempotencyKey: string | undefined;
}

type Judge = (row: StoredRow) => Omit<IngestVerdict, 'request'>;

const STORED: Judge = () => ({ status: 'stored', accepted: 1, rejected: 0, errors: [] });

export class MemoryPort implements IngestPort {
  readonly threads = 1;
  readonly stored: StoredRow[] = [];
  readonly batchSizes: number[] = [];
  judge: Judge = STORED;
  /** While true verdicts are kept back until `answerHeld`. */
  isHolding = false;
  isBroken = false;
  #held: IngestVerdict[] = [];
  #listener: (verdicts: readonly IngestVerdict[]) => void = () => undefined;

  onVerdicts(listener: (verdicts: readonly IngestVerdict[]) => void): void {
    this.#listener = listener;
  }

  submit(batch: IngestBatch): void {
    if (this.isBroken) throw new Error('The threads are gone.');
    this.batchSizes.push(batch.count);
    const verdicts: IngestVerdict[] = [];
    for (let at = 0; at < batch.count; at++) {
      const { request, body, ...rest } = readRow(batch, at);
      const row = { ...rest, body: Buffer.from(body) };
      this.stored.push(row);
      verdicts.push({ request, ...this.judge(row) });
    }
    if (this.isHolding) this.#held.push(...verdicts);
    else setImmediate(() => this.#listener(verdicts));
  }

  get held(): number {
    return this.#held.length;
  }

  answerHeld(): void {
    this.#listener(this.#held.splice(0));
  }

  /** Sends verdicts that nobody asked for. */
  send(verdicts: readonly IngestVerdict[]): void {
    this.#listener(verdicts);
  }
}

export const KEY = 'a-key-for-specs-0123456789-abcdefghijklmnop';
const pepper = Buffer.from('pepper');

export function keyRecord(
  name: string,
  key: string,
  scopes: KeyScope[] = ['ingest'],
  expiresAt: number | null = null,
): KeyRecord {
  return { name, scopes, hmacSha256: keyDigest(pepper, key), expiresAt };
}

export interface IngestUnderTest {
  server: IngestServer;
  store: MemoryPort;
  keys: KeyRing;
  port: number;
  logged: Readonly<Record<string, unknown>>[];
  /** The value of a counter by name and labels. */
  count(name: string, labels?: Record<string, string>): number;
  /** POSTs over a connection of its own. */
  post(body: string | Uint8Array, headers?: Record<string, string>, path?: string): Promise<RawReply>;
}

export function startIngest(options: Partial<IngestServerOptions> & { clock?: Clock } = {}): IngestUnderTest {
  const clock = options.clock ?? systemClock;
  const store = new MemoryPort();
  const keys = new KeyRing([keyRecord('spec', KEY)], { pepper, clock });
  const counters = new CounterBlock(INGEST_LAYOUT);
  const logged: Readonly<Record<string, unknown>>[] = [];
  const log = {
    error: (fields: Readonly<Record<string, unknown>>) => void logged.push(fields),
    warn: (fields: Readonly<Record<string, unknown>>) => void logged.push(fields),
  };
  const server = new IngestServer({ port: store, keys, counters, log, ...options, clock });
  const port = server.start(0, '127.0.0.1');
  return {
    server,
    store,
    keys,
    port,
    logged,
    count(name, labels = {}) {
      return INGEST_LAYOUT.reduce(
        (sum, definition, at) =>
          definition.name === name &&
          Object.entries(labels).every(([label, value]) => definition.labels?.[label] === value)
            ? sum + counters.get(at)
            : sum,
        0,
      );
    },
    async post(body, headers = {}, path = '/api/v2/ingest') {
      const { replies, text } = await rawExchange(port, [postHead(body.length, headers, path), body]);
      const [reply] = replies;
      if (reply === undefined) throw new Error(`No reply, only: ${JSON.stringify(text)}`);
      return reply;
    },
  };
}

/** A request head with the key, unless the headers say otherwise; an empty value leaves a header out. */
export function postHead(
  length: number,
  headers: Record<string, string> = {},
  path = '/api/v2/ingest',
): string {
  const all = {
    Host: 'a',
    'User-Agent': 'curl/8',
    'X-API-KEY': KEY,
    'Content-Length': String(length),
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `POST ${path} HTTP/1.1\r\n${lines}\r\n`;
}

export function postOf(body: string, headers: Record<string, string> = {}, path?: string): string {
  return postHead(Buffer.byteLength(body), headers, path) + body;
}

export async function until(condition: () => boolean, waitMs = 2_000): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    if (performance.now() - startedMs > waitMs) throw new Error('It did not happen in time.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
