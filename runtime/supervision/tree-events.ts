/**
 * What one supervisor says of its tree: its own events with its name and the time on them, and those from below as they are.
 *
 * Both go to whoever listens here, and on to the supervisor above. Invariant: a listener is a guest: what it throws
 * reaches nobody, and taking it away while an event is told changes nothing for the others.
 */
import type { Clock } from '../clock.ts';
import type { TreePlace } from '../placement.ts';
import type { TreeEvent, TreeListener, UnstampedTreeEvent } from './tree-event.ts';

export class TreeEvents {
  readonly path: string;
  private readonly clock: Clock;
  private readonly listeners = new Set<TreeListener>();

  constructor(path: string, clock: Clock, above: TreeListener | undefined) {
    this.path = path;
    this.clock = clock;
    if (above !== undefined) this.listeners.add(above);
  }

  /** Returns the function that takes the listener away. */
  observe(listener: TreeListener): () => void {
    // A function of its own, so that the same listener given twice is called twice and taken away once.
    const entry: TreeListener = (event) => listener(event);
    this.listeners.add(entry);
    return () => {
      this.listeners.delete(entry);
    };
  }

  emit(event: UnstampedTreeEvent): void {
    this.tell({ ...event, supervisor: this.path, atMs: this.clock.wallMs() });
  }

  /** The place of a child, for what stands below it. */
  placeOf(childId: string): TreePlace {
    return { path: `${this.path}/${childId}`, emit: this.tell };
  }

  private readonly tell = (event: TreeEvent): void => {
    for (const listener of this.listeners) {
      try {
        listener(event);
      } catch {
        // It must not reach the tree.
      }
    }
  };
}
