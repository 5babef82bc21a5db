/**
 * What the expressions of all rules may take on one event together.
 *
 * When it is passed, the rule that took the most goes, and what it took counts no more: the others are tested as if it had
 * never been there. So the dearest go first. From then on a further rule has what is left, and one that takes more goes
 * itself; what is left counts half for every rule that goes. However many dear rules there are, each is run once over the
 * event, and those that come late cost it some DEAR_STEPS_MIN each.
 *
 * Rules that take less than DEAR_STEPS_MIN never go: thousands of cheap candidates are the message's doing, and a message
 * must not be able to put rules out of force that are none of the trouble. Where those alone take EVENT_CHEAP_STEPS_MAX,
 * it is the event that is given up: whoever handles it sets it aside.
 */
import { CodedError } from '../../../runtime/errors.ts';
import { STEPS_MAX } from '../regex/step-meter.ts';

/** Some 250 ms. */
export const EVENT_STEPS_MAX = 60_000_000;
/** Of one rule on one event: some 4 ms, where a usual one takes microseconds. */
export const DEAR_STEPS_MIN = 1_000_000;

/** Of all rules that take less: some 2,700 of them over a message of 64 KiB, however many over a usual one. */
export const EVENT_CHEAP_STEPS_MAX = 3 * EVENT_STEPS_MAX;

interface Charge {
  rank: number;
  steps: number;
}

export class EventBudget {
  #spent = 0;
  #isPassed = false;
  #goneSince = 0;
  /** At most EVENT_STEPS_MAX / DEAR_STEPS_MIN, and the one that is too many. */
  #dear: Charge[] = [];

  /** Whether the present event has passed it, or passed it until a rule went. */
  get isPassed(): boolean {
    return this.#isPassed;
  }

  /** Another event. */
  begin(): void {
    this.#spent = 0;
    this.#goneSince = 0;
    if (this.#dear.length > 0) this.#dear = [];
    this.#isPassed = false;
  }

  /** What the expression of the next rule may take. */
  get ruleStepsMax(): number {
    if (!this.#isPassed) return STEPS_MAX;
    return Math.max(DEAR_STEPS_MIN, Math.floor((EVENT_STEPS_MAX - this.#spent) / 2 ** this.#goneSince));
  }

  /** A rule went by itself, over what it may take. */
  noteGone(): void {
    if (this.#isPassed) this.#goneSince++;
  }

  /**
   * A rule was tested. Gives back the one that has to go, if any; to be asked again with no steps until there is none.
   * @throws CodedError E_EVENT_OVER_BUDGET (permanent) when no rule is at fault, and the event is to be given up.
   */
  charge(rank: number, steps: number): Charge | undefined {
    this.#spent += steps;
    if (steps >= DEAR_STEPS_MIN) this.#dear.push({ rank, steps });
    if (this.#spent <= EVENT_STEPS_MAX) return undefined;
    if (this.#dear.length === 0) {
      if (this.#spent > EVENT_CHEAP_STEPS_MAX) throw givenUp();
      return undefined;
    }
    this.#isPassed = true;
    // The first of those that took as much: the others come behind it.
    const dearest = this.#dear.reduce((most, one) => (one.steps > most.steps ? one : most));
    this.#dear = this.#dear.filter((one) => one !== dearest);
    this.#spent -= dearest.steps;
    return dearest;
  }
}

/** Why a rule goes that stayed within its own budget. `steps`: what it took, or more than what was left for it. */
export function overEventBudget(steps: number): CodedError {
  return new CodedError(
    'E_RULE_OVER_BUDGET',
    `The expressions of all rules together took more than ${EVENT_STEPS_MAX} steps on one event, and that of this rule ${steps} of them or more.`,
    {
      details: { eventStepsMax: EVENT_STEPS_MAX, steps },
      mend: 'Make its counted repeats smaller, narrow what it repeats, or give it a text, a host or a program that fewer events have.',
    },
  );
}

function givenUp(): CodedError {
  return new CodedError(
    'E_EVENT_OVER_BUDGET',
    `The expressions of its candidate rules took more than ${EVENT_CHEAP_STEPS_MAX} steps on this event, and none of them much: it is too long for so many.`,
    {
      details: { eventStepsMax: EVENT_CHEAP_STEPS_MAX },
      mend: 'Look at what the message is made of. Where it is sound, give the expressions of rules longer texts that every match holds, or a host or a program.',
    },
  );
}
