/** Actors of this runtime, spawned bare: mailboxes bounded, counters and deadlines on, nobody to restart them. */
import type { ActorFactory } from '../../../runtime/actor.ts';
import type { ActorRef, ReplyTo } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorSystemOptions } from '../../../runtime/actor-system.ts';
import { ASK_TIMEOUT_MS, FanInSink, sendsBursts, SENDERS, SKYNET_CHILDREN } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

export const MAILBOX = { mailbox: { capacity: 16_384, overflow: 'refuse' as const } };

/** How an actor is made: bare here, under a supervisor in supervised.ts. */
export type Make = <M>(factory: ActorFactory<M>) => ActorRef<M>;

export function pingPong(make: Make, messages: number): Promise<void> {
  return new Promise((resolve) => {
    let pong: ActorRef<number> | undefined = undefined;
    const ping = make<number>(() => ({
      handle: (left) => {
        if (left <= 0) resolve();
        else pong?.tell(left - 1);
      },
    }));
    pong = make<number>(() => ({ handle: (left) => void ping.tell(left - 1) }));
    ping.tell(messages);
  });
}

export async function fanIn(make: Make, messages: number): Promise<void> {
  const senders: ActorRef<'go'>[] = [];
  const { handle, done } = new FanInSink(messages, (sender) => senders[sender]?.tell('go'));
  const sink = make<number>(() => ({ handle }));
  for (let sender = 0; sender < SENDERS; sender++) {
    const sendBurst = sendsBursts(messages, () => sink.tell(sender));
    const ref = make<'go'>(() => ({ handle: sendBurst }));
    senders.push(ref);
    ref.tell('go');
  }
  await done;
}

export async function askInTurn(make: Make, asks: number): Promise<void> {
  const echo = make<{ replyTo: ReplyTo<number>; value: number }>(() => ({
    handle: ({ replyTo, value }) => void replyTo.tell(value),
  }));
  for (let value = 0; value < asks; value++) {
    await echo.ask<number>((replyTo) => ({ replyTo, value }), { timeoutMs: ASK_TIMEOUT_MS });
  }
}

function skynetNode(first: number, leaves: number, parent: ReplyTo<number>): ActorFactory<number> {
  return (context) => {
    if (leaves === 1) {
      parent.tell(first);
      return { handle: () => undefined };
    }
    const each = leaves / SKYNET_CHILDREN;
    let [left, sum] = [SKYNET_CHILDREN, 0];
    for (let child = 0; child < SKYNET_CHILDREN; child++) {
      context.spawn(skynetNode(first + child * each, each, context.self));
    }
    return {
      handle: (part) => {
        sum += part;
        if (--left === 0) parent.tell(sum);
      },
    };
  };
}

export class Ours implements World {
  private readonly system: ActorSystem;
  private readonly make: Make = (factory) => this.system.spawn(factory, MAILBOX);

  constructor(options?: ActorSystemOptions) {
    this.system = new ActorSystem(options);
  }

  pingPong(messages: number): Promise<void> {
    return pingPong(this.make, messages);
  }

  fanIn(messages: number): Promise<void> {
    return fanIn(this.make, messages);
  }

  askInTurn(asks: number): Promise<void> {
    return askInTurn(this.make, asks);
  }

  async spawnAll(actors: number): Promise<void> {
    let last: ActorRef<ReplyTo<true>> | undefined;
    for (let at = 0; at < actors; at++) {
      last = this.system.spawn<ReplyTo<true>>(() => ({ handle: (replyTo) => void replyTo.tell(true) }));
    }
    await last?.ask<true>((replyTo) => replyTo, { timeoutMs: ASK_TIMEOUT_MS });
  }

  skynet(leaves: number): Promise<number> {
    return new Promise((resolve) => {
      const root: ReplyTo<number> = {
        tell: (sum) => {
          resolve(sum);
          return 'accepted';
        },
      };
      this.system.spawn(skynetNode(0, leaves, root));
    });
  }

  close(): Promise<void> {
    return this.system.stop();
  }
}

export default { open: () => new Ours() } satisfies Contender;
