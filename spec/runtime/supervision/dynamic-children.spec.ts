/**
 * Children that come and go while their supervisor runs: one by one, from a template, by the thousand, and when they never
 * live long.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { CHILDREN_PER_SUPERVISOR_MAX } from '../../../runtime/limits.ts';
import type { StartChild } from '../../../runtime/placement.ts';
import type { ChildSpec, ChildTemplate } from '../../../runtime/supervision/child-spec.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { RESTART_STRATEGIES } from '../../../runtime/supervision/restart-strategy.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { supervisorChild } from '../../../runtime/supervision/supervisor-child.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { PLANTED, ScriptedChild } from '../../support/scripted-child.ts';
import { BACKOFF, started, statusOf } from '../../support/supervisor-bed.ts';
import type { Bed } from '../../support/supervisor-bed.ts';

const NORMAL: ExitReason = { kind: 'normal' };
const INTENSITY = { restartsMax: 3, windowMs: 1_000 };

function dynamic(made: Bed, id: string, more: Partial<ChildSpec> = {}): [ScriptedChild, ChildSpec] {
  const child = new ScriptedChild(id, made.trace, made.clock);
  return [child, { id, start: child.start, restart: 'permanent', shutdownDeadlineMs: 100, ...more }];
}

/** A template whose children can be told to end, by id. */
function scriptedTemplate(
  trace: string[],
  clock: FakeClock,
  more: Partial<ChildTemplate<string>> = {},
): { template: ChildTemplate<string>; children: Map<string, ScriptedChild> } {
  const children = new Map<string, ScriptedChild>();
  const template: ChildTemplate<string> = {
    id: 'session',
    restart: 'temporary',
    shutdownDeadlineMs: 100,
    ...more,
    start: (word, id) => {
      if (word === 'refuse') throw new Error('planted');
      const child = new ScriptedChild(`${id}:${word}`, trace, clock);
      children.set(id, child);
      return child.start;
    },
  };
  return { template, children };
}

/** Ends at once after every start. */
const diesAtOnce: StartChild = async ({ epoch }) => {
  const exited = Promise.resolve(PLANTED);
  return { epoch, exited, stop: () => exited, kill: () => undefined };
};

