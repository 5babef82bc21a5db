/**
 * Alerts of one signature while one of them is set aside: they wait for it in their order, whatever happens to the actor,
 * and nothing else waits.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { seededRandom } from '../../../supervisors/torture/random.ts';
import { TERMINAL_STATES } from '../../../actors/event.ts';
import type { Alert } from '../../../actors/event.ts';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import { DEAD_LANE, alertLane, decodeStoredAlert, retrySet } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination, DestinationHold } from '../../../actors/ports.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { DurableStore, Token } from '../../../runtime/durable/durable-store.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { createFaultyStore } from '../../runtime/durable/faulty-store.ts';
import type { FaultyStore } from '../../runtime/durable/faulty-store.ts';
import { GROUP, WIDE, commitOf, delay, own, readAll, until } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 503', status: 503 };
const REFUSED: DeliveryOutcome = { kind: 'refused', reason: 'rejected', error: 'HTTP 422', status: 422 };
const SETTLED_MS = 60_000;
const SEEDS = 8;
/** What an actor needs that is the same for all of them. */
const UNTOLD = {
  timeoutMsMax: 60_000,
  breakerMs: () => 5,
  leaseLeftMs: () => 100_000,
  bounds: { dead: WIDE, retry: WIDE },
  endWaitMs: 1,
  onDelivered: () => undefined,
  count: () => undefined,
  onStuck: () => undefined,
  onLanes: () => undefined,
};

