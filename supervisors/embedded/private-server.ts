/**
 * One private server process (Redis or PostgreSQL) in its own directory: start, recognise, adopt, end.
 *
 * It knows nothing of either product; `redis.ts` and `postgres.ts` say what to run. The server runs in its own process
 * group, so Ctrl-C does not reach it, and it outlives a killed parent by design: the next start finds it by pid, start
 * time and nonce. Invariant: no process is ever signalled that does not carry this directory's marker.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { sleep, systemClock } from '../../runtime/clock.ts';
import { CodedError, codeOf } from '../../runtime/errors.ts';
import { waitForLock } from '../exclusive-lock.mjs';
import {
  descendantsOf,
  environmentOf,
  identityOf,
  isSameProcess,
  pidsWithEnvironment,
} from '../process-identity.mjs';
import { diskFull, isDiskFull, isNoRoom } from './disk-room.ts';
import { freePorts } from './free-ports.ts';
import { closedAncestor } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

/** A running private server. */
export interface PrivateServer {
  /** With the password in it: never log it. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  /** True when it was already running, left by an earlier start. */
  readonly isAdopted: boolean;
  /** Settles when the process is gone. Of an adopted server neither code nor signal can be known: both are null. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Asks it to end cleanly, waits, and kills it when it does not. Safe to call twice. */
  stop(): Promise<void>;
  /** Sends a signal. SIGKILL, SIGSTOP and SIGCONT reach its own children too. No effect once it is gone. */
  kill(signal: NodeJS.Signals): void;
}

export type ServerLog = (message: string) => void;

/** What to run, said by `redis.ts` and `postgres.ts`. */
export interface ServerPlan {
  name: string;
  dir: string;
  port: number | undefined;
  user: ServerUser | undefined;
  /** Changes when the settings or the program change: a leftover with others is ended, not adopted. */
  settings: string;
  stopSignals: readonly NodeJS.Signals[];
  /** Makes everything ready for this port and says what to execute. */
  prepare(port: number): Promise<{ file: string; args: string[]; env: Record<string, string> }>;
  /** Whether it takes connections. Never rejects. */
  isReady(port: number): Promise<boolean>;
  url(port: number): string;
  /** Makes a coded error of what the server wrote before it ended. */
  explain(output: string): CodedError;
  /** A failure that passes by itself: the remains of its predecessor are still going away. */
  isPassing?(output: string): boolean;
  log: ServerLog;
}

interface Running {
  pid: number;
  identity: string;
  port: number;
  settings: string;
  owner: { pid: number; identity: string | undefined };
}

const MARKER_VARIABLE = 'MUTT_PRIVATE_SERVER';
const START_DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 10_000;
const SIGNAL_AGAIN_MS = 500;
const ADOPT_DEADLINE_MS = 2_000;
const POLL_MS = 10;
const EXIT_POLL_MS = 100;
const PORT_ATTEMPTS_MAX = 5;
const PASSING_RETRY_MS = 250;
const OUTPUT_CHARS_MAX = 2_000;

/** Makes the server's own directory: others may pass through it (as root) but neither list nor write it. */
export function makeServerDirectory(dir: string, user: ServerUser | undefined): void {
  const mode = user === undefined ? 0o700 : 0o711;
  mkdirSync(dir, { recursive: true, mode });
  chmodSync(dir, mode);
  const closed = user === undefined ? undefined : closedAncestor(dir, user);
  if (closed !== undefined) {
    throw new CodedError('E_PATH_CLOSED', `the user ${user?.name} cannot reach ${dir}: ${closed} is closed`, {
      mend: `Choose a data directory that others can traverse, or run: chmod o+x '${closed}'`,
      details: { closed },
    });
  }
}

/** The port of the server that runs in `dir` now; undefined when none does. */
export function portOfRunning(dir: string): number | undefined {
  const recorded = readRecord(dir);
  return recorded !== undefined && isSameProcess(recorded.pid, recorded.identity) ? recorded.port : undefined;
}

