/** What must hold when nothing moves any more until time passes or something is released. */
import type { Model } from './model.ts';
import { isSkippable } from './model-state.ts';
import type { Incarnation, ModelActor, ModelMessage } from './model-state.ts';
import { HANDLER_TIMEOUT_MS, START_TIMEOUT_MS } from './program.ts';

/** Nothing moves until time does or something is released: what should have happened has happened. */
export function checkAtRest(model: Model, isBetweenIncarnations: (actor: ModelActor) => boolean): void {
  model.check(model.lateLetters.came === model.lateLetters.expected, () => {
    return `${model.lateLetters.came} answers came late, not ${model.lateLetters.expected}`;
  });
  for (const actor of model.actors) {
    const { current } = actor;
    if (current !== undefined) checkIncarnation(model, actor, current);
    else if (!actor.isDead) {
      model.check(actor.isKept && isBetweenIncarnations(actor), () => `${actor.name} has not begun`);
    }
  }
  for (const message of model.messages) checkMessage(model, message);
}

function checkIncarnation(model: Model, actor: ModelActor, incarnation: Incarnation): void {
  const { inCallback, isEnding, sinceMs, watches } = incarnation;
  const forMs = model.now() - sinceMs;
  const limitMs =
    inCallback === 'start' ? START_TIMEOUT_MS : actor.plan.hasHandlerTimeout ? HANDLER_TIMEOUT_MS : Infinity;
  if (inCallback === 'start' || inCallback === 'handle') {
    model.check(forMs < limitMs, () => `${actor.name} has hung in ${inCallback} for ${forMs} ms`);
  }
  if (incarnation.isHeld) return;
  model.check(!isEnding, () => `${actor.name} has not ended: ${[...incarnation.causes].join()}`);
  const left = actor.waiting.filter((entry) => !isSkippable(entry)).map(({ message }) => message.type);
  model.check(left.length === 0, () => `${actor.name} is idle and does not handle ${left.join()}`);
  actor.waiting.length = 0;
  model.admitSenders(actor);
  model.check(actor.waiting.length === 0, () => `${actor.name} is idle and keeps its senders waiting`);
  const dead = [...watches].find(({ isDead }) => isDead);
  if (actor.plan.onSignal !== 'none') {
    model.check(dead === undefined, () => `${actor.name} has not heard of the end of ${dead?.name ?? ''}`);
  }
}

function checkMessage(model: Model, message: ModelMessage): void {
  const { ask, fate, result, type } = message;
  model.check(fate !== 'threw', () => `${type} failed and is no dead letter`);
  if (message.hasWaited && result !== undefined) {
    const expected = message.wasAdmitted ? ['accepted'] : ['E_ACTOR_STOPPED', 'E_SEND_ABORTED'];
    model.check(expected.includes(result), () => `${type} waited for room and was told ${result}`);
  }
  if (ask === undefined) return;
  model.check(ask.came === ask.expected, () => `ask ${type} came to ${ask.came}, not ${ask.expected}`);
}
