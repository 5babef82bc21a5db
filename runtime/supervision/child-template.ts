/**
 * One child out of a template: its id, and its spec.
 *
 * Not started here. Invariant: a number is used once, whether its child ever starts or not.
 */
import { toWire } from '../errors.ts';
import type { ChildSpec, ChildTemplate } from './child-spec.ts';
import { childStartFailed } from './supervisor-errors.ts';

/** `names` goes on counting; ids that `takenIds` has are passed over. Errors: `E_CHILD_START_FAILED`. */
export function childFromTemplate<Args>(
  template: ChildTemplate<Args>,
  args: Args,
  supervisor: string,
  names: { last: number },
  takenIds: Pick<ReadonlySet<string>, 'has'>,
): ChildSpec {
  let id: string;
  do id = `${template.id}-${++names.last}`;
  while (takenIds.has(id));
  try {
    return { ...template, id, start: template.start(args, id) };
  } catch (thrown) {
    throw childStartFailed(supervisor, id, { kind: 'failed', error: toWire(thrown) });
  }
}
