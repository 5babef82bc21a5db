/**
 * The shared pace over Redis: one hash `<prefix>:{<name>}:pace` per place that is sent to, and one script that does it
 * all, so that asking costs one round trip whatever it is asked for.
 */
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { PaceAnswer, PaceQuestion, SharedPace } from './pace.ts';
import { checkPaceQuestion, FAILURES_TO_OPEN, PACE_TTL_MS, PROBE_LOOK_MS } from './pace.ts';
import { REPLY_TIMEOUT_MS } from './redis-store.ts';
import { inTime } from './reply-deadline.ts';
import { runScripts } from './script-loader.ts';
import { storeAway, storeError, storeTimeout } from './store-errors.ts';

export interface RedisPaceOptions {
  /** As that of a store, which it may be. The caller owns it. */
  connection: Redis;
  /** Begins every key. */
  prefix: string;
  clock?: Clock;
  /** A server that does not answer for so long is treated as away, and the connection is made anew. */
  replyTimeoutMs?: number;
}

export function createRedisPace(options: RedisPaceOptions): SharedPace {
  const { connection, prefix } = options;
  const clock = options.clock ?? systemClock;
  const replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
  return {
    async ask(question) {
      checkPaceQuestion(question);
      const call = {
        script: 'pace',
        keys: [`${prefix}:{${question.name}}:pace`],
        args: argsOf(question),
      } as const;
      const outcomes = await inTime(clock, replyTimeoutMs, runScripts(connection, [call]));
      if (outcomes === 'late') {
        connection.disconnect(true);
        throw storeTimeout(replyTimeoutMs);
      }
      const [outcome] = outcomes;
      if (outcome === undefined) throw storeAway('no reply', 'unknown');
      if ('error' in outcome) throw storeError(outcome.error);
      return answerOf(outcome.reply);
    },
  };
}

function argsOf(question: PaceQuestion): (string | number)[] {
  const { ratePerSecond, burstMax, wanted, returned, nonce, probeMs, news } = question;
  const {
    hasSucceeded = false,
    failures = 0,
    mustOpen = false,
    openMs = 0,
    restMs = 0,
    why = '',
  } = news ?? {};
  return [
    ratePerSecond,
    burstMax,
    wanted,
    returned,
    nonce,
    probeMs,
    hasSucceeded ? 1 : 0,
    failures,
    mustOpen ? 1 : 0,
    openMs,
    restMs,
    FAILURES_TO_OPEN,
    why,
    PROBE_LOOK_MS,
    PACE_TTL_MS,
  ];
}

function answerOf(reply: unknown): PaceAnswer {
  const [granted, waitMs, isOpen, failures, isProbe, restMs, openSinceMs, why] = reply as [
    ...[number, number, number, number, number, number, number],
    Buffer,
  ];
  return {
    granted,
    waitMs,
    isOpen: isOpen === 1,
    failures,
    isProbe: isProbe === 1,
    restMs,
    openSinceMs,
    why: why.toString(),
  };
}
