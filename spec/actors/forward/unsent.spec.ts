/**
 * Alerts that wait or end without being sent: a destination that is paused or muted, alerts that are too old, and backlogs
 * of which only the latest state of each signature counts. Every event ends in one state, and the books say so.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { TERMINAL_STATES } from '../../../actors/event.ts';
import type { Alert } from '../../../actors/event.ts';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import { alertLane, encodeStoredAlert } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination, DestinationHold } from '../../../actors/ports.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { DurableStore, Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createFaultyStore } from '../../runtime/durable/faulty-store.ts';
import type { FaultyStore } from '../../runtime/durable/faulty-store.ts';
import { WIDE, commitOf, delay, own, readAll, until } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 503', status: 503 };

describe('Alerts that are not sent', () => {
  let memory: DurableStore;
  /** The same, as the actor has it. */
  let store: FaultyStore;
  let token: Token;
  let system: ActorSystem;
  let actor: ActorRef<ForwardMessage>;
  let sent: Alert[];
  let unsent: string[];
  let answer: (alert: Alert) => DeliveryOutcome | Promise<DeliveryOutcome>;

  beforeEach(async () => {
    memory = createMemoryStore();
    store = createFaultyStore(memory);
    token = await own(store);
    system = new ActorSystem();
    sent = [];
    unsent = [];
    answer = () => DELIVERED;
  });
  afterEach(() => system.stop(50));

  function start(fields: Partial<Destination> = {}): void {
    actor = system.spawn(
      forwardActor({
        store,
        pace: createMemoryPace(),
        tokens: new Map([[0, token]]),
        destinations: [destinationOf(fields)],
        deliver: async ({ alert }) => {
          sent.push(structuredClone(alert));
          return answer(alert);
        },
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 5,
        breakerMs: () => 20,
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: WIDE },
        onDelivered: () => undefined,
        onUnsent: ({ alert }, reason) => unsent.push(`${alert.id} ${reason}`),
        count: () => undefined,
        onStuck: () => undefined,
        onLanes: () => undefined,
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  }
  const tell = (fields: Partial<Destination>): void =>
    void actor.tell({ type: 'destinations', destinations: [destinationOf(fields)] });
  /** With the events that they are of in flight, as a match actor leaves them. */
  async function put(...alerts: Alert[]): Promise<void> {
    const openGroups = alerts.flatMap(({ event_ids: ids }) => ids.map((id) => ({ id, parts: 1 })));
    await memory.commit(commitOf(token, { openGroups }));
    await putAlerts(memory, alerts);
  }
  const ids = (): string[] => sent.map(({ id }) => id);
  const waiting = async (): Promise<number> => (await readAll(store, alertLane('noc'))).length;
  const drained = (): Promise<void> => until(async () => (await waiting()) === 0, 5_000);
  /** Nothing is in flight, everything is in the books once: how many ended how. */
  async function ended(): Promise<Record<string, number>> {
    const ledger = await store.ledger(0, { terminal: TERMINAL_STATES, inputLanes: [] });
    expect(ledger.problems).to.deep.equal([]);
    expect(ledger.inFlight).to.equal(0);
    return ledger.counters;
  }
  const holdOf = (kind: DestinationHold['kind'], forMs?: number): DestinationHold => ({
    kind,
    untilMs: forMs === undefined ? null : Date.now() + forMs,
    reason: 'upgrade',
    sinceMs: Date.now(),
    by: 'spec',
  });
  const link = (id: string, fields: Partial<Alert> = {}): Alert =>
    alertOf(id, { signature: 'link', ...fields });
  /** Nothing is taken, and five deliveries have shown it. */
  async function goDown(): Promise<void> {
    answer = () => FAILED;
    await put(...Array.from({ length: 5 }, (_, n) => alertOf(`first ${n}`)));
    await until(() => sent.length >= 6);
  }

  describe('of a paused destination', () => {
    it('wait, and go on by themselves when its time has passed', async () => {
      start({ hold: holdOf('pause', 1_000) });
      await put(alertOf('a'), alertOf('b'));
      await delay(150);
      expect(ids()).to.deep.equal([]);
      expect(await waiting()).to.equal(2);
      await drained();
      expect(ids().sort()).to.deep.equal(['a', 'b']);
      expect(await ended()).to.deep.equal({ alerts_delivered: 2, forwarded: 2 });
    });

    it('wait from the moment on that it is paused, until it is resumed', async () => {
      start();
      await put(alertOf('a'));
      await drained();
      tell({ hold: holdOf('pause') });
      await put(alertOf('b'));
      await delay(80);
      expect(ids()).to.deep.equal(['a']);
      tell({});
      await drained();
      expect(ids()).to.deep.equal(['a', 'b']);
    });

    it('are reduced to the latest of each signature', async () => {
      start({ hold: holdOf('pause') });
      await put(link('down'), link('up', { count: 2 }), alertOf('other'), link('down again'));
      await until(async () => (await waiting()) === 2);
      tell({});
      await drained();
      expect(ids().sort()).to.deep.equal(['down again', 'other']);
      expect(sent.find(({ id }) => id === 'down again')?.count).to.equal(4);
      expect(unsent).to.have.members(['down superseded', 'up superseded']);
    });
  });

  describe('of a muted destination', () => {
    it('end as suppressed, until its time has passed', async () => {
      start({ hold: holdOf('mute') });
      await put(...Array.from({ length: 300 }, (_, n) => alertOf(`a${n}`)));
      await drained();
      expect(ids()).to.deep.equal([]);
      expect(unsent).to.have.length(300);
      tell({ hold: holdOf('mute', 100) });
      await delay(150);
      await put(alertOf('later'));
      await drained();
      expect(ids()).to.deep.equal(['later']);
      expect(await ended()).to.deep.equal({
        alerts_suppressed: 300,
        suppressed: 300,
        alerts_delivered: 1,
        forwarded: 1,
      });
    });

    it('end, too, when it is down', async () => {
      start();
      await goDown();
      tell({ hold: holdOf('mute') });
      await drained();
      expect(unsent.every((text) => text.endsWith(' muted'))).to.equal(true);
      expect(await ended()).to.deep.equal({ alerts_suppressed: 5, suppressed: 5 });
    });
  });

  describe('that are replayed', () => {
    const old = { received_at: new Date(Date.now() - 60_000).toISOString() };
    /** As the remediation actor puts a dead letter back. */
    async function replay(...alerts: Alert[]): Promise<void> {
      const openGroups = alerts.flatMap(({ event_ids: ids }) => ids.map((id) => ({ id, parts: 1 })));
      await memory.commit(commitOf(token, { openGroups }));
      await putAlerts(memory, alerts, 0, { replays: 1, replayedAtMs: Date.now() });
    }

    it('wait for a muted destination and for a paused one, however old they are', async () => {
      start({ hold: holdOf('mute'), staleAfterMs: 1_000 });
      await replay(alertOf('again', old));
      await put(alertOf('new'));
      await until(async () => (await waiting()) === 1);
      tell({ hold: holdOf('pause'), staleAfterMs: 1_000 });
      await delay(50);
      expect(ids()).to.deep.equal([]);
      tell({ staleAfterMs: 1_000 });
      await drained();
      expect(ids()).to.deep.equal(['again']);
      expect(unsent).to.deep.equal(['new muted']);
      expect(await ended()).to.deep.equal({
        alerts_suppressed: 1,
        suppressed: 1,
        alerts_delivered: 1,
        forwarded: 1,
      });
    });

    it('supersede nothing of a backlog, and are not superseded in it: they are asked about when they are sent', async () => {
      start({ hold: holdOf('pause') });
      await put(link('down'));
      await replay(link('long over', old));
      await put(link('up'));
      await until(async () => (await waiting()) === 2);
      expect(unsent).to.deep.equal(['down superseded']);
      answer = ({ id }) => (id === 'long over' ? { kind: 'superseded' } : DELIVERED);
      tell({});
      await drained();
      expect(ids()).to.deep.equal(['long over', 'up']);
      expect(await ended()).to.deep.equal({
        alerts_superseded: 2,
        superseded: 2,
        alerts_delivered: 1,
        forwarded: 1,
      });
    });

    it('are a second time in the lane under a name of their own, and leave it once', async () => {
      answer = () => ({ kind: 'refused', reason: 'rejected', error: 'HTTP 422', status: 422 });
      start();
      await put(alertOf('twice'));
      await drained();
      answer = () => DELIVERED;
      const stored = { alert: alertOf('twice'), attempts: 0, replays: 1, replayedAtMs: Date.now() };
      const output = { lane: alertLane('noc'), payload: encodeStoredAlert(stored), bounds: WIDE };
      await memory.commit(commitOf(token, { outputs: [output] }));
      await drained();
      expect(ids()).to.deep.equal(['twice', 'twice']);
      expect((await store.ledger(0, { terminal: TERMINAL_STATES, inputLanes: [] })).problems).to.deep.equal(
        [],
      );
    });
  });

  describe('that are too old', () => {
    const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

    it('end as suppressed when their turn comes; the others are sent', async () => {
      start({ staleAfterMs: 10_000 });
      await put(
        link('old', { received_at: ago(11_000) }),
        link('new', { received_at: ago(1_000) }),
        alertOf('older', { received_at: ago(100_000) }),
      );
      await drained();
      expect(ids()).to.deep.equal(['new']);
      expect(unsent.sort()).to.deep.equal(['old stale', 'older stale']);
      expect(await ended()).to.deep.equal({
        alerts_suppressed: 2,
        suppressed: 2,
        alerts_delivered: 1,
        forwarded: 1,
      });
    });

    it('wait while nobody is asked, and are judged when their turn comes', async () => {
      start({ staleAfterMs: 150, hold: holdOf('pause', 1_000) });
      await put(alertOf('a', { received_at: ago(0) }));
      await delay(300);
      expect(await waiting()).to.equal(1);
      await drained();
      expect(unsent).to.deep.equal(['a stale']);
    });

    it('are sent without a limit, however old', async () => {
      start({ staleAfterMs: null });
      await put(alertOf('a', { received_at: ago(1e10) }));
      await drained();
      expect(ids()).to.deep.equal(['a']);
    });
  });

  describe('of a backlog', () => {
    it('are superseded by the latest of their signature, which is delivered once with their count', async () => {
      start();
      await goDown();
      await put(
        link('1 firing'),
        alertOf('x1', { signature: 'x' }),
        link('2 resolved', { status: 'resolved' }),
        link('3 firing', { count: 3 }),
        alertOf('x2', { signature: 'x' }),
        link('4 resolved', { status: 'resolved' }),
      );
      await until(async () => (await waiting()) === 7, 5_000);
      const before = sent.length;
      answer = () => DELIVERED;
      await drained();
      const after = sent.slice(before).filter(({ signature }) => ['link', 'x'].includes(signature));
      expect(after.map(({ id, count }) => `${id} ${count}`).sort()).to.deep.equal(['4 resolved 6', 'x2 2']);
      expect(await ended()).to.deep.equal({
        alerts_superseded: 4,
        superseded: 4,
        alerts_delivered: 7,
        forwarded: 7,
      });
    }).timeout(10_000);

    it('are never superseded once they were sent', async () => {
      start();
      answer = () => FAILED;
      await put(link('was sent'));
      await until(() => sent.length >= 1);
      await put(...Array.from({ length: 5 }, (_, n) => alertOf(`other ${n}`)));
      await until(() => sent.length >= 8);
      await put(link('second'), link('third'));
      await until(() => unsent.includes('second superseded'));
      const before = sent.length;
      answer = () => DELIVERED;
      await drained();
      const after = sent.slice(before).filter(({ signature }) => signature === 'link');
      expect(after.map(({ id }) => id)).to.deep.equal(['was sent', 'third']);
    }).timeout(10_000);

    it('are all sent, in order, where that is asked for', async () => {
      start({ collapse: false });
      await goDown();
      await put(link('1'), link('2'), link('3'));
      await delay(60);
      const before = sent.length;
      answer = () => DELIVERED;
      await drained();
      const after = sent.slice(before).filter(({ signature }) => signature === 'link');
      expect(after.map(({ id }) => id).filter((id, n, all) => all.indexOf(id) === n)).to.deep.equal([
        '1',
        '2',
        '3',
      ]);
      expect((await ended())['superseded']).to.equal(undefined);
    }).timeout(10_000);

    it('only wait for their turn while the destination takes others', async () => {
      start({ ratePerSecond: 20 });
      await put(link('1'), link('2'), link('3'), link('4'));
      await drained();
      expect(ids()).to.deep.equal(['1', '2', '3', '4']);
    });

    it('larger than a window is one: the latest is found behind a thousand others', async () => {
      start({ hold: holdOf('pause') });
      await put(...Array.from({ length: 1_000 }, (_, n) => alertOf(`${n}`, { signature: `s${n % 500}` })));
      await until(() => unsent.length === 500);
      tell({});
      await drained();
      const numbers = ids().map(Number);
      expect(numbers.sort((x, y) => x - y)).to.deep.equal(Array.from({ length: 500 }, (_, n) => 500 + n));
    }).timeout(15_000);

    it('end once, whatever becomes of the connection to the store, and none passes for the latest', async () => {
      start();
      await goDown();
      const numbers = Array.from({ length: 200 }, (_, n) => n);
      const putting = (async () => {
        for (const n of numbers) {
          await put(alertOf(`n${n}`, { signature: `s${n % 10}` }));
          if (n % 20 === 0) await delay(5);
        }
      })();
      for (let loss = 0; loss < 8; loss += 1) {
        await delay(20);
        if (loss % 2 === 0) store.loseConnection();
        else store.commitFaults.push('reply-lost');
        if (loss === 5) answer = () => DELIVERED;
      }
      await putting;
      await drained();
      const last = new Map<string, number>();
      for (const { id, signature } of sent.filter((alert) => alert.id.startsWith('n'))) {
        const n = Number(id.slice(1));
        expect(n, `${signature} after ${last.get(signature)}`).to.be.at.least(last.get(signature) ?? -1);
        last.set(signature, n);
      }
      expect([...last.values()].sort((a, b) => a - b)).to.deep.equal(numbers.slice(-10));
      const { alerts_delivered: delivered = 0, alerts_superseded: superseded = 0 } = await ended();
      expect(delivered + superseded).to.equal(205);
      expect(superseded).to.be.greaterThan(0);
    }).timeout(15_000);
  });
});
