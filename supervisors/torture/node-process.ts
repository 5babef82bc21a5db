/**
 * The whole product as its users meet it: a node started by its entry point in a directory of its own, on free ports,
 * spoken to over HTTP only. Whatever is done to it, `close` leaves no process and no file behind.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface TreeNode {
  id: string;
  status: string;
  epoch: number;
  restarts: number;
  since?: string;
  /** The latest ones, oldest first. */
  exits?: { reason: string }[];
  pid?: number;
  children?: TreeNode[];
}

export interface Ledger {
  accepted: number;
  replayed: number;
  terminal: Record<string, number>;
  in_flight: number;
  rejected: number;
  balanced: boolean;
  lost: number;
  alerts?: { opened: number; delivered: number; dead: number; superseded?: number };
  partitions: { partition: number; accepted: number; in_flight: number; balanced: boolean; lost: number }[];
}

export interface IngestReply {
  status: number;
  body: { accepted?: number; rejected?: number; [field: string]: unknown };
}

const entry = fileURLToPath(new URL('../mutt.ts', import.meta.url));

export interface NodePorts {
  ingest: number;
  health: number;
  admin: number;
}

export interface NodeProcessOptions {
  /** Made by its first start; what is above it goes with it. */
  dir: string;
  ports: NodePorts;
  env?: NodeJS.ProcessEnv;
  /** It stops by itself when this process dies. */
  isTied?: boolean;
}

export class NodeProcess {
  readonly dir: string;
  readonly ports: NodePorts;
  readonly #env: NodeJS.ProcessEnv;
  readonly #isTied: boolean;
  #process: ChildProcess | undefined;
  output = '';

  constructor({ dir, ports, env = {}, isTied = false }: NodeProcessOptions) {
    this.dir = dir;
    this.ports = ports;
    this.#env = env;
    this.#isTied = isTied;
  }

  /** Whether the process that was started last has not ended. */
  get isRunning(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the node does not run');
    return pid;
  }

  get ingestKey(): string {
    return readFileSync(join(this.dir, 'keys', 'ingest.key'), 'utf8').trim();
  }