describe('Alerts of one signature', function () {
  this.timeout(200_000);
  let memory: DurableStore;
  let store: FaultyStore;
  let token: Token;
  let system: ActorSystem;
  let actor: ActorRef<ForwardMessage>;
  let incarnation = 0;
  let sent: string[];
  let delivered: Alert[];
  let unsent: string[];
  let answer: (alert: Alert) => DeliveryOutcome;
  let backoffMs: (attempts: number) => number;
  let retryAgeMaxMs: number;

  beforeEach(async () => {
    memory = createMemoryStore();
    token = await own(memory);
    sent = [];
    delivered = [];
    unsent = [];
    answer = () => DELIVERED;
    backoffMs = () => 5;
    retryAgeMaxMs = Infinity;
    open();
  });
  afterEach(() => system.stop(200));

  /** The actor is gone from one moment to the next, with all that it knew, and another takes its partition over. */
  async function kill(fields: Partial<Destination>): Promise<void> {
    incarnation += 1;
    const killed = system;
    await memory.release([0], GROUP, token.nonce);
    token = await own(memory);
    await killed.stop(200);
    open();
    start(fields);
  }
  /** As a new thread has it. */
  function open(): void {
    store = createFaultyStore(memory);
    system = new ActorSystem();
  }
  function start(fields: Partial<Destination> = {}): void {
    const mine = incarnation;
    actor = system.spawn(
      forwardActor({
        ...UNTOLD,
        store,
        pace: createMemoryPace(),
        tokens: new Map([[0, token]]),
        destinations: [destinationOf(fields)],
        deliver: async ({ alert }) => {
          if (mine !== incarnation) return new Promise(() => undefined);
          sent.push(alert.id);
          const outcome = answer(alert);
          if (outcome.kind === 'delivered') delivered.push(structuredClone(alert));
          return outcome;
        },
        retryBackoffMs: (attempts) => backoffMs(attempts),
        retryAgeMaxMs: () => retryAgeMaxMs,
        onUnsent: ({ alert }, reason) => unsent.push(`${alert.id} ${reason}`),
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  }
  const tell = (fields: Partial<Destination>): void =>
    void actor.tell({ type: 'destinations', destinations: [destinationOf(fields)] });
  async function put(...alerts: Alert[]): Promise<void> {
    const openGroups = alerts.flatMap(({ event_ids: ids }) => ids.map((id) => ({ id, parts: 1 })));
    await memory.commit(commitOf(token, { openGroups }));
    await putAlerts(memory, alerts);
  }
  const ids = (): string[] => delivered.map(({ id }) => id);
  const of = (signature: string): string[] =>
    delivered.filter((alert) => alert.signature === signature).map(({ id }) => id);
  const links = (count: number, from = 0): Alert[] =>
    Array.from({ length: count }, (_, n) => alertOf(`link ${from + n}`, { signature: 'link' }));
  const names = (count: number, from = 0): string[] => links(count, from).map(({ id }) => id);
  const waiting = async (): Promise<number> => (await readAll(memory, alertLane('noc'))).length;
  const setAside = async (): Promise<number> =>
    (await memory.listDelayed(0, retrySet('noc'), 0, 1_000)).length;
  const drained = (): Promise<void> =>
    until(async () => (await waiting()) + (await setAside()) === 0, SETTLED_MS);
  async function ended(): Promise<Record<string, number>> {
    const ledger = await memory.ledger(0, { terminal: TERMINAL_STATES, inputLanes: [] });
    expect(ledger.problems).to.deep.equal([]);
    expect(ledger.inFlight).to.equal(0);
    return ledger.counters;
  }
  /** Puts one that is set aside for long, and alerts of others that get through meanwhile. */
  async function block(head: Alert, forMs = 1_500): Promise<void> {
    let failures = 0;
    answer = ({ id }) => (id === head.id && ++failures <= 3 ? FAILED : DELIVERED);
    backoffMs = (attempts) => (attempts >= 3 ? forMs : 5);
    await put(head);
    // So that the destination is seen to take others, and its breaker stays closed.
    for (let n = 0; (await setAside()) === 0; n += 1) {
      await put(alertOf(`beside ${head.id} ${n}`));
      await delay(10);
    }
  }

  it('wait behind one that is set aside, and go on with it; others pass', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert);
    await put(...links(4, 1), alertOf('other'), ...links(2, 5), alertOf('another'));
    await until(() => ids().includes('another'), SETTLED_MS);
    expect(of('link')).to.deep.equal([]);
    expect(await waiting()).to.be.at.least(6);
    await drained();
    expect(of('link')).to.deep.equal(names(7));
    expect(await ended()).to.include({ alerts_delivered: delivered.length, forwarded: delivered.length });
  });

  it('go at once when the one before has gone, without a wait of their own', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert);
    await put(...links(300, 1));
    await until(() => of('link').length > 0, SETTLED_MS);
    const began = performance.now();
    await drained();
    // Each with a wait of its own would take minutes.
    expect(performance.now() - began).to.be.below(60_000);
    expect(sent.filter((id) => id.startsWith('link'))).to.have.length(304);
    expect(of('link')).to.deep.equal(names(301));
  });

  it('go on when the one before has died', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert, 300);
    answer = ({ id }) => (id === 'link 0' ? REFUSED : DELIVERED);
    await put(...links(3, 1));
    await drained();
    expect(of('link')).to.deep.equal(names(3, 1));
    expect(sent.filter((id) => id === 'link 0')).to.have.length(4);
  });

  it('go on when the one before was tried for so long that it has died, as one that may heal', async () => {
    retryAgeMaxMs = 50;
    start({ collapse: false });
    answer = ({ id }) => (id === 'link 0' ? FAILED : DELIVERED);
    await put(...links(3));
    // So that the destination is seen to take others.
    for (let n = 0; of('link').length < 2; n += 1) {
      await put(alertOf(`beside ${n}`));
      await delay(20);
    }
    await drained();
    expect(of('link')).to.deep.equal(names(2, 1));
    expect(sent.filter((id) => id === 'link 0').length).to.be.at.least(8);
    const [letter] = await readAll(memory, DEAD_LANE);
    expect(decodeStoredAlert(letter?.payload ?? Buffer.alloc(0))).to.deep.include({ reason: 'server' });
  });

  it('wait for it, too, in another actor that takes the partition over', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert, 2_000);
    await put(...links(3, 1));
    await delay(50);
    await kill({ collapse: false });
    await put(...links(2, 4), alertOf('other'));
    await until(() => ids().includes('other'), SETTLED_MS);
    expect(of('link')).to.deep.equal([]);
    await drained();
    expect(of('link')).to.deep.equal(names(6));
  });

  it('wait for it, too, after the store was away', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert, 2_000);
    await put(...links(3, 1));
    store.commitFaults.push('refused');
    await put(alertOf('other'));
    await until(() => ids().includes('other'), SETTLED_MS);
    await put(...links(2, 4), alertOf('another'));
    await until(() => ids().includes('another'), SETTLED_MS);
    expect(of('link')).to.deep.equal([]);
    await drained();
    expect(of('link')).to.deep.equal(names(6));
  });

  it('are reduced to the latest while they wait, but for the one that was sent', async () => {
    start();
    await block(links(1)[0] as Alert);
    await put(...links(40, 1));
    await until(() => unsent.length === 39, SETTLED_MS);
    expect(await waiting()).to.be.at.most(2);
    await drained();
    expect(of('link')).to.deep.equal(['link 0', 'link 40']);
    expect(delivered.find(({ id }) => id === 'link 40')?.count).to.equal(40);
    expect(unsent).to.deep.equal(names(39, 1).map((id) => `${id} superseded`));
    expect(await ended()).to.include({ alerts_superseded: 39, superseded: 39 });
  });

  it('that are replayed wait as well, and neither end others nor end for them', async () => {
    start();
    await block(links(1)[0] as Alert);
    await put(...links(2, 1));
    await memory.commit(commitOf(token, { openGroups: [{ id: 'event of old', parts: 1 }] }));
    await putAlerts(memory, [alertOf('old', { signature: 'link' })], 0, { replays: 1, replayedAtMs: 1 });
    await put(...links(2, 3));
    await until(() => unsent.length === 3, SETTLED_MS);
    await drained();
    expect(of('link')).to.deep.equal(['link 0', 'old', 'link 4']);
    expect(unsent).to.deep.equal(names(3, 1).map((id) => `${id} superseded`));
    await ended();
  });

  it('hold up no others, however many come while the first is tried again', async () => {
    const failing = new Set(['link 0']);
    answer = ({ id }) => (failing.has(id) ? FAILED : DELIVERED);
    backoffMs = () => 600_000;
    await put(...links(600), alertOf('other'));
    start({ collapse: false });
    await until(() => ids().includes('other'), SETTLED_MS);
    expect(sent.filter((id) => id.startsWith('link'))).to.deep.equal(['link 0']);
    failing.clear();
    // The wait is known to this actor only.
    await kill({ collapse: false });
    await drained();
    expect(of('link')).to.deep.equal(names(600));
    await ended();
  });

  it('leave room for others when thousands of them go on', async () => {
    start({ collapse: false });
    await block(links(1)[0] as Alert, 500);
    await put(...links(800, 1));
    await until(() => of('link').length > 20, SETTLED_MS);
    await put(alertOf('other'));
    await until(() => ids().includes('other'), SETTLED_MS);
    expect(of('link').length).to.be.below(700);
    await drained();
    expect(of('link')).to.deep.equal(names(801));
  });

  it('that are replayed to a muted destination hold up no new ones, however many they are', async () => {
    const hold: DestinationHold = { kind: 'mute', untilMs: null, reason: 'x', sinceMs: 0, by: 'spec' };
    const replays = Array.from({ length: 700 }, (_, n) => alertOf(`old ${n}`));
    const openGroups = replays.map(({ event_ids: [id = ''] }) => ({ id, parts: 1 }));
    await memory.commit(commitOf(token, { openGroups }));
    await putAlerts(memory, replays, 0, { replays: 1, replayedAtMs: 1 });
    await put(alertOf('new'));
    start({ hold });
    await until(() => unsent.includes('new muted'), SETTLED_MS);
    expect(sent).to.deep.equal([]);
    expect(await waiting()).to.equal(700);
    tell({ hold: null });
    await drained();
    expect(ids().toSorted()).to.deep.equal(replays.map(({ id }) => id).toSorted());
    await ended();
  });

  it('come in their order, whatever becomes of each, of the actor and of the connection', async () => {
    await Promise.all(Array.from({ length: SEEDS }, (_, n) => playAtRandom(n + 1)));
  });
});

