/**
 * An operator suspends, resumes or inspects a part of the node, named as it stands in the tree.
 *
 * A part is named by its path from the root (`match/match-0/match`) or by as much of the path's end as is unique
 * (`match-0/match`). Whether it can is the placement's to say.
 */
import type { ActorStateDocument } from '../gateways/admin/documents.ts';
import { CodedError } from '../runtime/errors.ts';
import type { ActorInspection } from '../runtime/inspection.ts';
import { nearestWord } from '../runtime/nearest-word.ts';
import type { ChildOperation } from '../runtime/supervision/child-operation.ts';
import type { Supervisor } from '../runtime/supervision/supervisor.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { treeDocument } from './tree-document.ts';
import type { TreeDocument } from './tree-document.ts';

export interface OperateRequest {
  operation: ChildOperation;
  id: string;
  /** Name of the key that asks. */
  by: string;
}

const NAMED_MAX = 5;

/** Errors: `E_ACTOR_UNKNOWN`, `E_ACTOR_AMBIGUOUS`, those of `Supervisor.suspend`. */
export async function operatePart(
  root: Supervisor,
  { operation, id, by }: OperateRequest,
  log: Pick<Log, 'warn'>,
): Promise<ActorStateDocument | { id: string; status: string }> {
  const path = resolvePart(treeDocument(root), id);
  if (operation === 'inspect')
    return stateDocument(path, (await root.inspect(path.split('/'))) as ActorInspection);
  log.warn({ id: path, by }, `${operation} asked for`);
  if (operation === 'suspend') await root.suspend(path.split('/'));
  else await root.resume(path.split('/'));
  return { id: path, status: operation === 'suspend' ? 'suspended' : 'running' };
}

/** The path below the root of the one part that is meant. */
export function resolvePart(root: TreeDocument, id: string): string {
  const paths = (root.children ?? []).flatMap((child) => pathsOf(child, ''));
  if (paths.includes(id)) return id;
  const meant = paths.filter((path) => path.endsWith(`/${id}`));
  const [only] = meant;
  if (only === undefined) {
    const ends = paths.flatMap((path) => [path, path.split('/').slice(-2).join('/')]);
    const nearest = nearestWord(id.slice(0, 64), ends);
    throw new CodedError('E_ACTOR_UNKNOWN', 'nothing of this name runs here', {
      mend: nearest === undefined ? 'List the actors.' : `Did you mean ${nearest}?`,
    });
  }
  if (meant.length === 1) return only;
  throw new CodedError('E_ACTOR_AMBIGUOUS', `${meant.length} parts have this name`, {
    mend: `Give more of the path: ${meant.slice(0, NAMED_MAX).join(', ')}.`,
  });
}

function pathsOf({ id, children = [] }: TreeDocument, above: string): string[] {
  const path = `${above}${id}`;
  return [path, ...children.flatMap((child) => pathsOf(child, `${path}/`))];
}

function stateDocument(path: string, inspection: ActorInspection): ActorStateDocument {
  const { status, epoch, suspendedSinceMs, waiting, stashed, messagesHandled, state } = inspection;
  return {
    id: path,
    status,
    epoch,
    ...(suspendedSinceMs === undefined ? {} : { since: new Date(suspendedSinceMs).toISOString() }),
    waiting,
    stashed,
    messages_handled: messagesHandled,
    ...(state === undefined ? {} : { state }),
  };
}