/** Reads a secret from a 0600 file in `dir`, made at the first call. */
export function secretIn(dir: string, name: string): string {
  const path = join(dir, name);
  if (!existsSync(path)) writeWhole(path, randomBytes(24).toString('base64url'), 0o600);
  return readFileSync(path, 'utf8').trim();
}

/** Writes a file so that it is seen whole or not at all. */
export function writeWhole(path: string, content: string, mode: number): void {
  const draft = `${path}.${process.pid}.draft`;
  try {
    writeFileSync(draft, content, { mode });
    chmodSync(draft, mode);
    renameSync(draft, path);
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw thrown;
  }
}

/**
 * Starts the server, or adopts the one an earlier start left behind. Errors: E_ALREADY_RUNNING, E_PORT_IN_USE,
 * E_SERVER_START, E_SERVER_SILENT, E_DISK_FULL and what the plan explains.
 */
export async function startPrivateServer(plan: ServerPlan): Promise<PrivateServer> {
  try {
    return await startLocked(plan);
  } catch (thrown) {
    throw isNoRoom(thrown) ? diskFull(plan.dir, { cause: thrown }) : thrown;
  }
}

async function startLocked(plan: ServerPlan): Promise<PrivateServer> {
  const lock = await waitForLock(join(plan.dir, 'start.lock'));
  try {
    const marker = markerOf(plan.dir);
    const adopted = await settleLeftovers(plan, marker);
    if (adopted !== undefined) return adopted;
    return await startFresh(plan, marker);
  } finally {
    lock.release();
  }
}

async function settleLeftovers(plan: ServerPlan, marker: string): Promise<PrivateServer | undefined> {
  const recorded = readRecord(plan.dir);
  if (recorded !== undefined && isOurs(recorded, marker)) {
    const { owner } = recorded;
    if (owner.pid !== process.pid && isSameProcess(owner.pid, owner.identity)) {
      throw new CodedError('E_ALREADY_RUNNING', `process ${owner.pid} uses the ${plan.name} in ${plan.dir}`, {
        mend: `Stop it first: kill ${owner.pid}`,
        details: { pid: owner.pid },
      });
    }
    const isWanted = plan.port === undefined || plan.port === recorded.port;
    if (isWanted && recorded.settings === plan.settings && (await answers(plan, recorded.port))) {
      plan.log(`${plan.name}: adopted the one still running (pid ${recorded.pid})`);
      writeRecord(plan.dir, { ...recorded, owner: self() });
      return handleOf(plan, recorded, true, exitOfStranger(recorded));
    }
    plan.log(`${plan.name}: ending the one left behind (pid ${recorded.pid})`);
    await end(plan, recorded);
  }
  // A parent killed between the start and the record leaves a server that only its nonce gives away.
  for (const pid of pidsWithEnvironment(MARKER_VARIABLE, marker)) {
    const identity = identityOf(pid);
    if (identity !== undefined) await end(plan, { pid, identity });
  }
  rmSync(recordPath(plan.dir), { force: true });
  return undefined;
}

async function startFresh(plan: ServerPlan, marker: string): Promise<PrivateServer> {
  const deadline = systemClock.monotonicMs() + START_DEADLINE_MS;
  for (let portAttempt = 1; ;) {
    const port = plan.port ?? (await freePorts(1))[0]!;
    if (plan.port !== undefined) await requireFreePort(plan, port);
    const { file, args, env } = await plan.prepare(port);
    const outputPath = join(plan.dir, 'start.log');
    const started = spawnServer(plan, { file, args, env: { ...env, [MARKER_VARIABLE]: marker } }, outputPath);
    const running = {
      pid: started.pid,
      identity: started.identity,
      port,
      settings: plan.settings,
      owner: self(),
    };
    await recordOrEnd(plan, running);
    const outcome = await becomesReady(plan, started, port, deadline);
    if (outcome === 'ready') return handleOf(plan, running, false, started.exited);
    await end(plan, running);
    rmSync(recordPath(plan.dir), { force: true });
    const output = tail(outputPath);
    if (outcome === 'silent') {
      throw new CodedError('E_SERVER_SILENT', `${plan.name} does not get ready: ${lastLine(output)}`, {
        kind: 'transient',
        mend: `Read the log files in ${plan.dir}.`,
        details: { output },
      });
    }
    if (/address already in use/i.test(output)) {
      if (plan.port !== undefined) throw portInUse(plan, port);
      if (++portAttempt <= PORT_ATTEMPTS_MAX) continue;
    }
    if (plan.isPassing?.(output) === true && systemClock.monotonicMs() < deadline) {
      await sleep(systemClock, PASSING_RETRY_MS);
      continue;
    }
    throw isDiskFull(plan.dir) ? diskFull(plan.dir, { output }) : plan.explain(output);
  }
}

