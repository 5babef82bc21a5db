/**
 * The module of an ingest thread: the ingest actor with its writer, behind the batches of the gateway's loop.
 */
import { randomFillSync } from 'node:crypto';
import { PostgresRejectStore } from '../../gateways/postgres/reject-store.ts';
import { openConnection } from '../../gateways/postgres/connection.ts';
import { ROW, ROW_STAGE, ROW_WORDS, readRow } from '../../gateways/ingest/ingest-port.ts';
import type { IngestBatch, IngestVerdict } from '../../gateways/ingest/ingest-port.ts';
import {
  cutFrame,
  HOST_DIVERSION,
  ingestActor,
  OVERFLOW_LANE,
  withoutEvents,
} from '../../actors/ingest/ingest-actor.ts';
import type { FramePart, IngestRequest, Resend } from '../../actors/ingest/ingest-actor.ts';
import { originEntry, senderOf } from '../../actors/ingest/origin.ts';
import { RejectQueue } from '../../actors/ingest/reject-queue.ts';
import { canonicalAddress } from '../../actors/match/ip-network.ts';
import type { RejectStore } from '../../actors/ports.ts';
import { formatUuid, uuidV7Maker } from '../../actors/ingest/uuid-v7.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createWriter } from '../../runtime/durable/writer.ts';
import type { StoreSafetyOptions } from '../../runtime/durable/store-safety.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadHost, ThreadMain } from '../../runtime/thread/entry.ts';
import type { FromIngestThread, ToIngestThread } from '../gateway/ingest-threads.ts';
import type { MailboxBounds } from '../mailbox-bounds.ts';
import { rejectBounds } from '../reject-bounds.ts';
import { INGEST_COUNTERS } from './counters.ts';
import { occasionally } from './occasionally.ts';
import { openStore } from './store.ts';
import type { StoreParams } from './store.ts';
import type { Applied, InForce, ToWorker } from './worker-messages.ts';

export interface IngestThreadParams extends StoreParams, InForce {
  databaseUrl: string;
  partitions: number;
  /** From the memory of the store. */
  bounds: Pick<MailboxBounds, 'ingest' | 'overflow' | 'resendKeysMax'>;
  /** What the store must be for an acknowledgement to be true. */
  safety: StoreSafetyOptions;
  /** One float per partition: the highest number acknowledged by any thread of this gateway. */
  witnessed: SharedArrayBuffer;
}

/** Messages waiting for this thread; the gateway's budget of bodies in flight bounds them long before. */
const MAILBOX_MESSAGES_MAX = 100_000;
const STOP_MS = 8_000;
const IPV4_BYTES = 4;
/** Contract: what is sent again within it is known, unless it is no more among the newest. */
const RESEND_WINDOW_MS = 86_400_000;

/** What the gateway process hears beside verdicts. */
export interface LostMessage {
  type: 'lost';
  partition: number;
  from: number;
  to: number;
}

