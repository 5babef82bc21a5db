/**
 * comedy, in-memory actors: `send` gives a promise, handlers of one actor may overlap, and its mailboxes have no bound (it
 * can drop messages by the lag of the event loop instead). Restarts are for its forked actors only.
 */
import { createSystem } from 'comedy';
import type { Actor, ActorRef } from 'comedy';
import { FanInSink, sendsBursts, SENDERS, SKYNET_CHILDREN } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

/** Promises of messages that nobody waits for: the count at their end says that they were handled. */
function send(actor: ActorRef, value: number): void {
  void actor.send('number', value);
}

class Comedy implements World {
  private readonly system: ReturnType<typeof createSystem>;
  private readonly root: Actor;

  constructor(system: ReturnType<typeof createSystem>, root: Actor) {
    this.system = system;
    this.root = root;
  }

  async pingPong(messages: number): Promise<void> {
    const finished = Promise.withResolvers<void>();
    const make = (other: () => ActorRef): Promise<ActorRef> =>
      this.make((left) => {
        if (left <= 0) finished.resolve();
        else send(other(), left - 1);
      });
    const ping: ActorRef = await make(() => pong);
    const pong: ActorRef = await make(() => ping);
    send(ping, messages);
    await finished.promise;
  }

  async fanIn(messages: number): Promise<void> {
    const senders: ActorRef[] = [];
    const { handle, done } = new FanInSink(messages, (sender) => send(senders[sender] as ActorRef, 0));
    const sink = await this.make(handle);
    for (let sender = 0; sender < SENDERS; sender++) {
      senders.push(await this.make(sendsBursts(messages, () => send(sink, sender))));
    }
    for (const sender of senders) send(sender, 0);
    await done;
  }

  async askInTurn(asks: number): Promise<void> {
    const echo = await this.make((value) => value);
    for (let value = 0; value < asks; value++) await echo.sendAndReceive('number', value);
  }

  async spawnAll(actors: number): Promise<void> {
    for (let at = 0; at < actors; at++) await this.make(() => undefined);
  }

  skynet(leaves: number): Promise<number> {
    return new Promise((resolve, reject) => {
      skynetNode(this.root, 0, leaves, resolve).catch(reject);
    });
  }

  close(): Promise<void> {
    return this.system.destroy();
  }

  private make(number: (value: number) => unknown): Promise<ActorRef> {
    return this.root.createChild({ number });
  }
}

/** Its actor is known only after its creation, so what a node tells its parent goes to a function of the parent's. */
async function skynetNode(
  above: Actor,
  first: number,
  leaves: number,
  tellParent: (sum: number) => void,
): Promise<void> {
  let [left, sum] = [SKYNET_CHILDREN, 0];
  let self: Actor | undefined = undefined;
  const actor = await above.createChild({
    initialize: (created: Actor) => {
      self = created;
    },
    begin: async () => {
      if (leaves === 1) {
        tellParent(first);
        return;
      }
      const each = leaves / SKYNET_CHILDREN;
      for (let child = 0; child < SKYNET_CHILDREN; child++) {
        await skynetNode(self as unknown as Actor, first + child * each, each, (part) => send(actor, part));
      }
    },
    number: (part: number) => {
      sum += part;
      if (--left === 0) tellParent(sum);
    },
  });
  void actor.send('begin');
}

/** Without it, it takes every signal of the process and looks for configuration files. */
const OPTIONS = { test: true };

export default {
  open: async () => {
    const system = createSystem(OPTIONS);
    return new Comedy(system, await system.rootActor());
  },
} satisfies Contender;
