/**
 * What happens in a supervision tree, as data: for logs, metrics, the console, and specs.
 *
 * Not a message: listeners cannot influence the tree, and one that throws is ignored. Invariant: events of one supervisor
 * come in the order in which things happened; those of a tree below it are among them.
 */
import type { WireError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';

interface TreeEventBase {
  /** The supervisor's ids from the root: `root/ingest`. */
  supervisor: string;
  /** Wall time. */
  atMs: number;
}

interface ChildEventBase extends TreeEventBase {
  child: string;
}

export type TreeEvent =
  | (TreeEventBase & { type: 'supervisorStarted' })
  | (TreeEventBase & { type: 'supervisorExited'; reason: ExitReason })
  | (ChildEventBase & { type: 'childStarted'; epoch: number })
  | (ChildEventBase & { type: 'childStartFailed'; epoch: number; error: WireError })
  | (ChildEventBase & { type: 'childExited'; epoch: number; reason: ExitReason })
  /** Down, and to be started again after `delayMs`. `counted`: towards the intensity. `restart`: its how-manieth. */
  | (ChildEventBase & { type: 'childRestarting'; delayMs: number; counted: boolean; restart: number })
  /** Its failure was one too many: the supervisor stops everything and exits. */
  | (ChildEventBase & { type: 'childGaveUp'; reason: ExitReason })
  | (ChildEventBase & { type: 'childAdded' })
  /** By an operator. */
  | (ChildEventBase & { type: 'childSuspended' })
  | (ChildEventBase & { type: 'childResumed' })
  /** Removed on request, or a temporary child that has ended. */
  | (ChildEventBase & { type: 'childForgotten' })
  /** It was significant and has ended by itself: with it the supervisor stops everything and exits. */
  | (ChildEventBase & { type: 'autoShutdown' })
  /** So many events before this one were too many for whoever hears of them. */
  | (TreeEventBase & { type: 'eventsLeftOut'; count: number });

export type TreeListener = (event: TreeEvent) => void;

/** An event before its supervisor has put its name and the time on it. */
export type UnstampedTreeEvent = TreeEvent extends infer Event
  ? Event extends TreeEvent
    ? Omit<Event, 'supervisor' | 'atMs'>
    : never
  : never;
