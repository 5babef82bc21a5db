/**
 * A real master group for specs: redis-server processes that replicate, and a Sentinel that fails them over, all on
 * loopback. The servers are as docs/how-to/use-your-own-redis-and-postgresql.md wants them; the times are short.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { Redis as Client } from 'ioredis';
import { findRedis } from '../../supervisors/embedded/find-redis.ts';
import { freePorts } from '../../supervisors/embedded/free-ports.ts';
import { until } from './node-under-test.ts';
import { specDirectory } from './servers.ts';

const PASSWORD = 'spec-password';
const SENTINEL_PASSWORD = 'spec-sentinel-password';
const DOWN_AFTER_MS = 500;
const PATIENCE_MS = 30_000;
/** A Sentinel of version 7 or newer can be hurried; an older one takes some 10 s to turn an old master into a replica. */
const HURRIED = ['INFO-PERIOD', '200', 'PUBLISH-PERIOD', '100', 'PING-PERIOD', '100'];

export const GROUP_NAME = 'spec-group';

/** One process, with a connection for the spec's own questions. */
export class GroupServer {
  readonly port: number;
  readonly password: string;
  readonly redis: Redis;
  readonly #configPath: string;
  readonly #program: string;
  readonly #mode: string[];
  #process: ChildProcess | undefined;

  constructor(program: string, port: number, settings: string[], mode: string[], password: string) {
    const dir = specDirectory('group');
    this.port = port;
    this.password = password;
    this.#program = program;
    this.#mode = mode;
    this.#configPath = join(dir, 'redis.conf');
    const place = ['bind 127.0.0.1', `port ${port}`, `dir ${dir}`, `requirepass ${password}`];
    writeFileSync(this.#configPath, `${[...place, ...settings].join('\n')}\n`);
    this.redis = new Client({
      host: '127.0.0.1',
      port,
      password,
      lazyConnect: true,
      retryStrategy: () => 50,
    });
    this.redis.on('error', () => undefined);
  }

  async start(): Promise<void> {
    this.#process = spawn(this.#program, [this.#configPath, ...this.#mode], { stdio: 'ignore' });
    if (this.redis.status === 'wait') this.redis.connect().catch(() => undefined);
    await until(
      async () => this.redis.status === 'ready',
      PATIENCE_MS,
      () => `nothing answers at port ${this.port}`,
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async end(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    child.kill('SIGKILL');
    await until(
      async () => child.exitCode !== null || child.signalCode !== null,
      PATIENCE_MS,
      () => `the process ${child.pid} does not end`,
    );
  }

  /** `slave` for a replica, as the server says it. */
  async role(): Promise<string> {
    const [role] = (await this.redis.role()) as [string];
    return role;
  }
}

export interface SentinelGroupOptions {
  /** More for every server's configuration. */
  settings?: string[];
}

export class SentinelGroup {
  readonly servers: readonly GroupServer[];
  readonly sentinel: GroupServer;
  /** With the passwords, and with one Sentinel that is not there. */
  readonly url: string;

  private constructor(servers: GroupServer[], sentinel: GroupServer, deadPort: number) {
    this.servers = servers;
    this.sentinel = sentinel;
    this.url =
      `redis+sentinel://:${PASSWORD}@127.0.0.1:${deadPort},127.0.0.1:${sentinel.port}/${GROUP_NAME}/0` +
      `?sentinel_password=${SENTINEL_PASSWORD}`;
  }

  /** A master and one replica that is in step. Close it, also when a spec fails. */
  static async start({ settings = [] }: SentinelGroupOptions = {}): Promise<SentinelGroup> {
    const program = (await findRedis()).file;
    const [masterPort = 0, replicaPort = 0, sentinelPort = 0, deadPort = 0] = await freePorts(4);
    const common = [
      `masterauth ${PASSWORD}`,
      'appendonly yes',
      'appendfsync always',
      'no-appendfsync-on-rewrite no',
      'maxmemory 256mb',
      'maxmemory-policy noeviction',
      'save ""',
      'min-replicas-to-write 1',
      'min-replicas-max-lag 10',
      'repl-diskless-sync-delay 0',
      'repl-ping-replica-period 1',
      ...settings,
    ];
    const servers = [
      new GroupServer(program, masterPort, common, [], PASSWORD),
      new GroupServer(program, replicaPort, [...common, `replicaof 127.0.0.1 ${masterPort}`], [], PASSWORD),
    ];
    const sentinel = new GroupServer(
      program,
      sentinelPort,
      [
        `sentinel monitor ${GROUP_NAME} 127.0.0.1 ${masterPort} 1`,
        `sentinel auth-pass ${GROUP_NAME} ${PASSWORD}`,
        `sentinel down-after-milliseconds ${GROUP_NAME} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${GROUP_NAME} 2000`,
      ],
      ['--sentinel'],
      SENTINEL_PASSWORD,
    );
    const group = new SentinelGroup(servers, sentinel, deadPort);
    try {
      await Promise.all(servers.map((server) => server.start()));
      await group.inStep();
      await sentinel.start();
      await sentinel.redis.call('SENTINEL', 'DEBUG', ...HURRIED).catch(() => undefined);
      await until(
        async () =>
          ((await sentinel.redis.call('SENTINEL', 'REPLICAS', GROUP_NAME)) as unknown[]).length === 1,
        PATIENCE_MS,
        () => 'the Sentinel does not find the replica',
      );
    } catch (thrown) {
      await group.close();
      throw thrown;
    }
    return group;
  }

  /** The one that the Sentinel names. */
  async master(): Promise<GroupServer> {
    const reply = await this.sentinel.redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP_NAME);
    const port = Number((reply as string[])[1]);
    return this.servers.find((server) => server.port === port) as GroupServer;
  }

  other(server: GroupServer): GroupServer {
    return this.servers.find((each) => each !== server) as GroupServer;
  }

  /** Waits until the Sentinel has made it the master. */
  async whenPromoted(server: GroupServer): Promise<void> {
    await until(
      async () => (await this.master()) === server && (await server.role()) === 'master',
      PATIENCE_MS,
      () => 'there is no fail-over',
    );
  }

  /** Waits until one of them is the master and the other its replica, with everything. */
  async inStep(): Promise<void> {
    await until(
      async () => {
        const infos = await Promise.all(
          this.servers.map((server) => server.redis.info('replication').catch(() => '')),
        );
        return infos.some((info) => /^role:master[^]*state=online/m.test(info));
      },
      PATIENCE_MS,
      () => 'the replica does not follow its master',
    );
  }

  async close(): Promise<void> {
    for (const server of [this.sentinel, ...this.servers]) {
      server.redis.disconnect();
      await server.end();
    }
  }
}
