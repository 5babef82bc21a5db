/**
 * A clock that stands still until it is told to go on: for specs of deadlines, back-off, windows and timers.
 *
 * Not sinon's fake timers: only what uses the injected Clock is under it. Invariant: tasks run in the order of their due
 * times (equal ones in the order they were set), each at its own due time.
 */
import type { Clock } from '../../runtime/clock.ts';

interface Task {
  dueMs: number;
  order: number;
  run: () => void;
}

export class FakeClock implements Clock {
  private nowMs = 1_000;
  private readonly wallOffsetMs = 1_700_000_000_000;
  private order = 0;
  private readonly tasks = new Set<Task>();

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const task: Task = { dueMs: this.nowMs + delayMs, order: this.order++, run };
    this.tasks.add(task);
    return () => {
      this.tasks.delete(task);
    };
  }

  /** Tasks that wait: a spec can show that nothing was left behind. */
  get pending(): number {
    return this.tasks.size;
  }

  /** Moves time and runs what falls due, without giving promises a chance in between. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let task = this.firstDue(untilMs); task !== undefined; task = this.firstDue(untilMs)) {
      this.runTask(task);
    }
    this.nowMs = untilMs;
  }

  /** As `advance`, but everything settles before each task and at the end. */
  async pass(ms: number): Promise<void> {
    await settle();
    const untilMs = this.nowMs + ms;
    for (let task = this.firstDue(untilMs); task !== undefined; task = this.firstDue(untilMs)) {
      this.runTask(task);
      await settle();
    }
    this.nowMs = untilMs;
    await settle();
  }

  private runTask(task: Task): void {
    this.tasks.delete(task);
    this.nowMs = Math.max(this.nowMs, task.dueMs);
    task.run();
  }

  private firstDue(untilMs: number): Task | undefined {
    let first: Task | undefined;
    for (const task of this.tasks) {
      if (task.dueMs > untilMs) continue;
      if (first === undefined || task.dueMs < first.dueMs) first = task;
      else if (task.dueMs === first.dueMs && task.order < first.order) first = task;
    }
    return first;
  }
}

/** Lets promises, microtasks and ready actors run until they are at rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
