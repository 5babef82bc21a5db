/**
 * XState: an event is handled inside `send`, on the sender's stack, unless the actor is at work already. Its mailboxes have
 * no bound, an actor that throws is dead, and there is no question with an answer, so `ask` is left out.
 */
import { createActor, fromTransition } from 'xstate';
import type { AnyActorRef } from 'xstate';
import { FanInSink, sendsBursts, SENDERS, SKYNET_CHILDREN } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

interface NumberEvent {
  type: 'number';
  value: number;
}

/** An actor that handles numbers; its state stays undefined. */
function numberActor(handle: (value: number) => void): AnyActorRef {
  const logic = fromTransition((state: undefined, { value }: NumberEvent) => {
    handle(value);
    return state;
  }, undefined);
  return createActor(logic).start();
}

function tell(actor: AnyActorRef, value: number): void {
  actor.send({ type: 'number', value } satisfies NumberEvent);
}

class XState implements World {
  private readonly kept: AnyActorRef[] = [];

  pingPong(messages: number): Promise<void> {
    return new Promise((resolve) => {
      const make = (other: () => AnyActorRef): AnyActorRef =>
        this.keep(
          numberActor((left) => {
            if (left <= 0) resolve();
            else tell(other(), left - 1);
          }),
        );
      const ping: AnyActorRef = make(() => pong);
      const pong: AnyActorRef = make(() => ping);
      tell(ping, messages);
    });
  }

  async fanIn(messages: number): Promise<void> {
    const senders: AnyActorRef[] = [];
    const { handle, done } = new FanInSink(messages, (sender) => tell(senders[sender] as AnyActorRef, 0));
    const sink = this.keep(numberActor(handle));
    for (let sender = 0; sender < SENDERS; sender++) {
      senders.push(this.keep(numberActor(sendsBursts(messages, () => tell(sink, sender)))));
    }
    for (const sender of senders) tell(sender, 0);
    await done;
  }

  async spawnAll(actors: number): Promise<void> {
    for (let at = 0; at < actors; at++) this.keep(numberActor(() => undefined));
  }

  skynet(leaves: number): Promise<number> {
    return new Promise((resolve) => {
      tell(this.skynetNode(0, leaves, this.keep(numberActor(resolve))), -1);
    });
  }

  /** They hold nothing outside; stopping a hundred thousand one by one takes gigabytes. */
  close(): void {
    this.kept.length = 0;
  }

  /** Begins with a number below 0, since a transition is no place to begin in before there is an event. */
  private skynetNode(first: number, leaves: number, parent: AnyActorRef): AnyActorRef {
    let [left, sum] = [SKYNET_CHILDREN, 0];
    const self: AnyActorRef = numberActor((value) => {
      if (value >= 0) {
        sum += value;
        if (--left === 0) tell(parent, sum);
      } else if (leaves === 1) {
        tell(parent, first);
      } else {
        const each = leaves / SKYNET_CHILDREN;
        for (let child = 0; child < SKYNET_CHILDREN; child++) {
          tell(this.skynetNode(first + child * each, each, self), -1);
        }
      }
    });
    return this.keep(self);
  }

  private keep(actor: AnyActorRef): AnyActorRef {
    this.kept.push(actor);
    return actor;
  }
}

export default { open: () => new XState() } satisfies Contender;