/** A server that nobody could find again must not run. */
async function recordOrEnd(plan: ServerPlan, running: Running): Promise<void> {
  try {
    writeRecord(plan.dir, running);
  } catch (thrown) {
    await end(plan, running);
    throw thrown;
  }
}

interface Started {
  pid: number;
  identity: string;
  exited: PrivateServer['exited'];
  hasExited: () => boolean;
}

function spawnServer(
  plan: ServerPlan,
  what: { file: string; args: string[]; env: Record<string, string> },
  outputPath: string,
): Started {
  const output = openSync(outputPath, 'w', 0o600);
  try {
    const child = spawn(what.file, what.args, {
      cwd: plan.dir,
      env: what.env,
      detached: true,
      stdio: ['ignore', output, output],
      ...(plan.user === undefined ? {} : { uid: plan.user.uid, gid: plan.user.gid }),
    });
    child.unref();
    let hasExited = false;
    const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((settle) => {
      child.once('exit', (code, signal) => {
        hasExited = true;
        settle({ code, signal });
      });
      child.once('error', () => {
        hasExited = true;
        settle({ code: null, signal: null });
      });
    });
    if (child.pid === undefined) {
      throw new CodedError('E_SERVER_START', `${plan.name} cannot be executed: ${what.file}`, {
        mend: 'Check that the file exists, is executable and that we may change to the user it runs as.',
        details: { file: what.file, user: plan.user?.name },
      });
    }
    // It may have ended already; then its identity is gone and `exited` tells.
    return {
      pid: child.pid,
      identity: identityOf(child.pid) ?? '',
      exited,
      hasExited: () => hasExited,
    };
  } finally {
    closeSync(output);
  }
}

async function becomesReady(
  plan: ServerPlan,
  started: Started,
  port: number,
  deadlineMs: number,
): Promise<'ready' | 'exited' | 'silent'> {
  while (systemClock.monotonicMs() < deadlineMs) {
    if (started.hasExited()) return 'exited';
    if (await plan.isReady(port)) return 'ready';
    await Promise.race([sleep(systemClock, POLL_MS), started.exited]);
  }
  return 'silent';
}

async function answers(plan: ServerPlan, port: number): Promise<boolean> {
  const deadline = systemClock.monotonicMs() + ADOPT_DEADLINE_MS;
  for (;;) {
    const remainingMs = deadline - systemClock.monotonicMs();
    if (remainingMs <= 0) return false;
    const isReady = await Promise.race([
      plan.isReady(port),
      sleep(systemClock, remainingMs).then(() => false),
    ]);
    if (isReady) return true;
    await sleep(systemClock, POLL_MS);
  }
}

function handleOf(
  plan: ServerPlan,
  running: Running,
  isAdopted: boolean,
  exited: PrivateServer['exited'],
): PrivateServer {
  let stopping: Promise<void> | undefined;
  return {
    url: plan.url(running.port),
    port: running.port,
    pid: running.pid,
    dir: plan.dir,
    isAdopted,
    exited,
    stop() {
      stopping ??= (async () => {
        await end(plan, running);
        // Nothing of the server keeps this process running, so the wait for the news of its end must.
        const release = systemClock.after(STOP_DEADLINE_MS, () => {});
        await exited;
        release();
        const recorded = readRecord(plan.dir);
        if (recorded?.pid === running.pid) rmSync(recordPath(plan.dir), { force: true });
      })();
      return stopping;
    },
    kill: (signal) => signalTree(running, signal),
  };
}

