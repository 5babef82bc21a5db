/**
 * What can be seen of a supervisor's children, and what an operator may do to the actors below it.
 *
 * Not how they are kept running (supervisor.ts, which extends this): it reads, and passes on. Invariant: nothing here
 * changes who runs.
 */
import { notAnActor, operateOn } from './child-operation.ts';
import type { ChildOperation } from './child-operation.ts';
import type { SupervisedChild } from './supervised-child.ts';
import { childUnknown } from './supervisor-errors.ts';
import type { TreeListener } from './tree-event.ts';
import type { TreeEvents } from './tree-events.ts';
import type { ChildCounts, ChildSummary, ChildView, SupervisorView } from './tree-view.ts';

export abstract class OperatedSupervisor {
  abstract readonly path: string;
  protected readonly children = new Map<string, SupervisedChild>();
  protected abstract readonly events: TreeEvents;
  protected abstract viewWith(children: ChildView[]): SupervisorView & Record<string, unknown>;

  /** Calls the listener with every tree event from now on, also from trees below. Returns the function that takes it away. */
  observe(listener: TreeListener): () => void {
    return this.events.observe(listener);
  }

  /** The children in start order, each in a few words. */
  listChildren(): ChildSummary[] {
    return Array.from(this.children.values(), (child) => child.summary());
  }

  countChildren(): ChildCounts {
    const counts = { total: 0, down: 0, starting: 0, running: 0, stopping: 0, waiting: 0, finished: 0 };
    for (const { status } of this.children.values()) {
      counts.total++;
      counts[status]++;
    }
    return counts;
  }

  /** The live tree below, as plain data: of what runs elsewhere, the last that it has said. */
  describe(): SupervisorView & Record<string, unknown> {
    return this.viewWith(Array.from(this.children.values(), (child) => child.view()));
  }

  /** As `describe`; what runs elsewhere is asked for what holds now, all at once. Never rejects. */
  async survey(timeoutMs: number): Promise<SupervisorView & Record<string, unknown>> {
    const children = Array.from(this.children.values(), (child) => child.survey(timeoutMs));
    return this.viewWith(await Promise.all(children));
  }

  /**
   * Suspends the actor of a path: the id of a child, then those further down (`match-0`, `match`). Settles when its message
   * in hand is done. Errors: `E_CHILD_UNKNOWN`, `E_CHILD_DOWN`, `E_NOT_AN_ACTOR`, and those of `ActorSystem.suspend`.
   */
  async suspend(path: readonly string[] = []): Promise<void> {
    await this.operate('suspend', path);
  }

  /** Ends its suspension. Errors: as `suspend`. */
  async resume(path: readonly string[] = []): Promise<void> {
    await this.operate('resume', path);
  }

  /** An `ActorInspection`. Errors: as `suspend`, and those of `ActorSystem.inspect`. */
  inspect(path: readonly string[] = []): Promise<unknown> {
    return this.operate('inspect', path);
  }

  protected childOf(id: string): SupervisedChild {
    const child = this.children.get(id);
    if (child === undefined) throw childUnknown(this.path, id);
    return child;
  }

  private async operate(operation: ChildOperation, [id, ...below]: readonly string[]): Promise<unknown> {
    if (id === undefined) throw notAnActor(this.path);
    const child = this.childOf(id);
    const answer = await operateOn(child.running, operation, below, `${this.path}/${id}`);
    if (below.length === 0 && operation !== 'inspect') {
      this.events.emit({ type: operation === 'suspend' ? 'childSuspended' : 'childResumed', child: id });
    }
    return answer;
  }
}
