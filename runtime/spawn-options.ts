/**
 * What may be said when an actor is spawned, checked before anything is made.
 *
 * All faults are told at once, each with the field, the value and the mend. Not the place of defaults that differ per
 * actor: what is left out falls back to limits.ts.
 */
import type { SpawnOptions } from './actor.ts';
import { CodedError } from './errors.ts';
import {
  MAILBOX_CAPACITY_MAX,
  REDELIVERY_ATTEMPTS_MAX,
  STASH_CAPACITY_MAX,
  TIMER_DELAY_MS_MAX,
} from './limits.ts';
import type { OverflowPolicy } from './mailbox.ts';
import type { RedeliveryOptions } from './redelivery.ts';
import { optionsInvalid, shown } from './option-faults.ts';
import { backoffFaults } from './supervision/child-spec.ts';

const OVERFLOW_POLICIES: readonly OverflowPolicy[] = ['refuse', 'dropOldest', 'dropNewest', 'block'];
const NO_OPTIONS: SpawnOptions = {};

/** Errors: `E_OPTIONS_INVALID` (kind defect): it is no function. */
export function checkFactory(factory: unknown): void {
  if (typeof factory === 'function') return;
  throw new CodedError('E_OPTIONS_INVALID', `an actor is made by a function, not by ${typeof factory}`, {
    kind: 'defect',
    mend: 'Give a factory: (context) => ({ handle: (message) => … }).',
  });
}

/**
 * The options themselves, so that many actors share one object. `isKept`: of an actor that outlives its incarnations.
 * Errors: `E_OPTIONS_INVALID` (kind defect).
 */
export function checkedSpawnOptions(options: SpawnOptions | undefined, isKept = false): SpawnOptions {
  if (options === undefined) return NO_OPTIONS;
  if (!isObject(options))
    throw optionsInvalid('spawn options', [`options ${shown(options)}: give an object, or leave it out`]);
  const { name, mailbox, handlerTimeoutMs, startTimeoutMs, stashCapacity, trapExits } = options;
  const faults: string[] = [];
  if (name !== undefined && !isName(name)) {
    faults.push(
      `name ${shown(name)}: use 1 to 128 characters without "/" and spaces, not beginning with "$"`,
    );
  }
  if (mailbox !== undefined && !isObject(mailbox)) {
    faults.push(`mailbox ${shown(mailbox)}: give its capacity and overflow, or leave it out`);
  } else if (mailbox !== undefined) {
    const { capacity, overflow } = mailbox;
    if (!Number.isSafeInteger(capacity) || capacity < 1 || capacity > MAILBOX_CAPACITY_MAX) {
      faults.push(
        `mailbox.capacity ${shown(capacity)}: use a whole number from 1 to ${MAILBOX_CAPACITY_MAX}`,
      );
    }
    if (!OVERFLOW_POLICIES.includes(overflow)) {
      faults.push(`mailbox.overflow ${shown(overflow)}: use one of ${OVERFLOW_POLICIES.join(', ')}`);
    }
  }
  for (const [field, ms] of Object.entries({ handlerTimeoutMs, startTimeoutMs })) {
    if (ms !== undefined && !(typeof ms === 'number' && ms > 0 && ms <= TIMER_DELAY_MS_MAX)) {
      faults.push(
        `${field} ${shown(ms)}: use more than 0 and at most ${TIMER_DELAY_MS_MAX} ms, or leave it out`,
      );
    }
  }
  if (options.redelivery !== undefined && !isObject(options.redelivery)) {
    faults.push(`redelivery ${shown(options.redelivery)}: give its attemptsMax, or leave it out`);
  } else if (options.redelivery !== undefined) faults.push(...redeliveryFaults(options.redelivery, isKept));
  const isStashSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 1 && n <= STASH_CAPACITY_MAX;
  if (stashCapacity !== undefined && !isStashSize(stashCapacity)) {
    faults.push(`stashCapacity ${shown(stashCapacity)}: use a whole number from 1 to ${STASH_CAPACITY_MAX}`);
  }
  if (trapExits !== undefined && typeof trapExits !== 'boolean') {
    faults.push(`trapExits ${shown(trapExits)}: use true or false`);
  }
  if (faults.length === 0) return options;
  throw optionsInvalid('spawn options', faults);
}

/** Also without control characters and those that turn the direction of text: a name is shown to people. */
function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[^/$\s\p{Cc}\p{Cf}][^/\s\p{Cc}\p{Cf}]{0,127}$/u.test(name);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function redeliveryFaults({ attemptsMax, backoff }: RedeliveryOptions, isKept: boolean): string[] {
  const faults: string[] = [];
  if (!isKept) {
    faults.push(
      'redelivery: nobody starts this actor again; supervise it with localChild, or leave redelivery out',
    );
  }
  if (!Number.isSafeInteger(attemptsMax) || attemptsMax < 1 || attemptsMax > REDELIVERY_ATTEMPTS_MAX) {
    faults.push(
      `redelivery.attemptsMax ${attemptsMax}: use a whole number from 1 to ${REDELIVERY_ATTEMPTS_MAX}`,
    );
  }
  if (backoff !== undefined) {
    for (const { field, value, mend } of backoffFaults('redelivery.backoff', backoff)) {
      faults.push(`${field} ${value}: ${mend}`);
    }
  }
  return faults;
}
