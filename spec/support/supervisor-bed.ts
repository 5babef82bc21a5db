/**
 * A supervisor with scripted children on a clock that stands still: what the supervisor specs work with.
 *
 * Invariant: everything done to a child is in the trace, in order.
 */
import type { ChildSpec, SupervisorSpec } from '../../runtime/supervision/child-spec.ts';
import type { RestartStrategy } from '../../runtime/supervision/restart-strategy.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import type { TreeEvent } from '../../runtime/supervision/tree-event.ts';
import { FakeClock } from './fake-clock.ts';
import { ScriptedChild } from './scripted-child.ts';

export interface Bed {
  clock: FakeClock;
  trace: string[];
  events: TreeEvent[];
  supervisor: Supervisor;
  child(id: string): ScriptedChild;
  /** What was done since the last look. */
  look(): string[];
}

export interface BedOptions {
  strategy?: RestartStrategy;
  restartsMax?: number;
  ids?: string[];
  specs?: Record<string, Partial<ChildSpec>>;
  /** Over what is written here. */
  spec?: Partial<SupervisorSpec>;
}

/** A supervisor over scripted children, not started. */
export function bed({
  strategy = 'oneForOne',
  restartsMax = 3,
  ids = ['a', 'b', 'c'],
  specs = {},
  spec: given = {},
}: BedOptions = {}): Bed {
  const clock = new FakeClock();
  const trace: string[] = [];
  const events: TreeEvent[] = [];
  const scripted = new Map(ids.map((id) => [id, new ScriptedChild(id, trace, clock)]));
  const child = (id: string): ScriptedChild => scripted.get(id) as ScriptedChild;
  const spec: SupervisorSpec = {
    id: 'root',
    strategy,
    intensity: { restartsMax, windowMs: 1_000 },
    children: ids.map((id) => ({
      id,
      start: child(id).start,
      restart: 'permanent',
      shutdownDeadlineMs: 200,
      ...specs[id],
    })),
    ...given,
  };
  const supervisor = new Supervisor(spec, { clock, random: () => 0, onEvent: (event) => events.push(event) });
  return { clock, trace, events, supervisor, child, look: () => trace.splice(0) };
}

/** As `bed`, started, with the starts forgotten. */
export async function started(options?: BedOptions): Promise<Bed> {
  const made = bed(options);
  await made.supervisor.start();
  made.look();
  return made;
}

export const BACKOFF = { initialMs: 400, maxMs: 400, jitter: 'none' as const, resetAfterMs: 10_000 };
export const statusOf = ({ supervisor }: Bed, id: string): string | undefined =>
  supervisor.describe().children.find((child) => child.id === id)?.status;