export const threadMain: ThreadMain = async (host) => {
  const params = host.params as IngestThreadParams;
  let { settings } = params;
  const { store, close: closeStore } = await openStore(params, `mutt-${host.slotId}`, params.safety);
  const database = openConnection({
    url: params.databaseUrl,
    connectionsMax: 1,
    applicationName: `mutt-${host.slotId}`,
  });
  const rejects = rejectQueue(host, new PostgresRejectStore(database, () => rejectBounds(settings)));
  const newFrameId = uuidV7Maker(systemClock, (bytes) => randomFillSync(bytes));
  const witnessed = new Float64Array(params.witnessed);
  const resendKeysMax = (): number =>
    Math.min(settings['ingest.resend.keysMax'], params.bounds.resendKeysMax);

  const writer = createWriter<FramePart, string>({
    store,
    bounds: ({ lane }) => ({
      ...params.bounds[lane === OVERFLOW_LANE ? 'overflow' : 'ingest'],
      messagesMax: settings['mailbox.ingest.eventsMax'],
    }),
    diversion: { ...HOST_DIVERSION, fairMessages: () => settings['mailbox.ingest.fairEvents'] },
    frameMessagesMax: () => settings['ingest.frame.eventsMax'],
    cut: (submissions, { lane }) => {
      const frame = cutFrame(newFrameId, systemClock.wallMs(), submissions);
      host.counters.add(INGEST_COUNTERS.at.frames);
      host.counters.add(INGEST_COUNTERS.at.frameBytes, frame.payload.length);
      if (lane === OVERFLOW_LANE) {
        const events = submissions.reduce((sum, { count }) => sum + count, 0);
        host.counters.add(INGEST_COUNTERS.at.diverted, events);
      }
      return frame;
    },
    without: withoutEvents,
    markWindow: () => ({ keysMax: resendKeysMax(), ageMsMax: RESEND_WINDOW_MS }),
    witnessed: (partition) => witnessed[partition] ?? 0,
    onAccepted: (partition, accepted) => {
      if (accepted > (witnessed[partition] ?? 0)) witnessed[partition] = accepted;
    },
    onStoreOlder: async (partition, _known, highest) => {
      const known = await store.raiseSequence(partition, highest);
      if (known < highest) {
        host.post({ type: 'lost', partition, from: known + 1, to: highest } satisfies LostMessage);
      }
    },
  });

  const ingest = localChild(
    host.system,
    'ingest',
    ingestActor({
      partitions: params.partitions,
      writer,
      parking: {
        park: (count, at) => rejects.park(count, (nth) => ({ id: formatUuid(newFrameId()), ...at(nth) })),
      },
      count: (events) => host.counters.add(INGEST_COUNTERS.at.events, events),
      onResend: resendTeller(host),
    }),
    { mailbox: { capacity: MAILBOX_MESSAGES_MAX, overflow: 'refuse' }, drainAtStop: true },
  );

  const originOf = originMemo();
  const verdicts = new VerdictBatch((message) => host.post(message));
  const apply = (inForce: InForce): void => {
    ({ settings } = inForce);
    host.counters.set(INGEST_COUNTERS.at.resendKeysMax, resendKeysMax());
    host.counters.set(INGEST_COUNTERS.at.resendWindow, RESEND_WINDOW_MS);
    host.post({ type: 'applied', version: inForce.version } satisfies Applied);
  };
  apply(params);
  host.onMessage((message) => {
    const told = message as ToIngestThread | ToWorker;
    if (told.type === 'snapshot') {
      apply(told);
      return;
    }
    const { batchId, batch } = told;
    const requests = openRows(batch, originOf, (verdict) => verdicts.add(batchId, verdict));
    const sent = ingest.ref.tell({ type: 'requests', requests });
    if (sent !== 'accepted') {
      for (const request of requests)
        request.answer({ status: 'full', accepted: 0, rejected: 0, errors: [] });
    }
  });

  return {
    children: [{ id: 'ingest', start: ingest.start, restart: 'permanent', shutdownDeadlineMs: STOP_MS }],
    close: async () => {
      await writer.close();
      await rejects.close();
      await Promise.all([database.close(), closeStore()]);
    },
  };
};

/** Verdicts leave together, one message per turn of the event loop and batch. */
class VerdictBatch {
  readonly #post: (message: FromIngestThread) => void;
  readonly #waiting = new Map<number, IngestVerdict[]>();

  constructor(post: (message: FromIngestThread) => void) {
    this.#post = post;
  }

