/**
 * People and tools at the API of a node: requests of every kind at a steady rate, each at its own moment whatever became
 * of the ones before, and one who follows the live stream.
 */
import { follow } from '../../gateways/cli/stream-client.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { NodeUnderTest } from '../../spec/support/node-under-test.ts';
import { Histogram } from './load.ts';

export interface ApiRequest {
  method: 'GET' | 'PUT';
  path: string;
  body?: object;
}

export interface ApiLoadReport {
  requests: number;
  /** Answered with another status than 200, or not at all. */
  failed: number;
  latencyMs: { p50: number; p99: number };
  streamed: number;
}

const TICK_MS = 1;
const STREAM_OPEN_MS_MAX = 10_000;

export class ApiLoad {
  readonly #node: NodeUnderTest;
  readonly #requests: readonly ApiRequest[];
  readonly #histogram = new Histogram();
  readonly #ending = new AbortController();
  readonly #open = new Set<Promise<void>>();
  #sent = 0;
  #failed = 0;
  #streamed = 0;

  /** The requests are sent in turn. Resolves when the stream has said its first word. */
  static async start(
    node: NodeUnderTest,
    requests: readonly ApiRequest[],
    ratePerSecond: number,
  ): Promise<ApiLoad> {
    const load = new ApiLoad(node, requests);
    await load.#followStream();
    load.#pace(1_000 / ratePerSecond);
    return load;
  }

  private constructor(node: NodeUnderTest, requests: readonly ApiRequest[]) {
    this.#node = node;
    this.#requests = requests;
  }

  async stop(): Promise<ApiLoadReport> {
    this.#ending.abort();
    await Promise.all(this.#open);
    return {
      requests: this.#sent,
      failed: this.#failed,
      latencyMs: { p50: this.#histogram.quantile(0.5), p99: this.#histogram.quantile(0.99) },
      streamed: this.#streamed,
    };
  }

  #pace(intervalMs: number): void {
    let dueMs = performance.now();
    const timer = setInterval(() => {
      for (; dueMs <= performance.now(); dueMs += intervalMs) {
        const asked = this.#ask(this.#requests[this.#sent++ % this.#requests.length] as ApiRequest, dueMs);
        this.#open.add(asked);
        void asked.then(() => this.#open.delete(asked));
      }
    }, TICK_MS);
    this.#ending.signal.addEventListener('abort', () => clearInterval(timer));
  }

  async #ask({ method, path, body }: ApiRequest, dueMs: number): Promise<void> {
    const changes = body === undefined ? {} : { body, headers: { 'if-match': '*' } };
    const { status } = await this.#node.admin(path, { method, ...changes }).catch(() => ({ status: 0 }));
    if (status !== 200) this.#failed += 1;
    this.#histogram.add(performance.now() - dueMs);
  }

  async #followStream(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const following = follow({
      url: `http://127.0.0.1:${this.#node.ports.admin}`,
      readKey: async () => this.#node.adminKey,
      clock: systemClock,
      signal: this.#ending.signal,
      subscription: { subscribe: ['counters', 'tree', 'tap'], filter: {} },
      probe: async () => undefined,
      onMessage: () => {
        this.#streamed += 1;
        resolve();
      },
      onLost: () => (this.#failed += 1),
    });
    following.catch(reject);
    this.#open.add(following.catch(() => undefined));
    const timer = setTimeout(() => reject(new Error('The live stream says nothing.')), STREAM_OPEN_MS_MAX);
    await promise.finally(() => clearTimeout(timer));
  }
}
