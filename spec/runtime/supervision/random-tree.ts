/**
 * A random tree under random trouble, and what must hold of it whatever happened.
 *
 * The tree has a supervisor with children of every restart type, some significant, one of them perhaps a supervisor itself;
 * children come and go. Its law is kept by a model that only reads tree events and what was done to the children: it knows
 * nothing of how a supervisor works. Invariants: the restart intensity is kept and giving up is due; a supervisor ends by
 * itself only when a significant child has brought it about; children stop in reverse order; a child never runs beside
 * itself or after its supervisor's end; epochs only rise; no timer and no listener is left.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { AutoShutdown } from '../../../runtime/supervision/auto-shutdown.ts';
import type { ChildSpec, SupervisorSpec } from '../../../runtime/supervision/child-spec.ts';
import { RESTART_STRATEGIES } from '../../../runtime/supervision/restart-strategy.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { supervisorChild } from '../../../runtime/supervision/supervisor-child.ts';
import type { StartSupervisor } from '../../../runtime/supervision/supervisor-child.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

const WINDOW_MS = 1_000;
const BACKOFF = { initialMs: 10, maxMs: 100, resetAfterMs: 200 };
const NESTED = 'nested';

const childShape = fc.record({
  restart: fc.constantFrom('permanent' as const, 'transient' as const, 'temporary' as const),
  isSignificant: fc.boolean(),
  waits: fc.boolean(),
});
type ChildShape = typeof childShape extends fc.Arbitrary<infer Shape> ? Shape : never;

const supervisorShape = fc.record({
  strategy: fc.constantFrom(...RESTART_STRATEGIES),
  restartsMax: fc.constantFrom(0, 1, 3, 9_000),
  autoShutdown: fc.constantFrom<AutoShutdown>('never', 'never', 'anySignificant', 'allSignificant'),
  children: fc.array(childShape, { minLength: 1, maxLength: 4 }),
});
type SupervisorShape = typeof supervisorShape extends fc.Arbitrary<infer Shape> ? Shape : never;

const treeShape = fc.record({
  root: supervisorShape,
  nested: fc.option(fc.record({ shape: supervisorShape, as: childShape }), { nil: undefined }),
  template: childShape,
});
export type TreeShape = typeof treeShape extends fc.Arbitrary<infer Shape> ? Shape : never;

const step = fc.record({
  child: fc.nat(11),
  does: fc.constantFrom(
    'fail' as const,
    'fail' as const,
    'fail' as const,
    'finish' as const,
    'fail starts' as const,
    'ignore stops' as const,
    'restart' as const,
    'remove' as const,
    'add' as const,
    'make' as const,
  ),
  amount: fc.nat(3),
  thenTicks: fc.nat(8),
  thenMs: fc.oneof(fc.constant(0), fc.nat(60), fc.nat(WINDOW_MS)),
});
export type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

export const randomTree = treeShape;
export const randomScript = fc.array(step, { maxLength: 40 });

/** What a listener may conclude about one supervisor from its events. */
class Law {
  readonly broken: string[] = [];
  private readonly countedMs = new Map<string, number[]>();
  private readonly shapes: ReadonlyMap<string, SupervisorShape>;
  private readonly ended = new Set<string>();
  private readonly epochs = new Map<string, number>();
  private readonly lastExit = new Map<string, string>();
  private readonly taken = new Map<string, string>();
  private readonly significant: ReadonlySet<string>;

  constructor(shapes: ReadonlyMap<string, SupervisorShape>, significant: ReadonlySet<string>) {
    this.shapes = shapes;
    this.significant = significant;
  }

