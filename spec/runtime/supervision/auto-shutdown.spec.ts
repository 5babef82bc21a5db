/**
 * Significant children: whose end is the end of their supervisor, and whose is not.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { ChildSpec, SupervisorSpec } from '../../../runtime/supervision/child-spec.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { supervisorChild } from '../../../runtime/supervision/supervisor-child.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { PLANTED, ScriptedChild } from '../../support/scripted-child.ts';
import { BACKOFF, bed, started, statusOf } from '../../support/supervisor-bed.ts';
import type { Bed, BedOptions } from '../../support/supervisor-bed.ts';

const NORMAL: ExitReason = { kind: 'normal' };
const SHUTDOWN: ExitReason = { kind: 'shutdown' };
const TRANSIENT: Partial<ChildSpec> = { restart: 'transient', significant: true };
const TEMPORARY: Partial<ChildSpec> = { restart: 'temporary', significant: true };

const any = (specs: Record<string, Partial<ChildSpec>>, more: BedOptions = {}): Promise<Bed> =>
  started({ specs, spec: { autoShutdown: 'anySignificant' }, ...more });
const all = (specs: Record<string, Partial<ChildSpec>>, more: BedOptions = {}): Promise<Bed> =>
  started({ specs, spec: { autoShutdown: 'allSignificant' }, ...more });

async function exitOf(made: Bed): Promise<ExitReason | 'runs'> {
  await settle();
  return Promise.race([made.supervisor.exited, Promise.resolve('runs' as const)]);
}

describe('autoShutdown', () => {
  describe('anySignificant', () => {
    it('ends the supervisor when a transient significant child ends normally; the others stop in reverse [S-125]', async () => {
      const made = await any({ b: TRANSIENT });
      made.child('b').exit(NORMAL);
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
      expect(made.look()).to.deep.equal(['stop c', 'stop a']);
      expect(made.events.map(({ type }) => type).slice(-4)).to.deep.equal([
        'autoShutdown',
        'childExited',
        'childExited',
        'supervisorExited',
      ]);
      expect(['a', 'b', 'c'].map((id) => made.child(id).abandoned)).to.deep.equal([1, 2, 1]);
      expect(made.clock.pending).to.equal(0);
    });

    it('restarts a transient significant child that fails [S-125]', async () => {
      const made = await any({ b: TRANSIENT });
      made.child('b').exit();
      expect(await exitOf(made)).to.equal('runs');
      expect(made.look()).to.deep.equal(['start b']);
    });

    it('ends the supervisor when a temporary significant child ends, however it does [S-125]', async () => {
      for (const reason of [NORMAL, PLANTED]) {
        const made = await any({ c: TEMPORARY });
        made.child('c').exit(reason);
        expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
        expect(made.look()).to.deep.equal(['stop b', 'stop a']);
      }
    });

    it('is not brought about by children that are not significant [S-125]', async () => {
      const made = await any({ a: { restart: 'temporary' }, b: { restart: 'transient' }, c: TEMPORARY });
      made.child('a').exit();
      made.child('b').exit(NORMAL);
      expect(await exitOf(made)).to.equal('runs');
    });

    it('is not brought about by an end on request: removed, restarted [S-126]', async () => {
      const made = await any({ b: TRANSIENT, c: TEMPORARY });
      await made.supervisor.removeChild('c');
      await made.supervisor.restartChild('b');
      expect(await exitOf(made)).to.equal('runs');
      expect(made.look()).to.deep.equal(['stop c', 'stop b', 'start b']);
    });

    it('is not brought about by an end together with a sibling that failed [S-126]', async () => {
      const made = await any({ b: TRANSIENT, c: TEMPORARY }, { strategy: 'oneForAll' });
      made.child('a').exit();
      expect(await exitOf(made)).to.equal('runs');
      expect(made.look()).to.deep.equal(['stop c', 'stop b', 'start a', 'start b']);
    });

    it('ends a supervisor that is just waiting to restart another', async () => {
      const made = await any({ a: { backoff: BACKOFF }, b: TRANSIENT });
      made.child('a').exit();
      await settle();
      made.child('b').exit(NORMAL);
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
      await made.clock.pass(10_000);
      expect(made.look()).to.deep.equal(['stop c']);
      expect(made.clock.pending).to.equal(0);
    });

    it('ends a supervisor whose significant child was done before its siblings had started', async () => {
      const made = bed({ specs: { a: TEMPORARY }, spec: { autoShutdown: 'anySignificant' } });
      const gate = Promise.withResolvers<void>();
      made.child('b').startGate = gate.promise;
      const starting = made.supervisor.start();
      await settle();
      made.child('a').exit(NORMAL);
      gate.resolve();
      await starting;
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
      expect(made.look()).to.deep.equal(['start a', 'start b', 'start c', 'stop c', 'stop b']);
    });
  });

  describe('allSignificant', () => {
    it('waits for the last significant child [S-125]', async () => {
      const made = await all({ a: TRANSIENT, b: TEMPORARY });
      made.child('a').exit(NORMAL);
      expect(await exitOf(made)).to.equal('runs');
      expect(statusOf(made, 'a')).to.equal('finished');
      made.child('b').exit();
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
      expect(made.look()).to.deep.equal(['stop c']);
    });

    it('waits for one that is to be restarted, or was brought back on request', async () => {
      const made = await all({ a: { ...TRANSIENT, backoff: BACKOFF }, b: TRANSIENT });
      made.child('a').exit();
      await settle();
      made.child('b').exit(NORMAL);
      expect(await exitOf(made)).to.equal('runs');
      await made.supervisor.restartChild('b');
      await made.clock.pass(400);
      made.child('a').exit(NORMAL);
      expect(await exitOf(made)).to.equal('runs');
      made.child('b').exit(NORMAL);
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
    });

    it('does not wait for those that were removed, and is not brought about by the removal [S-126]', async () => {
      const made = await all({ a: TEMPORARY, b: TEMPORARY, c: TEMPORARY });
      made.child('a').exit();
      await made.supervisor.removeChild('b');
      expect(await exitOf(made)).to.equal('runs');
      made.child('c').exit();
      expect(await exitOf(made)).to.deep.equal(SHUTDOWN);
    });
  });

  it('is an exit like any for the supervisor above: only a permanent one is started again [S-127]', async () => {
    const cases = [
      { restart: 'permanent', significant: false, starts: 2, ends: false },
      { restart: 'transient', significant: false, starts: 1, ends: false },
      { restart: 'temporary', significant: false, starts: 1, ends: false },
      { restart: 'transient', significant: true, starts: 1, ends: true },
    ] as const;
    for (const { restart, significant, starts, ends } of cases) {
      const clock = new FakeClock();
      const worker = new ScriptedChild('worker', [], clock);
      const inner: SupervisorSpec = {
        id: 'inner',
        strategy: 'oneForOne',
        intensity: { restartsMax: 0, windowMs: 1_000 },
        children: [
          {
            id: 'worker',
            start: worker.start,
            restart: 'transient',
            significant: true,
            shutdownDeadlineMs: 100,
          },
        ],
        autoShutdown: 'anySignificant',
      };
      const root = new Supervisor(
        {
          id: 'root',
          strategy: 'oneForOne',
          intensity: { restartsMax: 1, windowMs: 1_000 },
          children: [
            {
              id: 'inner',
              start: supervisorChild(inner, { clock }),
              restart,
              significant,
              shutdownDeadlineMs: 100,
            },
          ],
          autoShutdown: significant ? 'allSignificant' : 'never',
        },
        { clock },
      );
      await root.start();
      worker.exit(NORMAL);
      await settle();
      expect(worker.epochs.length, restart).to.equal(starts);
      expect(root.status, restart).to.equal(ends ? 'ended' : 'running');
      await root.stop(100);
      expect(worker.isRunning).to.equal(false);
    }
  });
});
