/**
 * The shared pace in one process's memory: the same behaviour as `redis-pace.ts`, proven by the same contract suite. For
 * specs and trials.
 */
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { inMap } from './memory-partition.ts';
import type { PaceAnswer, PaceNews, PaceQuestion, SharedPace } from './pace.ts';
import { checkPaceQuestion, FAILURES_TO_OPEN, PROBE_LOOK_MS } from './pace.ts';

interface State {
  tokens: number;
  atMs: number;
  failures: number;
  openSinceMs: number;
  restUntilMs: number;
  prober: string;
  probeUntilMs: number;
  why: string;
}

export function createMemoryPace({ clock = systemClock }: { clock?: Clock } = {}): SharedPace {
  const states = new Map<string, State>();
  return {
    async ask(question) {
      checkPaceQuestion(question);
      const nowMs = clock.wallMs();
      const state = inMap(states, question.name, () => ({
        tokens: question.burstMax,
        atMs: nowMs,
        failures: 0,
        openSinceMs: 0,
        restUntilMs: 0,
        prober: '',
        probeUntilMs: 0,
        why: '',
      }));
      const grownBy = (Math.max(0, nowMs - state.atMs) * question.ratePerSecond) / 1_000;
      state.tokens = Math.min(question.burstMax, state.tokens + grownBy + question.returned);
      state.atMs = nowMs;
      if (question.news !== undefined) hear(state, question.news, question.nonce, nowMs);
      return answer(state, question, nowMs);
    },
  };
}

function hear(state: State, news: PaceNews, nonce: string, nowMs: number): void {
  const isProber = state.prober === nonce;
  const rest = (ms: number): void => {
    if (ms > 0) state.restUntilMs = Math.max(state.restUntilMs, nowMs + ms);
  };
  if (news.hasSucceeded) Object.assign(state, { failures: 0, openSinceMs: 0, prober: '', why: '' });
  if (news.failures > 0 && (state.openSinceMs === 0 || isProber)) {
    state.failures += news.failures;
    if (news.mustOpen) state.failures = Math.max(state.failures, FAILURES_TO_OPEN);
    if (state.openSinceMs > 0 || state.failures >= FAILURES_TO_OPEN) {
      if (state.openSinceMs === 0) state.openSinceMs = nowMs;
      state.prober = '';
      rest(news.openMs);
    }
    state.why = news.why;
  }
  rest(news.restMs);
}

function answer(state: State, question: PaceQuestion, nowMs: number): PaceAnswer {
  const isOpen = state.openSinceMs > 0;
  const isProbedByOther =
    isOpen && state.prober !== '' && state.prober !== question.nonce && nowMs < state.probeUntilMs;
  let granted = 0;
  let waitMs = 0;
  let isProbe = false;
  if (question.wanted > 0) {
    if (nowMs < state.restUntilMs) waitMs = state.restUntilMs - nowMs;
    else if (isProbedByOther) waitMs = Math.min(PROBE_LOOK_MS, state.probeUntilMs - nowMs);
    else if (state.tokens < 1) waitMs = ((1 - state.tokens) * 1_000) / question.ratePerSecond;
    else if (isOpen) {
      granted = 1;
      isProbe = true;
      state.prober = question.nonce;
      state.probeUntilMs = nowMs + question.probeMs;
    } else granted = Math.min(question.wanted, Math.floor(state.tokens));
    state.tokens -= granted;
  }
  return {
    granted,
    waitMs: Math.ceil(waitMs),
    isOpen,
    failures: state.failures,
    isProbe,
    restMs: Math.ceil(Math.max(0, state.restUntilMs - nowMs)),
    openSinceMs: Math.floor(state.openSinceMs),
    why: state.why,
  };
}
