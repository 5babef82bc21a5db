/**
 * What a fault run breaks: a Redis of its own, a producer, one consuming thread slot per partition under a supervisor,
 * and the leases of both in this process. And the accounts: what was acknowledged against what came out.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import type { Entry, Token } from '../../runtime/durable/durable-store.ts';
import { START } from '../../runtime/durable/durable-store.ts';
import { openWitness } from '../../runtime/durable/witness.ts';
import type { Witness } from '../../runtime/durable/witness.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { openLog } from '../../runtime/telemetry/log.ts';
import { ThreadPool } from '../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../runtime/thread/thread-slot.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { PartitionLeases } from '../../supervisors/partition-leases.ts';
import { openStore } from '../../supervisors/threads/store.ts';
import type { OpenStore } from '../../supervisors/threads/store.ts';
import type { ConsumerThreadParams } from '../fixtures/faults/consumer-thread.ts';
import { IN_LANE, OUT_LANE, QUARANTINE_LANE } from '../fixtures/faults/consumer-thread.ts';
import { messagesIn } from '../fixtures/faults/message.ts';
import { STALE_MARK } from '../fixtures/faults/stale-owner.ts';
import { specDirectory, startOwnRedis } from '../support/servers.ts';
import { Producer } from './producer.ts';

export const PARTITIONS = [0, 1] as const;
export const KEY_PREFIX = 'faults';
export const LEASE_TTL_MS = 1_500;
const LEDGER_QUESTION = { terminal: ['handled', 'quarantined'], inputLanes: [IN_LANE] };
const SUPERVISOR = 'consumers';
const HEAP_MB_MAX = 64;
const HANG_AFTER_MS = 500;
const START_TIMEOUT_MS = 10_000;
const STOP_MS = 10_000;
const BACKOFF = { initialMs: 5, maxMs: 50, factor: 2, resetAfterMs: 1_000 };
const WAIT_MS_MAX = 20_000;
const READ_ENTRIES = 2_000;

export interface Accounts {
  acknowledged: number;
  /** Acknowledged or unknown ones that came out. */
  handled: number;
  /** Came out more than once, handled or quarantined. */
  doubled: number;
  /** Acknowledged, and neither came out nor were reported as lost. */
  lost: number;
  /** Acknowledged, gone with an older store, and reported so. */
  reported: number;
  quarantined: number;
  balanced: boolean;
  /** What else does not fit, for a person. */
  problems: string[];
}

