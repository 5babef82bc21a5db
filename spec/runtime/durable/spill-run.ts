/**
 * One partition whose consumer puts what full lanes cannot take into a real PostgreSQL, with a real Redis behind it; a
 * reader takes from the lanes what is in them. Calls are harmed at random: one is lost before it is done, or its answer is,
 * or it is done only later. Of some of that an owner dies, and what comes late then meets the next one.
 */
import { seededRandom } from '../../../supervisors/torture/random.ts';
import { alertLane, decodeStoredAlert, encodeStoredAlert } from '../../../actors/forward/messages.ts';
import { PostgresAlertOutbox } from '../../../gateways/postgres/alert-outbox.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { createConsumer } from '../../../runtime/durable/consumer.ts';
import type { Batch, Consumer } from '../../../runtime/durable/consumer.ts';
import type { CommitPlan, DurableStore, Ledger } from '../../../runtime/durable/durable-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { Spiller } from '../../../runtime/durable/spill.ts';
import type { Shedding, SpillBounds, SpillStore } from '../../../runtime/durable/spill.ts';
import { alertOf } from '../../actors/forward/alerts.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { appendOne, delay, freshWriterId, inputOf, own, readAll, until, WIDE } from './store-under-test.ts';

export const SLOW = alertLane('slow');
export const FAST = alertLane('fast');
/** What is shed. */
export const SHED = 'shed';
export const LANE_ENTRIES_MAX = 4;
const QUESTION = { terminal: [], inputLanes: ['in'] };
const BATCH_MAX = 5;
/** A call is harmed with this probability. */
const HARM_PART = 0.1;
const STORE_NAME = 'spill-run';

type Harm = 'lost' | 'reply lost' | 'late';

/** An owner's way to both stores. Once it is dead no call is done any more. */
class Wire {
  readonly #random: () => number;
  readonly #late: (() => Promise<unknown>)[];
  isDead = false;

  constructor(random: () => number, late: (() => Promise<unknown>)[]) {
    this.#random = random;
    this.#late = late;
  }

