/**
 * An actor that keeps a consumer of a durable mailbox running: what starts, stops and supervises it.
 *
 * The work is the consumer's (read, handle, commit), so it is the consumer that is suspended. When it ends by itself, the actor fails, and its supervisor
 * decides. `onMessage` takes everything else the actor is told.
 */
import type { ActorFactory } from '../runtime/actor.ts';
import type { Consumer } from '../runtime/durable/consumer.ts';
import type { CodedError } from '../runtime/errors.ts';

/** `epoch`: of the incarnation whose consumer it was; the mailbox outlives it. */
export type ConsumerMessage<M> = M | Ended;
type Ended = { type: 'ended'; epoch: number; error: CodedError };

export interface ConsumerActorOptions<M> {
  /** Made anew for each incarnation, with its partitions assigned. */
  openConsumer: () => Consumer;
  onMessage?: (message: M) => void;
}

export function consumerActor<M extends { type: string }>(
  options: ConsumerActorOptions<M>,
): ActorFactory<ConsumerMessage<M>> {
  return (context) => {
    const consumer = options.openConsumer();
    consumer
      .run()
      .catch((error: unknown) =>
        context.self.tell({ type: 'ended', epoch: context.epoch, error: error as CodedError }),
      );
    return {
      handle(message) {
        if (message.type !== 'ended') options.onMessage?.(message as M);
        else if ((message as Ended).epoch === context.epoch) throw (message as Ended).error;
      },
      suspend: () => consumer.suspend(),
      resume: () => consumer.resume(),
      inspect: () => ({ partitions: consumer.describe() }),
      terminate: () => consumer.stop(),
    };
  };
}
