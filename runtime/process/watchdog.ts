/**
 * The watchdog thread of a child process: every tick it writes one line about the main thread to the supervisor's pipe.
 *
 * It runs apart from the main thread's event loop, so a hang of that loop is reported instead of being silence; and
 * silence of the watchdog itself (process stopped or dead) is a hang too. It never decides anything.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { BlackBox } from '../shared/black-box.ts';
import { CounterBlock } from '../shared/counters.ts';
import { nameThread } from '../shared/thread-name.ts';
import { Vitals, processMs } from '../shared/vitals.ts';
import { WATCHDOG_FD } from './protocol.ts';
import type { SourcedRecord, WatchdogOrder, WatchdogReport } from './protocol.ts';

interface WatchdogData {
  vitals: SharedArrayBuffer;
  everyMs: number;
}

const RECORDS_MAX = 8;

const { vitals: vitalsBuffer, everyMs } = workerData as WatchdogData;
const vitals = new Vitals(vitalsBuffer);
const blocks = new Map<string, CounterBlock>();
const blackBoxes = new Map<string, BlackBox>();
let lastStamps = '';

parentPort?.on('message', ({ source, buffer, what }: WatchdogOrder) => {
  if (what === 'counters') blocks.set(source, new CounterBlock([], buffer));
  else blackBoxes.set(source, new BlackBox(buffer));
});

/** All boxes share one bound, so that a line stays short however many threads there are. */
function blackBoxTail(): SourcedRecord[] | undefined {
  const stamps = [...blackBoxes].map(([source, box]) => `${source} ${box.stamp}`).join();
  if (stamps === lastStamps) return undefined;
  lastStamps = stamps;
  return [...blackBoxes]
    .flatMap(([source, box]) => box.tail().map((record) => ({ source, ...record })))
    .sort((a, b) => b.activeAtMs - a.activeAtMs)
    .slice(0, RECORDS_MAX);
}

nameThread('watchdog');
setInterval(() => {
  const counters: Record<string, number[]> = {};
  for (const [source, block] of blocks) counters[source] = block.values();
  const blackBox = blackBoxTail();
  const report: WatchdogReport = {
    silentMs: processMs() - vitals.get('heartbeatAtMs'),
    doing: vitals.doing,
    rssBytes: process.memoryUsage.rss(),
    counters,
    ...(blackBox === undefined ? {} : { blackBox }),
  };
  try {
    writeSync(WATCHDOG_FD, `${JSON.stringify(report)}\n`);
  } catch {
    // The supervisor is gone or does not read: the main thread notices the closed IPC channel by itself.
  }
}, everyMs);
