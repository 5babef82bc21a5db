/**
 * The actor that replays dead letters: it does one round after the other, sooner when there is something to do.
 *
 * Invariant: whatever fails is tried again; nothing that fails here ends the thread, which keeps dead letters too.
 */
import type { ActorFactory } from '../../runtime/actor.ts';
import { sleep } from '../../runtime/clock.ts';
import { codeOf, kindOf, messageOf } from '../../runtime/errors.ts';
import type { LetterReleaser, RoundResult } from './letter-releaser.ts';

const PAUSE_MS: Readonly<Record<RoundResult, number>> = { busy: 5, waiting: 200, idle: 500 };
const AFTER_FAILURE_MS = 1_000;

export function releaseActor(open: () => Pick<LetterReleaser, 'round'>): ActorFactory<never> {
  return (context) => {
    const { clock, signal } = context;
    const releaser = open();
    const stopping = new AbortController();
    signal.addEventListener('abort', () => stopping.abort());
    let isSuspended = false;
    let rounds = 0;
    let failure: string | undefined;

    async function round(): Promise<number> {
      if (isSuspended) return PAUSE_MS.idle;
      try {
        const result = await releaser.round();
        rounds += 1;
        failure = undefined;
        return PAUSE_MS[result];
      } catch (thrown) {
        const code = codeOf(thrown);
        if (failure !== code && kindOf(thrown) !== 'transient') {
          context.log('warn', 'dead letters cannot be replayed', { code, message: messageOf(thrown) });
        }
        failure = code;
        return AFTER_FAILURE_MS;
      }
    }

    async function work(): Promise<void> {
      while (!stopping.signal.aborted) await sleep(clock, await round(), stopping.signal);
    }
    const working = work();

    return {
      handle: () => undefined,
      suspend: () => {
        isSuspended = true;
      },
      resume: () => {
        isSuspended = false;
      },
      inspect: () => ({ rounds, failure: failure ?? null }),
      terminate: () => {
        stopping.abort();
        return working;
      },
    };
  };
}
