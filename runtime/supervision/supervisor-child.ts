/**
 * A supervisor as the child of another: escalation is nothing but its exit.
 *
 * When it gives up, its parent sees a failed child and restarts it, or gives up in turn. Its own children keep over that
 * what they keep over a restart (a local actor its ref and mailbox); they are abandoned only when this supervisor is.
 */
import type { ExitReason } from '../exit-reason.ts';
import { heardOf, startAborted } from '../placement.ts';
import type { StartChild, StartRequest } from '../placement.ts';
import { checkSupervisorSpec } from './child-spec.ts';
import type { SupervisorSpec } from './child-spec.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorOptions } from './supervisor.ts';

export interface StartSupervisor<Args> extends StartChild {
  /** The last incarnation that was begun: what dynamic children are added to. A start makes a new one. */
  readonly present: Supervisor<Args> | undefined;
}

/** For a child spec's `start`. Errors: `E_CHILD_SPEC_INVALID` at once, not at the first start. */
export function supervisorChild<Args = unknown>(
  spec: SupervisorSpec<Args>,
  options: SupervisorOptions = {},
): StartSupervisor<Args> {
  checkSupervisorSpec(spec);
  const epochs = { last: 0 };
  const names = { last: 0 };
  let leaving: Promise<unknown> | undefined;
  const start = async ({ epoch, tree, givenUp }: StartRequest): Promise<Supervisor<Args>> => {
    await leaving;
    if (givenUp?.aborted === true) throw startAborted();
    const supervisor = new Supervisor(spec, { ...options, tree }, { epoch, epochs, names });
    start.present = supervisor;
    const leave = (): void => {
      leaving = heardOf(supervisor.exited);
      supervisor.kill('its start was given up');
    };
    givenUp?.addEventListener('abort', leave, { once: true });
    await supervisor.start();
    return supervisor;
  };
  start.present = undefined as Supervisor<Args> | undefined;
  start.abandon = (reason: ExitReason): void => {
    for (const child of spec.children) child.start.abandon?.(reason);
  };
  return start;
}
