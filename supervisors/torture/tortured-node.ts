/**
 * A node of the rig: kept running as a service manager would keep it, and opened up so that each of its parts can be harmed.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis, whenReady } from '../../gateways/redis/connection.ts';
import { runningRedisUrl } from '../embedded/redis.ts';
import { descendantsOf } from '../process-identity.mjs';
import { NodeProcess, processesOf } from './node-process.ts';
import type { NodeProcessOptions, TreeNode } from './node-process.ts';

export interface TorturedNodeOptions extends NodeProcessOptions {
  name: string;
  /** Read by its processes for how far their wall clock is off. */
  clockFile: string;
}

/** What a service manager waits (systemd: RestartSec). */
const RESTART_AFTER_MS = 300;
const LOOK_EVERY_MS = 300;
const REDIS_MS = 3_000;
const STOP_MS = 75_000;
const EXIT_INTERRUPTED = 130;
/** The first one unpacks and makes databases, on whatever machine it is. */
const START_MS = 240_000;

export class TorturedNode extends NodeProcess {
  readonly name: string;
  /** How often it was started again, and what the start before said. */
  restarts = 0;
  /** Exit codes of clean stops that were not 0. */
  readonly badStops: string[] = [];
  readonly #clockFile: string;
  #tree: TreeNode[] = [];
  /** While somebody else decides whether it runs. */
  #isHeld = true;
  #isOver = false;
  #keeping: Promise<unknown> | undefined;

  constructor({ name, clockFile, ...options }: TorturedNodeOptions) {
    super(options);
    this.name = name;
    this.#clockFile = clockFile;
    this.setClock(0);
  }

  /** Starts it, and again whenever it ends. Settles when it is ready. */
  async run(): Promise<void> {
    await this.start(START_MS);
    this.#isHeld = false;
    this.#keeping = Promise.all([this.#keepRunning(), this.#watch()]);
  }

  async stopCleanly(): Promise<void> {
    this.#isHeld = true;
    if (!this.isRunning) return;
    // One that is still starting breaks that off, and says so.
    const wanted = (await this.isReady()) ? [0] : [0, EXIT_INTERRUPTED];
    if (!this.isRunning) return;
    this.kill('SIGTERM');
    const code = await this.exited(STOP_MS);
    if (code === null || !wanted.includes(code))
      this.badStops.push(`${this.name} ended with ${code} when it was told to stop: ${this.lastLine}`);
  }

  /** After `stopCleanly`. */
  release(): void {
    this.#isHeld = false;
  }

  /** Stops it for good. */
  async end(): Promise<void> {
    await this.stopCleanly();
    await this.unkeep();
  }

  /** From now on nobody starts it again. */
  async unkeep(): Promise<void> {
    this.#isHeld = true;
    this.#isOver = true;
    await this.#keeping;
  }

  get lastLine(): string {
    return this.output.trim().split('\n').slice(-2).join(' ').slice(0, 300);
  }

  /** Every process of the node, its private Redis included. */
  get processes(): number[] {
    return processesOf(this.dir);
  }

  /** Of a part of the tree as it was last seen: while the API is away nobody else can say. Undefined when it does not run. */
  pidOf(part: string): number | undefined {
    const pid = this.#tree.find(({ id }) => id === part)?.pid;
    return pid !== undefined && this.processes.includes(pid) ? pid : undefined;
  }

  /** As `pidOf`, with the processes below it. */
  pidsOf(part: string): number[] {
    const pid = this.pidOf(part);
    return pid === undefined ? [] : [pid, ...descendantsOf(pid)];
  }

  get tree(): readonly TreeNode[] {
    return this.#tree;
  }

  /** By how much the wall clock of all its processes is off from now on. */
  setClock(offsetMs: number): void {
    const draft = `${this.#clockFile}.draft`;
    writeFileSync(draft, `${offsetMs}\n`, { mode: 0o644 });
    renameSync(draft, this.#clockFile);
  }

  /** One command to its private Redis. Rejects when that is away. */
  async redis(...command: [name: string, ...values: (string | number)[]]): Promise<unknown> {
    const url = runningRedisUrl(join(this.dir, 'redis'));
    if (url === undefined) throw new Error('Redis does not run');
    const redis = connectRedis({ url, name: 'torture' });
    try {
      await whenReady(redis, REDIS_MS);
      const [name, ...values] = command;
      return await redis.call(name, ...values);
    } finally {
      redis.disconnect();
    }
  }

  async #keepRunning(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#isHeld && !this.isRunning) {
        await sleep(RESTART_AFTER_MS);
        if (this.#isHeld || this.isRunning) continue;
        this.restarts += 1;
        await this.launch();
      }
      await sleep(50);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      this.#tree = await this.actors().catch(() => this.#tree);
      await sleep(LOOK_EVERY_MS);
    }
  }
}
