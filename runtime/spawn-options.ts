/**
 * What may be said when an actor is spawned, checked before anything is made.
 *
 * All faults are told at once, each with the field, the value and the mend. Not the place of defaults that differ per
 * actor: what is left out falls back to limits.ts.
 */
import type { SpawnOptions } from './actor.ts';
import { CodedError } from './errors.ts';
import { MAILBOX_CAPACITY_MAX, TIMER_DELAY_MS_MAX } from './limits.ts';
import type { OverflowPolicy } from './mailbox.ts';

const OVERFLOW_POLICIES: readonly OverflowPolicy[] = ['refuse', 'dropOldest', 'dropNewest', 'block'];
const NO_OPTIONS: SpawnOptions = {};

/** The options themselves, so that many actors share one object. Errors: `E_OPTIONS_INVALID` (kind defect). */
export function checkedSpawnOptions(options: SpawnOptions | undefined): SpawnOptions {
  if (options === undefined) return NO_OPTIONS;
  const { name, mailbox, handlerTimeoutMs, startTimeoutMs } = options;
  const faults: string[] = [];
  if (name !== undefined && !/^[^/$\s][^/\s]{0,127}$/.test(name)) {
    faults.push(
      `name ${JSON.stringify(name)}: use 1 to 128 characters without "/" and spaces, not beginning with "$"`,
    );
  }
  if (mailbox !== undefined) {
    const { capacity, overflow } = mailbox;
    if (!Number.isSafeInteger(capacity) || capacity < 1 || capacity > MAILBOX_CAPACITY_MAX) {
      faults.push(`mailbox.capacity ${capacity}: use a whole number from 1 to ${MAILBOX_CAPACITY_MAX}`);
    }
    if (!OVERFLOW_POLICIES.includes(overflow)) {
      faults.push(`mailbox.overflow ${JSON.stringify(overflow)}: use one of ${OVERFLOW_POLICIES.join(', ')}`);
    }
  }
  for (const [field, ms] of Object.entries({ handlerTimeoutMs, startTimeoutMs })) {
    if (ms !== undefined && !(ms > 0 && ms <= TIMER_DELAY_MS_MAX)) {
      faults.push(`${field} ${ms}: use more than 0 and at most ${TIMER_DELAY_MS_MAX} ms, or leave it out`);
    }
  }
  if (faults.length === 0) return options;
  throw new CodedError('E_OPTIONS_INVALID', `spawn options: ${faults.join('; ')}`, {
    kind: 'defect',
    details: { faults },
    mend: 'Correct every field named.',
  });
}
