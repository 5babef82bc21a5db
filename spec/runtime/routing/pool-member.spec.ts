import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorFactory } from '../../../runtime/actor.ts';
import { localMembers } from '../../../runtime/routing/pool-member.ts';
import { settle } from '../../support/fake-clock.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { poolBed, task } from './pool-bed.ts';
import type { Task } from './pool-bed.ts';

describe('localMembers', () => {
  it('knows when its actor has handled all, or is dead and never will [S-156]', async () => {
    const { system, supervisor, clock, letters } = await poolBed();
    const inHand: (() => void)[] = [];
    const factory: ActorFactory<Task> = () => ({
      handle: () => new Promise<void>((resolve) => inHand.push(resolve)),
    });
    const start = localMembers({
      system,
      supervisor,
      factory,
      actor: { mailbox: { capacity: 1, overflow: 'block' } },
    });
    const member = await start('one');
    member.ref.tell(task('a', 1));
    await settle();
    member.ref.tell(task('a', 2));
    void member.ref.tellWhenAccepted(task('a', 3));
    const trace: string[] = [];
    const all = member.handledAll(1_000).then(() => trace.push('all'));
    for (const message of ['first', 'second', 'third']) {
      trace.push(message);
      inHand.shift()?.();
      await settle();
    }
    await all;
    expect(trace).to.deep.equal(['first', 'second', 'third', 'all']);
    expect(clock.pending).to.equal(0);

    member.ref.tell(task('a', 4));
    const late = rejectionOf(member.handledAll(10));
    await clock.pass(10);
    expect(await late).to.have.property('code', 'E_ASK_TIMEOUT');
    const lost = rejectionOf(member.handledAll(1_000));
    system.killActor(member.ref, 'a spec');
    await member.stop();
    expect(await lost).to.have.property('code', 'E_ACTOR_STOPPED');
    expect(await rejectionOf(member.handledAll(1_000))).to.have.property('code', 'E_ACTOR_STOPPED');
    expect(letters.map(({ messageType }) => messageType)).to.deep.equal(['a.4']);
  });

  it('frees the name when the child spec is refused, and refuses what is no instance', async () => {
    const { system, supervisor } = await poolBed();
    const factory: ActorFactory<Task> = () => ({ handle: () => undefined });
    const wrong = localMembers({ system, supervisor, factory, child: { shutdownDeadlineMs: 0 } });
    expect(await rejectionOf(wrong('one'))).to.have.property('code', 'E_CHILD_SPEC_INVALID');
    expect(system.names()).to.deep.equal([]);
    const none = localMembers({ system, supervisor, factory: () => undefined as never });
    const failure = await rejectionOf(none('two'));
    expect(failure.cause).to.have.property('code', 'E_INSTANCE_INVALID');
  });
});