type Target = Pick<Running, 'pid' | 'identity'>;

async function end(plan: ServerPlan, target: Target): Promise<void> {
  for (const signal of [...plan.stopSignals, 'SIGKILL'] as const) {
    const deadline = systemClock.monotonicMs() + STOP_DEADLINE_MS;
    let signalAtMs = -Infinity;
    while (systemClock.monotonicMs() < deadline) {
      if (!isSameProcess(target.pid, target.identity)) return;
      // Asked once is not enough: Redis declines while it writes a first append-only file.
      if (systemClock.monotonicMs() >= signalAtMs + SIGNAL_AGAIN_MS) {
        signalAtMs = systemClock.monotonicMs();
        signalTree(target, signal);
        // A stopped process takes no other signal until it is continued.
        if (signal !== 'SIGKILL') signalTree(target, 'SIGCONT');
      }
      await sleep(systemClock, POLL_MS);
    }
  }
}

function signalTree(target: Target, signal: NodeJS.Signals): void {
  if (!isSameProcess(target.pid, target.identity)) return;
  const reachesChildren = signal === 'SIGKILL' || signal === 'SIGSTOP' || signal === 'SIGCONT';
  const children = reachesChildren ? descendantsOf(target.pid) : [];
  for (const pid of [target.pid, ...children]) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (codeOf(error) !== 'ESRCH') throw error;
    }
  }
}

function exitOfStranger(target: Target): PrivateServer['exited'] {
  return new Promise((settle) => {
    const look = (): void => {
      if (isSameProcess(target.pid, target.identity)) {
        systemClock.after(EXIT_POLL_MS, look, { ref: false });
      } else {
        settle({ code: null, signal: null });
      }
    };
    look();
  });
}

/**
 * What the server of this directory carries in its environment. The nonce alone would make a copy of the directory find
 * the server of the original; its inode stays when the directory is moved and differs in a copy.
 */
function markerOf(dir: string): string {
  const { dev, ino } = statSync(dir);
  return `${secretIn(dir, 'nonce')}:${dev}:${ino}`;
}

function isOurs(recorded: Running, marker: string): boolean {
  if (!isSameProcess(recorded.pid, recorded.identity)) return false;
  // Only Linux shows another process's environment; elsewhere pid and start time have to do.
  if (process.platform !== 'linux') return true;
  return environmentOf(recorded.pid).includes(`${MARKER_VARIABLE}=${marker}`);
}

function self(): Running['owner'] {
  return { pid: process.pid, identity: identityOf(process.pid) };
}

function recordPath(dir: string): string {
  return join(dir, 'server.json');
}

function writeRecord(dir: string, running: Running): void {
  writeWhole(recordPath(dir), JSON.stringify(running), 0o600);
}

function readRecord(dir: string): Running | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(dir), 'utf8')) as Partial<Running>;
    return typeof record.pid === 'number' && typeof record.port === 'number' && record.owner !== undefined
      ? (record as Running)
      : undefined;
  } catch {
    // Absent or half written: the search by nonce finds what it would have named.
    return undefined;
  }
}

function requireFreePort(plan: ServerPlan, port: number): Promise<void> {
  return new Promise((settle, fail) => {
    const probe = createServer();
    probe.once('error', () => fail(portInUse(plan, port)));
    probe.listen(port, '127.0.0.1', () => probe.close(() => settle()));
  });
}

function portInUse(plan: ServerPlan, port: number): CodedError {
  return new CodedError('E_PORT_IN_USE', `port ${port} for ${plan.name} is in use on 127.0.0.1`, {
    mend: 'Choose another port, or stop what listens there.',
    details: { port },
  });
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-OUTPUT_CHARS_MAX);
  } catch {
    return '';
  }
}

/** The last line that says something. */
export function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
