/**
 * What happens in the supervision tree, for people who watch it: the same few flat fields for every kind of event.
 */
import { describeExit } from '../runtime/exit-reason.ts';
import type { TreeEvent } from '../runtime/supervision/tree-event.ts';

export interface TreeEventDocument {
  /** RFC 3339. */
  at: string;
  event: TreeEvent['type'];
  /** The supervisor's ids from the root, joined by slashes. */
  supervisor: string;
  child?: string;
  epoch?: number;
  /** Why it ended, or did not start. */
  reason?: string;
  /** Until it is started again. */
  delay_ms?: number;
  /** Its how-manieth restart. */
  restart?: number;
  /** Events of a thread or process that were too many to be told. */
  count?: number;
}

export function treeEventDocument(event: TreeEvent): TreeEventDocument {
  const document: TreeEventDocument = {
    at: new Date(event.atMs).toISOString(),
    event: event.type,
    supervisor: event.supervisor,
  };
  if ('child' in event) document.child = event.child;
  if ('epoch' in event) document.epoch = event.epoch;
  if ('reason' in event) document.reason = describeExit(event.reason);
  if ('error' in event) document.reason = `${event.error.code}: ${event.error.message}`;
  if ('delayMs' in event) document.delay_ms = event.delayMs;
  if ('restart' in event) document.restart = event.restart;
  if ('count' in event) document.count = event.count;
  return document;
}
