/**
 * The actor runtime alone: what a message, an actor, and a restart cost on each placement. Every rate stands beside the
 * bare mechanism, and beside other actor libraries where they can do the same, measured in turn in the same run.
 */
import { acrossThreads } from './runtime/across-threads.ts';
import { fullMailbox } from './runtime/full-mailbox.ts';
import { hangs } from './runtime/hangs.ts';
import { inThread } from './runtime/in-thread.ts';
import { restarts } from './runtime/restarts.ts';
import { rings } from './runtime/rings.ts';
import type { BenchRun } from './support/bench.ts';

export default async function runtime(run: BenchRun): Promise<void> {
  const repetitions = run.parameter('repetitions', 1, 7);
  await inThread(run, repetitions);
  await fullMailbox(run, repetitions);
  await acrossThreads(run, repetitions);
  await rings(run, repetitions);
  await restarts(run);
  await hangs(run);
}
