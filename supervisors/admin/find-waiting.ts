/**
 * Whether a frame still waits in an input mailbox, as far as a few reads can tell: the first frames of each mailbox are
 * looked at, and of the rest it is known that they came later than the first. What is read for one question is bounded,
 * however many mailboxes have a backlog.
 */
import { frameHead } from '../../actors/ingest/frame.ts';
import { INPUT_LANES } from '../../actors/ingest/ingest-actor.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import type { DurableStore, Entry } from '../../runtime/durable/durable-store.ts';

export interface WaitingLook {
  found: (WaitingPlace & { framesBefore: number; records: number }) | undefined;
  /** The mailbox with the oldest frames, where it may lie behind what was looked at. */
  perhaps: WaitingPlace | undefined;
}
export interface WaitingPlace {
  partition: number;
  lane: string;
  oldestReceivedAtMs: number;
}

/** What is being matched is among them. */
const FRAMES_LOOKED_AT = 64;
const BYTES_LOOKED_AT_MAX = 2 * 1024 * 1024;
/** Of all mailboxes together; of those beyond it only the first frame is looked at. */
const BYTES_LOOKED_AT_TOTAL_MAX = 16 * 1024 * 1024;
/**
 * Frames of several writers lie in the order in which they were stored. A writer holds one for some seconds at most
 * (`SUBMIT_DEADLINE_MS`), and clocks of gateways differ; so much later than another, a frame lies behind it.
 */
const DISORDER_MS_MAX = 60_000;

/** Errors: those of the store. */
export async function findWaiting(
  store: Pick<DurableStore, 'read'>,
  partitions: readonly number[],
  frame: { frameId: string; receivedAtMs: number },
): Promise<WaitingLook> {
  const lanes = partitions.flatMap((partition) =>
    INPUT_LANES.map((lane) => ({ partition, lane, afterId: START })),
  );
  const heads = await store.read(lanes, { entriesMax: 1, blockMs: 0 });
  let perhaps: WaitingPlace | undefined;
  let bytesLeft = BYTES_LOOKED_AT_TOTAL_MAX;
  for (const head of heads.toSorted((a, b) => receivedAtMsOf(a) - receivedAtMsOf(b))) {
    const oldestReceivedAtMs = receivedAtMsOf(head);
    // What began to wait only later cannot hold it.
    if (oldestReceivedAtMs > frame.receivedAtMs + DISORDER_MS_MAX) continue;
    const { partition, lane } = head;
    const place = { partition, lane, oldestReceivedAtMs };
    if (bytesLeft <= 0) {
      perhaps ??= place;
      continue;
    }
    const options = { entriesMax: FRAMES_LOOKED_AT, bytesMax: BYTES_LOOKED_AT_MAX, blockMs: 0 };
    const entries = await store.read([{ partition, lane, afterId: START }], options);
    bytesLeft -= entries.reduce((sum, { payload }) => sum + payload.length, 0);
    const framesBefore = entries.findIndex(({ payload }) => frameHead(payload)?.id === frame.frameId);
    if (framesBefore >= 0) {
      const records = frameHead(entries[framesBefore]!.payload)?.records ?? 0;
      return { found: { ...place, framesBefore, records }, perhaps: undefined };
    }
    if (perhaps === undefined && (await mayHoldMore(store, entries, frame.receivedAtMs))) perhaps = place;
  }
  return { found: undefined, perhaps };
}

/** Whether the frame may lie behind these, the first of its mailbox: one that lies there came no later than it. */
async function mayHoldMore(
  store: Pick<DurableStore, 'read'>,
  entries: readonly Entry[],
  receivedAtMs: number,
): Promise<boolean> {
  const last = entries.at(-1);
  if (last === undefined) return false;
  const { partition, lane, id: afterId } = last;
  // A read ends at its bounds, whatever it has: only the next one says whether there is more.
  const [next] = await store.read([{ partition, lane, afterId }], { entriesMax: 1, blockMs: 0 });
  return next !== undefined && receivedAtMsOf(next) <= receivedAtMs + DISORDER_MS_MAX;
}

function receivedAtMsOf({ payload, storedAtMs }: Entry): number {
  return frameHead(payload)?.receivedAtMs ?? storedAtMs;
}
