/**
 * The shortest path an event could take to a durable store, for comparison with the product in the same run: one
 * uWebSockets.js loop, one thread that parses each body, makes one frame per partition and sends them in one pipeline
 * of plain XADDs whenever the previous one has returned; then the reply.
 *
 * It leaves out what makes the product a product: keys, limits, rejects, idempotency, bounds, ledger, supervision.
 * Runs in a process of its own: `startBarePath` starts it; it ends with `close` and when its parent is gone.
 */
import { fork } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Redis } from 'ioredis';
import * as uws from 'uWebSockets.js';
import { encodeFrame } from '../../actors/ingest/frame.ts';
import type { FrameInput } from '../../actors/ingest/frame.ts';
import { partitionOf } from '../../actors/ingest/partition.ts';
import { RECORD_JSON } from '../../actors/ingest/split-records.ts';
import { uuidV7Maker } from '../../actors/ingest/uuid-v7.ts';
import { systemClock } from '../../runtime/clock.ts';

interface Request {
  id: number;
  body: Uint8Array;
}

const PARTITIONS = 8;
const REPLY = '{"status":"queued"}';
const file = fileURLToPath(import.meta.url);

export interface BarePath {
  port: number;
  close(): Promise<void>;
}

/** `keyPrefix` begins the keys of its streams, which the caller removes. */
export async function startBarePath(redisUrl: string, keyPrefix: string): Promise<BarePath> {
  const child = fork(file, [redisUrl, keyPrefix], { execArgv: [] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(message as number));
    child.once('exit', () => reject(new Error('The bare path has ended.')));
  });
  return {
    port,
    close: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
    },
  };
}

function serve(redisUrl: string, keyPrefix: string): void {
  const worker = new Worker(file, { workerData: { redisUrl, keyPrefix } });
  const waiting = new Map<number, uws.HttpResponse>();
  let batch: Request[] = [];
  let lastId = 0;
  worker.on('message', (done: number[]) => {
    for (const id of done) {
      const response = waiting.get(id);
      waiting.delete(id);
      response?.cork(() => response.end(REPLY));
    }
  });
  const flush = (): void => {
    worker.postMessage(
      batch,
      batch.map(({ body }) => body.buffer as ArrayBuffer),
    );
    batch = [];
  };
  const app = uws.App();
  app.post('/*', (response) => {
    const id = ++lastId;
    let parts: Buffer | undefined;
    waiting.set(id, response);
    response.onAborted(() => waiting.delete(id));
    response.onData((chunk, isLast) => {
      const bytes = Buffer.from(chunk.slice(0));
      parts = parts === undefined ? bytes : Buffer.concat([parts, bytes]);
      if (!isLast) return;
      if (batch.length === 0) setImmediate(flush);
      batch.push({ id, body: new Uint8Array(parts) });
    });
  });
  app.listen('127.0.0.1', 0, (socket) => {
    if (socket === false) process.exit(1);
    process.send?.(uws.us_socket_local_port(socket));
  });
  process.on('disconnect', () => process.exit(0));
}

function store({ redisUrl, keyPrefix }: { redisUrl: string; keyPrefix: string }): void {
  const redis = new Redis(redisUrl);
  const newId = uuidV7Maker(systemClock, (bytes) => randomFillSync(bytes));
  let pending: FrameInput[][] = Array.from({ length: PARTITIONS }, () => []);
  let ids: number[] = [];
  let isStoring = false;

  const round = async (): Promise<void> => {
    isStoring = true;
    while (ids.length > 0) {
      const [frames, done] = [pending, ids];
      pending = Array.from({ length: PARTITIONS }, () => []);
      ids = [];
      const pipeline = redis.pipeline();
      for (const [partition, records] of frames.entries()) {
        if (records.length === 0) continue;
        const payload = encodeFrame(newId(), systemClock.wallMs(), records);
        pipeline.xadd(`${keyPrefix}:{${partition}}`, '*', 'p', payload);
      }
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
      parentPort?.postMessage(done);
    }
    isStoring = false;
  };

  parentPort?.on('message', (requests: Request[]) => {
    for (const { id, body: bytes } of requests) {
      const body = Buffer.from(bytes.buffer);
      const parsed = JSON.parse(body.toString()) as { hostname: string } | { hostname: string }[];
      if (Array.isArray(parsed)) {
        // Where each record begins and ends is not what this compares: each is written out again.
        for (const event of parsed) add(event.hostname, Buffer.from(JSON.stringify(event)));
      } else {
        add(parsed.hostname, body);
      }
      ids.push(id);
    }
    if (!isStoring) void round();
  });

  const add = (hostname: string, body: Buffer): void => {
    pending[partitionOf(hostname, PARTITIONS)]?.push({
      kind: RECORD_JSON,
      correlationId: '',
      body,
      start: 0,
      end: body.length,
    });
  };
}

if (!isMainThread && workerData !== null) store(workerData as Parameters<typeof store>[0]);
else if (process.argv[1] === file) serve(process.argv[2] ?? '', process.argv[3] ?? '');
