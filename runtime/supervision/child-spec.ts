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
import { shown } from '../option-faults.ts';
import type { StartChild } from '../placement.ts';
import { AUTO_SHUTDOWNS } from './auto-shutdown.ts';
import type { AutoShutdown } from './auto-shutdown.ts';
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
  /** Its end, by itself and for good, may end the supervisor, as its `autoShutdown` says. Not for permanent children. */
  significant?: boolean;
}

/** What children that are made while the supervisor runs have in common; each is made for its own `Args`. */
export interface ChildTemplate<Args = unknown> extends Omit<ChildSpec, 'start'> {
  /** Its children are called this and a number that never comes twice: `session-17`. */
  id: string;
  /** Makes the start of one child, which will have this id. Throwing is a failed start. */
  start(args: Args, id: string): StartChild;
}

export interface SupervisorSpec<Args = unknown> {
  id: string;
  strategy: RestartStrategy;
  intensity: RestartIntensityOptions;
  /** In start order. */
  children: readonly ChildSpec[];
  /** For `startChild`. Transient children made from it are forgotten when they have finished. */
  template?: ChildTemplate<Args>;
  /** How many children there may be at once, those made later included. Without it `CHILDREN_PER_SUPERVISOR_MAX`. */
  childrenMax?: number;
  /** When the supervisor stops by itself (reason `shutdown`). Without it `never`. */
  autoShutdown?: AutoShutdown;
}

export interface SpecFault {
  /** Where in the spec: `children[2].backoff.maxMs`. */
  field: string;
  /** What stands there, shortened. */
  value: string;
  mend: string;
}

/** Throws `E_CHILD_SPEC_INVALID` (kind defect) with every fault in `details.faults`. */
export function checkSupervisorSpec<Args>(spec: SupervisorSpec<Args>): void {
  const faults = new Faults();
  faults.object('the spec', spec);
  const { autoShutdown = 'never', template } = spec;
  if (!Array.isArray(spec.children)) faults.refuse('children', spec.children, 'Give a list of child specs.');
  faults.object('intensity', spec.intensity);
  faults.id('id', spec.id);
  if (!RESTART_STRATEGIES.includes(spec.strategy)) {
    faults.add('strategy', spec.strategy, `Use one of ${RESTART_STRATEGIES.join(', ')}.`);
  }
  const { restartsMax, windowMs } = spec.intensity;
  faults.wholeNumber('intensity.restartsMax', restartsMax, 0, RESTARTS_IN_WINDOW_MAX);
  faults.milliseconds('intensity.windowMs', windowMs, RESTART_WINDOW_MS_MAX);
  faults.room(spec);
  const seen = new Map<string, number>();
  // Not forEach, which would leave out the holes of a list.
  for (const [index, child] of Array.from(spec.children).entries()) {
    const field = `children[${index}]`;
    faults.object(field, child);
    const earlier = seen.get(child.id);
    if (earlier !== undefined) {
      faults.add(`${field}.id`, child.id, `Choose another id: children[${earlier}] has this one.`);
    }
    seen.set(child.id, index);
    faults.child(field, child, autoShutdown);
  }
  if (template !== undefined) {
    faults.object('template', template);
    faults.child('template', template, autoShutdown);
  }
  faults.autoShutdown(spec);
  faults.throwIfAny(`supervisor ${shown(spec.id)}`);
}

/** As above for one child that is added later; `takenIds` are its siblings', `autoShutdown` their supervisor's. */
export function checkChildSpec(
  spec: ChildSpec,
  takenIds: Pick<ReadonlySet<string>, 'has'>,
  autoShutdown: AutoShutdown = 'never',
): void {
  const faults = new Faults();
  faults.object('the spec', spec);
  if (takenIds.has(spec.id)) {
    faults.add('id', spec.id, 'Choose another id: a sibling has this one.');
  }
  faults.child('', spec, autoShutdown);
  faults.throwIfAny(`child ${shown(spec.id)}`);
}

/** What is wrong with a back-off alone. */
export function backoffFaults(field: string, backoff: BackoffOptions): readonly SpecFault[] {
  const faults = new Faults();
  faults.backoff(field, backoff);
  return faults.list;
}

