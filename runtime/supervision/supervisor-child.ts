/**
 * A supervisor as the child of another: escalation is nothing but its exit.
 *
 * When it gives up, its parent sees a failed child and restarts it, or gives up in turn. Its own children keep over that
 * what they keep over a restart (a local actor its ref and mailbox); they are abandoned only when this supervisor is.
 */
import type { StartChild } from '../placement.ts';
import { checkSupervisorSpec } from './child-spec.ts';
import type { SupervisorSpec } from './child-spec.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorOptions } from './supervisor.ts';

/** For a child spec's `start`. Errors: `E_CHILD_SPEC_INVALID` at once, not at the first start. */
export function supervisorChild(spec: SupervisorSpec, options: SupervisorOptions = {}): StartChild {
  checkSupervisorSpec(spec);
  const epochs = { last: 0 };
  const start: StartChild = async ({ epoch }) => {
    const supervisor = new Supervisor(spec, options, { epoch, epochs });
    await supervisor.start();
    return supervisor;
  };
  start.abandon = (reason) => {
    for (const child of spec.children) child.start.abandon?.(reason);
  };
  return start;
}