  add(batchId: number, verdict: IngestVerdict): void {
    const waiting = this.#waiting.get(batchId);
    if (waiting !== undefined) {
      waiting.push(verdict);
      return;
    }
    if (this.#waiting.size === 0) setImmediate(() => this.#flush());
    this.#waiting.set(batchId, [verdict]);
  }

  #flush(): void {
    for (const [batchId, verdicts] of this.#waiting) this.#post({ type: 'verdicts', batchId, verdicts });
    this.#waiting.clear();
  }
}

/** The rows of a batch that have no verdict yet, as requests. */
function openRows(
  batch: IngestBatch,
  originOf: ReturnType<typeof originMemo>,
  onVerdict: (verdict: IngestVerdict) => void,
): IngestRequest[] {
  const table = new Uint32Array(batch.table);
  const requests: IngestRequest[] = [];
  for (let index = 0; index < batch.count; index++) {
    const stageAt = index * ROW_WORDS + ROW.stage;
    const stage = table[stageAt];
    if (stage === ROW_STAGE.answered) continue;
    const { request, body, address, isSocket, ...row } = readRow(batch, index);
    const protocol = isSocket ? 'websocket' : row.dialect === 'native' ? 'http' : row.dialect;
    requests.push({
      ...row,
      origin: originOf(row.keyName, addressText(address), row.sender, protocol),
      body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      isPoison: stage === ROW_STAGE.parking,
      mark: (next) => {
        table[stageAt] = ROW_STAGE[next];
      },
      answer: (outcome) => {
        table[stageAt] = ROW_STAGE.answered;
        onVerdict({ request, ...outcome });
      },
    });
  }
  return requests;
}

/** Makes origins, and remembers the last one: requests of one sender come in runs, and making one costs half a µs. */
function originMemo(): (keyName: string, address: string, program: string, protocol: string) => string {
  let last: readonly string[] = [];
  let entry = '';
  return (keyName, address, program, protocol) => {
    const isSame = last[0] === keyName && last[1] === address && last[2] === program && last[3] === protocol;
    if (isSame) return entry;
    last = [keyName, address, program, protocol];
    entry = originEntry(keyName, senderOf({ address, program, protocol }));
    return entry;
  };
}

/** Dotted decimal or RFC 5952; empty for what is no address. */
function addressText(address: Uint8Array): string {
  if (address.length === IPV4_BYTES) return `${address[0]}.${address[1]}.${address[2]}.${address[3]}`;
  const groups = Buffer.from(address).toString('hex').match(/.{4}/g);
  return canonicalAddress(groups?.join(':') ?? '') ?? '';
}

/** Counts resends, and tells of keys and ids that are used for more than one content: a sender's mistake. */
function resendTeller(host: ThreadHost): (resend: Resend) => void {
  const { at } = INGEST_COUNTERS;
  const tellReused = occasionally((count, fields) =>
    host.log('warn', 'what names a request or an event came again with another content', {
      count,
      ...fields,
    }),
  );
  return ({ keyName, duplicates, isKeyReused, idsReused }) => {
    const keysReused = isKeyReused ? 1 : 0;
    host.counters.add(at.duplicates, duplicates);
    host.counters.add(at.keysReused, keysReused);
    host.counters.add(at.idsReused, idsReused);
    if (keysReused + idsReused > 0) tellReused(keysReused + idsReused, { lastApiKey: keyName });
  };
}

/** Counts what becomes of rejects, and tells of losses: once a while, with how many there were. */
function rejectQueue(host: ThreadHost, store: RejectStore): RejectQueue {
  const { at } = INGEST_COUNTERS;
  const tellDropped = occasionally((count, fields) =>
    host.log('warn', 'rejects were dropped', { count, ...fields }),
  );
  const tellEvictedOfKey = occasionally((count) =>
    host.log('warn', 'rejects are at the bound of their API key: the oldest went', { count }),
  );
  const tellEvictedOfAll = occasionally((count) =>
    host.log('warn', 'rejects are at the bound of all: the oldest of those keys went that hold most', {
      count,
    }),
  );
  return new RejectQueue({
    store,
    clock: systemClock,
    onParked: (count, evicted) => {
      host.counters.add(at.rejects, count);
      if (evicted.ofKey > 0) {
        host.counters.add(at.rejectsEvictedOfKey, evicted.ofKey);
        tellEvictedOfKey(evicted.ofKey);
      }
      if (evicted.ofAll > 0) {
        host.counters.add(at.rejectsEvictedOfAll, evicted.ofAll);
        tellEvictedOfAll(evicted.ofAll);
      }
    },
    onDropped: (count, why, code) => {
      host.counters.add(at.rejectsDropped, count);
      tellDropped(count, { why, ...(code === undefined ? {} : { code }) });
    },
  });
}
