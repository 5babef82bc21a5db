/**
 * Signals to processes of the rig. What was stopped is remembered, so that nothing stays stopped; a pid that has become
 * another process meanwhile is never signalled.
 */
import { identityOf, isSameProcess } from '../process-identity.mjs';

const stopped = new Map<number, string>();

/** Without effect when it has ended. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

export function stopProcesses(pids: readonly number[]): void {
  for (const pid of pids) {
    const identity = identityOf(pid);
    if (identity === undefined) continue;
    stopped.set(pid, identity);
    send(pid, 'SIGSTOP');
  }
}

/** Those given, or all that are stopped. */
export function continueProcesses(pids: readonly number[] = [...stopped.keys()]): void {
  for (const pid of pids) {
    if (isSameProcess(pid, stopped.get(pid))) send(pid, 'SIGCONT');
    stopped.delete(pid);
  }
}
