/** The least that delivering a message, answering, and having an actor can be: no library at all. */
import { BURST } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

/** Into a queue, and out of it to a handler after the present turn. */
async function queueAndHandler(messages: number): Promise<void> {
  let handled = 0;
  const handle = (value: number): void => {
    handled += value >= 0 ? 1 : 0;
  };
  while (handled < messages) {
    const queue: number[] = [];
    for (let sent = 0; sent < BURST; sent++) queue.push(sent);
    await Promise.resolve();
    for (const value of queue) handle(value);
  }
}

class Bare implements World {
  private readonly kept: unknown[] = [];

  fanIn(messages: number): Promise<void> {
    return queueAndHandler(messages);
  }

  pingPong(messages: number): Promise<void> {
    return queueAndHandler(messages);
  }

  /** Each answer comes in the next turn of the event loop. */
  async askInTurn(asks: number): Promise<void> {
    for (let value = 0; value < asks; value++) {
      await new Promise<number>((resolve) => setImmediate(resolve, value));
    }
  }

  /** Something with a queue and a handler. */
  async spawnAll(actors: number): Promise<void> {
    for (let at = 0; at < actors; at++) this.kept.push({ queue: [], handle: () => undefined });
  }

  close(): void {
    this.kept.length = 0;
  }
}

export default { open: () => new Bare() } satisfies Contender;
