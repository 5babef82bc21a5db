/**
 * Tries rules for the API, on threads beside the admin process's own: nothing that is asked about rules makes it slow.
 *
 * Invariants: at most one backtest and one other trial run at a time, each within its time and heap; what waits is
 * bounded, and refused past that; a trial ends with the request that asked for it.
 */
import type { NormalizedEvent } from '../../actors/event.ts';
import type { AuditPolicy } from '../../actors/match/audit-policy.ts';
import { rulesFileSchema } from '../../actors/match/rules-file-schema.ts';
import type { CoverageReading, RuleTrialsPort } from '../../gateways/admin/admin-port.ts';
import { BACKTEST_SECONDS_MAX } from '../../gateways/admin/rule-documents.ts';
import type {
  BacktestReply,
  ExplainedRuleDocument,
  RuleTestReply,
} from '../../gateways/admin/rule-documents.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CodedError, fromWire } from '../../runtime/errors.ts';
import { TaskThread } from '../../runtime/thread/task-thread.ts';
import type { WholeCoverage } from './rule-coverage.ts';
import type { TrialAnswer, TrialQuestion } from './rule-trials-thread.ts';
import { turns } from './turns.ts';

export interface RuleTrialsOptions {
  databaseUrl: string;
  clock: Clock;
  unmatchedPolicy: () => AuditPolicy;
}

export interface RunningRuleTrials extends RuleTrialsPort {
  /** Of the rules in force, those that come nearest to `event`; soon, or not at all. Errors: as `test`. */
  nearest(event: NormalizedEvent, signal: AbortSignal): Promise<ExplainedRuleDocument[]>;
  /** Ends what runs. */
  close(): Promise<void>;
}

const HEAP_MB_MAX = 1_024;
const TEST_MS_MAX = 30_000;
/** With its wait for others: the rest of an answer does not stay away for it. */
const NEAREST_MS_MAX = 5_000;
/** With what is beyond its own limit: the rules are read and compiled, and the page it is at is ended. */
const BACKTEST_MS_MAX = BACKTEST_SECONDS_MAX * 1000 + 30_000;
const IDLE_MS = 30_000;
/** Trials that wait for the one that runs. */
const WAITING_MAX = 8;
/** So long a reading of the coverage is shown page by page. */
const COVERAGE_KEPT_MS = 30_000;

export function ruleTrials({ databaseUrl, clock, unmatchedPolicy }: RuleTrialsOptions): RunningRuleTrials {
  const moduleUrl = new URL('./rule-trials-thread.ts', import.meta.url).href;
  const threadOf = (taskMsMax: number): TaskThread =>
    new TaskThread({ moduleUrl, heapMbMax: HEAP_MB_MAX, taskMsMax, idleMs: IDLE_MS });
  const tests = threadOf(TEST_MS_MAX);
  const backtests = threadOf(BACKTEST_MS_MAX);
  let isBacktesting = false;
  let coverage: { at: number; whole: WholeCoverage } | undefined;

  const ask = async <T>(thread: TaskThread, question: TrialQuestion, signal: AbortSignal): Promise<T> => {
    const answer = (await thread.run({ databaseUrl, question }, signal)) as TrialAnswer;
    if ('refused' in answer) throw fromWire(answer.refused);
    return answer.found as T;
  };
  const inTurn = turns(WAITING_MAX);

  return {
    test: (request, signal) =>
      inTurn(signal, () => ask<RuleTestReply>(tests, { kind: 'test', request }, signal)),
    backtest: async (request, signal) => {
      if (isBacktesting) {
        throw new CodedError('E_BACKTEST_RUNNING', 'another backtest runs on this node', {
          mend: `Try again when it is done: in ${BACKTEST_MS_MAX / 1000} s at the latest.`,
        });
      }
      isBacktesting = true;
      try {
        const question = { kind: 'backtest', request, unmatchedPolicy: unmatchedPolicy() } as const;
        return await ask<BacktestReply>(backtests, question, signal);
      } finally {
        isBacktesting = false;
      }
    },
    coverage: async ({ kind, after, limit }, signal): Promise<CoverageReading> => {
      const isFresh = coverage !== undefined && clock.monotonicMs() - coverage.at < COVERAGE_KEPT_MS;
      // A first page is always new; the others are of the reading that they began with, while it is there.
      if (coverage === undefined || after === undefined || !isFresh) {
        const whole = await inTurn(signal, () => ask<WholeCoverage>(tests, { kind: 'coverage' }, signal));
        coverage = { at: clock.monotonicMs(), whole };
      }
      const { findings, summary } = coverage.whole;
      const wanted = kind === undefined ? findings : findings.filter((each) => each.kind === kind);
      const at = after?.at ?? 0;
      const end = at + limit;
      return {
        items: wanted.slice(at, end),
        next: end < wanted.length ? { version: summary.snapshot_version, at: end } : null,
        summary,
      };
    },
    nearest: (event, signal) => {
      const ending = AbortSignal.any([signal, AbortSignal.timeout(NEAREST_MS_MAX)]);
      return inTurn(ending, () => ask<ExplainedRuleDocument[]>(tests, { kind: 'nearest', event }, ending));
    },
    schema: () => rulesFileSchema,
    close: async () => {
      await Promise.all([tests.close(), backtests.close()]);
    },
  };
}
