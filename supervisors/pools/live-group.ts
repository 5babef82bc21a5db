/**
 * A supervised group whose children come and go while it runs: the list it is started with is always the present one,
 * also after it was given up and started again by its parent.
 *
 * Invariant: a change that cannot be made now rejects (kind `transient`) and leaves the group as it was.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { StartChild } from '../../runtime/placement.ts';
import type { ChildSpec, SupervisorSpec } from '../../runtime/supervision/child-spec.ts';
import { supervisorChild } from '../../runtime/supervision/supervisor-child.ts';
import type { Supervisor, SupervisorOptions } from '../../runtime/supervision/supervisor.ts';

export class LiveGroup {
  /** For the child spec of the group. */
  readonly start: StartChild;
  readonly id: string;
  readonly #children: ChildSpec[] = [];
  #present: Supervisor | undefined;
  #isStarting = false;

  constructor(spec: Omit<SupervisorSpec, 'children'>, options: SupervisorOptions) {
    this.id = spec.id;
    const startGroup = supervisorChild({ ...spec, children: this.#children }, options);
    const start: StartChild = async (request) => {
      this.#isStarting = true;
      try {
        const supervisor = (await startGroup(request)) as Supervisor;
        this.#present = supervisor;
        void supervisor.exited.then(() => {
          this.#present = undefined;
        });
        return supervisor;
      } finally {
        this.#isStarting = false;
      }
    };
    start.abandon = (reason) => startGroup.abandon?.(reason);
    this.start = start;
  }

  /** Starts it at the end of the order; before the group's own start it is only noted. Rejects when it cannot start. */
  async add(child: ChildSpec): Promise<void> {
    const running = this.#running();
    this.#children.push(child);
    try {
      await running?.addChild(child);
    } catch (thrown) {
      this.#forget(child.id);
      throw thrown;
    }
  }

  /** Stops it within its deadline and forgets it. */
  async remove(id: string): Promise<void> {
    const running = this.#running();
    this.#forget(id);
    await running?.removeChild(id);
  }

  /** Stops it and starts it again, not counted as a failure. */
  async restart(id: string): Promise<void> {
    await this.#running()?.restartChild(id);
  }

  #forget(id: string): void {
    const index = this.#children.findIndex((child) => child.id === id);
    if (index >= 0) this.#children.splice(index, 1);
  }

  /** Undefined when the group does not run: then the next start takes the list as it is. */
  #running(): Supervisor | undefined {
    const status = this.#isStarting ? 'starting' : this.#present?.describe().status;
    if (status === undefined || status === 'running') return this.#present;
    throw new CodedError('E_GROUP_BUSY', `the group ${this.id} is ${status} and cannot be changed now`, {
      kind: 'transient',
      mend: 'It is tried again.',
    });
  }
}
