/** What every kind of fault is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationName, Rig } from '../rig.ts';
import type { TortureTraffic } from '../torture-traffic.ts';
import type { TorturedNode } from '../tortured-node.ts';

export interface Harm {
  rig: Rig;
  /** The one that is meant, of a fault that is one node's. */
  node: TorturedNode;
  traffic: TortureTraffic;
  /** Its own, from the seed: what it draws does not depend on what happens beside it. */
  random: () => number;
  /** Aborted by Ctrl-C and at the end: no harm is done after that. */
  signal: AbortSignal;
}

/** What a fault has for itself while it lasts: two that share one never meet, so that each knows what it harms. */
export type Part = 'node' | 'postgres' | 'configuration' | 'machine' | Exclude<DestinationName, 'own'>;

export interface FaultKind {
  /** `redis-stop`; what is chosen by `--only`. */
  name: string;
  /** For a person: what happens. */
  what: string;
  takes: readonly Part[];
  /** Where an event that is sent afterwards must arrive for it to be over; `calm` unless told. */
  recoversAt?: DestinationName;
  /** Why it cannot be had on this machine; undefined: it can. */
  impossible?: () => string | undefined;
  /** Settles when the harm is over and things may get well. Rejects when there was nobody to harm, with why. */
  inject(harm: Harm): Promise<void>;
}

const ABSENT_MS = 30_000;
const LOOK_EVERY_MS = 100;

export function between(random: () => number, min: number, max: number): number {
  return Math.round(min + random() * (max - min));
}

/** As long as a fault lasts; Ctrl-C ends it early. */
export async function lasting(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** What is there, waited for while it is being started. Rejects when it does not come. */
export async function present<T>(what: string, look: () => T | undefined, signal: AbortSignal): Promise<T> {
  const deadlineMs = performance.now() + ABSENT_MS;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs || signal.aborted) throw new Error(`${what} does not run`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Tried again while it fails: what it needs may be starting. */
export async function persistently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadlineMs = performance.now() + ABSENT_MS;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (performance.now() > deadlineMs || signal.aborted) throw thrown;
      await sleep(LOOK_EVERY_MS);
    }
  }
}
