/**
 * Clients that do nothing but POST given bodies over kept-alive connections, so many at once, each with one request in
 * flight: the baseline of what delivers alerts. In a process of its own, told apart by what it costs.
 *
 * `http` is Node's `http.request` with an agent, `undici` a pool's `request`, `ours` the client that forward threads use,
 * without anything around it. `BareSender.start` starts the process; it ends with `close` and when its parent is gone.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { SecretSource } from '../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../gateways/webhook/webhook-client.ts';
import { rateOf } from './bench.ts';
import type { Rate } from './bench.ts';

export const WAYS = ['http', 'undici', 'ours'] as const;
export type Way = (typeof WAYS)[number];

interface Sending {
  way: Way;
  url: string;
  bodies: string[];
  count: number;
  concurrency: number;
}

const HEADERS = { 'content-type': 'application/json' };
const TIMEOUT_MS = 30_000;

export class BareSender {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static start(): BareSender {
    return new BareSender(fork(fileURLToPath(import.meta.url), [], { execArgv: [] }));
  }

  /** POSTs the bodies in turn until there have been `count`. */
  send(sending: Sending): Promise<Rate> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new Error('The bare sender has ended.'));
      this.#child.once('exit', died);
      this.#child.once('message', (rate) => {
        this.#child.off('exit', died);
        resolve(rate as Rate);
      });
      this.#child.send(sending);
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }
}

interface Sender {
  /** Resolves to the status. */
  post(body: string): Promise<number>;
  close(): unknown;
}

const SENDERS: Record<Way, (url: string, concurrency: number) => Sender> = {
  http: (url, concurrency) => {
    const { hostname, port, pathname } = new URL(url);
    const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
    const options = { hostname, port, path: pathname, method: 'POST', agent };
    return {
      post: (body) =>
        new Promise((resolve, reject) => {
          const headers = { ...HEADERS, 'content-length': Buffer.byteLength(body) };
          const outgoing = request({ ...options, headers }, (incoming) => {
            incoming.resume().on('end', () => resolve(incoming.statusCode ?? 0));
          });
          outgoing.on('error', reject);
          outgoing.end(body);
        }),
      close: () => agent.destroy(),
    };
  },
  undici: (url, concurrency) => {
    const { origin, pathname: path } = new URL(url);
    const pool = new Pool(origin, { connections: concurrency });
    return {
      post: async (body) => {
        const answer = await pool.request({ path, method: 'POST', headers: HEADERS, body });
        await answer.body.dump();
        return answer.statusCode;
      },
      close: () => pool.close(),
    };
  },
  ours: (url, concurrency) => {
    const client = new HttpWebhookClient({
      secrets: new SecretSource(() => performance.now(), { directory: '/nowhere', files: [] }),
      connectionsMax: concurrency,
    });
    return {
      post: async (body) => {
        const compose = () => ({ headers: HEADERS, body });
        return (await client.post({ url, timeoutMs: TIMEOUT_MS, secretRef: null, compose })).status;
      },
      close: () => client.close(),
    };
  },
};

async function send({ way, url, bodies, count, concurrency }: Sending): Promise<Rate> {
  const sender = SENDERS[way](url, concurrency);
  let next = 0;
  const line = async (): Promise<void> => {
    while (next < count) {
      const status = await sender.post(bodies[next++ % bodies.length] ?? '');
      if (status !== 200) throw new Error(`A POST was answered ${status}.`);
    }
  };
  const rate = await rateOf(count, () => Promise.all(Array.from({ length: concurrency }, line)));
  await sender.close();
  return rate;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', (sending) => {
    void send(sending as Sending).then((rate) => process.send?.(rate));
  });
  process.on('disconnect', () => process.exit(0));
}