  hear(event: TreeEvent): void {
    const { supervisor, type, atMs } = event;
    const shape = this.shapes.get(supervisor) as SupervisorShape;
    const counted = this.countedMs.get(supervisor) ?? [];
    this.countedMs.set(supervisor, counted);
    const inWindow = counted.filter((ms) => atMs - ms < WINDOW_MS).length;
    // The next incarnation of a supervisor below begins with a child's start; one that is stopped at once has only an end.
    if (supervisor !== 'root' && (type === 'childStarted' || type === 'childStartFailed'))
      this.ended.delete(supervisor);
    if (this.ended.has(supervisor) && (supervisor === 'root' || type !== 'supervisorExited'))
      this.broken.push(`${supervisor} tells ${type} after its end`);
    if (type === 'childStarted') this.started(supervisor, event.child, event.epoch);
    if (type === 'childExited') this.lastExit.set(`${supervisor}/${event.child}`, event.reason.kind);
    if (type === 'childStartFailed') this.lastExit.set(`${supervisor}/${event.child}`, 'failed');
    if (type === 'childRestarting') {
      // Leaves end so only when they are told to.
      const wasAsked = ['shutdown', 'killed'].includes(
        this.lastExit.get(`${supervisor}/${event.child}`) ?? '',
      );
      if (wasAsked && event.child !== NESTED)
        this.broken.push(`${supervisor} takes the end of ${event.child} for a failure`);
      if (event.counted) counted.push(atMs);
      if (event.counted && inWindow + 1 > shape.restartsMax)
        this.broken.push(`${supervisor} restarts once too often`);
    }
    if (type === 'childGaveUp' && inWindow < shape.restartsMax)
      this.broken.push(`${supervisor} gives up after ${inWindow} restarts`);
    if (type === 'autoShutdown' && (shape.autoShutdown === 'never' || !this.significant.has(event.child)))
      this.broken.push(`${supervisor} ends with ${event.child}, which is not significant`);
    if (type === 'supervisorExited') {
      counted.length = 0;
      this.ended.add(supervisor);
    }
  }

  private started(supervisor: string, child: string, epoch: number): void {
    const path = `${supervisor}/${child}`;
    if (epoch <= (this.epochs.get(path) ?? 0)) this.broken.push(`${path} starts with epoch ${epoch} again`);
    this.epochs.set(path, epoch);
    const before = this.taken.get(`${supervisor} ${epoch}`);
    if (before !== undefined) this.broken.push(`${path} and ${before} have epoch ${epoch}`);
    this.taken.set(`${supervisor} ${epoch}`, path);
  }
}

class Trial {
  readonly clock = new FakeClock();
  readonly trace: string[] = [];
  readonly law: Law;
  readonly leaves = new Map<string, ScriptedChild>();
  readonly root: Supervisor<number>;
  readonly nested: StartSupervisor<unknown> | undefined;
  private readonly significant = new Set<string>();
  private readonly requests: Promise<unknown>[] = [];
  private readonly shape: TreeShape;
  private added = 0;

  constructor(shape: TreeShape) {
    this.shape = shape;
    const shapes = new Map([['root', shape.root]]);
    if (shape.nested !== undefined) shapes.set(`root/${NESTED}`, shape.nested.shape);
    this.law = new Law(shapes, this.significant);
    const children = shape.root.children.map((child, index) => this.leaf(`a${index}`, child, shape.root));
    if (shape.nested !== undefined) {
      const { shape: below, as } = shape.nested;
      this.nested = supervisorChild(
        {
          ...this.spec(NESTED, below),
          children: below.children.map((child, index) => this.leaf(`n${index}`, child, below)),
        },
        { clock: this.clock, random: () => 0.5 },
      );
      children.splice(1, 0, this.childSpec(NESTED, as, shape.root, this.nested));
    }
    this.root = new Supervisor<number>(
      {
        ...this.spec('root', shape.root),
        children,
        childrenMax: 8,
        template: {
          ...this.childSpec('t', shape.template, shape.root, () => Promise.reject(new Error('unused'))),
          start: (_args, id) => this.scripted(id),
        },
      },
      { clock: this.clock, random: () => 0.5, onEvent: (event) => this.law.hear(event) },
    );
  }

  async play({ child: index, does, amount, thenTicks, thenMs }: Step): Promise<void> {
    const ids = [...this.leaves.keys()];
    const id = ids[index % ids.length] as string;
    const leaf = this.leaves.get(id) as ScriptedChild;
    const isBelow = id.startsWith('n');
    switch (does) {
      case 'fail':
        leaf.exit();
        break;
      case 'finish':
        leaf.exit({ kind: 'normal' });
        break;
      case 'fail starts':
        leaf.startsToFail = amount;
        break;
      case 'ignore stops':
        leaf.ignoresStop = !leaf.ignoresStop;
        break;
      case 'restart':
        this.request((isBelow ? this.nested?.present : this.root)?.restartChild(id));
        break;
      case 'remove':
        this.request(this.root.removeChild(isBelow ? NESTED : id));
        break;
      case 'add':
        this.request(this.root.addChild(this.leaf(`d${this.added++}`, this.shape.template, this.shape.root)));
        break;
      case 'make':
        this.request(this.root.startChild(amount));
        break;
    }
    for (let tick = 0; tick < thenTicks; tick++) await Promise.resolve();
    if (thenMs > 0) await this.clock.pass(thenMs);
  }

