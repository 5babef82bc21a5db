/**
 * Random programs for actors, as data: who there is, and what is done to them. fast-check shrinks them to the shortest that
 * still shows a fault.
 *
 * Times are chosen so that nothing that decides about an actor falls due together: timers on whole tens of milliseconds,
 * deadlines beside them.
 */
import fc from 'fast-check';
import type { OverflowPolicy } from '../../../runtime/mailbox.ts';
import type { RestartType } from '../../../runtime/supervision/child-spec.ts';
import { RESTART_STRATEGIES } from '../../../runtime/supervision/restart-strategy.ts';
import type { RestartStrategy } from '../../../runtime/supervision/restart-strategy.ts';

export const HANDLER_TIMEOUT_MS = 105;
export const START_TIMEOUT_MS = 207;
export const RESTARTS_MAX = 2;
export const WINDOW_MS = 1_001;

/** What handling a message does; `on` chooses another actor. */
export type Deed =
  | { do: 'note' | 'throw' | 'hold' | 'stopSelf' | 'killSelf' | 'reply' }
  | { do: 'tell' | 'watch' | 'unwatch' | 'kill' | 'killUnwatched'; on: number }
  | { do: 'spawn'; actor: ActorPlan }
  | { do: 'timer'; key: string; delayMs: number; everyMs: number | undefined }
  | { do: 'cancel'; key: string };

export interface ActorPlan {
  capacity: number;
  overflow: OverflowPolicy;
  hasHandlerTimeout: boolean;
  /** `hold` waits for a release, as in `handle`. */
  start: 'now' | 'hold' | 'throw';
  terminate: 'none' | 'now' | 'throw' | 'hold';
  onSignal: 'none' | 'note' | 'throw';
}

export interface SupervisedPlan extends ActorPlan {
  restart: RestartType;
  backoff: boolean;
  drainAtStop: boolean;
}

export type Command =
  | { do: 'tell'; on: number; deeds: Deed[] }
  | { do: 'tellWhenAccepted'; on: number; deed: Deed }
  | { do: 'abort'; nth: number }
  | { do: 'ask'; on: number; deed: Deed; timeoutMs: number }
  | { do: 'release'; on: number; isRejected: boolean }
  | { do: 'stop'; on: number; drain: boolean; deadlineMs: number }
  | { do: 'kill'; on: number }
  | { do: 'restartChild'; nth: number }
  | { do: 'pass'; ms: number };

export interface Program {
  plain: ActorPlan[];
  supervised: SupervisedPlan[];
  strategy: RestartStrategy;
  /** After each command the actors come to rest, or the next one meets them in the midst of it. */
  steps: { command: Command; isAtRest: boolean }[];
}

const TO_ANOTHER = ['tell', 'watch', 'watch', 'unwatch', 'kill', 'killUnwatched'] as const;

const overflow = fc.constantFrom<OverflowPolicy>('refuse', 'dropOldest', 'dropNewest', 'block');
const on = fc.nat(7);
const key = fc.constantFrom('k', 'l');

const plan: fc.Arbitrary<ActorPlan> = fc.record({
  capacity: fc.integer({ min: 1, max: 4 }),
  overflow,
  hasHandlerTimeout: fc.boolean(),
  start: fc.oneof(
    { weight: 6, arbitrary: fc.constant('now' as const) },
    { weight: 1, arbitrary: fc.constantFrom('hold' as const, 'throw' as const) },
  ),
  terminate: fc.constantFrom('none', 'now', 'throw', 'hold'),
  onSignal: fc.constantFrom('none', 'note', 'note', 'throw'),
});

const supervisedPlan: fc.Arbitrary<SupervisedPlan> = fc
  .tuple(
    plan,
    fc.record({
      restart: fc.constantFrom<RestartType>('permanent', 'permanent', 'transient', 'temporary'),
      backoff: fc.boolean(),
      drainAtStop: fc.boolean(),
    }),
  )
  .map(([actor, life]) => ({
    ...actor,
    ...life,
    backoff: life.backoff && life.restart !== 'temporary',
    // When a draining mailbox closes cannot be seen from outside; with senders that wait for room it would matter.
    drainAtStop: life.drainAtStop && actor.overflow !== 'block',
  }));

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('note' as const, 'reply' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('throw' as const, 'hold' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('stopSelf' as const, 'killSelf' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(...TO_ANOTHER),
      on,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('spawn' as const), actor: plan }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('timer' as const),
      key,
      delayMs: fc.constantFrom(0, 10, 50),
      everyMs: fc.constantFrom(undefined, undefined, 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), key }) },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('tell' as const),
      on,
      deeds: fc.array(deed, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tellWhenAccepted' as const), on, deed }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), nth: fc.nat(3) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      on,
      deed,
      timeoutMs: fc.constantFrom(33, 173, 6_003),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('release' as const), on, isRejected: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('stop' as const),
      on,
      drain: fc.boolean(),
      deadlineMs: fc.constantFrom(61, 301),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), on }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restartChild' as const), nth: fc.nat(2) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 10, 60, 120, 700) }),
  },
);

export const program: fc.Arbitrary<Program> = fc.record({
  plain: fc.array(plan, { minLength: 1, maxLength: 3 }),
  supervised: fc.array(supervisedPlan, { minLength: 1, maxLength: 3 }),
  strategy: fc.constantFrom(...RESTART_STRATEGIES),
  steps: fc.array(fc.record({ command, isAtRest: fc.boolean() }), {
    minLength: 5,
    maxLength: 30,
    size: 'max',
  }),
});
