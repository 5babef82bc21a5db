/**
 * The faults of a schedule, done to the rig: several at a time, but never two that take the same part of it. After each one
 * an event is sent, and how long it takes until its alert has arrived is the time of recovery; meanwhile the part is not
 * harmed again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../runtime/errors.ts';
import type { Part } from './faults/fault.ts';
import type { Recoveries } from './recovery.ts';
import type { Rig } from './rig.ts';
import type { PlannedFault } from './schedule.ts';
import type { TortureTraffic } from './torture-traffic.ts';

export interface HarmingOptions {
  rig: Rig;
  traffic: TortureTraffic;
  recoveries: Recoveries;
  schedule: Iterator<PlannedFault, void>;
  /** How many faults begin at most, and until when (of `performance.now()`). */
  faultsMax: number;
  untilMs: number;
  signal: AbortSignal;
  /** Told of each as it begins. */
  onFault: (fault: PlannedFault) => void;
}

/** So many faults at a time. */
const LANES = ['a', 'b', 'c'];
const FREE_LOOK_MS = 20;
/** Longer than anything that heals by itself takes; past it, it did not. */
const RECOVERY_MS = 120_000;
const ARRIVAL_LOOK_MS = 5;
const QUIET_MS = 200;

/** Settles when all have been done, or the signal was aborted. Gives what did not get well. */
export async function harm(options: HarmingOptions): Promise<string[]> {
  const unwell: string[] = [];
  const taken = new Set<string>();
  let begun = 0;
  const next = (): PlannedFault | undefined => {
    const { faultsMax, untilMs, signal, schedule } = options;
    if (begun >= faultsMax || performance.now() >= untilMs || signal.aborted) return undefined;
    begun += 1;
    return schedule.next().value ?? undefined;
  };
  await Promise.all(
    LANES.map(async (lane) => {
      for (let planned = next(); planned !== undefined; planned = next()) {
        const parts = planned.kind.takes.map((part) => nameOf(part, planned?.node ?? ''));
        while (parts.some((part) => taken.has(part))) await sleep(FREE_LOOK_MS);
        for (const part of parts) taken.add(part);
        try {
          const trouble = await harmOnce(options, planned, lane);
          if (trouble !== undefined) unwell.push(trouble);
        } finally {
          for (const part of parts) taken.delete(part);
        }
        await sleep(QUIET_MS);
      }
    }),
  );
  return unwell;
}

function nameOf(part: Part, node: string): string {
  return part === 'node' ? node : part;
}

/** Gives what did not get well. */
async function harmOnce(
  { rig, traffic, recoveries, signal, onFault }: HarmingOptions,
  planned: PlannedFault,
  lane: string,
): Promise<string | undefined> {
  const { kind, random, nth } = planned;
  const node = rig.node(planned.node);
  onFault(planned);
  try {
    await kind.inject({ rig, node, traffic, random, signal });
  } catch (thrown) {
    recoveries.noteMissed(kind.name, messageOf(thrown));
    return undefined;
  }
  recoveries.noteInjected(kind.name);
  if (signal.aborted) return undefined;
  const overMs = performance.now();
  const event = await traffic.probe(node, lane, RECOVERY_MS, signal);
  if (event === undefined)
    return signal.aborted
      ? undefined
      : `${node.name} takes no event within ${RECOVERY_MS} ms of ${kind.name} (fault ${nth})`;
  const takenMs = performance.now() - overMs;
  const where = kind.recoversAt ?? 'calm';
  const { received } = rig.destinations[where];
  while (!received.has(event)) {
    if (signal.aborted) return undefined;
    if (performance.now() - overMs > RECOVERY_MS)
      return `an alert of ${node.name} is not at ${where} within ${RECOVERY_MS} ms of ${kind.name} (fault ${nth})`;
    await sleep(ARRIVAL_LOOK_MS);
  }
  recoveries.noteRecovery(kind.name, { takenMs, arrivedMs: performance.now() - overMs });
  return undefined;
}
