/**
 * The exchange: gates check orders, desks keep them, threads match them.
 *
 *   orders ─by symbol─▶ gates (a pool, resized under load) ─by symbol─▶ desks ═▶ threads with the books
 *
 * Two supervisors, one for the gates and one for the rest, start again whatever fails. The order of a symbol's orders is
 * kept from the sender to its book.
 */
import {
  ActorSystem,
  byKey,
  CounterCollector,
  expose,
  Group,
  KeyedPool,
  localChild,
  localMembers,
  router,
  Supervisor,
  systemClock,
  ThreadPool,
  ThreadSlot,
} from '../../../runtime/index.ts';
import type { ActorFactory, ActorRef, ChildSpec, Clock, ResizeOutcome } from '../../../runtime/index.ts';
import { desk, newJournal } from './desk.ts';
import type { Journal, ToDesk } from './desk.ts';
import { COUNTERS } from './messages.ts';
import type { Order, Trade } from './order-book.ts';

export interface Exchange {
  /** Refuses when a gate is full; `tellWhenAccepted` waits. */
  readonly orders: ActorRef<Order>;
  readonly trades: readonly Trade[];
  /** Orders that a gate has refused. */
  readonly rejected: readonly Order[];
  resizeGates(gates: number): Promise<ResizeOutcome>;
  /** For trials. */
  breakBooks(desk: number, how: 'throw' | 'exit'): void;
  /** Settles when every accepted order has been matched or rejected. */
  settled(accepted: number): Promise<void>;
  restarts(): string[];
  metrics(): Promise<string>;
  close(): Promise<void>;
}

const CHECK_MS = 1;
const INTENSITY = { restartsMax: 20, windowMs: 10_000 };

export async function openExchange(
  desks: number,
  gates: number,
  clock: Clock = systemClock,
): Promise<Exchange> {
  const system = new ActorSystem({ clock });
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: desks, heapMbMax: 64 });
  const collector = new CounterCollector();
  const trades: Trade[] = [];
  const rejected: Order[] = [];
  const journals: Journal[] = [];
  const slots: ThreadSlot[] = [];
  const desksInUse = new Group<ToDesk>('desks');

  const children = Array.from({ length: desks }, (_, index): ChildSpec[] => {
    const id = `books-${index}`;
    const journal = newJournal();
    const slot: ThreadSlot = new ThreadSlot({
      id,
      pool,
      moduleUrl: new URL('./books-thread.ts', import.meta.url).href,
      params: async () => undefined,
      counterLayout: COUNTERS,
      hangAfterMs: 5_000,
      startTimeoutMs: 10_000,
      onMessage: (message) => actor.ref.tell(message as ToDesk),
    });
    const factory = desk({
      journal,
      post: (message) => slot.post(message),
      publish: (news) => trades.push(...news),
    });
    const actor = localChild(system, `desk-${index}`, factory, {
      // At most one order of each gate and one window of answers can be on their way to it.
      mailbox: { capacity: 256, overflow: 'block' },
    });
    journals.push(journal);
    slots.push(slot);
    desksInUse.join(actor.ref);
    collector.attachBlock(id, slot.counters);
    const always = { restart: 'permanent', shutdownDeadlineMs: 2_000 } as const;
    return [
      { ...always, id: `desk-${index}`, start: actor.start },
      { ...always, id, start: slot.start },
    ];
  });

  const toDesks = router<ToDesk>(
    desksInUse,
    byKey((message) => (message.type === 'order' ? message.order.symbol : '')),
  );
  const gate: ActorFactory<Order> = () => ({
    async handle(order) {
      // As it would ask somebody else, and so hold other orders of the symbol up.
      await new Promise<void>((resolve) => void clock.after(CHECK_MS, resolve));
      const isSound = order.price > 0 && Number.isSafeInteger(order.quantity) && order.quantity > 0;
      const sent = isSound && (await toDesks.tellWhenAccepted({ type: 'order', order }));
      if (sent !== 'accepted') rejected.push(order);
    },
  });

  const restarts: string[] = [];
  const root = new Supervisor(
    { id: 'exchange', strategy: 'oneForOne', intensity: INTENSITY, children: children.flat() },
    {
      onEvent: (event) => {
        // Those of the threads themselves: what is restarted inside a thread is told under its path.
        if (event.type === 'childRestarting' && event.supervisor === 'exchange') restarts.push(event.child);
      },
    },
  );
  await root.start();
  const gateKeeper = new Supervisor({
    id: 'gates',
    strategy: 'oneForOne',
    intensity: INTENSITY,
    children: [],
  });
  await gateKeeper.start();
  const orders = new KeyedPool<Order>({
    name: 'gate',
    keyOf: ({ symbol }) => symbol,
    start: localMembers({
      system,
      supervisor: gateKeeper,
      factory: gate,
      actor: { mailbox: { capacity: 256, overflow: 'block' } },
    }),
    held: { capacity: 256, overflow: 'block' },
    deadLetters: system.deadLetters,
    clock,
  });
  await orders.resize(gates);

  return {
    orders,
    trades,
    rejected,
    resizeGates: (count) => orders.resize(count),
    breakBooks: (index, how) => void slots[index]?.post({ type: 'break', how }),
    settled: async (accepted) => {
      const ended = (): number => journals.reduce((sum, { published }) => sum + published, rejected.length);
      while (ended() < accepted) await new Promise<void>((resolve) => void clock.after(5, resolve));
    },
    restarts: () => restarts,
    metrics: () => expose(collector.collect()),
    close: async () => {
      await orders.stop();
      await gateKeeper.stop(2_000);
      await root.stop(5_000);
      await system.stop();
      await pool.close();
    },
  };
}
