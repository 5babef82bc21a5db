/**
 * The tree as data: what a supervisor is told about its children, and the check of all of it at once.
 *
 * Not started here. Invariant: a spec that passed the check contradicts itself nowhere; one that did not is refused whole,
 * with every fault named by field, value and mend, before anything has been started.
 */
import { CodedError } from '../errors.ts';
import type { ExitReason } from '../exit-reason.ts';
import {
  BACKOFF_MS_MAX,
  CHILDREN_PER_SUPERVISOR_MAX,
  RESTARTS_IN_WINDOW_MAX,
  RESTART_WINDOW_MS_MAX,
  STOP_DEADLINE_MS_MAX,
} from '../limits.ts';
import type { StartChild } from '../placement.ts';
import type { BackoffOptions } from './backoff.ts';
import type { RestartIntensityOptions } from './restart-intensity.ts';
import { RESTART_STRATEGIES } from './restart-strategy.ts';
import type { RestartStrategy } from './restart-strategy.ts';

/**
 * `permanent`: restarted whatever the reason. `transient`: only after an abnormal exit. `temporary`: never, and forgotten
 * when it has ended.
 */
export type RestartType = 'permanent' | 'transient' | 'temporary';
const RESTART_TYPES: readonly RestartType[] = ['permanent', 'transient', 'temporary'];

export interface ChildSpec {
  /** Unique among its siblings; part of its path in events and logs. */
  id: string;
  start: StartChild;
  restart: RestartType;
  /** How long it may take to stop before it is killed; `kill` does not ask first. */
  shutdownDeadlineMs: number | 'kill';
  /** Without it a restart that counts comes at once, and one that does not count under `BACKOFF_DEFAULT`. */
  backoff?: BackoffOptions;
  /**
   * Whether an exit counts towards the supervisor's intensity. False for what is no fault of the child (a dependency
   * away, a crash charged to one message): it is restarted under back-off and never brings the supervisor down.
   */
  countsTowardsIntensity?: (reason: ExitReason) => boolean;
}

export interface SupervisorSpec {
  id: string;
  strategy: RestartStrategy;
  intensity: RestartIntensityOptions;
  /** In start order. */
  children: readonly ChildSpec[];
}

export interface SpecFault {
  /** Where in the spec: `children[2].backoff.maxMs`. */
  field: string;
  /** What stands there, shortened. */
  value: string;
  mend: string;
}

/** Throws `E_CHILD_SPEC_INVALID` (kind defect) with every fault in `details.faults`. */
export function checkSupervisorSpec(spec: SupervisorSpec): void {
  const faults = new Faults();
  faults.id('id', spec.id);
  if (!RESTART_STRATEGIES.includes(spec.strategy)) {
    faults.add('strategy', spec.strategy, `Use one of ${RESTART_STRATEGIES.join(', ')}.`);
  }
  const { restartsMax, windowMs } = spec.intensity;
  faults.wholeNumber('intensity.restartsMax', restartsMax, 0, RESTARTS_IN_WINDOW_MAX);
  faults.milliseconds('intensity.windowMs', windowMs, RESTART_WINDOW_MS_MAX);
  if (spec.children.length > CHILDREN_PER_SUPERVISOR_MAX) {
    faults.add('children', spec.children.length, `Use at most ${CHILDREN_PER_SUPERVISOR_MAX} children.`);
  }
  const seen = new Map<string, number>();
  spec.children.forEach((child, index) => {
    const field = `children[${index}]`;
    const earlier = seen.get(child.id);
    if (earlier !== undefined) {
      faults.add(`${field}.id`, child.id, `Choose another id: children[${earlier}] has this one.`);
    }
    seen.set(child.id, index);
    faults.child(field, child);
  });
  faults.throwIfAny(`supervisor ${shown(spec.id)}`);
}

/** As above for one child that is added later; `takenIds` are its siblings'. */
export function checkChildSpec(spec: ChildSpec, takenIds: readonly string[]): void {
  const faults = new Faults();
  if (takenIds.includes(spec.id)) {
    faults.add('id', spec.id, 'Choose another id: a sibling has this one.');
  }
  if (takenIds.length >= CHILDREN_PER_SUPERVISOR_MAX) {
    faults.add('children', takenIds.length, `Use at most ${CHILDREN_PER_SUPERVISOR_MAX} children.`);
  }
  faults.child('', spec);
  faults.throwIfAny(`child ${shown(spec.id)}`);
}

