/** As ours.ts, with every actor a child of a supervisor that would restart it. */
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ChildSpec } from '../../../runtime/supervision/child-spec.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import type { Contender, World } from '../contender.ts';
import { askInTurn, fanIn, MAILBOX, pingPong } from './ours.ts';
import type { Make } from './ours.ts';

class Supervised implements World {
  private readonly system = new ActorSystem();
  private readonly children: ChildSpec[] = [];
  private supervisor: Supervisor | undefined = undefined;
  private readonly make: Make = (factory) => {
    const id = `actor-${this.children.length}`;
    const { ref, start } = localChild(this.system, id, factory, MAILBOX);
    this.children.push({ id, start, restart: 'permanent', shutdownDeadlineMs: 1_000 });
    return ref;
  };

  pingPong(messages: number): Promise<void> {
    return this.supervise(pingPong(this.make, messages));
  }

  fanIn(messages: number): Promise<void> {
    return this.supervise(fanIn(this.make, messages));
  }

  askInTurn(asks: number): Promise<void> {
    return this.supervise(askInTurn(this.make, asks));
  }

  async close(): Promise<void> {
    await this.supervisor?.stop(1_000);
    await this.system.stop();
  }

  /** What the actors have been told already waits for their start. */
  private async supervise(work: Promise<void>): Promise<void> {
    this.supervisor = new Supervisor({
      id: 'bench',
      strategy: 'oneForOne',
      intensity: { restartsMax: 10, windowMs: 1_000 },
      children: this.children,
    });
    await this.supervisor.start();
    await work;
  }
}

export default { open: () => new Supervised() } satisfies Contender;
