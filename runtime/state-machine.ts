/**
 * A state machine as an actor: one behaviour for each state, transitions as what a handler returns.
 *
 * Built on the public API alone: state time-outs are timers, what is postponed is stashed, and every change of state gives
 * it back, as in Erlang's gen_statem. Not a statechart: states do not nest. Invariants: a message is handled by the state
 * that the machine is in when its turn comes; a time-out of a state that was left never arrives; `exit`, `enter` and
 * what was postponed come in this order, before any other message.
 */
import type { ActorContext, ActorFactory, ActorInstance } from './actor.ts';
import type { ActorSignal } from './actor-signal.ts';
import { CodedError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import { TIMER_DELAY_MS_MAX } from './limits.ts';
import { nearestWord } from './nearest-word.ts';
import { isThenable } from './thenable.ts';

/** What follows from a message. Nothing: all stays. */
export interface Step<State extends string, Data> {
  /** The state to go to. The present one, or none, is staying: no `exit`, no `enter`, the time-out runs on. */
  next?: State;
  data?: Data;
  /** The message is put off until the state has changed; with `next`, to right after this change. */
  postpone?: boolean;
}
type Move<State extends string, Data> = Omit<Step<State, Data>, 'postpone'>;
type Moves<State extends string, Data> = Move<State, Data> | void | Promise<Move<State, Data> | void>;
type Steps<State extends string, Data> = Step<State, Data> | void | Promise<Step<State, Data> | void>;

export interface StateBehaviour<State extends string, Data, M> {
  enter?(data: Data, context: ActorContext<M>): void | Promise<void>;
  exit?(data: Data, context: ActorContext<M>): void | Promise<void>;
  handle(message: M, data: Data, context: ActorContext<M>): Steps<State, Data>;
  /** How long the machine may be in this state before `timedOut`. Counted from its entry. */
  timeoutMs?: number;
  timedOut?(data: Data, context: ActorContext<M>): Moves<State, Data>;
}

export interface StateMachineSpec<State extends string, Data, M> {
  initial: NoInfer<State>;
  /** Made anew for each incarnation. */
  data: (context: ActorContext<M>) => Data;
  states: Readonly<Record<State, StateBehaviour<State, Data, M>>>;
  onSignal?(signal: ActorSignal, data: Data, context: ActorContext<M>): Moves<State, Data>;
  terminate?(reason: ExitReason, data: Data): void | Promise<void>;
  /** What an inspection shows of the data; without it only the state is shown. */
  inspect?(data: Data): unknown;
}

/** Errors: `E_STATE_MACHINE_INVALID` (kind defect) with every fault, before any actor is made. */
export function stateMachine<M, Data, State extends string>(
  spec: StateMachineSpec<State, Data, M>,
): ActorFactory<M> {
  checkSpec(spec);
  return (context) => {
    const machine = new Machine(spec, context);
    const begun = machine.begin();
    return isThenable(begun) ? begun.then(() => machine) : machine;
  };
}

const TIMER_KEY = '$state';

/** Known from messages by its class: nobody else can make one. */
class StateTimeout {
  readonly type = 'state time-out';
  /** It is of this stay in a state, and void in any other. */
  readonly stay: number;

  constructor(stay: number) {
    this.stay = stay;
  }
}

class Machine<M, Data, State extends string> implements ActorInstance<M> {
  private state: State;
  private sinceMs = 0;
  private stay = 0;
  private data: Data;
  private readonly spec: StateMachineSpec<State, Data, M>;
  private readonly context: ActorContext<M>;

  constructor(spec: StateMachineSpec<State, Data, M>, context: ActorContext<M>) {
    this.spec = spec;
    this.context = context;
    this.state = spec.initial;
    this.data = spec.data(context);
  }

  begin(): void | Promise<void> {
    return this.entered(this.state);
  }

  handle(message: M): void | Promise<void> {
    const { behaviour, data, context } = this;
    if (!(message instanceof StateTimeout)) return this.take(behaviour.handle(message, data, context));
    return message.stay === this.stay ? this.take(behaviour.timedOut?.(data, context)) : undefined;
  }

  onSignal(signal: ActorSignal): void | Promise<void> {
    return this.take(this.spec.onSignal?.(signal, this.data, this.context));
  }

  terminate(reason: ExitReason): void | Promise<void> {
    return this.spec.terminate?.(reason, this.data);
  }

  inspect(): unknown {
    const { state, sinceMs, data, spec } = this;
    return { state, sinceMs, ...(spec.inspect === undefined ? {} : { data: spec.inspect(data) }) };
  }

  private get behaviour(): StateBehaviour<State, Data, M> {
    return this.spec.states[this.state];
  }

  private take(steps: Steps<State, Data>): void | Promise<void> {
    if (isThenable(steps)) return steps.then((step) => this.apply(step));
    return this.apply(steps);
  }

  private apply(step: Step<State, Data> | void): void | Promise<void> {
    if (step === undefined) return undefined;
    const fault = stepFault(step);
    if (fault !== undefined) throw this.stepInvalid(fault);
    const { next, postpone } = step;
    if (next !== undefined && !Object.hasOwn(this.spec.states, next)) throw this.stateUnknown(next);
    if (postpone === true) this.context.stash();
    if ('data' in step) this.data = step.data;
    if (next === undefined || next === this.state) return undefined;
    const left = this.behaviour.exit?.(this.data, this.context);
    return isThenable(left) ? left.then(() => this.enter(next)) : this.enter(next);
  }

  private enter(next: State): void | Promise<void> {
    this.context.cancelTimer(TIMER_KEY);
    const entered = this.entered(next);
    if (isThenable(entered)) return entered.then(() => this.context.unstashAll());
    this.context.unstashAll();
    return undefined;
  }

  private entered(state: State): void | Promise<void> {
    this.state = state;
    this.stay++;
    this.sinceMs = this.context.clock.wallMs();
    const { timeoutMs } = this.behaviour;
    if (timeoutMs !== undefined) {
      this.context.startTimer(TIMER_KEY, new StateTimeout(this.stay) as M, { delayMs: timeoutMs });
    }
    return this.behaviour.enter?.(this.data, this.context);
  }

  private stepInvalid(fault: string): CodedError {
    return new CodedError('E_STEP_INVALID', `from ${this.state}: ${fault}`, {
      kind: 'defect',
      details: { state: this.state },
      mend: 'Return nothing, or an object with next (a state), data and postpone (true or false).',
    });
  }

  private stateUnknown(next: string): CodedError {
    const nearest = nearestWord(next, Object.keys(this.spec.states));
    return new CodedError(
      'E_STATE_UNKNOWN',
      `from ${this.state}: there is no state ${JSON.stringify(next)}`,
      {
        kind: 'defect',
        mend: nearest === undefined ? 'Return one of the states of the machine.' : `Did you mean ${nearest}?`,
      },
    );
  }
}

/** Shown of a field's name that nobody knows. */
const FIELD_LENGTH_SHOWN_MAX = 64;

/** What is wrong with what a handler returned: a slip here would be a message handled and no transition made. */
function stepFault(step: unknown): string | undefined {
  if (typeof step !== 'object' || step === null || Array.isArray(step)) {
    const is = typeof step !== 'object' ? `of type ${typeof step}` : step === null ? 'null' : 'an array';
    return `what was returned is ${is}`;
  }
  for (const field of Object.keys(step)) {
    const value = (step as Record<string, unknown>)[field];
    switch (field) {
      case 'next':
        if (value !== undefined && typeof value !== 'string') return `next is of type ${typeof value}`;
        break;
      case 'postpone':
        if (value !== undefined && typeof value !== 'boolean') return `postpone is of type ${typeof value}`;
        break;
      case 'data':
        break;
      default:
        return `the field ${JSON.stringify(field.slice(0, FIELD_LENGTH_SHOWN_MAX))} means nothing`;
    }
  }
  return undefined;
}

function checkSpec<M, Data, State extends string>(spec: StateMachineSpec<State, Data, M>): void {
  const faults: string[] = [];
  const states = Object.entries<StateBehaviour<State, Data, M>>(spec.states ?? {});
  if (!states.some(([name]) => name === spec.initial)) {
    faults.push(
      `initial ${JSON.stringify(spec.initial)}: use one of ${states.map(([name]) => name).join(', ')}`,
    );
  }
  if (typeof spec.data !== 'function')
    faults.push('data: give a function, so that each incarnation has its own');
  for (const [name, behaviour] of states) {
    const { timeoutMs } = behaviour;
    if (typeof behaviour.handle !== 'function') faults.push(`states.${name}.handle: give a function`);
    if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= TIMER_DELAY_MS_MAX)) {
      faults.push(
        `states.${name}.timeoutMs ${timeoutMs}: use more than 0 and at most ${TIMER_DELAY_MS_MAX} ms`,
      );
    }
    if ((timeoutMs === undefined) !== (behaviour.timedOut === undefined)) {
      faults.push(`states.${name}: give timeoutMs and timedOut both, or neither`);
    }
  }
  if (faults.length === 0) return;
  throw new CodedError('E_STATE_MACHINE_INVALID', `state machine: ${faults.join('; ')}`, {
    kind: 'defect',
    details: { faults },
    mend: 'Correct every field named; no actor has been made.',
  });
}
