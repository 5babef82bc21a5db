/**
 * The watchdog thread of a child process: every tick it writes one line about the main thread to the supervisor's pipe.
 *
 * It runs apart from the main thread's event loop, so a hang of that loop is reported instead of being silence; and
 * silence of the watchdog itself (process stopped or dead) is a hang too. It never decides anything.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { CounterBlock } from '../shared/counters.ts';
import { Vitals, processMs } from '../shared/vitals.ts';
import { WATCHDOG_FD } from './protocol.ts';
import type { WatchdogReport } from './protocol.ts';

interface WatchdogData {
  vitals: SharedArrayBuffer;
  everyMs: number;
}

const { vitals: vitalsBuffer, everyMs } = workerData as WatchdogData;
const vitals = new Vitals(vitalsBuffer);
const blocks = new Map<string, CounterBlock>();

parentPort?.on('message', ({ source, buffer }: { source: string; buffer: SharedArrayBuffer }) => {
  blocks.set(source, new CounterBlock([], buffer));
});

setInterval(() => {
  const counters: Record<string, number[]> = {};
  for (const [source, block] of blocks) counters[source] = block.values();
  const report: WatchdogReport = {
    silentMs: processMs() - vitals.get('heartbeatAtMs'),
    doing: vitals.doing,
    rssBytes: process.memoryUsage.rss(),
    counters,
  };
  try {
    writeSync(WATCHDOG_FD, `${JSON.stringify(report)}\n`);
  } catch {
    // The supervisor is gone or does not read: the main thread notices the closed IPC channel by itself.
  }
}, everyMs);
