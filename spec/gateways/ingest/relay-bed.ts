/**
 * The real ingest server before the real ingest actor, over a store in memory: what a relay sends over the wire, and which
 * events and rejects come of it. Only the threads between the two, and the databases behind, are left out.
 */
import { cutFrame, INGEST_LANE, ingestActor, withoutEvents } from '../../../actors/ingest/ingest-actor.ts';
import type { FramePart, IngestMessage, ParkedPart } from '../../../actors/ingest/ingest-actor.ts';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';
import { normalizeEvent } from '../../../actors/match/normalize.ts';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { readRow } from '../../../gateways/ingest/ingest-port.ts';
import type { IngestPort, IngestVerdict } from '../../../gateways/ingest/ingest-port.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import { WIDE, WINDOW } from '../../runtime/durable/store-under-test.ts';
import { startIngest } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';

const PARTITIONS = 4;

export class RelayBed {
  readonly parked: ParkedPart[] = [];
  readonly ingest: IngestUnderTest;
  readonly #store = createMemoryStore();
  readonly #system = new ActorSystem();
  readonly #writer;

  constructor() {
    let frames = 0;
    const newFrameId = uuidV7Maker(systemClock, (bytes) => bytes.fill((frames += 1)));
    this.#writer = createWriter<FramePart, string>({
      store: this.#store,
      bounds: () => WIDE,
      cut: (submissions) => cutFrame(newFrameId, systemClock.wallMs(), submissions),
      without: withoutEvents,
      markWindow: () => WINDOW,
      onStoreOlder: () => Promise.reject(new Error('not expected')),
    });
    const actor = this.#system.spawn(
      ingestActor({
        partitions: PARTITIONS,
        writer: this.#writer,
        parking: {
          park: async (count, at) => {
            for (let nth = 0; nth < count; nth++) this.parked.push(at(nth));
          },
        },
        count: () => undefined,
      }),
    );
    this.ingest = startIngest({ port: portOf(actor) });
  }

  /** Every event that was stored so far, as the match actor sees it, in the order of its message. */
  async events(): Promise<NormalizedEvent[]> {
    const positions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      lane: INGEST_LANE,
      afterId: '0-0',
    }));
    const entries = await this.#store.read(positions, { entriesMax: 10_000, blockMs: 0 });
    const events = entries.flatMap(({ payload }) => {
      const { id, receivedAtMs, records } = decodeFrame(payload);
      return records.map(
        (record, at) => normalizeEvent({ id: `${id}-${at}`, receivedAtMs, ...record }).event,
      );
    });
    return events.sort((a, b) => (a.message < b.message ? -1 : 1));
  }

  async close(): Promise<void> {
    this.ingest.server.close();
    await this.#system.stop(100);
    await this.#writer.close();
  }
}

/** Hands rows to the actor as an ingest thread does, with bodies in shared memory. */
function portOf(actor: ActorRef<IngestMessage>): IngestPort {
  let listener: (verdicts: readonly IngestVerdict[]) => void = () => undefined;
  return {
    threads: 1,
    onVerdicts: (next) => {
      listener = next;
    },
    submit: (batch) => {
      const requests = Array.from({ length: batch.count }, (_, index) => {
        const { request, body, ...row } = readRow(batch, index);
        return {
          ...row,
          body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
          isPoison: false,
          mark: () => undefined,
          answer: (outcome: Omit<IngestVerdict, 'request'>) => {
            setImmediate(() => listener([{ request, ...outcome }]));
          },
        };
      });
      actor.tell({ type: 'requests', requests });
    },
  };
}
