/** Ingest threads that are killed under senders who send again what has no answer. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { INGEST_LANE } from '../../../actors/ingest/ingest-actor.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { IngestThreads } from '../../../supervisors/gateway/ingest-threads.ts';
import type { FromIngestThread } from '../../../supervisors/gateway/ingest-threads.ts';
import { INGEST_COUNTERS } from '../../../supervisors/threads/counters.ts';
import type { IngestThreadParams } from '../../../supervisors/threads/ingest-thread.ts';
import { openStore } from '../../../supervisors/threads/store.ts';
import { startIngest } from '../../gateways/ingest/ingest-under-test.ts';
import type { IngestUnderTest } from '../../gateways/ingest/ingest-under-test.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { delay, freshPrefix, until, WIDE } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';

const MODULE = new URL('../../../supervisors/threads/ingest-thread.ts', import.meta.url).href;
const PARTITIONS = 2;
const SENDERS = 12;
const KILLS = 5;
const ANSWERS_PER_KILL = 40;

describe('An ingest thread that is killed', function () {
  this.timeout(90_000);
  let database: OwnDatabase;
  let pool: ThreadPool;
  let child: Awaited<ReturnType<ThreadSlot['start']>>;
  let ingest: IngestUnderTest;

  before(async () => {
    database = await ownDatabase();
  });
  after(async () => {
    ingest?.server.close();
    child?.kill('the spec is over');
    await child?.exited;
    await pool?.close();
    await database.drop();
  });

  it('leaves every event and every reject of resent requests once', async () => {
    const storeParams = { redisUrl: await specRedisUrl(), keyPrefix: freshPrefix() };
    const params: IngestThreadParams = {
      ...storeParams,
      databaseUrl: database.url,
      partitions: PARTITIONS,
      bounds: { ingest: WIDE, overflow: WIDE, resendKeysMax: 10_000 },
      safety: { boundsBytes: 1 },
      witnessed: new SharedArrayBuffer(PARTITIONS * Float64Array.BYTES_PER_ELEMENT),
      version: 1,
      settings: effectiveSettings({}, {}),
    };
    const threads = new IngestThreads(systemClock);
    pool = new ThreadPool({ spareThreads: 1, preload: [MODULE], threadsMax: 3, heapMbMax: 256 });
    const slot = new ThreadSlot({
      id: 'ingest-0',
      pool,
      moduleUrl: MODULE,
      params: async () => params,
      counterLayout: INGEST_COUNTERS.layout,
      hangAfterMs: 30_000,
      startTimeoutMs: 30_000,
      onMessage: (payload) => {
        const message = payload as FromIngestThread | { type: 'applied' };
        if (message.type === 'verdicts') threads.receive(message);
      },
    });
    threads.add(slot);
    let epoch = 0;
    const start = async (): Promise<void> => {
      epoch += 1;
      child = await slot.start({ epoch, previousExit: undefined });
      threads.threadReady(slot.id);
      void child.exited.then(() => threads.threadGone(slot.id));
    };
    await start();
    ingest = startIngest({ port: threads });

    const answered: string[] = [];
    let requests = 0;
    let resends = 0;
    let isOn = true;
    const send = async (sender: number): Promise<void> => {
      for (let nth = 0; isOn; nth += 1) {
        const names = ['a', 'b', 'c'].map((which) => `s${sender}n${nth}${which}`);
        const events = names.map((message) => ({
          hostname: `host-${message}`,
          message,
          timestamp: '2026-01-01T00:00:00Z',
        }));
        const body = JSON.stringify([...events, { hostname: 'a reject' }]);
        requests += 1;
        const headers = { 'Idempotency-Key': `s${sender}n${nth}` };
        for (;;) {
          // Without a reply, too, it is not known what became of it.
          const reply = await ingest.post(body, headers).catch(() => undefined);
          if (reply?.status === 200) {
            expect(JSON.parse(reply.body)).to.include({ accepted: 3, rejected: 1 });
            break;
          }
          if (reply !== undefined) expect(reply.status).to.equal(503);
          resends += 1;
        }
        answered.push(...names);
      }
    };
    const senders = Array.from({ length: SENDERS }, (_, sender) => send(sender));
    // Until some were caught at work: what had not begun to store is given to the next thread, and answered by it.
    for (let kills = 0; kills < KILLS || resends === 0; kills += 1) {
      const before = answered.length;
      await until(() => answered.length > before + ANSWERS_PER_KILL, 30_000);
      await delay(Math.random() * 10);
      child.kill('the spec wants it so');
      await child.exited;
      await start();
    }
    isOn = false;
    await Promise.all(senders);

    const opened = await openStore(storeParams, 'reader');
    const positions = [0, 1].map((partition) => ({ partition, lane: INGEST_LANE, afterId: '0-0' }));
    const entries = await opened.store.read(positions, { entriesMax: 100_000, blockMs: 0 });
    await opened.close();
    const stored = entries.flatMap(({ payload }) =>
      decodeFrame(payload).records.map(
        ({ bytes }) => (JSON.parse(bytes.toString()) as { message: string }).message,
      ),
    );
    expect(stored.toSorted()).to.deep.equal(answered.toSorted());
    const [rejects] = await database.sql('SELECT count(*)::int AS kept FROM rejects');
    expect(rejects).to.deep.equal({ kept: requests });
    const [totals] = await new PostgresRejectStore(database.connection).totals();
    expect(totals).to.include({ keptRows: requests, droppedRows: 0 });
  });
});
