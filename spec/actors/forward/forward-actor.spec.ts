import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import type { ForwardOptions } from '../../../actors/forward/forward-options.ts';
import { DEAD_LANE, alertLane, decodeStoredAlert, retrySet } from '../../../actors/forward/messages.ts';
import { receiptOf } from '../../../actors/forward/receipt-queue.ts';
import type { AlertReceipt, DeliveryOutcome, Destination } from '../../../actors/ports.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import type { Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { CodedError } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { createFaultyStore } from '../../runtime/durable/faulty-store.ts';
import { WIDE, commitOf, delay, own, readAll, until } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

const NOW_MS = 1_900_000_000_000;
const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const REFUSED: DeliveryOutcome = { kind: 'refused', reason: 'rejected', error: 'HTTP 422', status: 422 };
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 500', status: 500 };
const UNAUTHORIZED: DeliveryOutcome = { kind: 'unauthorized', reason: 'auth', error: '401', status: 401 };
const WINDOW_MAX = 256;

describe('ForwardActor', () => {
  let store: ReturnType<typeof createFaultyStore>;
  let token: Token;
  let system: ActorSystem;
  let actor: ActorRef<ForwardMessage>;
  let sent: { id: string; destination: string; url: string }[];
  /** What the destinations answer; by default they take everything. */
  let answer: (alert: Alert, destination: Destination) => DeliveryOutcome | Promise<DeliveryOutcome>;
  let counts: string[];
  let receipts: AlertReceipt[];
  /** What was told of destinations that are not well. */
  let lanes: string[];
  let stuck: string[];

  beforeEach(async () => {
    store = createFaultyStore(createMemoryStore());
    token = await own(store);
    system = new ActorSystem();
    sent = [];
    counts = [];
    receipts = [];
    lanes = [];
    stuck = [];
    answer = () => DELIVERED;
  });
  afterEach(() => system.stop(50));

  function start(options: Partial<ForwardOptions> = {}): void {
    actor = system.spawn(
      forwardActor({
        store,
        tokens: new Map([[0, token]]),
        destinations: [destinationOf()],
        deliver: async ({ alert }, destination) => {
          sent.push({ id: alert.id, destination: destination.name, url: destination.url });
          return answer(alert, destination);
        },
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 5,
        breakerMs: () => 20,
        pace: createMemoryPace(),
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: WIDE },
        onDelivered: (...delivered) => receipts.push(receiptOf(...delivered, NOW_MS)),
        count: (what, reason) => counts.push(reason === undefined ? what : `${what} ${reason}`),
        onUnsent: () => undefined,
        onStuck: (_partition, places) => stuck.push(JSON.stringify([...places])),
        onLanes: (reports) => lanes.push(reports.map(({ name, state }) => `${name} ${state}`).join()),
        ...options,
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  }
  const ids = (): string[] => sent.map(({ id }) => id);
  const waiting = async (destination = 'noc'): Promise<string[]> =>
    (await readAll(store, alertLane(destination))).map(({ payload }) => decodeStoredAlert(payload).alert.id);
  const drained = (destination?: string): Promise<void> =>
    until(async () => (await waiting(destination)).length === 0, 5_000);
  const numbered = (count: number, fields?: Partial<Alert>): Alert[] =>
    Array.from({ length: count }, (_, n) => alertOf(`a${n}`, fields));
  const counters = async (): Promise<Record<string, number>> =>
    (await store.ledger(0, { terminal: [], inputLanes: [] })).counters;
  async function booksAreClean(): Promise<void> {
    const { problems } = await store.ledger(0, { terminal: ['forwarded'], inputLanes: [] });
    expect(problems.filter((problem) => /anomal/i.test(problem))).to.deep.equal([]);
  }
  function exitOf(): Promise<ExitReason> {
    return new Promise((resolve) => actor.onTerminated(resolve));
  }

  it('delivers everything once and takes it out of the mailbox', async () => {
    await putAlerts(store, numbered(300));
    start();
    await drained();
    expect(ids().sort()).to.deep.equal(
      numbered(300)
        .map(({ id }) => id)
        .sort(),
    );
    expect((await counters()).alerts_delivered).to.equal(300);
    expect(counts.filter((what) => what === 'delivered')).to.have.length(300);
    await booksAreClean();
  });

  it('gives a receipt for each delivery, with the attempts that it took, and none for a refusal', async () => {
    await putAlerts(store, [alertOf('a0'), alertOf('bad', { signature: 'other' })]);
    let tries = 0;
    answer = ({ id }) => {
      if (id === 'bad') return { kind: 'refused', reason: 'rejected', error: 'no', status: 422 };
      tries += 1;
      return tries < 3 ? { kind: 'retry', reason: 'server', error: 'later', status: 503 } : DELIVERED;
    };
    start();
    await drained();
    expect(receipts).to.have.length(1);
    expect(receipts[0]).to.deep.include({
      alertId: 'a0',
      receivedAtMs: Date.parse('2024-05-01T12:00:01.000Z'),
      eventIds: ['event of a0'],
      destination: 'noc',
      partition: 0,
      status: 200,
      attempts: 3,
      deliveredAtMs: NOW_MS,
      unsentReason: null,
    });
  });

  it('delivers what comes while it waits', async () => {
    start();
    await delay(20);
    await putAlerts(store, [alertOf('late')]);
    await drained();
    expect(ids()).to.deep.equal(['late']);
  });

  it('counts an event as forwarded when its last alert is delivered', async () => {
    start();
    await store.commit(commitOf(token, { openGroups: [{ id: 'e', parts: 2 }] }));
    answer = async ({ id }) => {
      if (id === 'slow') await delay(60);
      return DELIVERED;
    };
    await putAlerts(store, [alertOf('slow', { event_ids: ['e'] }), alertOf('quick', { event_ids: ['e'] })]);
    await until(async () => (await waiting()).join() === 'slow');
    expect((await counters()).forwarded ?? 0).to.equal(0);
    await drained();
    expect((await counters()).forwarded).to.equal(1);
  });

  it('keeps the alerts of one signature in order through failures', async () => {
    let failures = 2;
    answer = ({ id }) => (id === 'down' && failures-- > 0 ? FAILED : DELIVERED);
    await putAlerts(store, [
      alertOf('down', { signature: 'link' }),
      alertOf('up', { signature: 'link' }),
      alertOf('other'),
    ]);
    start();
    await drained();
    expect(ids().filter((id) => id !== 'other')).to.deep.equal(['down', 'down', 'down', 'up']);
  });

  it('puts what is refused for good into the dead lane, with its history', async () => {
    answer = ({ id }) => (id === 'a1' ? REFUSED : DELIVERED);
    await putAlerts(store, numbered(3));
    start();
    await drained();
    const dead = (await readAll(store, DEAD_LANE)).map(({ payload }) => decodeStoredAlert(payload));
    expect(dead.map(({ alert }) => alert.id)).to.deep.equal(['a1']);
    expect(dead[0]).to.include({ reason: 'rejected', error: 'HTTP 422' });
    expect(dead[0]?.firstFailedAtMs).to.be.a('number');
    expect(counts).to.include('refused rejected');
    expect(ids().filter((id) => id === 'a1')).to.have.length(1);
  });

  it('stores an alert away that fails while others get through, and delivers it when it is due', async () => {
    let isWell = false;
    answer = ({ id }) => (id === 'sick' && !isWell ? FAILED : DELIVERED);
    await putAlerts(store, [alertOf('sick'), ...numbered(20)]);
    start();
    await until(async () => {
      if ((await waiting()).length < 20) await putAlerts(store, [alertOf(`more ${sent.length}`)]);
      return (
        Object.values((await store.ledger(0, { terminal: [], inputLanes: [] })).measured.delayed)[0] === 1
      );
    });
    const due = await store.takeDue(0, retrySet('noc'), 10);
    isWell = true;
    await until(() => ids().filter((id) => id === 'sick').length >= 4);
    await until(async () => (await store.takeDue(0, retrySet('noc'), 10)).members.length === 0);
    expect(due.members.length + (due.nextDueInMs === undefined ? 0 : 1)).to.be.greaterThan(0);
    await drained();
    await booksAreClean();
    expect(ids().filter((id) => id === 'sick').length).to.equal(4);
  });

  it('moves what cannot be read to the dead lane, and goes on', async () => {
    await putAlerts(store, [
      Buffer.from('{not json'),
      alertOf('a'),
      Buffer.from('{"alert":{"id":"x"},"attempts":0}'),
      alertOf('b'),
    ]);
    start();
    await drainedRaw();
    expect(ids().sort()).to.deep.equal(['a', 'b']);
    expect((await readAll(store, DEAD_LANE)).map(({ payload }) => payload.toString())).to.deep.equal([
      '{not json',
      '{"alert":{"id":"x"},"attempts":0}',
    ]);
  });
  const drainedRaw = (): Promise<void> =>
    until(async () => (await readAll(store, alertLane('noc'))).length === 0);

  it('sends nothing while the lease may end before the answer, and goes on with a longer one', async () => {
    let leaseLeftMs = 1_000;
    await putAlerts(store, numbered(3));
    start({ leaseLeftMs: () => leaseLeftMs });
    await delay(60);
    expect(ids()).to.deep.equal([]);
    leaseLeftMs = 1_001;
    await drained();
  });

  it('bounds what a delivery may take by what a lease outlasts', async () => {
    const timeouts: number[] = [];
    await putAlerts(store, numbered(1));
    start({
      timeoutMsMax: 500,
      leaseLeftMs: () => 600,
      deliver: async (_stored, { timeoutMs }) => {
        timeouts.push(timeoutMs);
        return DELIVERED;
      },
    });
    await drained();
    expect(timeouts).to.deep.equal([500]);
  });

  it('tells which destinations are not well, and when they are again', async () => {
    let isRefused = true;
    answer = (_alert, { name }) => (isRefused && name === 'noc' ? UNAUTHORIZED : DELIVERED);
    await putAlerts(store, [alertOf('a'), alertOf('b', { destination: 'other' })]);
    start({ destinations: [destinationOf(), destinationOf({ name: 'other' })] });
    await until(() => lanes.includes('noc unauthorized'), 5_000);
    isRefused = false;
    await until(() => lanes.at(-1) === '', 5_000);
    expect(lanes.slice(-2)).to.deep.equal(['noc unauthorized', '']);
  });

  it('pauses the lane of a refused credential and charges no alert', async () => {
    let isRefused = true;
    answer = () => (isRefused ? UNAUTHORIZED : DELIVERED);
    await putAlerts(store, numbered(5));
    start();
    await until(() => counts.includes('paused auth'));
    expect(await waiting()).to.have.length(5);
    isRefused = false;
    await drained();
    expect(await readAll(store, DEAD_LANE)).to.deep.equal([]);
  });

  describe('its window', () => {
    it('holds a bounded number of alerts, those that wait for their commit included', async () => {
      answer = () => new Promise(() => undefined);
      await putAlerts(store, numbered(WINDOW_MAX * 2));
      start({ destinations: [destinationOf({ concurrency: 256 })] });
      await until(() => sent.length === WINDOW_MAX);
      await delay(100);
      expect(sent).to.have.length(WINDOW_MAX);
    });

    it('does not go on sending while outcomes cannot be written', async () => {
      answer = () => REFUSED;
      await putAlerts(store, numbered(WINDOW_MAX * 2));
      await store.commit(
        commitOf(token, { outputs: [{ lane: DEAD_LANE, payload: Buffer.from('x'), bounds: WIDE }] }),
      );
      start({ bounds: { dead: { ...WIDE, entriesMax: 1 }, retry: WIDE } });
      await until(() => sent.length === WINDOW_MAX);
      await delay(100);
      expect(sent).to.have.length(WINDOW_MAX);
    });

    it('is filled again at once, whatever other lanes wait for', async () => {
      await putAlerts(store, numbered(WINDOW_MAX * 3));
      start({ destinations: [destinationOf(), destinationOf({ name: 'idle' })] });
      const began = performance.now();
      await drained();
      expect(performance.now() - began).to.be.lessThan(1_500);
    });
  });

  describe('one destination that is down', () => {
    it('does not hold up another', async () => {
      answer = (_alert, { name }) => (name === 'noc' ? FAILED : DELIVERED);
      await putAlerts(store, [...numbered(50), ...numbered(50, { destination: 'b' })]);
      start({ destinations: [destinationOf(), destinationOf({ name: 'b' })] });
      await drained('b');
      expect(await waiting('noc')).to.not.have.length(0);
    });

    it('whose dead letters have no room does not hold up another', async () => {
      answer = (_alert, { name }) => (name === 'noc' ? REFUSED : DELIVERED);
      await store.commit(
        commitOf(token, { outputs: [{ lane: DEAD_LANE, payload: Buffer.from('x'), bounds: WIDE }] }),
      );
      await putAlerts(store, [
        ...numbered(20),
        ...Array.from({ length: 50 }, (_, n) => alertOf(`b${n}`, { destination: 'b' })),
      ]);
      start({
        destinations: [destinationOf(), destinationOf({ name: 'b' })],
        bounds: { dead: { ...WIDE, entriesMax: 1 }, retry: WIDE },
      });
      await drained('b');
      expect(await waiting('noc')).to.have.length(20);
      expect(stuck.at(-1)).to.equal('[["noc","dead"]]');
    });
  });

  describe('when the connection to the store is lost', () => {
    it('reads everything again, and loses nothing and settles nothing twice', async () => {
      answer = async () => {
        await delay(Math.random() * 5);
        return DELIVERED;
      };
      const all = numbered(400);
      start();
      const producing = (async () => {
        for (const alert of all) {
          await putAlerts(store, [alert]);
          if (Math.random() < 0.2) await delay(1);
        }
      })();
      for (let loss = 0; loss < 10; loss++) {
        await delay(15);
        if (loss % 2 === 0) store.loseConnection();
        else store.commitFaults.push('reply-lost');
      }
      await producing;
      await drained();
      expect(ids().sort()).to.deep.equal(all.map(({ id }) => id).sort());
      expect((await counters()).alerts_delivered).to.equal(400);
      await booksAreClean();
    });

    it('goes on after readings that failed', async () => {
      const read = store.read.bind(store);
      let failures = 2;
      store.read = async (...args) => {
        if (failures-- > 0)
          throw Object.assign(new Error('away'), { code: 'E_STORE_AWAY', kind: 'transient' });
        return read(...args);
      };
      await putAlerts(store, numbered(2));
      start();
      await until(() => sent.length === 2);
    });
  });

  describe('when it may not go on', () => {
    it('fails when another incarnation owns its partition', async () => {
      await putAlerts(store, numbered(1));
      start();
      const ended = exitOf();
      await store.acquire(0, token.laneGroup, token.nonce, 60_000);
      const reason = await ended;
      expect(reason).to.have.nested.property('error.code', 'E_FENCED');
      expect(await waiting()).to.deep.equal(['a0']);
    });

    it('fails on what the store refuses for good, instead of asking for ever', async () => {
      store.read = () =>
        Promise.reject(Object.assign(new Error('denied'), { code: 'E_STORE_DENIED', kind: 'permanent' }));
      start();
      expect(await exitOf()).to.have.nested.property('error.code', 'E_STORE_DENIED');
    });
  });

  describe('when destinations change', () => {
    it('serves a new one at once', async () => {
      start();
      await delay(30);
      await putAlerts(store, [alertOf('x', { destination: 'new' })]);
      const began = performance.now();
      actor.tell({ type: 'destinations', destinations: [destinationOf(), destinationOf({ name: 'new' })] });
      await drained('new');
      expect(performance.now() - began).to.be.lessThan(500);
    });

    it('sends to the new address, and keeps order and rate state at a new pace', async () => {
      const gate = Promise.withResolvers<DeliveryOutcome>();
      answer = ({ id }) => (id === 'down' ? gate.promise : DELIVERED);
      await putAlerts(store, [alertOf('down', { signature: 's' }), alertOf('up', { signature: 's' })]);
      start();
      await until(() => sent.length === 1);
      const url = 'http://127.0.0.1:2/';
      actor.tell({
        type: 'destinations',
        destinations: [destinationOf({ url, concurrency: 2, ratePerSecond: 500 })],
      });
      await delay(30);
      expect(ids()).to.deep.equal(['down']);
      gate.resolve(DELIVERED);
      await drained();
      expect(sent.map(({ id, url: to }) => [id, to])).to.deep.equal([
        ['down', 'http://127.0.0.1:1/'],
        ['up', url],
      ]);
    });

    it('loses nothing when they change under load', async () => {
      const all = numbered(300);
      start();
      for (const [index, alert] of all.entries()) {
        await putAlerts(store, [alert]);
        if (index % 10 === 0) {
          const destinations = [destinationOf({ concurrency: 1 + (index % 7) })];
          actor.tell({ type: 'destinations', destinations });
          await delay(1);
        }
      }
      await drained();
      expect(ids()).to.have.length(300);
      await booksAreClean();
    });

    it('sends nothing more to one that is gone, and keeps its alerts for when it is back', async () => {
      start();
      actor.tell({ type: 'destinations', destinations: [] });
      await delay(20);
      await putAlerts(store, numbered(3));
      await delay(50);
      expect(ids()).to.deep.equal([]);
      expect(await waiting()).to.have.length(3);
      actor.tell({ type: 'destinations', destinations: [destinationOf()] });
      await drained();
    });
  });

  it('fails when the delayed alerts cannot be read for good, instead of leaving them for ever', async () => {
    store.takeDue = async () => {
      throw new CodedError('E_STORE_TAMPERED', 'planted');
    };
    start();
    const exit = await exitOf();
    expect(exit.kind === 'failed' ? exit.error.code : exit.kind).to.equal('E_STORE_TAMPERED');
  });

  describe('when it ends', () => {
    it('writes down what was delivered, and what is answered a moment later', async () => {
      answer = async () => {
        await delay(50);
        return DELIVERED;
      };
      await putAlerts(store, numbered(8));
      start();
      await until(() => sent.length === 8);
      await system.stopActor(actor, { deadlineMs: 1_000 });
      expect(await waiting()).to.deep.equal([]);
    });

    it('sends nothing more', async () => {
      answer = async () => {
        await delay(20);
        return DELIVERED;
      };
      await putAlerts(store, numbered(50));
      start({ destinations: [destinationOf({ concurrency: 2 })] });
      await until(() => sent.length === 2);
      await system.stopActor(actor, { deadlineMs: 1_000 });
      const { length } = sent;
      expect(await waiting()).to.have.length(50 - length);
      await delay(50);
      expect(sent).to.have.length(length);
    });

    it('does not wait for a destination that never answers longer than it is told to', async () => {
      answer = () => new Promise(() => undefined);
      await putAlerts(store, numbered(1));
      start({ endWaitMs: 200 });
      await until(() => sent.length === 1);
      const began = performance.now();
      expect(await system.stopActor(actor, { deadlineMs: 5_000 })).to.include({ kind: 'shutdown' });
      expect(performance.now() - began).to.be.lessThan(3_000);
    }).timeout(5_000);
  });
});