/** Alerts that end at random, under an actor that is killed and a connection that breaks at random. */
async function playAtRandom(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const chance = (share: number): boolean => random() < share;
  const memory = createMemoryStore();
  const delivered: Alert[] = [];
  const over = new Set<string>();
  let incarnation = 0;
  let token = await own(memory);
  let store = createFaultyStore(memory);
  let system = new ActorSystem();
  const collapse = seed % 3 === 0;
  const deliver = ({ signature }: Alert): DeliveryOutcome => {
    // Those of one signature are often in trouble, so that some are set aside.
    return chance(signature === 's0' ? 0.6 : 0.05) ? FAILED : chance(0.05) ? REFUSED : DELIVERED;
  };
  const start = (): void => {
    const mine = incarnation;
    system.spawn(
      forwardActor({
        ...UNTOLD,
        store,
        pace: createMemoryPace(),
        tokens: new Map([[0, token]]),
        destinations: [destinationOf({ collapse, concurrency: 4 })],
        deliver: async ({ alert }) => {
          if (mine !== incarnation) return new Promise(() => undefined);
          const outcome = deliver(alert);
          if (outcome.kind !== 'retry') over.add(alert.id);
          if (outcome.kind === 'delivered') delivered.push(structuredClone(alert));
          return outcome;
        },
        retryBackoffMs: () => Math.ceil(random() * 20),
        onUnsent: ({ alert }) => over.add(alert.id),
      }),
      { mailbox: { capacity: 65_536, overflow: 'refuse' } },
    );
  };
  start();
  let sent = 0;
  for (let round = 0; round < 12; round += 1) {
    const alerts = Array.from({ length: 20 }, () =>
      alertOf(`${sent++}`, { signature: `s${Math.floor(random() * 4)}` }),
    );
    const openGroups = alerts.flatMap(({ event_ids: ids }) => ids.map((id) => ({ id, parts: 1 })));
    await memory.commit(commitOf(token, { openGroups }));
    await putAlerts(memory, alerts);
    await delay(random() * 200);
    if (chance(0.3)) store.commitFaults.push(chance(0.5) ? 'reply-lost' : 'refused');
    if (!chance(0.3)) continue;
    incarnation += 1;
    await memory.release([0], GROUP, token.nonce);
    token = await own(memory);
    await system.stop(200);
    store = createFaultyStore(memory);
    system = new ActorSystem();
    start();
  }
  await until(
    async () =>
      (await readAll(memory, alertLane('noc'))).length === 0 &&
      (await memory.listDelayed(0, retrySet('noc'), 0, 1)).length === 0,
    SETTLED_MS,
  );
  const first = new Map<string, string[]>();
  for (const { id, signature } of delivered) {
    const known = first.get(signature) ?? [];
    if (!known.includes(id)) first.set(signature, [...known, id]);
  }
  for (const [signature, found] of first) {
    const sorted = found.toSorted((a, b) => Number(a) - Number(b));
    expect(found, `seed ${seed}, ${signature}`).to.deep.equal(sorted);
  }
  expect(over.size, `seed ${seed}`).to.equal(sent);
  const { problems, inFlight, counters } = await memory.ledger(0, {
    terminal: TERMINAL_STATES,
    inputLanes: [],
  });
  expect(problems, `seed ${seed}`).to.deep.equal([]);
  expect(inFlight, `seed ${seed}`).to.equal(counters['alerts_dead'] ?? 0);
  await system.stop(200);
}
