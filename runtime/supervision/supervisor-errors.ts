/**
 * The errors of a supervisor, in one place: code, words, mend.
 *
 * What made a child fail travels along as the cause.
 */
import { CodedError, fromWire } from '../errors.ts';
import { describeExit } from '../exit-reason.ts';
import type { ExitReason } from '../exit-reason.ts';
import type { RestartIntensityOptions } from './restart-intensity.ts';

export function childStartFailed(supervisor: string, child: string, reason: ExitReason): CodedError {
  return new CodedError(
    'E_CHILD_START_FAILED',
    `${supervisor}/${child} did not start: ${describeExit(reason)}`,
    {
      kind: 'transient',
      details: { supervisor, child },
      ...causeOf(reason),
    },
  );
}

export function restartIntensityExceeded(
  supervisor: string,
  child: string,
  { restartsMax, windowMs }: RestartIntensityOptions,
  reason: ExitReason,
): CodedError {
  return new CodedError(
    'E_RESTART_INTENSITY',
    `${supervisor} gives up: more than ${restartsMax} restarts in ${windowMs} ms, last ${child} (${describeExit(reason)})`,
    {
      kind: 'transient',
      details: { supervisor, child, restartsMax, windowMs },
      mend: 'Mend what makes the child fail; its last exits are in the tree view.',
      ...causeOf(reason),
    },
  );
}

export function childUnknown(supervisor: string, id: string): CodedError {
  return new CodedError('E_CHILD_UNKNOWN', `${supervisor} has no child ${id}`, { details: { id } });
}

export function childrenFull(supervisor: string, childrenMax: number): CodedError {
  return new CodedError('E_CHILDREN_FULL', `${supervisor} has ${childrenMax} children and takes no more`, {
    kind: 'transient',
    details: { supervisor, childrenMax },
    mend: 'Wait until one has ended, remove one, or raise childrenMax.',
  });
}

export function noTemplate(supervisor: string): CodedError {
  return new CodedError('E_TEMPLATE_MISSING', `${supervisor} has no template to start a child from`, {
    kind: 'defect',
    details: { supervisor },
    mend: 'Give its spec a template, or use addChild with a whole child spec.',
  });
}

export function supervisorStopped(supervisor: string, status: string, toWhat: string): CodedError {
  return new CodedError('E_SUPERVISOR_STOPPED', `${supervisor} is ${status}: it cannot ${toWhat}`, {
    details: { status },
  });
}

function causeOf(reason: ExitReason): { cause?: CodedError } {
  return reason.kind === 'failed' ? { cause: fromWire(reason.error) } : {};
}