class Faults {
  private readonly list: SpecFault[] = [];

  add(field: string, value: unknown, mend: string): void {
    this.list.push({ field, value: shown(value), mend });
  }

  child(prefix: string, spec: ChildSpec): void {
    const at = (name: string): string => (prefix === '' ? name : `${prefix}.${name}`);
    this.id(at('id'), spec.id);
    if (typeof spec.start !== 'function') this.add(at('start'), spec.start, 'Give a StartChild function.');
    if (!RESTART_TYPES.includes(spec.restart)) {
      this.add(at('restart'), spec.restart, `Use one of ${RESTART_TYPES.join(', ')}.`);
    }
    if (spec.shutdownDeadlineMs === 0) {
      this.add(at('shutdownDeadlineMs'), 0, "Write 'kill' if the child shall not be asked to stop.");
    } else if (spec.shutdownDeadlineMs !== 'kill') {
      this.milliseconds(at('shutdownDeadlineMs'), spec.shutdownDeadlineMs, STOP_DEADLINE_MS_MAX);
    }
    if (spec.backoff !== undefined) this.backoff(at('backoff'), spec.backoff);
    const counts: unknown = spec.countsTowardsIntensity;
    if (counts !== undefined && typeof counts !== 'function') {
      this.add(at('countsTowardsIntensity'), counts, 'Give a function of the exit reason, or leave it out.');
    }
    if (spec.restart !== 'temporary') return;
    const mend = "Leave it out, or make the child 'transient': a temporary child is never restarted.";
    if (spec.backoff !== undefined) this.add(at('backoff'), spec.backoff, mend);
    if (counts !== undefined) this.add(at('countsTowardsIntensity'), counts, mend);
  }

  id(field: string, value: unknown): void {
    if (typeof value === 'string' && /^[^/\s]{1,128}$/.test(value)) return;
    this.add(field, value, 'Use 1 to 128 characters without "/" and spaces.');
  }

  wholeNumber(field: string, value: unknown, min: number, max: number): void {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return;
    this.add(field, value, `Use a whole number from ${min} to ${max}.`);
  }

  milliseconds(field: string, value: unknown, max: number): void {
    if (typeof value === 'number' && value > 0 && value <= max) return;
    this.add(field, value, `Use milliseconds above 0 and at most ${max}.`);
  }

  throwIfAny(what: string): void {
    if (this.list.length === 0) return;
    const lines = this.list.map(({ field, value, mend }) => `${field} is ${value}. ${mend}`);
    throw new CodedError('E_CHILD_SPEC_INVALID', `${what}: ${lines.join(' ')}`, {
      kind: 'defect',
      details: { faults: this.list },
      mend: 'Correct every field named; nothing has been started.',
    });
  }

  private backoff(field: string, { initialMs, maxMs, factor, jitter, resetAfterMs }: BackoffOptions): void {
    this.milliseconds(`${field}.initialMs`, initialMs, BACKOFF_MS_MAX);
    this.milliseconds(`${field}.maxMs`, maxMs, BACKOFF_MS_MAX);
    this.milliseconds(`${field}.resetAfterMs`, resetAfterMs, RESTART_WINDOW_MS_MAX);
    if (maxMs < initialMs)
      this.add(`${field}.maxMs`, maxMs, `Use at least initialMs, which is ${initialMs}.`);
    if (factor !== undefined && !(factor >= 1 && factor <= 100)) {
      this.add(`${field}.factor`, factor, 'Use a number from 1 to 100.');
    }
    if (jitter !== undefined && !['full', 'equal', 'none'].includes(jitter)) {
      this.add(`${field}.jitter`, jitter, 'Use one of full, equal, none.');
    }
  }
}

const SHOWN_CHARACTERS_MAX = 80;

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number') return String(value);
  return (JSON.stringify(value) ?? String(value)).slice(0, SHOWN_CHARACTERS_MAX);
}
