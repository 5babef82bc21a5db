/**
 * What passes between a supervisor and its workers (threads and processes) when the configuration changes. Types only.
 *
 * A worker starts with what holds at that moment in its parameters, gets every later change as a message of the same
 * shape, and answers each with the version it runs from then on. A match thread asks for the first one too: what is in the
 * parameters of a thread lives as long as the thread, and an image of the rules is large.
 */
import type { Destination } from '../../actors/ports.ts';
import type { Settings } from '../../actors/settings.ts';
import type { DecisionsInForce } from '../../actors/match/match-handler.ts';
import type { Offender } from '../../actors/match/rule-set/rule-set.ts';
import type { KeyRecord } from '../../gateways/http/key-ring.ts';

/** What holds on this node: the version, and the settings in effect with it. */
export interface InForce {
  version: number;
  settings: Settings;
}

export interface MatchInForce extends InForce {
  decisions: DecisionsInForce;
  /** Active rules in the image. */
  rules: number;
}

/** From a match thread that starts: it handles nothing until it has what holds. */
export interface SnapshotWanted {
  type: 'snapshot wanted';
}

/** From a match thread: this rule was over its budget. */
export interface OffenderFound {
  type: 'offender';
  offender: Omit<Offender, 'error'> & { code: string; message: string };
}

export interface ForwardInForce extends InForce {
  destinations: Destination[];
}

export interface RemediationInForce extends InForce {
  /** Names of those that alerts are sent to. */
  destinations: string[];
}

export interface GatewayInForce extends InForce {
  keys: KeyRecord[];
}

export interface AdminInForce extends InForce {
  destinations: Destination[];
  keys: KeyRecord[];
  /** Names of the stored keys: the others of `keys` are this node's own. */
  storedKeys: string[];
}

export type ToWorker<T extends InForce = InForce> = { type: 'snapshot' } & T;

export interface Applied {
  type: 'applied';
  version: number;
}
