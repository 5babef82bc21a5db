/**
 * Unique names of one system.
 *
 * Not discovery across threads. A name belongs to an actor from its spawn to its final end, over all its restarts.
 * Invariant: a name leads to at most one actor, and never to a dead one.
 */
import { CodedError } from './errors.ts';

export class Registry<R> {
  private readonly refs = new Map<string, R>();

  /** Errors: `E_NAME_TAKEN`. */
  register(name: string, ref: R): void {
    if (this.refs.has(name)) {
      throw new CodedError('E_NAME_TAKEN', `the name ${name} is taken by a living actor`, {
        details: { name },
        mend: 'Choose another name, or stop the actor that has it.',
      });
    }
    this.refs.set(name, ref);
  }

  whereis(name: string): R | undefined {
    return this.refs.get(name);
  }

  /** Only its holder releases a name, so a late release cannot take it from a successor. */
  release(name: string, ref: R): void {
    if (this.refs.get(name) === ref) this.refs.delete(name);
  }

  names(): string[] {
    return [...this.refs.keys()];
  }
}
