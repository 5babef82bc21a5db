/**
 * The life of an actor as ordered numbers, so that "at least draining" is one comparison.
 *
 * Invariant: a status only rises, except that an actor that is down may start again. `down` is an actor between two
 * incarnations: its ref and mailbox live, nothing of it runs. `suspended` is no step of a life but what an operator has
 * done to a running actor, so it is a name to show and not a number.
 */
export const ActorStatus = {
  unstarted: 0,
  starting: 1,
  running: 2,
  /** Handles what is in its mailbox, takes nothing new, then stops. */
  draining: 3,
  /** Handles no message any more; its children and then itself are being terminated. */
  stopping: 4,
  down: 5,
  stopped: 6,
} as const;

export type ActorStatus = (typeof ActorStatus)[keyof typeof ActorStatus];
export type ActorStatusName = keyof typeof ActorStatus | 'suspended';

const NAMES = Object.keys(ActorStatus) as (keyof typeof ActorStatus)[];

export function statusName(status: ActorStatus): ActorStatusName {
  return NAMES[status] as ActorStatusName;
}
