import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorFactory } from '../../../runtime/actor.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { ChildSpec } from '../../../runtime/supervision/child-spec.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import type { LocalChild, LocalChildOptions } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { rejectionOf } from '../../support/rejection.ts';

interface Bed {
  clock: FakeClock;
  system: ActorSystem;
  child: LocalChild<string>;
  supervisor: Supervisor;
  got: string[];
}

async function bed(
  options: { spec?: Partial<ChildSpec>; child?: LocalChildOptions; factory?: ActorFactory<string> } = {},
): Promise<Bed> {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const got: string[] = [];
  const factory: ActorFactory<string> = (context) => ({
    handle(message) {
      if (message === 'fail') throw new Error('planted');
      if (message === 'stop') context.stop();
      got.push(`${context.epoch} ${message}`);
    },
  });
  const child = localChild(system, 'actor', options.factory ?? factory, options.child);
  const supervisor = new Supervisor(
    {
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 5, windowMs: 1_000 },
      children: [
        { id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100, ...options.spec },
      ],
    },
    { clock, random: () => 0 },
  );
  await supervisor.start();
  return { clock, system, child, supervisor, got };
}

describe('localChild', () => {
  it('keeps ref, name and mailbox over a restart; only the failing message is lost [S-3] [S-26]', async () => {
    const { child, system, got } = await bed();
    const { ref } = child;
    for (const message of ['a', 'fail', 'b', 'c']) ref.tell(message);
    await settle();
    expect(got).to.deep.equal(['1 a', '2 b', '2 c']);
    expect(child.ref).to.equal(ref);
    expect(system.whereis('actor')).to.equal(ref);
    expect(system.counts()).to.deep.include({ restarted: 1, failed: 1, actors: 1 });
    expect(system.counts().deadLetters.failed).to.equal(1);
  });

  it('lets messages told while the actor is down wait for it [S-26]', async () => {
    const { child, clock, got } = await bed({
      spec: { backoff: { initialMs: 500, maxMs: 500, jitter: 'none', resetAfterMs: 1_000 } },
    });
    child.ref.tell('fail');
    await settle();
    expect(child.ref.tell('meanwhile')).to.equal('accepted');
    await clock.pass(499);
    expect(got).to.deep.equal([]);
    await clock.pass(1);
    expect(got).to.deep.equal(['2 meanwhile']);
  });

  it('takes messages before its first start', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const got: string[] = [];
    const child = localChild<string>(system, 'actor', () => ({
      handle: (message) => void got.push(message),
    }));
    expect(child.ref.tell('early')).to.equal('accepted');
    const running = await child.start({ epoch: 1, previousExit: undefined });
    await settle();
    expect(got).to.deep.equal(['early']);
    expect(running.describe?.()).to.deep.include({ placement: 'local', path: '/actor', messagesHandled: 1 });
    running.kill('a spec');
    expect(await running.exited).to.deep.equal({ kind: 'killed', by: 'a spec' });
  });

  it('tells watchers of its final end, and not of a restart [S-23]', async () => {
    const { child, supervisor } = await bed();
    const ends: ExitReason[] = [];
    child.ref.onTerminated((reason) => ends.push(reason));
    child.ref.tell('fail');
    await settle();
    expect(ends).to.deep.equal([]);
    await supervisor.stop(1_000);
    expect(ends).to.deep.equal([{ kind: 'shutdown' }]);
  });

  it('cancels timers and watches at a restart [S-24]', async () => {
    const signals: string[] = [];
    const system = new ActorSystem({ clock: new FakeClock() });
    const watched = system.spawn<string>(() => ({ handle: () => undefined }));
    const { child, clock, got } = await bed({
      factory: (context) => {
        if (context.epoch === 1) {
          context.startTimer('tick', 'tick', { delayMs: 10 });
          context.watch(watched);
        }
        return {
          handle(message) {
            if (message === 'fail') throw new Error('planted');
            got.push(message);
          },
          onSignal: (signal) => void signals.push(signal.type),
        };
      },
    });
    child.ref.tell('fail');
    await clock.pass(100);
    await system.stopActor(watched);
    await settle();
    expect([...got, ...signals]).to.deep.equal([]);
  });

  it('gives its mailbox to the dead letters when no incarnation will follow [S-28]', async () => {
    const { child, system, supervisor } = await bed({ spec: { restart: 'transient' } });
    child.ref.tell('stop');
    child.ref.tell('left');
    await settle();
    expect(child.ref.tell('late')).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 'late' });
    expect(system.counts().deadLetters).to.include({ left: 1, stopped: 1 });
    expect(system.whereis('actor')).to.equal(undefined);
    const dead = child.ref;
    await supervisor.restartChild('actor');
    expect(child.ref).to.not.equal(dead);
    expect(system.whereis('actor')).to.equal(child.ref);
  });

  it('rejects asks of a message whose handling failed, and keeps those that wait over the restart', async () => {
    const { child } = await bed({
      factory: () => ({ handle: () => Promise.reject(new Error('planted')) }),
      spec: { backoff: { initialMs: 500, maxMs: 500, jitter: 'none', resetAfterMs: 1_000 } },
    });
    const asked = ['first', 'second'].map((text) => {
      const outcome = { text, code: 'pending' };
      void rejectionOf(child.ref.ask((_replyTo) => text, { timeoutMs: 10_000 })).then(({ code }) => {
        outcome.code = code;
      });
      return outcome;
    });
    await settle();
    expect(asked.map(({ code }) => code)).to.deep.equal(['E_ASK_FAILED', 'pending']);
  });

  it('handles what waits before it stops when it is to drain, and takes messages again when it is started anew', async () => {
    const { child, supervisor, got } = await bed({ child: { drainAtStop: true } });
    for (const message of ['a', 'b']) child.ref.tell(message);
    await supervisor.restartChild('actor');
    child.ref.tell('c');
    await settle();
    expect(got).to.deep.equal(['1 a', '1 b', '2 c']);
  });

  it('rejects a start with what its factory threw, or with E_START_FAILED when that hangs', async () => {
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const start = { epoch: 1, previousExit: undefined };
    const throwing = localChild<string>(system, 'throwing', () => {
      throw new Error('no config');
    });
    expect((await rejectionOf(throwing.start(start))).message).to.equal('no config');
    const hanging = localChild<string>(system, 'hanging', () => new Promise(() => undefined), {
      startTimeoutMs: 50,
    });
    const rejected = rejectionOf(hanging.start(start));
    await clock.pass(50);
    expect((await rejected).code).to.equal('E_START_FAILED');
    expect(hanging.ref.tell('kept')).to.equal('accepted');
  });

  it('does not let the handle of an old incarnation touch the new one', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const child = localChild<string>(system, 'actor', () => ({ handle: () => undefined }));
    const first = await child.start({ epoch: 1, previousExit: undefined });
    await first.stop(100);
    const second = await child.start({ epoch: 2, previousExit: { kind: 'shutdown' } });
    first.kill('late');
    expect(await first.stop(100)).to.deep.equal({ kind: 'shutdown' });
    let ended = false;
    void second.exited.then(() => {
      ended = true;
    });
    await settle();
    expect(ended).to.equal(false);
    child.start.abandon?.({ kind: 'shutdown' });
    await second.stop(100);
    expect(child.ref.tell('late')).to.deep.include({ refused: 'E_ACTOR_STOPPED' });
  });
});
