import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { QUARANTINED_MAX } from '../../runtime/limits.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { LocalChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

interface Message {
  type: string;
}

async function bed(): Promise<{
  system: ActorSystem;
  child: LocalChild<Message>;
  supervisor: Supervisor;
  got: string[];
  world: { isBroken: boolean };
}> {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const got: string[] = [];
  const world = { isBroken: true };
  const child = localChild<Message>(
    system,
    'actor',
    () => ({
      handle({ type }) {
        if (type.startsWith('poison') && world.isBroken) throw new Error('planted');
        got.push(type);
      },
    }),
    { mailbox: { capacity: 512, overflow: 'dropOldest' }, redelivery: { attemptsMax: 1 } },
  );
  const supervisor = new Supervisor(
    {
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: 1_000, windowMs: 60_000 },
      children: [{ id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
    },
    { clock },
  );
  await supervisor.start();
  return { system, child, supervisor, got, world };
}

describe('Quarantine', () => {
  it('keeps what broke its handler, and tells it once more when it is released [S-85]', async () => {
    const { system, child, got, world } = await bed();
    for (const type of ['poison', 'a']) child.ref.tell({ type });
    await settle();
    const [kept] = system.quarantine.list();
    expect(kept).to.deep.include({ to: '/actor', messageType: 'poison', message: { type: 'poison' } });
    world.isBroken = false;
    child.ref.tell({ type: 'b' });
    system.quarantine.release(kept?.id ?? 0);
    await settle();
    expect(got).to.deep.equal(['a', 'b', 'poison']);
    expect(system.quarantine.counts()).to.deep.equal({
      held: 0,
      quarantined: 1,
      released: 1,
      discarded: 0,
      overflowed: 0,
    });
  });

  it('gives a released message all its attempts again [S-85]', async () => {
    const { system, child } = await bed();
    child.ref.tell({ type: 'poison' });
    await settle();
    system.quarantine.release(system.quarantine.list()[0]?.id ?? 0);
    await settle();
    expect(system.quarantine.list()[0]?.history.length).to.equal(1);
    expect(system.counts().quarantine).to.deep.include({ held: 1, quarantined: 2, released: 1 });
  });

  it('makes a dead letter of what is discarded [S-85]', async () => {
    const { system, child } = await bed();
    child.ref.tell({ type: 'poison' });
    await settle();
    const id = system.quarantine.list()[0]?.id ?? 0;
    system.quarantine.discard(id);
    expect(system.deadLetters.list().map(({ messageType, reason }) => [messageType, reason])).to.deep.equal([
      ['poison', 'discarded'],
    ]);
    expect(system.quarantine.list()).to.deep.equal([]);
    for (const again of [() => system.quarantine.discard(id), () => system.quarantine.release(id)]) {
      expect(thrownBy(again).code).to.equal('E_QUARANTINE_UNKNOWN');
    }
  });

  it('keeps what its actor has no room for, or is too dead for, whatever the overflow policy [S-85]', async () => {
    const { system, child, supervisor } = await bed();
    child.ref.tell({ type: 'poison' });
    await settle();
    const id = system.quarantine.list()[0]?.id ?? 0;
    for (let message = 0; message < 512; message++) child.ref.tell({ type: 'a' });
    expect(thrownBy(() => system.quarantine.release(id))).to.include({
      code: 'E_MAILBOX_FULL',
      kind: 'transient',
    });
    expect(system.counts().deadLetters.dropped).to.equal(0);
    await settle();
    await supervisor.stop(1_000);
    expect(thrownBy(() => system.quarantine.release(id))).to.include({ code: 'E_ACTOR_STOPPED' });
    expect(system.quarantine.list().map((kept) => kept.id)).to.deep.equal([id]);
    expect(system.counts().deadLetters.stopped).to.equal(0);
  });

  it('is bounded: when it is full the new message is a dead letter, and what is in it stays [S-85]', async () => {
    const { system, child } = await bed();
    for (let message = 0; message < QUARANTINED_MAX + 2; message++) {
      child.ref.tell({ type: `poison ${message}` });
    }
    for (let turn = 0; turn < 100; turn++) await settle();
    expect(system.quarantine.list().map(({ messageType }) => messageType)).to.deep.equal(
      Array.from({ length: QUARANTINED_MAX }, (_, index) => `poison ${index}`),
    );
    expect(system.quarantine.counts()).to.deep.include({ quarantined: QUARANTINED_MAX + 2, overflowed: 2 });
    expect(system.counts().deadLetters.quarantineFull).to.equal(2);
  });
});
