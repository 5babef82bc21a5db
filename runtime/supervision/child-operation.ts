/**
 * What an operator may do to a running child, or to an actor further below: suspend, resume, inspect.
 *
 * Not a restart, which is the supervisor's own. Whether a child can is its placement's to say (placement.ts).
 */
import { CodedError } from '../errors.ts';
import type { RunningChild } from '../placement.ts';

export type ChildOperation = 'suspend' | 'resume' | 'inspect';

/** `name`: the child's path, for errors. Errors: `E_CHILD_DOWN`, `E_NOT_AN_ACTOR`, and those of the operation. */
export function operateOn(
  running: RunningChild | undefined,
  operation: ChildOperation,
  below: readonly string[],
  name: string,
): Promise<unknown> {
  if (running === undefined) throw childDown(name);
  return running[operation]?.(below) ?? Promise.reject(notAnActor(name));
}

export function childDown(name: string): CodedError {
  return new CodedError('E_CHILD_DOWN', `${name} does not run at this moment`, {
    kind: 'transient',
    mend: 'Try again when it has been started.',
  });
}

export function notAnActor(name: string): CodedError {
  return new CodedError('E_NOT_AN_ACTOR', `${name} is no actor of this process or of its threads`, {
    mend: 'Only such actors can be suspended, resumed and inspected: name one by its path, as in match-0/match.',
  });
}
