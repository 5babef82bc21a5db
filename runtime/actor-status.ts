/**
 * The life of an actor as ordered numbers, so that "at least draining" is one comparison.
 *
 * Invariant: a status only rises, except that a suspended actor may start again. `suspended` is an actor between two
 * incarnations: its ref and mailbox live, nothing of it runs.
 */
export const ActorStatus = {
  unstarted: 0,
  starting: 1,
  running: 2,
  /** Handles what is in its mailbox, takes nothing new, then stops. */
  draining: 3,
  /** Handles no message any more; its children and then itself are being terminated. */
  stopping: 4,
  suspended: 5,
  stopped: 6,
} as const;

export type ActorStatus = (typeof ActorStatus)[keyof typeof ActorStatus];
export type ActorStatusName = keyof typeof ActorStatus;

const NAMES = Object.keys(ActorStatus) as ActorStatusName[];

export function statusName(status: ActorStatus): ActorStatusName {
  return NAMES[status] as ActorStatusName;
}
