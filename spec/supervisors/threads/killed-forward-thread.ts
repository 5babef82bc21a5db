/**
 * Forward threads that are killed while a destination refuses one signature: real threads, a real store, real
 * connections. The partition goes to another owner each time.
 */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { TERMINAL_STATES } from '../../../actors/event.ts';
import type { Alert } from '../../../actors/event.ts';
import {
  alertLane,
  decodeStoredAlert,
  encodeStoredAlert,
  retrySet,
} from '../../../actors/forward/messages.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import type { Token } from '../../../runtime/durable/durable-store.ts';
import { processMs } from '../../../runtime/shared/vitals.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { FORWARD_COUNTERS } from '../../../supervisors/threads/counters.ts';
import type { ForwardThreadParams } from '../../../supervisors/threads/forward-thread.ts';
import { openStore } from '../../../supervisors/threads/store.ts';
import type { OpenStore } from '../../../supervisors/threads/store.ts';
import { alertOf, destinationOf } from '../../actors/forward/alerts.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import {
  GROUP,
  WIDE,
  commitOf,
  freshPrefix,
  freshWriterId,
  own,
  until,
} from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';

const MODULE = new URL('../../../supervisors/threads/forward-thread.ts', import.meta.url).href;
/** One in so many is of the signature that is refused. */
const BAD_ONE_IN = 10;
const SIGNATURES = 100;
const KILLS = 3;
const BAD = 'bad';

/** Declares the spec; `alerts` of them wait at first. */
export function describeKilledForwardThread(alertCount: number): void {
  describe(`A forward thread that is killed, with ${alertCount} alerts`, function () {
    this.timeout(600_000);
    let database: OwnDatabase;
    let opened: OpenStore;
    let pool: ThreadPool;
    let server: Server;
    let child: Awaited<ReturnType<ThreadSlot['start']>> | undefined;
    /** Taken by the destination, in its order. */
    const taken: { id: string; signature: string }[] = [];
    let refused = 0;
    let isHealed = false;

    before(async () => {
      database = await ownDatabase();
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const { external_id: id, signature } = JSON.parse(Buffer.concat(chunks).toString()) as {
            external_id: string;
            signature: string;
          };
          const isRefused = signature === BAD && !isHealed;
          if (isRefused) refused += 1;
          else taken.push({ id, signature });
          response.writeHead(isRefused ? 503 : 200).end('{}');
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    after(async () => {
      child?.kill('the spec is over');
      await child?.exited;
      await pool?.close();
      await opened?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await database.drop();
    });

    it('leaves every signature in order, and holds up none but the one that is refused', async () => {
      const storeParams = { redisUrl: await specRedisUrl(), keyPrefix: freshPrefix() };
      opened = await openStore(storeParams, 'spec');
      const { store } = opened;
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      let token: Token = await own(store);

      const alerts = Array.from({ length: alertCount }, (_, n): Alert => {
        const signature = n % BAD_ONE_IN === 0 ? BAD : `s${n % SIGNATURES}`;
        return alertOf(`${n}`, { signature });
      });
      const writerId = freshWriterId();
      for (let from = 0; from < alertCount; from += 500) {
        const some = alerts.slice(from, from + 500);
        const openGroups = some.flatMap(({ event_ids: ids }) => ids.map((id) => ({ id, parts: 1 })));
        await store.commit(commitOf(token, { openGroups }));
        const results = await store.append(
          some.map((alert, n) => ({
            partition: 0,
            lane: alertLane('noc'),
            writerId,
            sequence: from + n + 1,
            count: 1,
            payload: encodeStoredAlert({ alert, attempts: 0 }),
            bounds: WIDE,
          })),
        );
        expect(results.every(({ status }) => status === 'stored')).to.equal(true);
      }

      pool = new ThreadPool({ spareThreads: 1, preload: [MODULE], threadsMax: 3, heapMbMax: 256 });
      const slot = new ThreadSlot({
        id: 'forward-0',
        pool,
        moduleUrl: MODULE,
        params: async (): Promise<ForwardThreadParams> => ({
          ...storeParams,
          databaseUrl: database.url,
          tokens: [[0, token]],
          leaseTtlMs: 60_000,
          secretPlaces: { directory: '/nowhere', files: [] },
          bounds: { dead: WIDE, retry: WIDE },
          version: 1,
          settings: effectiveSettings(
            {
              'forward.retry.baseMs': 20,
              'forward.retry.delayMaxMs': 400,
              'forward.breaker.baseMs': 20,
              'forward.breaker.delayMaxMs': 200,
            },
            {},
          ),
          destinations: [destinationOf({ url, collapse: false, concurrency: 16, timeoutMs: 10_000 })],
        }),
        counterLayout: FORWARD_COUNTERS.layout,
        hangAfterMs: 60_000,
        startTimeoutMs: 60_000,
        onMessage: () => undefined,
      });
      let epoch = 0;
      const start = async (): Promise<void> => {
        child = await slot.start({ epoch: ++epoch, previousExit: undefined });
        slot.vitals.set('leaseUntilMs', processMs() + 600_000);
      };
      const setAside = (): Promise<Buffer[]> => store.listDelayed(0, retrySet('noc'), 0, 100);
      await start();
      const others = (): number => taken.filter(({ signature }) => signature !== BAD).length;
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const wanted = Math.floor((alertCount * 0.8 * kill) / (KILLS + 1));
        await until(async () => others() > wanted && (await setAside()).length > 0, 180_000);
        child?.kill('the spec wants it so');
        await child?.exited;
        await store.release([0], GROUP, token.nonce);
        token = await own(store);
        await start();
      }
      const distinct = (signature: (name: string) => boolean): string[] => [
        ...new Set(taken.filter((each) => signature(each.signature)).map(({ id }) => id)),
      ];
      await until(
        () => distinct((name) => name !== BAD).length === alertCount * (1 - 1 / BAD_ONE_IN),
        60_000,
      );
      expect(refused).to.be.above(KILLS);
      expect(taken.some(({ signature }) => signature === BAD)).to.equal(false);
      // The head alone is set aside: all that wait for it are in their lane.
      const heads = (await setAside()).map((payload) => decodeStoredAlert(payload).alert.id);
      expect(heads).to.deep.equal(['0']);

      isHealed = true;
      const left = async (): Promise<number> => {
        const { measured } = await store.ledger(0, { terminal: [], inputLanes: [] });
        return (measured.lanes[alertLane('noc')]?.entries ?? 0) + (measured.delayed[retrySet('noc')] ?? 0);
      };
      await until(async () => (await left()) === 0, 180_000);
      for (const name of new Set(alerts.map(({ signature }) => signature))) {
        const wanted = alerts.filter(({ signature }) => signature === name).map(({ id }) => id);
        expect(
          distinct((signature) => signature === name),
          name,
        ).to.deep.equal(wanted);
      }
      const books = await store.ledger(0, { terminal: TERMINAL_STATES, inputLanes: [] });
      expect(books.problems).to.deep.equal([]);
      expect(books.inFlight).to.equal(0);
      expect(books.counters).to.deep.equal({ alerts_delivered: alertCount, forwarded: alertCount });
    });
  });
}
