/**
 * What passes between a supervisor and its workers (threads and processes) when the configuration changes. Types only.
 *
 * A worker starts with what holds at that moment in its parameters, gets every later change as a message of the same
 * shape, and answers each with the version it runs from then on.
 */
import type { Destination, Snapshot } from '../../actors/ports.ts';
import type { Settings } from '../../actors/settings.ts';
import type { AppliedSnapshot } from '../../actors/match/match-handler.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';

/** What holds on this node: the version, and the settings in effect with it. */
export interface InForce {
  version: number;
  settings: Settings;
}

export interface MatchInForce extends InForce {
  snapshot: Snapshot;
}

export interface ForwardInForce extends InForce {
  destinations: Destination[];
  /** Forward threads at work on this node: they share each destination's rate. */
  sharers: number;
}

export interface GatewayInForce extends InForce {
  keys: KeyRecord[];
}

export interface AdminInForce extends InForce {
  snapshot: Snapshot;
  keys: KeyRecord[];
}

export type ToWorker<T extends InForce = InForce> = { type: 'snapshot' } & T;

export interface Applied {
  type: 'applied';
  version: number;
  /** Rules that a match thread left out. */
  refused?: AppliedSnapshot['refused'];
}