  async call<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) throw dead();
    if (this.#random() >= HARM_PART) return work();
    this.isDead = this.#random() < 0.5;
    const harm = (['lost', 'reply lost', 'late'] as const)[Math.floor(this.#random() * 3)] as Harm;
    if (harm === 'reply lost') await work();
    if (harm === 'late' && this.isDead) this.#late.push(work);
    else if (harm === 'late') void delay(this.#random() * 30).then(() => work().catch(() => undefined));
    throw this.isDead ? dead() : storeAway('harmed', 'unknown');
  }
}

function dead(): CodedError {
  return new CodedError('E_SPEC_DEAD', 'this owner is dead', { kind: 'permanent' });
}

export interface SpillRunOptions {
  database: OwnDatabase;
  store: DurableStore;
  bounds?: () => SpillBounds;
  shedding?: Shedding;
}

export class SpillRun {
  readonly #options: SpillRunOptions;
  readonly outbox: PostgresAlertOutbox;
  readonly #writerId = freshWriterId();
  #sequence = 0;
  /** What was sent, and what was read, by lane, in order. */
  readonly sent = new Map<string, string[]>([
    [SLOW, []],
    [FAST, []],
  ]);
  readonly received = new Map<string, string[]>([
    [SLOW, []],
    [FAST, []],
    [SHED, []],
  ]);
  spilled = 0;
  refilled = 0;
  missing = 0;
  waits: string[] = [];
  readonly #working = new Set<Consumer>();

  constructor(options: SpillRunOptions) {
    this.#options = options;
    this.outbox = new PostgresAlertOutbox(options.database.connection, STORE_NAME);
  }

  /** One event for each destination named. */
  async send(...lanes: string[]): Promise<void> {
    for (const lane of lanes) {
      this.#sequence += 1;
      const id = `alert-${this.#sequence}`;
      this.sent.get(lane)?.push(id);
      await appendOne(this.#options.store, {
        writerId: this.#writerId,
        sequence: this.#sequence,
        payload: Buffer.from(`${lane} ${id}`),
      });
    }
  }

  /** An owner that works until it is stopped or dies. */
  async own(wire?: Wire): Promise<{ consumer: Consumer; ended: Promise<unknown> }> {
    const token = await own(this.#options.store, 0, 'spec');
    const store = wire === undefined ? this.#options.store : this.#harmed(wire);
    const consumer = createConsumer({
      store,
      lane: 'in',
      handle: async (batch) => planOf(batch),
      quarantine: async () => ({}),
      batchEntriesMax: BATCH_MAX,
      blockMs: 20,
      backOffMaxMs: 20,
      onWaiting: (_, error) => {
        if (error !== undefined) this.waits.push(error.code);
      },
      spiller: new Spiller({
        store,
        outside: wire === undefined ? this.outbox : this.#harmedOutbox(wire),
        bounds: this.#options.bounds ?? (() => ({ messagesMax: 1_000, bytesMax: 10_000_000 })),
        laneBounds: () => ({ ...WIDE, entriesMax: LANE_ENTRIES_MAX }),
        ...(this.#options.shedding && { shedding: this.#options.shedding }),
        clock: systemClock,
        onSpilled: (messages) => {
          this.spilled += messages;
        },
        onRefilled: (messages) => {
          this.refilled += messages;
        },
        onMissing: (_, messages) => {
          this.missing += messages;
        },
      }),
    });
    consumer.assign(0, token);
    this.#working.add(consumer);
    const ended = consumer.run().catch((thrown: unknown) => thrown);
    return { consumer, ended: ended.finally(() => this.#working.delete(consumer)) };
  }

  /** Stops consumers that a failed spec left at work: they would keep its process alive. */
  async close(): Promise<void> {
    await Promise.all([...this.#working].map((consumer) => consumer.stop()));
  }

  /** Owners come and die until everything is through; both lanes are read all the time from `freeAt` sent events on. */
  async torment(seed: number, events: number, ownersMax: number): Promise<{ owners: number; late: number }> {
    const random = seededRandom(seed);
    const late: (() => Promise<unknown>)[] = [];
    let isOver = false;
    let owners = 0;
    let done = 0;
    const owning = (async () => {
      while (!isOver) {
        owners += 1;
        const wire = owners > ownersMax ? undefined : new Wire(random, late);
        const { consumer, ended } = await this.own(wire);
        // What a dead one had on its way comes in between what this one does.
        for (const work of late.splice(0)) {
          done += 1;
          void delay(random() * 30).then(() => work().catch(() => undefined));
        }
        while (!isOver && wire?.isDead !== true) await delay(5);
        await consumer.stop();
        await ended;
      }
    })();
    try {
      for (let sent = 0; sent < events; sent += 1) {
        await this.send(random() < 0.7 ? SLOW : FAST);
        if (random() < 0.5) await this.read(FAST, 3);
        if (random() < 0.15) await this.read(SLOW, 3);
      }
      await this.drain();
    } finally {
      isOver = true;
      await owning;
    }
    return { owners, late: done };
  }

  /** Until everything that was sent was received. */
  async drain(timeoutMs = 90_000): Promise<void> {
    await until(async () => {
      await this.read(FAST, 100);
      await this.read(SLOW, 100);
      await this.read(SHED, 100);
      return this.#count(this.received) >= this.#count(this.sent);
    }, timeoutMs).catch(async (thrown: unknown) => {
      const { spilled, measured, problems } = await this.ledger();
      const figures = { spilled, lanes: measured.lanes, problems, waits: this.waits.slice(-5) };
      const rows = await this.#options.database.sql(
        'SELECT number, attempt, alert_id FROM alert_outbox ORDER BY 1',
      );
      throw new Error(JSON.stringify({ ...figures, rows: rows.slice(0, 10) }), { cause: thrown });
    });
  }

  async read(lane: string, most: number): Promise<void> {
    const { store } = this.#options;
    const entries = (await readAll(store, lane)).slice(0, most);
    if (entries.length === 0) return;
    const lease = await store.acquire(0, 'reader', 'spec', 60_000);
    if (!('epoch' in lease)) throw new Error('the reader has no lease');
    const token = { laneGroup: 'reader', nonce: 'spec', epoch: lease.epoch };
    await store.commit({ partition: 0, token, inputs: entries.map(inputOf) });
    this.received.get(lane)?.push(...entries.map(({ payload }) => decodeStoredAlert(payload).alert.id));
  }

  ledger(): Promise<Ledger> {
    return this.#options.store.ledger(0, QUESTION);
  }

  /** Rows of PostgreSQL that are booked. */
  async outside(lane = SLOW): Promise<number> {
    const { taken = 0, last = 0 } = (await this.ledger()).spilled[lane] ?? {};
    return (await this.outbox.count([{ partition: 0, lane, after: taken, last }]))[0] ?? 0;
  }

  #count(lists: ReadonlyMap<string, string[]>): number {
    return [...lists.values()].reduce((sum, list) => sum + list.length, 0);
  }

  #harmed(wire: Wire): DurableStore {
    const { store } = this.#options;
    return {
      ...store,
      get generation() {
        return store.generation;
      },
      commit: (request) => wire.call(() => store.commit(request)),
      lookAtSpills: (...given) => wire.call(() => store.lookAtSpills(...given)),
    };
  }

  #harmedOutbox(wire: Wire): SpillStore {
    const { outbox } = this;
    return {
      put: (...given) => wire.call(() => outbox.put(...given)),
      take: (...given) => wire.call(() => outbox.take(...given)),
      drop: (...given) => wire.call(() => outbox.drop(...given)),
    };
  }
}

/** The digit at its end. */
export function worthOf(id: string): number {
  return Number(id.at(-1));
}

function planOf({ pieces }: Batch): CommitPlan {
  const outputs = pieces.map(({ entry }) => {
    const [lane = '', id = ''] = entry.payload.toString().split(' ');
    const payload = encodeStoredAlert({ alert: { ...alertOf(id) }, attempts: 0 });
    const bounds = { ...WIDE, entriesMax: LANE_ENTRIES_MAX };
    return { lane, payload, bounds, worth: worthOf(id) };
  });
  return { outputs, counters: { handled: pieces.length } };
}
