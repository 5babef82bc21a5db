/**
 * What the runtime's figures stand beside: the least that delivering a message, answering, and having an actor can be.
 */
const BURST = 1_000;

/** Into a queue, and out of it to a handler after the present turn. */
export async function bareQueue(messages: number): Promise<void> {
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

/** Each answer comes in the next turn of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let value = 0; value < count; value++) {
    await new Promise<number>((resolve) => setImmediate(resolve, value));
  }
}

/** Something with a queue and a handler. */
export async function bareObjects(count: number): Promise<unknown[]> {
  const made: { queue: unknown[]; handle: (message: unknown) => void }[] = [];
  for (let at = 0; at < count; at++) made.push({ queue: [], handle: () => undefined });
  return made;
}