const ID_CHARACTERS_MAX = 128;
const TEMPLATE_ID_CHARACTERS_MAX = 111;

class Faults {
  readonly list: SpecFault[] = [];

  add(field: string, value: unknown, mend: string): void {
    this.list.push({ field, value: shown(value), mend });
  }

  /** Throws at once: of what is no object nothing more can be said. */
  object(field: string, value: unknown): void {
    if (typeof value !== 'object' || value === null) this.refuse(field, value, 'Give an object.');
  }

  refuse(field: string, value: unknown, mend: string): void {
    this.add(field, value, mend);
    this.throwIfAny('supervision');
  }

  /** How many children there are, and may be. */
  room({ children, template, childrenMax = CHILDREN_PER_SUPERVISOR_MAX }: SupervisorSpec<never>): void {
    const there = children.length;
    this.wholeNumber('childrenMax', childrenMax, 1, CHILDREN_PER_SUPERVISOR_MAX);
    if (there > childrenMax) {
      this.add('children', there, `Use at most ${childrenMax} children, or raise childrenMax.`);
    } else if (template !== undefined && there === childrenMax) {
      this.add('childrenMax', childrenMax, 'Raise it: the children listed leave no room for the template.');
    }
  }

  autoShutdown({ autoShutdown = 'never', children, template, childrenMax = 0 }: SupervisorSpec<never>): void {
    if (!AUTO_SHUTDOWNS.includes(autoShutdown)) {
      this.add('autoShutdown', autoShutdown, `Use one of ${AUTO_SHUTDOWNS.join(', ')}.`);
      return;
    }
    const isAnnounced = childrenMax > children.length;
    if (autoShutdown === 'never' || isAnnounced) return;
    if ([...children, template].some((child) => child?.significant === true)) return;
    this.add(
      'autoShutdown',
      autoShutdown,
      'Make a transient or temporary child or the template significant, say by childrenMax that some will be added, or leave it out: no child can bring it about.',
    );
  }

  child(prefix: string, spec: ChildSpec | ChildTemplate<never>, autoShutdown: AutoShutdown): void {
    const at = (name: string): string => (prefix === '' ? name : `${prefix}.${name}`);
    // A template's is followed by a number.
    this.id(at('id'), spec.id, prefix === 'template' ? TEMPLATE_ID_CHARACTERS_MAX : ID_CHARACTERS_MAX);
    const { start }: { start: unknown } = spec;
    if (typeof start !== 'function') this.add(at('start'), start, 'Give a function.');
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
    this.significance(at('significant'), spec, autoShutdown);
    if (spec.restart !== 'temporary') return;
    const mend = "Leave it out, or make the child 'transient': a temporary child is never restarted.";
    if (spec.backoff !== undefined) this.add(at('backoff'), spec.backoff, mend);
    if (counts !== undefined) this.add(at('countsTowardsIntensity'), counts, mend);
  }

  id(field: string, value: unknown, charactersMax = ID_CHARACTERS_MAX): void {
    if (typeof value === 'string' && value.length <= charactersMax && /^[^/\s]+$/.test(value)) return;
    this.add(field, value, `Use 1 to ${charactersMax} characters without "/" and spaces.`);
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

  private significance(
    field: string,
    { significant, restart }: Pick<ChildSpec, 'significant' | 'restart'>,
    autoShutdown: AutoShutdown,
  ): void {
    if (significant === undefined || significant === false) return;
    if (significant !== true) {
      this.add(field, significant, 'Use true or false, or leave it out.');
    } else if (restart === 'permanent') {
      const mend =
        "Leave it out, or make the child 'transient' or 'temporary': a permanent one never ends for good.";
      this.add(field, significant, mend);
    } else if (autoShutdown === 'never') {
      const mend =
        "Leave it out, or set the supervisor's autoShutdown: without that no child is significant.";
      this.add(field, significant, mend);
    }
  }

  backoff(field: string, backoff: BackoffOptions): void {
    if (typeof backoff !== 'object' || backoff === null) {
      this.add(field, backoff, 'Give an object, or leave it out.');
    } else this.backoffFields(field, backoff);
  }

  private backoffFields(
    field: string,
    { initialMs, maxMs, factor, jitter, resetAfterMs }: BackoffOptions,
  ): void {
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
