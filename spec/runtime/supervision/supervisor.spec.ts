import { expect } from 'chai';
import { describe, it } from 'mocha';
import { EXITS_KEPT_PER_CHILD } from '../../../runtime/limits.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';
import { settle } from '../../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../../support/rejection.ts';
import { PLANTED, ScriptedChild } from '../../support/scripted-child.ts';
import { BACKOFF, bed, started, statusOf } from '../../support/supervisor-bed.ts';

describe('Supervisor', () => {
  describe('start and stop', () => {
    it('starts children in order, each after the one before is running [S-29]', async () => {
      const made = bed();
      const gate = Promise.withResolvers<void>();
      made.child('b').startGate = gate.promise;
      const starting = made.supervisor.start();
      await settle();
      expect(made.look()).to.deep.equal(['start a', 'start b']);
      gate.resolve();
      await starting;
      expect(made.look()).to.deep.equal(['start c']);
    });

    it('stops children in reverse order, each after the one before is gone [S-29]', async () => {
      const made = await started();
      made.child('b').ignoresStop = true;
      const stopped = made.supervisor.stop(10_000);
      await settle();
      expect(made.look()).to.deep.equal(['stop c', 'stop b']);
      await made.clock.pass(200);
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      expect(made.look()).to.deep.equal(['kill b', 'stop a']);
      expect(['a', 'b', 'c'].map((id) => made.child(id).abandoned)).to.deep.equal([1, 1, 1]);
      expect(made.clock.pending).to.equal(0);
    });

    it('kills all that is left when its own stop deadline has passed', async () => {
      const made = await started();
      for (const id of ['a', 'b', 'c']) made.child(id).ignoresStop = true;
      const stopped = made.supervisor.stop(50);
      await made.clock.pass(50);
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      expect(made.look().filter((line) => line.startsWith('kill'))).to.deep.equal([
        'kill a',
        'kill b',
        'kill c',
      ]);
    });

    it('does not ask a child whose deadline is kill', async () => {
      const made = await started({ ids: ['a'], specs: { a: { shutdownDeadlineMs: 'kill' } } });
      await made.supervisor.stop(100);
      expect(made.look()).to.deep.equal(['kill a']);
    });

    it('kills all at once when it is killed', async () => {
      const made = await started();
      made.supervisor.kill('a spec');
      expect(await made.supervisor.exited).to.deep.equal({ kind: 'killed', by: 'a spec' });
      expect(['a', 'b', 'c'].some((id) => made.child(id).isRunning)).to.equal(false);
    });

    it('stops those before a child that cannot start, in reverse, and rejects with the cause [S-30]', async () => {
      const made = bed();
      made.child('c').startsToFail = 1;
      const error = await rejectionOf(made.supervisor.start());
      expect(error.code).to.equal('E_CHILD_START_FAILED');
      expect((error.cause as Error).message).to.equal('c cannot start');
      expect(made.look()).to.deep.equal(['start a', 'start b', 'start c', 'stop b', 'stop a']);
      expect((await made.supervisor.exited).kind).to.equal('failed');
    });

    it('takes a start that throws for one that rejects', async () => {
      const made = bed({
        ids: ['a'],
        specs: {
          a: {
            start: () => {
              throw new Error('at once');
            },
          },
        },
      });
      expect((await rejectionOf(made.supervisor.start())).code).to.equal('E_CHILD_START_FAILED');
    });

    it('refuses a spec that is wrong before anything is started', () => {
      expect(thrownBy(() => bed({ ids: ['a', 'b'], specs: { b: { id: 'a' } } })).code).to.equal(
        'E_CHILD_SPEC_INVALID',
      );
    });

    it('deals with a child that dies while its younger siblings are being started', async () => {
      const made = bed();
      const gate = Promise.withResolvers<void>();
      made.child('b').startGate = gate.promise;
      const starting = made.supervisor.start();
      await settle();
      made.child('a').exit();
      await settle();
      gate.resolve();
      await starting;
      await settle();
      expect(made.look()).to.deep.equal(['start a', 'start b', 'start c', 'start a']);
    });
  });

  describe('restart', () => {
    it('restarts the failed child alone under oneForOne, with a higher epoch and its last exit [S-27] [S-31]', async () => {
      const made = await started();
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal(['start b']);
      const [first, second] = made.child('b').epochs as [number, number];
      expect(second).to.be.above(first);
      expect(made.child('b').previousExits).to.deep.equal([undefined, PLANTED]);
    });

    it('stops the others in reverse and starts all in order under oneForAll [S-31]', async () => {
      const made = await started({ strategy: 'oneForAll' });
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal(['stop c', 'stop a', 'start a', 'start b', 'start c']);
    });

    it('stops and starts only the younger ones under restForOne [S-31]', async () => {
      const made = await started({ strategy: 'restForOne' });
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal(['stop c', 'start b', 'start c']);
    });

    it('restarts a transient child only after an abnormal exit [S-32]', async () => {
      const made = await started({ specs: { a: { restart: 'transient' }, b: { restart: 'transient' } } });
      made.child('a').exit({ kind: 'normal' });
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal(['start b']);
      expect(statusOf(made, 'a')).to.equal('finished');
      expect(made.child('a').abandoned).to.equal(1);
    });

    it('restarts a permanent child after a normal exit, too [S-32]', async () => {
      const made = await started();
      made.child('a').exit({ kind: 'normal' });
      await settle();
      expect(made.look()).to.deep.equal(['start a']);
    });

    it('never restarts a temporary child, and forgets it [S-32]', async () => {
      const made = await started({ specs: { b: { restart: 'temporary' } } });
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal([]);
      expect(statusOf(made, 'b')).to.equal(undefined);
      expect(made.child('b').abandoned).to.equal(1);
    });

    it('stops a temporary child with its group and does not start it again; what has finished stays so [S-32]', async () => {
      const made = await started({
        strategy: 'oneForAll',
        ids: ['a', 'b', 'c', 'd'],
        specs: { b: { restart: 'temporary' }, c: { restart: 'transient' } },
      });
      made.child('c').exit({ kind: 'normal' });
      await settle();
      made.child('a').exit();
      await settle();
      expect(made.look()).to.deep.equal(['stop d', 'stop b', 'start a', 'start d']);
      expect(statusOf(made, 'b')).to.equal(undefined);
      expect(statusOf(made, 'c')).to.equal('finished');
    });

    it('waits out the back-off, and counts a start that fails like any failure', async () => {
      const made = await started({ ids: ['a'], specs: { a: { backoff: BACKOFF } } });
      made.child('a').startsToFail = 1;
      made.child('a').exit();
      await made.clock.pass(399);
      expect(made.look()).to.deep.equal([]);
      expect(statusOf(made, 'a')).to.equal('waiting');
      await made.clock.pass(1);
      expect(made.look()).to.deep.equal(['start a']);
      expect(made.supervisor.describe().restartsInWindow).to.equal(2);
      await made.clock.pass(400);
      expect(made.look()).to.deep.equal(['start a']);
      expect(statusOf(made, 'a')).to.equal('running');
    });

    it('lets one child wait while another is restarted', async () => {
      const made = await started({ specs: { a: { backoff: BACKOFF } } });
      made.child('a').exit();
      await settle();
      made.child('b').exit();
      await settle();
      expect(made.look()).to.deep.equal(['start b']);
      await made.clock.pass(400);
      expect(made.look()).to.deep.equal(['start a']);
    });

    it('restarts a child again that dies right after its restart', async () => {
      const made = await started({ ids: ['a'], restartsMax: 10 });
      for (let death = 0; death < 5; death++) {
        made.child('a').exit();
        for (let tick = 0; tick < death; tick++) await Promise.resolve();
      }
      await settle();
      for (let death = 0; death < 4; death++) {
        made.child('a').exit();
        await settle();
        expect(made.child('a').isRunning).to.equal(true);
      }
    });
  });

  describe('restart intensity', () => {
    it('gives up at one restart too many: all stop in reverse, and the exit says why [S-33] [S-35]', async () => {
      const made = await started({ restartsMax: 2 });
      for (let failure = 0; failure < 3; failure++) {
        made.child('b').exit();
        await settle();
      }
      const reason = await made.supervisor.exited;
      expect(reason.kind === 'failed' ? reason.error.code : undefined).to.equal('E_RESTART_INTENSITY');
      expect(reason.kind === 'failed' ? reason.error.cause?.code : undefined).to.equal('E_PLANTED');
      expect(made.look()).to.deep.equal(['start b', 'start b', 'stop c', 'stop a']);
      expect(made.events.filter(({ type }) => type === 'childGaveUp').length).to.equal(1);
    });

    it('bears any number of restarts as long as they are spread over time [S-33]', async () => {
      const made = await started({ restartsMax: 2 });
      for (let failure = 0; failure < 10; failure++) {
        made.child('b').exit();
        await made.clock.pass(500);
      }
      expect(made.child('b').isRunning).to.equal(true);
    });

    for (const strategy of ['oneForAll', 'restForOne'] as const) {
      it(`counts dependents that die of one failure as one restart under ${strategy} [S-33]`, async () => {
        const made = await started({ strategy, restartsMax: 1 });
        for (const id of ['a', 'b', 'c']) made.child(id).exit();
        await settle();
        expect(made.supervisor.describe()).to.deep.include({ restartsInWindow: 1, status: 'running' });
        expect(['a', 'b', 'c'].every((id) => made.child(id).isRunning)).to.equal(true);
      });
    }

    it('counts a dependent that dies before the one it depends on, once all the same [S-33]', async () => {
      const made = await started({ strategy: 'restForOne', restartsMax: 1 });
      made.child('c').exit();
      await Promise.resolve();
      made.child('a').exit();
      await settle();
      expect(made.supervisor.describe()).to.deep.include({ restartsInWindow: 1, status: 'running' });
      expect(made.look()).to.deep.equal(['stop b', 'start a', 'start b', 'start c']);
    });

    it('does not count what the child spec says not to count, but waits before each restart [S-34]', async () => {
      const made = await started({
        ids: ['a'],
        restartsMax: 0,
        specs: { a: { countsTowardsIntensity: (reason) => reason.kind !== 'failed' } },
      });
      for (let failure = 0; failure < 20; failure++) {
        made.child('a').exit();
        await settle();
        expect(made.child('a').isRunning).to.equal(false);
        await made.clock.pass(10_000);
        expect(made.child('a').isRunning).to.equal(true);
      }
      expect(made.supervisor.describe().restartsInWindow).to.equal(0);
    });

    it('counts an exit when the judgement itself fails [S-34]', async () => {
      const made = await started({
        ids: ['a'],
        restartsMax: 0,
        specs: {
          a: {
            countsTowardsIntensity: () => {
              throw new Error('planted');
            },
          },
        },
      });
      made.child('a').exit();
      expect((await made.supervisor.exited).kind).to.equal('failed');
    });
  });

  describe('a stop', () => {
    it('is heard during a back-off wait [S-36]', async () => {
      const made = await started({ specs: { b: { backoff: BACKOFF } } });
      made.child('b').exit();
      await settle();
      expect(await made.supervisor.stop(1_000)).to.deep.equal({ kind: 'shutdown' });
      expect(made.look()).to.deep.equal(['stop c', 'stop a']);
      expect(made.clock.pending).to.equal(0);
    });

    it('is heard in a storm of restarts [S-36]', async () => {
      const made = await started({ ids: ['a'], restartsMax: 10_000 });
      made.child('a').startsToFail = 5_000;
      made.child('a').exit();
      for (let tick = 0; tick < 100; tick++) await Promise.resolve();
      expect(await made.supervisor.stop(1_000)).to.deep.equal({ kind: 'shutdown' });
      expect(made.child('a').startsToFail).to.be.above(4_000);
    });

    it('is heard during the first start, which then rejects [S-36]', async () => {
      const made = bed();
      const gate = Promise.withResolvers<void>();
      made.child('b').startGate = gate.promise;
      const starting = rejectionOf(made.supervisor.start());
      await settle();
      const stopped = made.supervisor.stop(10_000);
      gate.resolve();
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      expect((await starting).code).to.equal('E_SUPERVISOR_STOPPED');
      expect(made.look()).to.deep.equal(['start a', 'start b', 'stop b', 'stop a']);
    });

    it('waits for a start in progress no longer than the deadline, and kills it if it ever comes [S-36] [S-37]', async () => {
      const made = await started({ ids: ['a'] });
      const gate = Promise.withResolvers<void>();
      made.child('a').startGate = gate.promise;
      made.child('a').exit();
      await settle();
      const stopped = made.supervisor.stop(10_000);
      await made.clock.pass(200);
      expect(await stopped).to.deep.equal({ kind: 'shutdown' });
      gate.resolve();
      await settle();
      expect(made.look()).to.deep.equal(['start a', 'kill a']);
      expect(made.child('a').isRunning).to.equal(false);
    });
  });

  describe('restartChild', () => {
    it('stops and starts one child alone, not counted, whatever the strategy', async () => {
      const made = await started({ strategy: 'oneForAll', restartsMax: 0 });
      await made.supervisor.restartChild('b');
      expect(made.look()).to.deep.equal(['stop b', 'start b']);
      expect(made.supervisor.describe().restartsInWindow).to.equal(0);
    });

    it('ends a back-off wait, and brings a finished child back', async () => {
      const made = await started({ specs: { a: { backoff: BACKOFF }, b: { restart: 'transient' } } });
      made.child('a').exit();
      made.child('b').exit({ kind: 'normal' });
      await settle();
      await made.supervisor.restartChild('a');
      await made.supervisor.restartChild('b');
      expect(made.look()).to.deep.equal(['start a', 'start b']);
      expect((await rejectionOf(made.supervisor.restartChild('z'))).code).to.equal('E_CHILD_UNKNOWN');
    });

    it('starts a child that is just being restarted once more, and never beside itself', async () => {
      const made = await started();
      const gate = Promise.withResolvers<void>();
      made.child('b').startGate = gate.promise;
      made.child('b').exit();
      await settle();
      const restarted = made.supervisor.restartChild('b');
      gate.resolve();
      await restarted;
      expect(made.look()).to.deep.equal(['start b', 'stop b', 'start b']);
      expect(statusOf(made, 'b')).to.equal('running');
    });

    it('keeps what it starts after it gave a start up, and kills only what comes of that one [S-37]', async () => {
      const made = await started({ ids: ['a'] });
      const late = new ScriptedChild('late', made.trace, made.clock);
      const gate = Promise.withResolvers<void>();
      late.startGate = gate.promise;
      const start = late.start;
      void made.supervisor.addChild({ id: 'late', start, restart: 'permanent', shutdownDeadlineMs: 200 });
      await settle();
      const restarted = made.supervisor.restartChild('late');
      late.startGate = Promise.resolve();
      await made.clock.pass(200);
      await restarted;
      expect(made.look()).to.deep.equal(['start late', 'start late']);
      expect(statusOf(made, 'late')).to.equal('running');
      gate.resolve();
      await settle();
      expect(made.look()).to.deep.equal(['kill late']);
      expect(statusOf(made, 'late')).to.equal('running');
    });
  });

  describe('the tree as data', () => {
    it('says of each child its status, epoch, restarts and last exits, bounded', async () => {
      const made = await started({ ids: ['a'], restartsMax: 100 });
      for (let failure = 0; failure < EXITS_KEPT_PER_CHILD + 2; failure++) {
        made.child('a').exit();
        await settle();
      }
      const [view] = made.supervisor.describe().children;
      expect(view).to.deep.include({ id: 'a', status: 'running', restarts: EXITS_KEPT_PER_CHILD + 2 });
      expect(view?.exits.length).to.equal(EXITS_KEPT_PER_CHILD);
      expect(view?.exits[0]?.reason).to.equal('failed: E_PLANTED: planted');
      expect(view?.sinceMs).to.equal(made.clock.wallMs());
    });

    it('tells its events in order, and survives a listener that throws', async () => {
      const made = bed({ ids: ['a'] });
      made.supervisor.observe(() => {
        throw new Error('planted');
      });
      const late: TreeEvent[] = [];
      const leave = made.supervisor.observe((event) => late.push(event));
      await made.supervisor.start();
      leave();
      made.child('a').exit();
      await settle();
      await made.supervisor.stop(100);
      expect(made.events.map(({ type }) => type)).to.deep.equal([
        'childStarted',
        'supervisorStarted',
        'childExited',
        'childRestarting',
        'childStarted',
        'childExited',
        'supervisorExited',
      ]);
      expect(late.length).to.equal(2);
      expect(made.events[3]).to.deep.include({
        supervisor: 'root',
        child: 'a',
        delayMs: 0,
        counted: true,
        restart: 1,
        atMs: made.clock.wallMs(),
      });
    });
  });
});
