import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LogEntry } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { MAILBOX_CAPACITY_MAX } from '../../runtime/limits.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

const idle = () => ({ handle: () => undefined });

describe('ActorSystem', () => {
  describe('names', () => {
    it('belong to one living actor, are found, and are free again after its death [S-25]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const ref = system.spawn(idle, { name: 'only' });
      expect(thrownBy(() => system.spawn(idle, { name: 'only' })).code).to.equal('E_NAME_TAKEN');
      expect(system.whereis('only')).to.equal(ref);
      await system.stopActor(ref);
      expect(system.whereis('only')).to.equal(undefined);
      expect(system.names()).to.deep.equal([]);
      expect(system.spawn(idle, { name: 'only' })).to.not.equal(ref);
    });

    it('are made up for actors that have none', () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      expect([system.spawn(idle).path, system.spawn(idle).path]).to.deep.equal(['/$1', '/$2']);
    });

    it('that were refused leave no actor behind', () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      system.spawn(idle, { name: 'only' });
      thrownBy(() => system.spawn(idle, { name: 'only' }));
      expect(system.counts().actors).to.equal(1);
    });
  });

  describe('spawn options', () => {
    it('are refused all at once, each with field, value and mend', () => {
      const error = thrownBy(() =>
        new ActorSystem({ clock: new FakeClock() }).spawn(idle, {
          name: 'a/b',
          mailbox: { capacity: 0, overflow: 'explode' as never },
          handlerTimeoutMs: -1,
          startTimeoutMs: Number.NaN,
        }),
      );
      expect(error.code).to.equal('E_OPTIONS_INVALID');
      const faults = error.details['faults'] as string[];
      expect(faults.length).to.equal(5);
      expect(faults[1]).to.equal(`mailbox.capacity 0: use a whole number from 1 to ${MAILBOX_CAPACITY_MAX}`);
    });
  });

  it('refuses options that are none and names that are no text, and what is no factory', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const wrong: unknown[] = [
      null,
      5,
      { name: null },
      { name: ['x'] },
      { name: Symbol('odd') },
      { name: 'line\u0007end' },
      { name: 'left\u202eright' },
      { mailbox: null },
      { mailbox: { capacity: 1n, overflow: 'refuse' } },
      { handlerTimeoutMs: '5' },
      { redelivery: null },
      { stashCapacity: 3n },
    ];
    for (const options of wrong) {
      const error = thrownBy(() => system.spawn(idle, options as never));
      expect(error.code).to.equal('E_OPTIONS_INVALID');
      expect(error.mend).to.equal('Correct every field named.');
    }
    for (const none of [undefined, null, {}, 'x']) {
      expect(thrownBy(() => system.spawn(none as never)).code).to.equal('E_OPTIONS_INVALID');
    }
    expect(system.counts()).to.include({ actors: 0, spawned: 0 });
  });

  describe('stop', () => {
    it('refuses a deadline that no timer can count, before it stops anything', async () => {
      const clock = new FakeClock();
      const system = new ActorSystem({ clock });
      const supervisor = new Supervisor(
        { id: 'root', strategy: 'oneForOne', intensity: { restartsMax: 1, windowMs: 1_000 }, children: [] },
        { clock },
      );
      await supervisor.start();
      const ref = system.spawn<string>(() => ({ handle: () => undefined }));
      await settle();
      for (const deadlineMs of [Infinity, NaN, 0, -1, 2 ** 31, '5' as never]) {
        for (const stopped of [
          system.stopActor(ref, { deadlineMs }),
          system.stop(deadlineMs),
          supervisor.stop(deadlineMs),
        ]) {
          expect((await rejectionOf(stopped)).code).to.equal('E_OPTIONS_INVALID');
        }
      }
      expect(ref.tell('still there')).to.equal('accepted');
      expect(supervisor.describe().status).to.equal('running');
      expect(clock.pending).to.equal(0);
      await supervisor.stop(1_000);
    });

    it('stops every actor, the last spawned first, one after the other, and starts no more [S-38]', async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const trace: string[] = [];
      for (const name of ['a', 'b', 'c']) {
        system.spawn(() => ({
          handle: () => undefined,
          async terminate() {
            trace.push(`begin ${name}`);
            await settle();
            trace.push(`end ${name}`);
          },
        }));
      }
      await settle();
      const stopped = system.stop();
      expect(thrownBy(() => system.spawn(idle)).code).to.equal('E_SYSTEM_STOPPED');
      expect(system.stop()).to.equal(stopped);
      await stopped;
      expect(trace).to.deep.equal(['begin c', 'end c', 'begin b', 'end b', 'begin a', 'end a']);
      expect(system.counts().actors).to.equal(0);
    });

    it('refuses refs of another system', async () => {
      const stranger = new ActorSystem({ clock: new FakeClock() }).spawn(idle);
      const system = new ActorSystem({ clock: new FakeClock() });
      expect((await rejectionOf(system.stopActor(stranger))).code).to.equal('E_NOT_LOCAL');
      expect(thrownBy(() => system.killActor(stranger, 'a spec')).code).to.equal('E_NOT_LOCAL');
    });
  });

  it('counts what happens', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const ref = system.spawn<number>(() => ({
      handle(message) {
        if (message === 3) throw new Error('planted');
      },
    }));
    for (const message of [1, 2, 3, 4]) ref.tell(message);
    await settle();
    expect(system.counts()).to.deep.include({
      spawned: 1,
      ended: 1,
      actors: 0,
      messagesHandled: 3,
      failed: 1,
    });
  });

  it('hands log entries with the path to its hook', async () => {
    const entries: LogEntry[] = [];
    const system = new ActorSystem({ log: (entry) => entries.push(entry) });
    system.spawn(
      (context) => {
        context.log('info', 'hello', { answer: 42 });
        return { handle: () => undefined };
      },
      { name: 'logger' },
    );
    await settle();
    expect(entries).to.deep.equal([
      { level: 'info', path: '/logger', text: 'hello', fields: { answer: 42 } },
    ]);
  });
});
