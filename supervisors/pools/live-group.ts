/**
 * A supervised group whose children come and go while it runs: the list it is started with is always the present one,
 * also after it was given up and started again by its parent.
 *
 * Invariant: a change that cannot be made now rejects (kind `transient`) and leaves the group as it was.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { ChildSpec, SupervisorSpec } from '../../runtime/supervision/child-spec.ts';
import { supervisorChild } from '../../runtime/supervision/supervisor-child.ts';
import type { StartSupervisor } from '../../runtime/supervision/supervisor-child.ts';
import type { Supervisor } from '../../runtime/supervision/supervisor.ts';

export class LiveGroup {
  /** For the child spec of the group. */
  readonly start: StartSupervisor<unknown>;
  readonly id: string;
  readonly #children: ChildSpec[] = [];

  constructor(spec: Omit<SupervisorSpec, 'children'>) {
    this.id = spec.id;
    this.start = supervisorChild({ ...spec, children: this.#children });
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
    const { present } = this.start;
    if (present === undefined || present.status === 'ended') return undefined;
    if (present.status === 'running') return present;
    throw new CodedError(
      'E_GROUP_BUSY',
      `the group ${this.id} is ${present.status} and cannot be changed now`,
      {
        kind: 'transient',
        mend: 'It is tried again.',
      },
    );
  }
}
