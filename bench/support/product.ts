/**
 * The whole product for benchmarks: a node of its own with rules and a counting destination, and what it costs while
 * something is done to it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from '../../spec/support/node-under-test.ts';
import type { Ledger, NodeUnderTest } from '../../spec/support/node-under-test.ts';
import type { BareServer } from './bare-server.ts';
import { MATCHING_WORDS } from './corpus.ts';
import { sampleTree } from './process-cpu.ts';
import type { ProcessSample } from './process-cpu.ts';

type RuleFields = Readonly<Record<string, unknown>>;
const HANDLING = { prod_handling: 'Page_and_ticket', dev_handling: 'Ignore', team_assignment: 'NETO' };
const FEW_RULES: readonly RuleFields[] = Array.from({ length: 20 }, (_, index) => ({
  match_string: MATCHING_WORDS[index] ?? `%NEVER-${index}-SEEN`,
  priority: 50 + index,
}));
const APPLIED_MS_MAX = 30_000;
/** Where events wait to be matched. */
const INPUT_LANES = ['ingest', 'overflow'];
const RATE_WITHOUT_LIMIT = 1_000_000;
/** What a worker thread's name has in it, which is its slot's: `match-0`. The others are the engine's own helpers. */
const WORKERS = ['ingest', 'match', 'forward', 'remediation', 'watchdog'];
/** Processes of ours that have several threads. */
const THREADED = ['supervisor', 'gateway', 'admin'];

export interface Cost {
  /** CPU time by process, in ms. */
  processes: Map<string, number>;
  /** CPU time by `process/thread`, for those that have several. */
  threads: Map<string, number>;
}

export class Product {
  readonly node: NodeUnderTest;
  readonly #redis: { url: string; pid: number } | undefined;

  /** `redis` when it is not the node's own. */
  constructor(node: NodeUnderTest, redis?: { url: string; pid: number }) {
    this.node = node;
    this.#redis = redis;
  }

  /** Only these rules decide: by default five that match 5 % of the corpus together, and 15 that match nothing. */
  async configure(destination: BareServer, given: readonly RuleFields[] = FEW_RULES): Promise<void> {
    const known = await this.node.admin<{ rules: { name: string }[] }>('/api/v2/rule-set');
    const givenNames = new Set(given.map((_, index) => `bench-${index}`));
    const rules = [
      ...known.body.rules
        .filter(({ name }) => !givenNames.has(name))
        .map(({ name }) => ({ ...HANDLING, name, match_string: '-', is_active: false })),
      ...given.map((fields, index) => ({ ...HANDLING, ...fields, name: `bench-${index}` })),
    ];
    const destinations = [
      {
        name: 'local',
        kind: 'moogsoft',
        url: `http://127.0.0.1:${destination.port}/alerts`,
        rate_per_second: RATE_WITHOUT_LIMIT,
        concurrency: 64,
      },
    ];
    const { status, body } = await this.node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: { rules, destinations, reason: 'benchmark' },
    });
    if (status !== 200) throw new Error(`The rules were refused: ${JSON.stringify(body)}`);
    await until(
      async () => {
        const { snapshot } = (
          await this.node.admin<{ snapshot: { applied: { version: number }[] } }>('/api/v2/status')
        ).body;
        return snapshot.applied.every(({ version }) => version >= body.snapshot_version);
      },
      APPLIED_MS_MAX,
      () => 'the rules are not applied',
    );
  }

  /** What is stored waits from now on. */
  suspendMatching(): Promise<void> {
    return this.#operateMatching('suspend');
  }

  resumeMatching(): Promise<void> {
    return this.#operateMatching('resume');
  }

  async #operateMatching(operation: 'suspend' | 'resume'): Promise<void> {
    for (const { id } of await this.node.actors()) {
      if (!/^match-\d+$/.test(id)) continue;
      const actor = encodeURIComponent(`${id}/match`);
      const { status, body } = await this.node.admin(`/api/v2/actors/${actor}/${operation}`, {
        method: 'POST',
      });
      if (status !== 200) throw new Error(`${id} did not ${operation}: ${JSON.stringify(body)}`);
    }
  }

  /** Does something and gives what it cost, per role. */
  async costOf<T>(work: () => Promise<T>): Promise<{ result: T; cost: Cost }> {
    const before = new Map(this.#sample().map((sample) => [sample.pid, sample]));
    const result = await work();
    const processes = new Map<string, number>();
    const threads = new Map<string, number>();
    for (const sample of this.#sample()) {
      const role = roleOf(sample.command);
      const was = before.get(sample.pid);
      add(processes, role, sample.cpuMs - (was?.cpuMs ?? 0));
      if (!THREADED.includes(role)) continue;
      for (const [id, { name, cpuMs }] of sample.threads) {
        const part =
          id === sample.pid ? 'main' : (WORKERS.find((worker) => name.includes(worker)) ?? 'helpers');
        add(threads, `${role}/${part}`, cpuMs - (was?.threads.get(id)?.cpuMs ?? 0));
      }
    }
    return { result, cost: { processes, threads } };
  }

  memory(): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const { command, rssBytes } of this.#sample()) add(bytes, roleOf(command), rssBytes);
    return bytes;
  }

  /** Events that wait to be matched, and the bytes Redis holds for them. */
  async queued(): Promise<{ events: number; bytes: number }> {
    const redis = new Redis(this.#redis?.url ?? this.#privateRedisUrl());
    try {
      const { partitions } = await this.node.ledger();
      let [events, bytes] = [0, 0];
      for (const { partition } of partitions) {
        for (const lane of INPUT_LANES) {
          const replies = await redis
            .multi()
            .hget(`mutt:{${partition}}:ledger`, `lane:${lane}:messages`)
            .call('MEMORY', 'USAGE', `mutt:{${partition}}:${lane}`, 'SAMPLES', '0')
            .exec();
          events += Number(replies?.[0]?.[1] ?? 0);
          bytes += Number(replies?.[1]?.[1] ?? 0);
        }
      }
      return { events, bytes };
    } finally {
      redis.disconnect();
    }
  }

  async accepted(): Promise<number> {
    return (await this.node.ledger()).accepted;
  }

  settled(timeoutMs: number): Promise<Ledger> {
    return this.node.settled(timeoutMs);
  }

  #sample(): ProcessSample[] {
    return [this.node.pid, ...(this.#redis === undefined ? [] : [this.#redis.pid])].flatMap(sampleTree);
  }

  #privateRedisUrl(): string {
    const config = readFileSync(join(this.node.dir, 'redis', 'redis.conf'), 'utf8');
    const value = (name: string): string => new RegExp(`^${name} (\\S+)$`, 'm').exec(config)?.[1] ?? '';
    return `redis://:${value('requirepass')}@127.0.0.1:${value('port')}/0`;
  }
}

function roleOf(command: string): string {
  if (command.includes('gateway-process')) return 'gateway';
  if (command.includes('admin-process')) return 'admin';
  if (command.includes('redis-server') || command.includes('valkey-server')) return 'redis';
  if (command.includes('postgres')) return 'postgres';
  return command.includes('mutt.ts') ? 'supervisor' : 'other';
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}
