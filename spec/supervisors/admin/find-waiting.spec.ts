/** What one question about a waiting frame reads at most, whatever waits. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { expect } from 'chai';
import { it } from 'mocha';
import { encodeFrame } from '../../../actors/ingest/frame.ts';
import { INGEST_LANE } from '../../../actors/ingest/ingest-actor.ts';
import { RECORD_LINE } from '../../../actors/ingest/split-records.ts';
import { formatUuid, uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { findWaiting } from '../../../supervisors/admin/find-waiting.ts';
import { freshWriterId, WIDE } from '../../runtime/durable/store-under-test.ts';

const NOW_MS = Date.now();
const PARTITIONS = 24;

it('A search for a frame reads no more of a backlog of all mailboxes than it is worth', async () => {
  const newId = uuidV7Maker({ wallMs: () => NOW_MS }, (bytes) => randomFillSync(bytes));
  const store = createMemoryStore();
  const body = randomBytes(1_200_000);
  const record = { kind: RECORD_LINE, correlationId: 'c-1', body, start: 0, end: body.length } as const;
  const payload = encodeFrame(newId(), NOW_MS, [record]);
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  for (const partition of partitions) {
    const writerId = freshWriterId();
    for (const sequence of [1, 2]) {
      await store.append([
        { partition, lane: INGEST_LANE, writerId, sequence, count: 1, payload, bounds: WIDE },
      ]);
    }
  }
  let bytes = 0;
  const read: DurableStore['read'] = async (positions, options) => {
    const entries = await store.read(positions, options);
    // The first frame of each is always looked at.
    if (options.entriesMax > 1) bytes += entries.reduce((sum, entry) => sum + entry.payload.length, 0);
    return entries;
  };
  const frame = { frameId: formatUuid(newId()), receivedAtMs: NOW_MS };
  const look = await findWaiting({ read }, partitions, frame);
  expect(look.found).to.equal(undefined);
  expect(look.perhaps?.lane).to.equal(INGEST_LANE);
  expect(bytes).to.be.within(16 * 1024 * 1024, 18 * 1024 * 1024);
  await store.close();
});

it('A search for a frame looks behind the frames that are too large to be looked at', async () => {
  const newId = uuidV7Maker({ wallMs: () => NOW_MS }, (bytes) => randomFillSync(bytes));
  const store = createMemoryStore();
  const id = newId();
  const writerId = freshWriterId();
  for (const [at, frameId] of [newId(), id].entries()) {
    const body = randomBytes(at === 0 ? 100 : 2_100_000);
    const record = { kind: RECORD_LINE, correlationId: 'c-1', body, start: 0, end: body.length } as const;
    const payload = encodeFrame(frameId, NOW_MS, [record]);
    await store.append([
      { partition: 0, lane: INGEST_LANE, writerId, sequence: at + 1, count: 1, payload, bounds: WIDE },
    ]);
  }
  const { found, perhaps } = await findWaiting(store, [0], { frameId: formatUuid(id), receivedAtMs: NOW_MS });
  expect(found).to.equal(undefined);
  expect(perhaps).to.include({ partition: 0, lane: INGEST_LANE });
  await store.close();
});