  get adminKey(): string {
    return readFileSync(join(this.dir, 'keys', 'admin.key'), 'utf8').trim();
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      // As the bootstrap does.
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(this.dir, 'cache', 'compile'),
      ...this.#env,
      // Last: whatever is set around it, it is this node, and touches no other's data.
      MUTT_DATA_DIR: this.dir,
      MUTT_INGEST_PORT: String(this.ports.ingest),
      MUTT_HEALTH_PORT: String(this.ports.health),
      MUTT_ADMIN_PORT: String(this.ports.admin),
    };
  }

  async start(timeoutMs = 60_000): Promise<void> {
    await this.launch();
    await this.whenReady(timeoutMs);
  }

  /** Starts the process without waiting for it to be ready. */
  async launch(): Promise<void> {
    const child = spawn(process.execPath, [entry, 'start'], {
      env: this.environment,
      // A process group of its own, as a shell gives to what is started in a terminal.
      detached: true,
      stdio: this.#isTied ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output = (this.output + chunk.toString('utf8')).slice(-20_000);
      });
    }
  }

  async whenReady(timeoutMs = 60_000): Promise<void> {
    await until(
      async () => {
        if (this.#process?.exitCode !== null) throw new Error(`the node has ended:\n${this.output}`);
        return this.isReady();
      },
      timeoutMs,
      () => `the node is not ready:\n${this.output}`,
    );
  }

  async isReady(): Promise<boolean> {
    try {
      const reply = await fetch(`http://127.0.0.1:${this.ports.health}/ready`, {
        signal: AbortSignal.timeout(2_000),
      });
      return reply.status === 200;
    } catch {
      return false;
    }
  }

  /** Posts to the ingest port; a broken connection is status 0. */
  async post(body: string | Buffer, headers: Record<string, string> = {}): Promise<IngestReply> {
    try {
      const reply = await fetch(`http://127.0.0.1:${this.ports.ingest}/api/v2/ingest`, {
        method: 'POST',
        headers: { 'x-api-key': this.ingestKey, 'content-type': 'application/json', ...headers },
        body: body as never,
        signal: AbortSignal.timeout(20_000),
      });
      return { status: reply.status, body: (await reply.json()) as IngestReply['body'] };
    } catch {
      return { status: 0, body: {} };
    }
  }

  async admin<T>(
    path: string,
    init: { method?: string; body?: unknown; headers?: Record<string, string>; timeoutMs?: number } = {},
  ): Promise<{ status: number; body: T }> {
    const reply = await fetch(`http://127.0.0.1:${this.ports.admin}${path}`, {
      method: init.method ?? 'GET',
      headers: {
        'x-api-key': this.adminKey,
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...init.headers,
      },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      signal: AbortSignal.timeout(init.timeoutMs ?? 15_000),
    });
    const text = await reply.text();
    return {
      status: reply.status,
      body: (reply.headers.get('content-type')?.includes('json') === true ? JSON.parse(text) : text) as T,
    };
  }

  async ledger(): Promise<Ledger> {
    return (await this.admin<Ledger>('/api/v2/ledger')).body;
  }

  /**
   * Waits until nothing is in flight but the events of dead letters, as many as `deadLetters` says, and gives the
   * ledger of that moment.
   */
  async settled(timeoutMs = 60_000, deadLetters: () => Promise<number> = async () => 0): Promise<Ledger> {
    let last: Ledger | undefined;
    await until(
      async () => {
        last = await this.ledger().catch(() => undefined);
        return last?.balanced === true && last.in_flight === (await deadLetters().catch(() => NaN));
      },
      timeoutMs,
      () => `the ledger does not settle: ${JSON.stringify(last)}\n${this.output}`,
    );
    return last as Ledger;
  }

  /** The live tree, flat. */
  async actors(): Promise<TreeNode[]> {
    const { body } = await this.admin<{ actors: TreeNode }>('/api/v2/status');
    const flat: TreeNode[] = [];
    const walk = (node: TreeNode): void => {
      flat.push(node);
      node.children?.forEach(walk);
    };
    walk(body.actors);
    return flat;
  }

  async actor(id: string): Promise<TreeNode> {
    const found = (await this.actors()).find((node) => node.id === id);
    if (found === undefined) throw new Error(`no actor ${id}`);
    return found;
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Waits for the process to end by itself or by a signal already sent. */
  async exited(timeoutMs = 30_000): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    await until(
      async () => child.exitCode !== null || child.signalCode !== null,
      timeoutMs,
      () => `the node does not end:\n${this.output}`,
    );
    return child.exitCode;
  }

  /** Ctrl-C as a terminal sends it, to everything in the foreground's process group; and waits. */
  async stop(): Promise<number | null> {
    if (this.#process === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null)
      return null;
    process.kill(-this.pid, 'SIGINT');
    return this.exited();
  }

  /** Waits until every worker that reports it uses this rule set or a later one. */
  async whenApplied(version: number, timeoutMs = 10_000): Promise<void> {
    let applied: { worker: string; version: number }[] = [];
    await until(
      async () => {
        const { body } = await this.admin<{ snapshot: { applied: typeof applied } }>('/api/v2/status');
        ({ applied } = body.snapshot);
        return applied.length > 0 && applied.every((worker) => worker.version >= version);
      },
      timeoutMs,
      () => `rule set ${version} is not in use: ${JSON.stringify(applied)}`,
    );
  }

  /** Ends everything that was started in this directory, and removes it unless it is to be kept. */
  async close({ isKept = false } = {}): Promise<void> {
    await this.stop().catch(() => this.kill('SIGKILL'));
    for (const pid of processesOf(this.dir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await until(
      async () => processesOf(this.dir).length === 0,
      10_000,
      () => 'processes are left over',
    );
    if (!isKept) rmSync(join(this.dir, '..'), { recursive: true, force: true });
  }
}

/** Live processes whose environment or command line names the directory. */
export function processesOf(dir: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const text =
        readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const isZombie = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z') === true;
      if (text.includes(dir) && !isZombie) found.push(pid);
    } catch {
      // It has ended, or is not ours to read.
    }
  }
  return found;
}

/** Polls until the condition holds; throws what `describe` says when it does not in time. */
export async function until(
  condition: () => Promise<boolean>,
  timeoutMs: number,
  describe: () => string,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${describe()} (waited ${timeoutMs} ms)`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