export class Pipeline {
  readonly slots: ThreadSlot[] = [];
  /** Of each slot's present incarnation. */
  readonly tokens = new Map<number, Token>();
  readonly #dir = specDirectory('faults');
  readonly #pool = new ThreadPool({ spareThreads: 1, threadsMax: PARTITIONS.length, heapMbMax: HEAP_MB_MAX });
  readonly #diedAtMs = new Map<string, number>();
  #slowestRestartMs = 0;
  #parts!: {
    server: PrivateServer;
    admin: Redis;
    opened: OpenStore;
    witness: Witness;
    producer: Producer;
    leases: PartitionLeases;
    supervisor: Supervisor;
  };

  static async start(): Promise<Pipeline> {
    const pipeline = new Pipeline();
    await pipeline.#start();
    return pipeline;
  }

  get server(): PrivateServer {
    return this.#parts.server;
  }
  get producer(): Producer {
    return this.#parts.producer;
  }
  get witness(): Witness {
    return this.#parts.witness;
  }
  get supervisor(): Supervisor {
    return this.#parts.supervisor;
  }
  /** For commands that no part of ours sends. */
  get admin(): Redis {
    return this.#parts.admin;
  }
  get dataDir(): string {
    return join(this.#dir, 'redis', 'data');
  }
  /** From the detection of a thread's death to its successor's readiness, back-off included. */
  get slowestRestartMs(): number {
    return this.#slowestRestartMs;
  }

  epochOf(partition: number): number {
    return this.supervisor.describe().children[partition]?.epoch ?? 0;
  }

  restartsOf(partition: number): number {
    return this.supervisor.describe().children[partition]?.restarts ?? 0;
  }

  handledBy(partition: number): number {
    return this.slots[partition]?.counters.get(0) ?? 0;
  }

  async startServer(port?: number): Promise<PrivateServer> {
    return startOwnRedis({ dir: join(this.#dir, 'redis'), ...(port === undefined ? {} : { port }) });
  }

  /** After its death: the same data (or what was put in their place), the same port. */
  async restartServer(): Promise<void> {
    this.#parts.server = await this.startServer(this.server.port);
    await whenReady(this.admin, WAIT_MS_MAX);
  }

  /** So many messages more are acknowledged, and every partition's consumer has handled some. */
  async traffic(acknowledgements: number): Promise<void> {
    const { acknowledged } = this.producer;
    const goal = acknowledged.size + acknowledgements;
    const before = PARTITIONS.map((partition) => this.handledBy(partition));
    await this.until('traffic', () => {
      const isHandled = PARTITIONS.every((partition) => this.handledBy(partition) > (before[partition] ?? 0));
      return acknowledged.size >= goal && isHandled;
    });
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_MS_MAX;
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`${what} did not come within ${WAIT_MS_MAX} ms`);
      await delay(5);
    }
  }

  /** Nothing waits in the input lanes. */
  async isDrained(): Promise<boolean> {
    const ledgers = await Promise.all(PARTITIONS.map((partition) => this.#ledger(partition)));
    return ledgers.every(({ measured }) => (measured.lanes[IN_LANE]?.messages ?? 0) === 0);
  }

  async acceptedIn(partition: number): Promise<number> {
    const { accepted, offset } = await this.#ledger(partition);
    return accepted + offset;
  }

  async isQuarantined(id: number, partition: number): Promise<boolean> {
    return (await this.#messages(partition, QUARANTINE_LANE)).includes(id);
  }

  /** Holds the producer back, lets everything run dry, and compares all that was ever acknowledged with what came out. */
  async takeAccounts(): Promise<Accounts> {
    await this.producer.pause();
    await this.until('an empty mailbox', () => this.isDrained());
    const out: number[] = [];
    const quarantined: number[] = [];
    const problems: string[] = [];
    let balanced = true;
    for (const partition of PARTITIONS) {
      out.push(...(await this.#messages(partition, OUT_LANE)));
      quarantined.push(...(await this.#messages(partition, QUARANTINE_LANE)));
      const ledger = await this.#ledger(partition);
      balanced &&= ledger.balanced;
      problems.push(...ledger.problems.map((problem) => `partition ${partition}: ${problem}`));
    }
    return { ...compare(this.producer, out, quarantined, problems), balanced, problems };
  }

  async stop(): Promise<void> {
    const { producer, supervisor, leases, witness, opened, admin, server } = this.#parts;
    server.kill('SIGCONT');
    await producer.close();
    await supervisor.stop(STOP_MS);
    await this.#pool.close();
    await leases.stop();
    await witness.stop();
    await opened.close();
    admin.disconnect();
    await server.stop();
  }

  async #start(): Promise<void> {
    const server = await this.startServer();
    const params = { redisUrl: server.url, keyPrefix: KEY_PREFIX };
    const admin = connectRedis({ url: server.url, name: 'breaker' });
    await whenReady(admin, WAIT_MS_MAX);
    const opened = await openStore(params, 'faults');
    const witness = await openWitness({ file: join(this.#dir, 'witness.json') });
    for (const partition of PARTITIONS) this.slots.push(this.#slot(partition, params));
    const leases = new PartitionLeases({
      store: opened.store,
      laneGroup: 'work',
      nonce: `faults-${process.pid}`,
      ttlMs: LEASE_TTL_MS,
      partitions: PARTITIONS.length,
      log: openLog({ level: 'silent', source: 'faults', file: undefined }),
    });
    leases.deal(
      this.slots.map(({ id, vitals }, partition) => ({ slot: id, partitions: [partition], vitals })),
    );
    const supervisor = this.#supervisor();
    const producer = new Producer(opened.store, witness, PARTITIONS.length);
    this.#parts = { server, admin, opened, witness, producer, leases, supervisor };
    await leases.start();
    await supervisor.start();
    producer.start();
  }

  #slot(partition: number, params: { redisUrl: string; keyPrefix: string }): ThreadSlot {
    return new ThreadSlot({
      id: `consumer-${partition}`,
      pool: this.#pool,
      moduleUrl: new URL('../fixtures/faults/consumer-thread.ts', import.meta.url).href,
      params: async (): Promise<ConsumerThreadParams> => {
        const tokens = await this.#parts.leases.tokensFor(`consumer-${partition}`);
        for (const [, token] of tokens) this.tokens.set(partition, token);
        return { ...params, tokens };
      },
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages committed.' }],
      hangAfterMs: HANG_AFTER_MS,
      startTimeoutMs: START_TIMEOUT_MS,
    });
  }

  #supervisor(): Supervisor {
    return new Supervisor(
      {
        id: SUPERVISOR,
        strategy: 'oneForOne',
        intensity: { restartsMax: 1_000, windowMs: 10_000 },
        children: this.slots.map(({ id, start }) => ({
          id,
          start,
          restart: 'permanent',
          shutdownDeadlineMs: STOP_MS,
          backoff: BACKOFF,
        })),
      },
      {
        onEvent: (event) => {
          // What happens inside a thread is told here too, and is no restart of a thread.
          if (event.supervisor !== SUPERVISOR) return;
          if (event.type === 'childExited') this.#diedAtMs.set(event.child, performance.now());
          if (event.type !== 'childStarted') return;
          const diedAtMs = this.#diedAtMs.get(event.child) ?? performance.now();
          this.#slowestRestartMs = Math.max(this.#slowestRestartMs, performance.now() - diedAtMs);
        },
      },
    );
  }

  #ledger(partition: number): ReturnType<OpenStore['store']['ledger']> {
    return this.#parts.opened.store.ledger(partition, LEDGER_QUESTION);
  }

  async #messages(partition: number, lane: string): Promise<number[]> {
    const ids: number[] = [];
    let afterId = START;
    for (;;) {
      const entries: Entry[] = await this.#parts.opened.store.read([{ partition, lane, afterId }], {
        entriesMax: READ_ENTRIES,
        blockMs: 0,
      });
      const last = entries.at(-1);
      if (last === undefined) return ids;
      afterId = last.id;
      for (const { payload } of entries) {
        if (payload.includes(STALE_MARK)) ids.push(-1);
        else ids.push(...messagesIn(payload).map(({ id }) => id));
      }
    }
  }
}

function compare(
  producer: Producer,
  out: readonly number[],
  quarantined: readonly number[],
  problems: string[],
): Omit<Accounts, 'balanced' | 'problems'> {
  const { acknowledged, unknown, lost } = producer;
  const arrivals = new Map<number, number>();
  for (const id of [...out, ...quarantined]) arrivals.set(id, (arrivals.get(id) ?? 0) + 1);
  const isReported = (partition: number, number: number): boolean =>
    lost.some((range) => range.partition === partition && range.from <= number && number <= range.to);

  let missing = 0;
  let reported = 0;
  for (const [id, { partition, number, poison }] of acknowledged) {
    if (isReported(partition, number)) {
      reported += 1;
      if (arrivals.has(id)) problems.push(`${id} was reported as lost and is there`);
    } else if (!arrivals.has(id)) missing += 1;
    else if (quarantined.includes(id) !== (poison !== undefined)) {
      problems.push(`${id} is ${poison === undefined ? 'sound and quarantined' : 'poison and handled'}`);
    }
  }
  const strangers = [...arrivals.keys()].filter((id) => !acknowledged.has(id) && !unknown.has(id));
  if (strangers.length > 0) problems.push(`${strangers.length} came out that were refused or never sent`);
  return {
    acknowledged: acknowledged.size,
    handled: new Set(out).size,
    doubled: [...arrivals.values()].filter((times) => times > 1).length,
    lost: missing,
    reported,
    quarantined: quarantined.length,
  };
}
