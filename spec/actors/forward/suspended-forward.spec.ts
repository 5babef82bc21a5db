/**
 * A forward actor that an operator has suspended.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { forwardActor } from '../../../actors/forward/forward-actor.ts';
import type { ForwardMessage } from '../../../actors/forward/forward-actor.ts';
import { alertLane, decodeStoredAlert } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome } from '../../../actors/ports.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { WIDE, delay, own, readAll, until } from '../../runtime/durable/store-under-test.ts';
import { alertOf, destinationOf, putAlerts } from './alerts.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };

describe('A suspended forward actor', () => {
  let store: DurableStore;
  let system: ActorSystem;
  let actor: ActorRef<ForwardMessage>;
  let sent: string[];
  let delivered: number;
  let answer: () => Promise<DeliveryOutcome>;

  beforeEach(async () => {
    store = createMemoryStore();
    const token = await own(store);
    system = new ActorSystem();
    sent = [];
    delivered = 0;
    answer = async () => DELIVERED;
    actor = system.spawn(
      forwardActor({
        store,
        tokens: new Map([[0, token]]),
        destinations: [destinationOf({ concurrency: 4 })],
        deliver: async ({ alert }) => {
          sent.push(alert.id);
          return answer();
        },
        timeoutMsMax: 60_000,
        retryBackoffMs: () => 5,
        breakerMs: () => 20,
        pace: createMemoryPace(),
        leaseLeftMs: () => 100_000,
        bounds: { dead: WIDE, retry: WIDE },
        onDelivered: () => undefined,
        onUnsent: () => undefined,
        count: (what) => void (delivered += what === 'delivered' ? 1 : 0),
        onStuck: () => undefined,
        onLanes: () => undefined,
      }),
    );
  });
  afterEach(() => system.stop(50));

  const put = (...names: string[]): Promise<void> =>
    putAlerts(
      store,
      names.map((id) => alertOf(id)),
    );
  const twenty = Array.from({ length: 20 }, (_, n) => `a${n}`);
  const waiting = async (): Promise<string[]> =>
    (await readAll(store, alertLane('noc'))).map(({ payload }) => decodeStoredAlert(payload).alert.id);
  const drained = (): Promise<void> => until(async () => (await waiting()).length === 0, 5_000);
  async function expectDelivered(count: number): Promise<void> {
    const { counters, problems } = await store.ledger(0, { terminal: ['forwarded'], inputLanes: [] });
    expect(counters['alerts_delivered']).to.equal(count);
    expect(delivered).to.equal(count);
    expect(problems.filter((problem) => /anomal/i.test(problem))).to.deep.equal([]);
  }

  it('sends nothing more, writes down what was sent, and goes on when resumed [S-95]', async () => {
    const gate = Promise.withResolvers<void>();
    answer = () => gate.promise.then(() => DELIVERED);
    await put(...twenty);
    await until(() => sent.length === 4);
    await system.suspend(actor);
    gate.resolve();
    await until(async () => (await waiting()).length === 16);
    await put('late');
    // Longer than its timers' distance.
    await delay(600);
    expect(sent).to.have.length(4);
    expect(system.inspect(actor)).to.include({ status: 'suspended' });
    const { held, sending } = system.inspect(actor).state as { held: { noc: number }; sending: number };
    expect(sending).to.equal(0);
    // What it had read by then.
    expect(held.noc).to.be.within(1, 16);
    await system.resume(actor);
    await drained();
    expect(sent).to.have.members([...twenty, 'late']);
    await expectDelivered(21);
  });

  it('settles an answer that had reached its mailbox, once [S-95]', async () => {
    answer = async () => {
      // In the same turn, so that the outcome waits in the mailbox when the suspension comes.
      queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => void system.suspend(actor))));
      return DELIVERED;
    };
    await put('a');
    await drained();
    answer = async () => DELIVERED;
    await put('later');
    await delay(30);
    expect(sent).to.not.include('later');
    await system.resume(actor);
    await drained();
    await expectDelivered(2);
  });

  it('can be stopped: what was not sent stays in the mailbox [S-95]', async () => {
    await system.suspend(actor);
    await put('a', 'b', 'c');
    await delay(30);
    expect(await system.stopActor(actor, { deadlineMs: 1_000 })).to.deep.equal({ kind: 'shutdown' });
    expect(sent).to.deep.equal([]);
    expect(await waiting()).to.have.length(3);
  });
});
