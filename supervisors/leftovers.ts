/**
 * Ends the child processes that a killed supervisor of this data directory left behind. They end by themselves when its
 * channel closes, but a stopped or hung one cannot, and it would keep its port.
 *
 * To be called while holding the directory's lock: then whatever carries its mark and is not ours is a leftover.
 * Private servers are not meant: the next start adopts them (embedded/private-server.ts).
 */
import { resolve } from 'node:path';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/errors.ts';
import { identityOf, isSameProcess, pidsWithEnvironment } from './process-identity.mjs';

const MARK_VARIABLE = 'MUTT_NODE_CHILD';
const GONE_TIMEOUT_MS = 5_000;
const POLL_MS = 10;

/** The environment of every child process of the node in this data directory. */
export function markedEnvironment(dataDir: string): NodeJS.ProcessEnv {
  return { ...process.env, [MARK_VARIABLE]: resolve(dataDir) };
}

/** Gives the pids it has ended. Errors: E_LEFTOVER when one does not go. */
export async function endLeftovers(dataDir: string): Promise<number[]> {
  const found = pidsWithEnvironment(MARK_VARIABLE, resolve(dataDir))
    .filter((pid) => pid !== process.pid)
    .map((pid) => ({ pid, identity: identityOf(pid) }));
  for (const { pid, identity } of found) if (isSameProcess(pid, identity)) kill(pid);
  // By identity: the environment of a process that is going away is gone before its ports are.
  const isLeft = (): boolean => found.some(({ pid, identity }) => isSameProcess(pid, identity));
  const deadlineMs = systemClock.monotonicMs() + GONE_TIMEOUT_MS;
  while (isLeft()) {
    if (systemClock.monotonicMs() > deadlineMs) {
      const pids = found.map(({ pid }) => pid);
      throw new CodedError('E_LEFTOVER', `processes of an earlier start do not end: ${pids.join(', ')}`, {
        mend: `End them: kill -9 ${pids.join(' ')}`,
      });
    }
    await sleep(systemClock, POLL_MS);
  }
  return found.map(({ pid }) => pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