  /** No more trouble, and time enough for everything to settle. */
  async calm(): Promise<void> {
    for (const leaf of this.leaves.values()) {
      leaf.startsToFail = 0;
      leaf.ignoresStop = false;
    }
    for (let round = 0; round < 10; round++) await this.clock.pass(200);
    await Promise.all(this.requests);
  }

  /** What runs, in the order in which a stop must reach it. */
  stopOrder(): string[] {
    return this.running().reverse();
  }

  checkQuiet(): void {
    const known = new Set(this.running());
    for (const [id, leaf] of this.leaves) expect(leaf.isRunning, `${id} runs`).to.equal(known.has(id));
    if (this.root.status !== 'running') {
      expect(this.root.status).to.equal('ended');
      return;
    }
    for (const { id, status } of this.root.listChildren()) {
      expect(status, id).to.be.oneOf(['running', 'finished']);
      const mayFinish = this.restartOf(id) === 'transient';
      if (status === 'finished') expect(mayFinish, `${id} has finished`).to.equal(true);
      const endsAll = this.shape.root.autoShutdown === 'anySignificant' && this.significant.has(id);
      if (status === 'finished') expect(endsAll, `root outlives ${id}`).to.equal(false);
    }
  }

  private restartOf(id: string): string {
    if (id === NESTED) return this.shape.nested?.as.restart ?? '';
    if (id.startsWith('a')) return this.shape.root.children[Number(id.slice(1))]?.restart ?? '';
    return this.shape.template.restart;
  }

  private running(): string[] {
    if (this.root.status !== 'running') return [];
    return this.root.listChildren().flatMap(({ id, status }) => {
      if (status !== 'running') return [];
      if (id !== NESTED) return [id];
      const below = this.nested?.present?.listChildren() ?? [];
      return below.filter((child) => child.status === 'running').map((child) => child.id);
    });
  }

  private request(answer: Promise<unknown> | undefined): void {
    this.requests.push((answer ?? Promise.resolve()).catch(() => undefined));
  }

  private spec(id: string, { strategy, restartsMax, autoShutdown }: SupervisorShape): SupervisorSpec {
    return {
      id,
      strategy,
      intensity: { restartsMax, windowMs: WINDOW_MS },
      autoShutdown,
      childrenMax: 8,
      children: [],
    };
  }

  private leaf(id: string, shape: ChildShape, above: SupervisorShape): ChildSpec {
    return this.childSpec(id, shape, above, this.scripted(id));
  }

  private scripted(id: string): ScriptedChild['start'] {
    const child = new ScriptedChild(id, this.trace, this.clock);
    this.leaves.set(id, child);
    const start: ScriptedChild['start'] = (request) => {
      if (child.isRunning) this.law.broken.push(`${id} is started beside itself`);
      if (this.root.hasEnded) this.law.broken.push(`${id} is started after the end`);
      return child.start(request);
    };
    start.abandon = (reason: ExitReason) => child.start.abandon?.(reason);
    if (this.shape.template.isSignificant && id.startsWith('t')) this.significant.add(id);
    return start;
  }

  private childSpec(
    id: string,
    { restart, isSignificant, waits }: ChildShape,
    { autoShutdown }: SupervisorShape,
    start: ChildSpec['start'],
  ): ChildSpec {
    const significant = isSignificant && restart !== 'permanent' && autoShutdown !== 'never';
    if (significant) this.significant.add(id);
    return {
      id,
      start,
      restart,
      shutdownDeadlineMs: 50,
      significant,
      ...(waits && restart !== 'temporary' ? { backoff: BACKOFF } : {}),
    };
  }
}

/** Plays the script on the tree and checks everything. Rejects with what is wrong. */
export async function tryTree(shape: TreeShape, script: readonly Step[]): Promise<void> {
  const trial = new Trial(shape);
  const { root, clock, trace, law } = trial;
  await root.start();
  for (const one of script) await trial.play(one);
  await trial.calm();
  trial.checkQuiet();
  const expected = trial.stopOrder();
  trace.length = 0;
  await root.stop(1_000);
  expect(trace).to.deep.equal(expected.map((id) => `stop ${id}`));
  expect([...trial.leaves.values()].some(({ isRunning }) => isRunning)).to.equal(false);
  for (let round = 0; round < 3; round++) await clock.pass(WINDOW_MS);
  expect(law.broken.join('; ')).to.equal('');
  expect(trace.length).to.equal(expected.length);
  expect(clock.pending).to.equal(0);
}
