/**
 * Two forward actors, each with its own store over one Redis, that send to one destination: a real HTTP server that is
 * broken in turn. They share its rate and its breaker; nothing is lost, and the order per signature is kept.
 */
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { deliverAlert } from '../../../actors/forward/delivery.ts';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import type { ForwardOptions } from '../../../actors/forward/forward-options.ts';
import type { LaneReport } from '../../../actors/forward/lane-watch.ts';
import { alertLane } from '../../../actors/forward/messages.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { createRedisPace } from '../../../runtime/durable/redis-pace.ts';
import { specRedisUrl } from '../../support/servers.ts';
import {
  WIDE,
  delay,
  freshPrefix,
  openRedisStore,
  own,
  readAll,
  until,
} from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

const TIMEOUT_MS = 400;

interface Arrival {
  atMs: number;
  id: string;
  signature: string;
  /** Deliveries that it had in hand then, this one included. */
  atOnce: number;
}

/** One node: a store of its own, its partition, and its actor. */
interface Sender {
  opened: OpenedStore;
  system: ActorSystem;
  actor: ActorRef<ForwardMessage>;
  lanes: readonly LaneReport[];
}

describe('Two forward actors with one destination', () => {
  let server: Server;
  let arrivals: Arrival[];
  let atOnce: number;
  let answer: (response: ServerResponse, nth: number) => void;
  let senders: Sender[];
  let client: HttpWebhookClient;
  let prefix: string;

  const take = (response: ServerResponse): void => void response.writeHead(200).end('{}');
  const fail = (response: ServerResponse): void => void response.writeHead(503).end('{}');

  beforeEach(async () => {
    arrivals = [];
    senders = [];
    atOnce = 0;
    answer = take;
    prefix = freshPrefix();
    client = new HttpWebhookClient({
      secrets: new SecretSource(() => performance.now(), { directory: '/run/secrets', files: [] }),
      connectionsMax: 64,
    });
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { external_id: id, signature } = JSON.parse(Buffer.concat(chunks).toString()) as {
          external_id: string;
          signature: string;
        };
        atOnce += 1;
        response.on('close', () => {
          atOnce -= 1;
        });
        arrivals.push({ atMs: performance.now(), id, signature, atOnce });
        answer(response, arrivals.length);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await Promise.all(senders.map(({ system }) => system.stop(2_000)));
    await Promise.all(senders.map(({ opened }) => opened.close()));
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  /** Its partition is its number among the senders. */
  async function start(ratePerSecond: number, options: Partial<ForwardOptions> = {}): Promise<Sender> {
    const opened = await openRedisStore(await specRedisUrl(), { prefix });
    const partition = senders.length;
    const token = await own(opened.store, partition);
    const system = new ActorSystem();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const sender: Sender = { opened, system, lanes: [], actor: undefined as never };
    sender.actor = system.spawn(
      forwardActor({
        store: opened.store,
        pace: createRedisPace({ connection: opened.connection, prefix }),
        tokens: new Map([[partition, token]]),
        destinations: [destinationOf({ url, ratePerSecond, timeoutMs: TIMEOUT_MS, collapse: false })],
        deliver: (stored, destination) => deliverAlert(stored, destination, client, () => Date.now()),
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 10,
        breakerMs: () => 50,
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: WIDE },
        onDelivered: () => undefined,
        onUnsent: () => undefined,
        count: () => undefined,
        onStuck: () => undefined,
        onLanes: (lanes) => (sender.lanes = lanes),
        ...options,
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
    senders.push(sender);
    return sender;
  }
  const put = (partition: number, count: number, signatures = count): Promise<void> =>
    putAlerts(
      (senders[partition] as Sender).opened.store,
      Array.from({ length: count }, (_, n) =>
        alertOf(`${partition}-${n}`, { signature: `${partition}/${n % signatures}` }),
      ),
      partition,
    );
  const left = async (): Promise<number> =>
    (
      await Promise.all(
        senders.map(({ opened }, partition) => readAll(opened.store, alertLane('noc'), partition)),
      )
    ).flat().length;
  const drained = (timeoutMs = 10_000): Promise<void> => until(async () => (await left()) === 0, timeoutMs);
  /** Of each signature, the numbers as they came first, in order. */
  function expectOrder(): void {
    const seen = new Map<string, number[]>();
    for (const { id, signature } of arrivals) {
      const number = Number(id.split('-')[1]);
      const numbers = seen.get(signature) ?? [];
      if (!numbers.includes(number)) numbers.push(number);
      seen.set(signature, numbers);
    }
    for (const [signature, numbers] of seen) {
      expect(numbers, signature).to.deep.equal([...numbers].sort((x, y) => x - y));
    }
  }
  function expectAll(count: number): void {
    expect(new Set(arrivals.map(({ id }) => id)).size).to.equal(count);
  }

  it('stay within its rate together, and use it up', async () => {
    await start(10);
    await start(10);
    await Promise.all([put(0, 12), put(1, 12)]);
    const began = performance.now();
    await drained();
    const seconds = (performance.now() - began) / 1_000;
    expectAll(24);
    expect(arrivals).to.have.length(24);
    expect(seconds).to.be.within(2.1, 3.5);
    const mostInOneSecond = Math.max(
      ...arrivals.map(
        ({ atMs }) => arrivals.filter((one) => one.atMs >= atMs && one.atMs < atMs + 1_000).length,
      ),
    );
    expect(mostInOneSecond).to.be.at.most(12);
  }).timeout(15_000);

  it('open one breaker, and probe one at a time until it takes again', async () => {
    answer = fail;
    const [a, b] = [await start(1_000), await start(1_000)];
    await Promise.all([put(0, 20, 7), put(1, 20, 7)]);
    // Only one of them has seen the fifth failure: both say the same.
    await until(() => [a, b].every(({ lanes }) => lanes[0]?.state === 'down'));
    await until(() => a.lanes[0]?.since === b.lanes[0]?.since);
    expect(a.lanes[0]).to.include({ reason: 'server', last_error: 'HTTP 503' });
    const opened = arrivals.length;
    await delay(500);
    const probes = arrivals.slice(opened);
    expect(probes.length).to.be.within(3, 11);
    expect(probes.map(({ atOnce: n }) => n)).to.deep.equal(probes.map(() => 1));
    answer = take;
    await drained();
    expectAll(40);
    expectOrder();
  }).timeout(15_000);

  it('never probe at once while it stalls', async () => {
    answer = () => undefined;
    await start(1_000);
    await start(1_000);
    await Promise.all([put(0, 5), put(1, 5)]);
    await until(() => arrivals.length >= 8);
    await until(() => atOnce === 0);
    const opened = arrivals.length;
    await until(() => arrivals.length >= opened + 3);
    expect(arrivals.slice(opened).map(({ atOnce: n }) => n)).to.deep.equal([1, 1, 1]);
    answer = take;
    await drained();
    expectAll(10);
    expectOrder();
  }).timeout(15_000);

  it('go on when the prober dies: the other probes when its lease has ended', async () => {
    answer = (response) => void response.destroy();
    await start(1_000);
    await start(1_000);
    await Promise.all([put(0, 20), put(1, 20)]);
    await until(() => arrivals.length >= 12);
    // Whoever has the lease now gets no answer, and the first of them is no more.
    answer = () => undefined;
    await until(() => atOnce === 1);
    const prober = arrivals.at(-1)?.id.split('-')[0];
    answer = take;
    const victim = senders[Number(prober)] as Sender;
    await victim.system.stop(1);
    const other = Number(prober) === 0 ? 1 : 0;
    const count = arrivals.length;
    const began = performance.now();
    await until(() => arrivals.length > count);
    expect(arrivals[count]?.id.split('-')[0]).to.equal(String(other));
    // From the end of the lease on: the time-out and a margin.
    expect(performance.now() - began).to.be.within(500, 4_000);
    await until(async () => {
      const lane = await readAll((senders[other] as Sender).opened.store, alertLane('noc'), other);
      return lane.length === 0;
    });
  }).timeout(15_000);

  it('wait as long as it asks one of them', async () => {
    answer = (response, nth) => {
      if (nth > 1) take(response);
      else response.writeHead(429, { 'retry-after': '1' }).end('{}');
    };
    await start(1_000);
    await start(1_000);
    await put(0, 1);
    await until(() => arrivals.length === 1);
    await delay(20);
    await put(1, 5);
    await drained();
    const [first, second] = arrivals as [Arrival, Arrival];
    expect(second.atMs - first.atMs).to.be.within(950, 1_500);
    expectAll(6);
  }).timeout(10_000);
});
