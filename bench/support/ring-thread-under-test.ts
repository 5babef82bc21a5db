/**
 * What runs in a thread slot during the benchmark of the rings: it counts what it is told and answers with the count.
 */
import { bytesCodec } from '../../runtime/remote/codec.ts';
import type { BytesView } from '../../runtime/ring/bytes-view.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';

export const threadMain: ThreadMain = (host) => {
  let counted = 0;
  const actor = localChild<BytesView>(host.system, 'count', () => ({
    handle: ({ replyTo }) => {
      counted += 1;
      if (replyTo === undefined) return;
      const reply = Buffer.alloc(8);
      reply.writeDoubleLE(counted);
      replyTo.tell(reply);
    },
  }));
  host.remote.expose('count', actor.ref, bytesCodec);
  return {
    children: [{ id: 'count', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
  };
};
