/**
 * What an actor says of itself when it is asked: how it is, and its state as plain data.
 *
 * Asked at once, also while an async handler waits: a question that had to queue would not be answered by an actor that
 * hangs. So an `inspect` only reads. Invariant: whatever it does, only the question fails.
 */
import type { ActorInstance } from './actor.ts';
import type { ActorStatusName } from './actor-status.ts';
import { CodedError, messageOf } from './errors.ts';
import { INSPECTION_BYTES_MAX } from './limits.ts';
import { isThenable, promiseOf } from './thenable.ts';

export interface ActorInspection {
  path: string;
  status: ActorStatusName;
  epoch: number;
  /** Wall time of its suspension, while it is suspended. */
  suspendedSinceMs?: number;
  /** Messages in the mailbox. */
  waiting: number;
  /** Messages put off. */
  stashed: number;
  messagesHandled: number;
  /** What its `inspect` gives, as JSON makes it; absent when it has none or no incarnation runs. */
  state?: unknown;
}

/** Errors: `E_INSPECT_FAILED`, `E_STATE_TOO_LARGE`. */
export function plainStateOf(path: string, instance: Pick<ActorInstance<never>, 'inspect'>): unknown {
  let state: unknown;
  let json: string | undefined;
  try {
    state = instance.inspect?.();
    json = JSON.stringify(state);
  } catch (thrown) {
    throw inspectFailed(path, messageOf(thrown), thrown);
  }
  if (isThenable(state)) {
    // It is of no use any more, and its failure must not become an unhandled one.
    promiseOf(state).catch(() => undefined);
    throw inspectFailed(path, 'it gave a promise');
  }
  if (json === undefined) return undefined;
  const bytes = Buffer.byteLength(json);
  if (bytes <= INSPECTION_BYTES_MAX) return JSON.parse(json) as unknown;
  throw new CodedError('E_STATE_TOO_LARGE', `the state of ${path} has ${bytes} bytes as JSON`, {
    details: { path, bytes, bytesMax: INSPECTION_BYTES_MAX },
    mend: `Let inspect give a summary of at most ${INSPECTION_BYTES_MAX} bytes.`,
  });
}

function inspectFailed(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError('E_INSPECT_FAILED', `${path} could not say its state: ${why}`, {
    details: { path },
    mend: 'Let inspect give plain data at once: no promise, nothing circular, no bigint.',
    ...(cause === undefined ? {} : { cause }),
  });
}
