/**
 * One of the lanes in which specs run side by side: a mocha process with a Redis, a PostgreSQL and a directory of its
 * own, so that what a lane finds left behind was left by its own specs.
 *
 * It takes files from the common queue until that is empty. Invariant: each file that a lane has taken is counted once,
 * as what it passed and failed or, when its process died of it, as one failure; and when `run` settles nothing of the
 * lane is left.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startPrivatePostgres } from '../../supervisors/embedded/postgres.ts';
import type { PrivateServer } from '../../supervisors/embedded/private-server.ts';
import { startPrivateRedis } from '../../supervisors/embedded/redis.ts';
import type { FileOutcome, ToMochaChild } from './mocha-child.ts';
import { RunDirectory } from './run-directory.ts';

export interface SpecLaneOptions {
  cloneDir: string;
  /** The next file to run; undefined when there is none. */
  next: () => string | undefined;
  onOutcome: (file: string, outcome: FileOutcome) => void;
  onFailure: (what: string) => void;
  signal: AbortSignal;
}

/** How long specs may keep their process alive after the last one: what then still holds it was left open. */
const EXIT_GRACE_MS = 10_000;

/** Rejects when its servers do not start. */
export async function runLane(options: SpecLaneOptions): Promise<void> {
  const run = new RunDirectory();
  try {
    await withServers(run, (environment) => runFiles(options, environment));
  } finally {
    const left = await run.remove();
    // Specs that were cut short had no chance to clean up; what they left has just been ended.
    if (!options.signal.aborted)
      for (const line of left) options.onFailure(`left running by the specs: ${line}`);
  }
}

async function withServers(
  run: RunDirectory,
  work: (environment: Record<string, string>) => Promise<void>,
): Promise<void> {
  const started = await Promise.allSettled([
    startPrivateRedis({ dir: run.path('redis') }),
    startPrivatePostgres({ dir: run.path('postgres') }),
  ]);
  const servers = started.flatMap((outcome): PrivateServer[] =>
    outcome.status === 'fulfilled' ? [outcome.value] : [],
  );
  try {
    const refused = started.find((outcome) => outcome.status === 'rejected');
    if (refused !== undefined) throw refused.reason;
    const [redis, postgres] = servers as [PrivateServer, PrivateServer];
    await work({
      ...run.environment,
      MUTT_SPEC_REDIS_URL: redis.url,
      MUTT_SPEC_DATABASE_URL: postgres.url,
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** A process that dies of a file is replaced for the next. */
async function runFiles(options: SpecLaneOptions, environment: Record<string, string>): Promise<void> {
  const { cloneDir, next, onOutcome, onFailure, signal } = options;
  let child: MochaChild | undefined;
  for (let file = next(); file !== undefined && !signal.aborted; file = next()) {
    child ??= new MochaChild(cloneDir, environment, signal);
    const outcome = await child.run(file);
    if (signal.aborted) return;
    if (typeof outcome !== 'string') {
      onOutcome(file, outcome);
      continue;
    }
    onFailure(`${file}: its process ended before it was done (${outcome})`);
    child = undefined;
  }
  if ((await child?.end()) === 'too late' && !signal.aborted)
    onFailure('the specs left something open that keeps their process alive (named above)');
}

class MochaChild {
  readonly #child: ChildProcess;
  /** The signal or code it ended with. */
  readonly #ended: Promise<string>;

  constructor(cloneDir: string, environment: Record<string, string>, signal: AbortSignal) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./mocha-child.ts', import.meta.url))], {
      cwd: cloneDir,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...environment },
    });
    this.#child = child;
    const interrupt = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', interrupt);
    this.#ended = new Promise((settle) => {
      child.once('exit', (code, by) => settle(by ?? `code ${code}`));
      child.once('error', (error) => settle(error.message));
    });
    void this.#ended.then(() => signal.removeEventListener('abort', interrupt));
  }

  /** What came of the file, or how the process ended instead. */
  async run(file: string): Promise<FileOutcome | string> {
    const answered = Promise.withResolvers<FileOutcome>();
    this.#child.once('message', (message) => answered.resolve(message as FileOutcome));
    this.#tell({ type: 'run', file });
    return Promise.race([answered.promise, this.#ended]);
  }

  async end(): Promise<'in time' | 'too late'> {
    this.#tell({ type: 'end' });
    let outcome: 'in time' | 'too late' = 'in time';
    const timer = setTimeout(() => {
      outcome = 'too late';
      // It says what holds it, and goes.
      this.#child.kill('SIGUSR2');
      setTimeout(() => this.#child.kill('SIGKILL'), EXIT_GRACE_MS).unref();
    }, EXIT_GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
    return outcome;
  }

  #tell(message: ToMochaChild): void {
    // One that has died says so by its end, which everybody here waits for.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
