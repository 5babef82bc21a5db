/**
 * What runs in a thread slot during the runtime benchmark: it counts, echoes, and hangs when told to.
 */
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { ThreadMain } from '../../runtime/thread/entry.ts';

export interface ToThreadUnderTest {
  what: 'count' | 'echo' | 'hang';
  /** After this many counted messages it says so. */
  until?: number;
  payload?: Uint8Array;
}

const MAILBOX = { mailbox: { capacity: 16_384, overflow: 'refuse' as const } };

export const threadMain: ThreadMain = (host) => {
  let counted = 0;
  const actor = localChild<ToThreadUnderTest>(
    host.system,
    'under-test',
    () => ({
      handle: ({ what, until, payload }) => {
        if (what === 'hang') for (;;);
        if (what === 'echo') {
          host.post(payload);
          return;
        }
        counted += 1;
        if (counted !== until) return;
        counted = 0;
        host.post('counted');
      },
    }),
    MAILBOX,
  );
  host.onMessage((message) => actor.ref.tell(message as ToThreadUnderTest));
  return {
    children: [{ id: 'under-test', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 1_000 }],
  };
};
