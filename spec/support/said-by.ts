/**
 * What a child process says in its first line, as JSON: how a spec waits until a parent of its own is ready.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Rejects when it ends without a line. */
export async function saidBy(child: ChildProcess): Promise<Record<string, unknown>> {
  if (child.stdout === null) throw new Error('the child has no stdout to listen to');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(lines, 'close').then(() => Promise.reject(new Error('the child ended without a word'))),
  ])) as [string];
  return JSON.parse(line) as Record<string, unknown>;
}

/** Kills it as nobody can prevent, and waits until it is gone. */
export async function killHard(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