describe('dynamic children', () => {
  it('are added at the end, supervised, and removed with their deadline', async () => {
    const made = await started({ ids: ['a'] });
    const [extra, spec] = dynamic(made, 'extra');
    await made.supervisor.addChild(spec);
    expect((await rejectionOf(made.supervisor.addChild(spec))).code).to.equal('E_CHILD_SPEC_INVALID');
    extra.exit();
    await settle();
    expect(made.look()).to.deep.equal(['start extra', 'start extra']);
    await made.supervisor.removeChild('extra');
    expect(made.look()).to.deep.equal(['stop extra']);
    expect(extra.abandoned).to.equal(1);
    expect((await rejectionOf(made.supervisor.removeChild('extra'))).code).to.equal('E_CHILD_UNKNOWN');
  });

  it('are not kept when they cannot start', async () => {
    const made = await started({ ids: ['a'] });
    const [extra, spec] = dynamic(made, 'extra');
    extra.startsToFail = 1;
    expect((await rejectionOf(made.supervisor.addChild(spec))).code).to.equal('E_CHILD_START_FAILED');
    expect(statusOf(made, 'extra')).to.equal(undefined);
    expect(made.supervisor.describe().restartsInWindow).to.equal(0);
  });

  it('can be removed during their back-off wait', async () => {
    const made = await started({ specs: { b: { backoff: BACKOFF } } });
    made.child('b').exit();
    await settle();
    await made.supervisor.removeChild('b');
    await made.clock.pass(1_000);
    expect(made.look()).to.deep.equal([]);
    expect(made.clock.pending).to.equal(0);
  });

  it('have an id from the call that adds them to the end of their removal: two at once are refused [S-128]', async () => {
    const made = await started({ ids: ['a'] });
    const [child, spec] = dynamic(made, 'extra');
    const both = await Promise.allSettled([made.supervisor.addChild(spec), made.supervisor.addChild(spec)]);
    expect(both.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected']);
    child.ignoresStop = true;
    const removals = [made.supervisor.removeChild('extra'), made.supervisor.removeChild('extra')];
    expect((await rejectionOf(made.supervisor.addChild(spec))).code).to.equal('E_CHILD_SPEC_INVALID');
    await made.clock.pass(100);
    await Promise.all(removals);
    expect(made.events.filter(({ type }) => type === 'childForgotten').length).to.equal(1);
    expect(child.abandoned).to.equal(1);
    await made.supervisor.addChild(spec);
    expect(statusOf(made, 'extra')).to.equal('running');
  });

  it('hear a stop while they are being added: nothing of them is left, and the caller is told [S-36]', async () => {
    const made = await started({ ids: ['a'] });
    const [child, spec] = dynamic(made, 'extra');
    child.startGate = new Promise(() => undefined);
    const adding = rejectionOf(made.supervisor.addChild(spec));
    await settle();
    const stopped = made.supervisor.stop(1_000);
    await made.clock.pass(100);
    expect(await stopped).to.deep.equal({ kind: 'shutdown' });
    expect((await adding).code).to.equal('E_SUPERVISOR_STOPPED');
    expect(made.look()).to.deep.equal(['start extra', 'stop a']);
    expect(made.clock.pending).to.equal(0);
  });

  it('tell who adds them when they are removed before they have started', async () => {
    const made = await started({ ids: ['a'] });
    const [child, spec] = dynamic(made, 'extra');
    child.startGate = new Promise(() => undefined);
    const adding = rejectionOf(made.supervisor.addChild(spec));
    await settle();
    const removed = made.supervisor.removeChild('extra');
    await made.clock.pass(100);
    await removed;
    expect((await adding).message).to.include('root/extra did not start: killed: it was removed again');
    expect(made.supervisor.listChildren().map(({ id }) => id)).to.deep.equal(['a']);
  });

  it('are bounded by childrenMax; there is room again when one is forgotten [S-129]', async () => {
    const made = await started({ ids: ['a'], spec: { childrenMax: 2 } });
    const [temporary, spec] = dynamic(made, 'first', { restart: 'temporary' });
    const [, second] = dynamic(made, 'second');
    await made.supervisor.addChild(spec);
    const error = await rejectionOf(made.supervisor.addChild(second));
    expect(error).to.deep.include({ code: 'E_CHILDREN_FULL', kind: 'transient' });
    expect(error.mend).to.include('childrenMax');
    temporary.exit();
    await settle();
    await made.supervisor.addChild(second);
    expect(made.supervisor.countChildren()).to.deep.include({ total: 2, running: 2 });
  });

  it('are significant only under a supervisor that can end with them [S-125]', async () => {
    const made = await started({ ids: ['a'] });
    const [, spec] = dynamic(made, 'extra', { restart: 'temporary', significant: true });
    expect((await rejectionOf(made.supervisor.addChild(spec))).code).to.equal('E_CHILD_SPEC_INVALID');
    const other = await started({ ids: ['a'], spec: { autoShutdown: 'allSignificant', childrenMax: 2 } });
    const [child, allowed] = dynamic(other, 'extra', { restart: 'temporary', significant: true });
    await other.supervisor.addChild(allowed);
    child.exit();
    expect(await other.supervisor.exited).to.deep.equal({ kind: 'shutdown' });
  });

  it('are counted by status and listed in start order', async () => {
    const made = await started({
      ids: ['a', 'b', 'c', 'd'],
      specs: { b: { restart: 'transient' }, c: { backoff: BACKOFF } },
    });
    made.child('b').exit(NORMAL);
    made.child('c').exit();
    await settle();
    expect(made.supervisor.countChildren()).to.deep.equal({
      total: 4,
      down: 0,
      starting: 0,
      running: 2,
      stopping: 0,
      waiting: 1,
      finished: 1,
    });
    expect(made.supervisor.listChildren().map(({ id, status }) => `${id} ${status}`)).to.deep.equal([
      'a running',
      'b finished',
      'c waiting',
      'd running',
    ]);
    expect(structuredClone(made.supervisor.listChildren()[0])).to.have.all.keys(
      'id',
      'status',
      'epoch',
      'restarts',
      'sinceMs',
    );
  });
});

describe('a child template', () => {
  it('makes children with ids that never come twice, each for its own arguments [S-130]', async () => {
    const clock = new FakeClock();
    const trace: string[] = [];
    const { template, children } = scriptedTemplate(trace, clock);
    const supervisor = new Supervisor<string>(
      { id: 'root', strategy: 'oneForOne', intensity: INTENSITY, children: [], template },
      { clock },
    );
    await supervisor.start();
    const ids = await Promise.all(['x', 'y'].map((word) => supervisor.startChild(word)));
    expect(ids).to.deep.equal(['session-1', 'session-2']);
    children.get('session-1')?.exit();
    await settle();
    expect(await supervisor.startChild('z')).to.equal('session-3');
    expect(supervisor.listChildren().map(({ id }) => id)).to.deep.equal(['session-2', 'session-3']);
    await supervisor.stop(1_000);
    expect(trace).to.deep.equal([
      'start session-1:x',
      'start session-2:y',
      'start session-3:z',
      'stop session-3:z',
      'stop session-2:y',
    ]);
  });

  it('forgets transient children that have finished, and restarts those that fail, with the same arguments [S-130]', async () => {
    const clock = new FakeClock();
    const trace: string[] = [];
    const { template, children } = scriptedTemplate(trace, clock, { restart: 'transient' });
    const supervisor = new Supervisor<string>(
      { id: 'root', strategy: 'oneForOne', intensity: INTENSITY, children: [], template, childrenMax: 1 },
      { clock },
    );
    await supervisor.start();
    await supervisor.startChild('x');
    children.get('session-1')?.exit();
    await settle();
    expect(trace).to.deep.equal(['start session-1:x', 'start session-1:x']);
    children.get('session-1')?.exit(NORMAL);
    await settle();
    expect(supervisor.countChildren().total).to.equal(0);
    expect(children.get('session-1')?.abandoned).to.equal(1);
    await supervisor.startChild('y');
    await supervisor.stop(100);
  });

  it('goes on counting when its supervisor is restarted, and its children are not brought back [S-130]', async () => {
    const clock = new FakeClock();
    const { template, children } = scriptedTemplate([], clock, { restart: 'permanent' });
    const start = supervisorChild<string>(
      {
        id: 'inner',
        strategy: 'oneForOne',
        intensity: { restartsMax: 0, windowMs: 1_000 },
        children: [],
        template,
      },
      { clock },
    );
    const root = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: INTENSITY,
        children: [{ id: 'inner', start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      },
      { clock },
    );
    await root.start();
    const first = start.present;
    await first?.startChild('x');
    children.get('session-1')?.exit();
    await settle();
    expect(start.present).not.to.equal(first);
    expect(start.present?.countChildren().total).to.equal(0);
    expect(await start.present?.startChild('y')).to.equal('session-2');
    expect(children.get('session-1')?.abandoned).to.equal(1);
    await root.stop(100);
  });

  it('takes no id that another child has', async () => {
    const clock = new FakeClock();
    const { template } = scriptedTemplate([], clock);
    const other = new ScriptedChild('other', [], clock);
    const supervisor = new Supervisor<string>({
      id: 'root',
      strategy: 'oneForOne',
      intensity: INTENSITY,
      children: [{ id: 'session-1', start: other.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      template,
    });
    await supervisor.start();
    expect(await supervisor.startChild('x')).to.equal('session-2');
    await supervisor.stop(100);
  });

  it('that throws is a start that failed; without one there is none', async () => {
    const clock = new FakeClock();
    const { template } = scriptedTemplate([], clock);
    const spec = { id: 'root', strategy: 'oneForOne', intensity: INTENSITY, children: [] } as const;
    const supervisor = new Supervisor<string>({ ...spec, template }, { clock });
    await supervisor.start();
    const error = await rejectionOf(supervisor.startChild('refuse'));
    expect(error.code).to.equal('E_CHILD_START_FAILED');
    expect((error.cause as Error).message).to.equal('planted');
    expect(supervisor.countChildren().total).to.equal(0);
    const bare = new Supervisor(spec, { clock });
    await bare.start();
    expect((await rejectionOf(bare.startChild('x'))).code).to.equal('E_TEMPLATE_MISSING');
    await Promise.all([supervisor.stop(100), bare.stop(100)]);
  });

  it('makes actors that are found by the id that they are given', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const got: number[] = [];
    const supervisor = new Supervisor<number>({
      id: 'root',
      strategy: 'oneForOne',
      intensity: INTENSITY,
      children: [],
      template: {
        id: 'adder',
        restart: 'transient',
        shutdownDeadlineMs: 100,
        start: (base, id) =>
          localChild<number>(system, id, (context) => ({
            handle: (message) => {
              got.push(base + message);
              context.stop();
            },
          })).start,
      },
    });
    await supervisor.start();
    const id = await supervisor.startChild(40);
    system.whereis<number>(id)?.tell(2);
    await settle();
    expect(got).to.deep.equal([42]);
    expect(system.whereis(id)).to.equal(undefined);
    expect(system.counts().actors).to.equal(0);
    await supervisor.stop(100);
  });
});

describe('thousands of children', () => {
  /** How often a child's spec is looked into, by child: with a search among siblings it grows with their number. */
  async function looksPerChild(count: number): Promise<number> {
    const made = await started({ ids: [], restartsMax: 0 });
    let looks = 0;
    const children = Array.from({ length: count }, (_, index) => {
      const [child, spec] = dynamic(made, `child-${index}`, { restart: 'temporary' });
      const looked = new Proxy(spec, {
        get(target, key, receiver): unknown {
          looks += 1;
          return Reflect.get(target, key, receiver);
        },
      });
      return { child, spec: looked };
    });
    await Promise.all(children.map(({ spec }) => made.supervisor.addChild(spec)));
    for (const { child } of children.slice(0, count / 2)) child.exit();
    await settle();
    expect(made.supervisor.countChildren().total).to.equal(count / 2);
    for (let index = count / 2; index < (count * 3) / 4; index++) {
      await made.supervisor.removeChild(`child-${index}`);
    }
    await made.supervisor.stop(1_000);
    expect(children.some(({ child }) => child.isRunning)).to.equal(false);
    return looks / count;
  }

  it(`start, end, are removed and stopped at the same cost each, up to ${CHILDREN_PER_SUPERVISOR_MAX} [S-131]`, async function () {
    this.timeout(20_000);
    const few = await looksPerChild(64);
    expect(await looksPerChild(CHILDREN_PER_SUPERVISOR_MAX)).to.equal(few);
  });

  it('are refused beyond the bound of every supervisor [S-129]', async () => {
    const made = await started({ ids: [] });
    const adding = Array.from({ length: CHILDREN_PER_SUPERVISOR_MAX }, (_, index) =>
      made.supervisor.addChild(dynamic(made, `child-${index}`)[1]),
    );
    const [, spec] = dynamic(made, 'one-more');
    expect((await rejectionOf(made.supervisor.addChild(spec))).code).to.equal('E_CHILDREN_FULL');
    await Promise.all(adding);
    await made.supervisor.stop(1_000);
  });
});

describe('a child that dies at each start', () => {
  for (const strategy of RESTART_STRATEGIES) {
    it(`is not started for ever under ${strategy}: the supervisor gives up, and nothing of it runs [S-33]`, async () => {
      const made = await started({ strategy, restartsMax: 5, ids: ['a', 'b'] });
      let starts = 0;
      const start: StartChild = (request) => {
        starts += 1;
        return diesAtOnce(request);
      };
      void made.supervisor
        .addChild({ id: 'dying', start, restart: 'permanent', shutdownDeadlineMs: 100 })
        .catch(() => undefined);
      const reason = await made.supervisor.exited;
      expect(reason.kind === 'failed' ? reason.error.code : undefined).to.equal('E_RESTART_INTENSITY');
      expect(starts).to.equal(6);
      expect(['a', 'b'].map((id) => made.child(id).isRunning)).to.deep.equal([false, false]);
      expect(made.clock.pending).to.equal(0);
    });

    it(`leaves the event loop alone under ${strategy} when its exits do not count [S-34]`, async () => {
      const made = await started({ strategy, ids: ['a'] });
      await made.supervisor.addChild({
        id: 'dying',
        start: diesAtOnce,
        restart: 'permanent',
        shutdownDeadlineMs: 100,
        backoff: BACKOFF,
        countsTowardsIntensity: () => false,
      });
      await made.clock.pass(2_000);
      const dying = made.supervisor.listChildren().find(({ id }) => id === 'dying');
      expect(dying).to.deep.include({ status: 'waiting', restarts: 5 });
      await made.supervisor.stop(100);
      expect(made.clock.pending).to.equal(0);
    });

    it(`fails to start for ever no more often under ${strategy}`, async () => {
      const made = await started({ strategy, restartsMax: 5, ids: ['a', 'b'] });
      made.child('b').startsToFail = Number.POSITIVE_INFINITY;
      made.child('b').exit();
      await made.supervisor.exited;
      expect(made.child('b').epochs.length).to.equal(6);
      expect(made.child('a').isRunning).to.equal(false);
    });
  }
});
