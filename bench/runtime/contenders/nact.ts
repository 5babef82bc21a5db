/**
 * nact: one setImmediate and one promise per message. Its mailboxes have no bound, `dispatch` to a dead actor is silent,
 * and a crash stops the actor unless the parent's policy says otherwise; restarts are not counted.
 */
import nact from 'nact';
import type { Ref } from 'nact';
import { ASK_TIMEOUT_MS, FanInSink, sendsBursts, SENDERS, SKYNET_CHILDREN } from '../contender.ts';
import type { Contender, World } from '../contender.ts';

const { dispatch, query, spawn, start, stop } = nact;

interface Question {
  sender: Ref<number>;
  value: number;
}

function question(value: number): (sender: Ref<number>) => Question {
  return (sender) => ({ sender, value });
}

class Nact implements World {
  private readonly system = start();
  private names = 0;

  async pingPong(messages: number): Promise<void> {
    const finished = Promise.withResolvers<void>();
    const make = (other: () => Ref<number>): Ref<number> =>
      this.spawn<number>(this.system, (left) => {
        if (left <= 0) finished.resolve();
        else dispatch(other(), left - 1);
      });
    const ping: Ref<number> = make(() => pong);
    const pong: Ref<number> = make(() => ping);
    dispatch(ping, messages);
    await finished.promise;
  }

  async fanIn(messages: number): Promise<void> {
    const senders: Ref<'go'>[] = [];
    const { handle, done } = new FanInSink(messages, (sender) =>
      dispatch(senders[sender] as Ref<'go'>, 'go'),
    );
    const sink = this.spawn<number>(this.system, handle);
    for (let sender = 0; sender < SENDERS; sender++) {
      const ref = this.spawn<'go'>(
        this.system,
        sendsBursts(messages, () => dispatch(sink, sender)),
      );
      senders.push(ref);
      dispatch(ref, 'go');
    }
    await done;
  }

  async askInTurn(asks: number): Promise<void> {
    const echo = this.spawn<Question>(this.system, ({ sender, value }) => dispatch(sender, value));
    for (let value = 0; value < asks; value++) {
      await query(echo, question(value), ASK_TIMEOUT_MS);
    }
  }

  async spawnAll(actors: number): Promise<void> {
    let last: Ref<Question> | undefined;
    for (let at = 0; at < actors; at++) {
      last = this.spawn<Question>(this.system, ({ sender, value }) => dispatch(sender, value));
    }
    if (last !== undefined) {
      await query(last, question(0), ASK_TIMEOUT_MS);
    }
  }

  async skynet(leaves: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const root = this.spawn<number>(this.system, resolve);
    dispatch(this.skynetNode(this.system, root), { first: 0, leaves });
    return promise;
  }

  close(): void {
    stop(this.system);
  }

  private skynetNode(
    above: Ref<never>,
    parent: Ref<number>,
  ): Ref<{ first: number; leaves: number } | number> {
    let [left, sum] = [SKYNET_CHILDREN, 0];
    const self: Ref<{ first: number; leaves: number } | number> = this.spawn(above, (message) => {
      if (typeof message === 'number') {
        sum += message;
        if (--left === 0) dispatch(parent, sum);
      } else if (message.leaves === 1) {
        dispatch(parent, message.first);
      } else {
        const each = message.leaves / SKYNET_CHILDREN;
        for (let child = 0; child < SKYNET_CHILDREN; child++) {
          dispatch(this.skynetNode(self as Ref<never>, self as Ref<number>), {
            first: message.first + child * each,
            leaves: each,
          });
        }
      }
    });
    return self;
  }

  /** With a name of its own: the random ones come twice among so many. */
  private spawn<M>(parent: Ref<never>, handle: (message: M) => void): Ref<M> {
    const handleOne = (_state: undefined, message: M): undefined => void handle(message);
    return spawn(parent, handleOne, `a${this.names++}`);
  }
}

export default { open: () => new Nact() } satisfies Contender;
