import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorFactory, LogEntry } from '../../../runtime/actor.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { localChild } from '../../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { Group } from '../../../runtime/routing/group.ts';
import type { GroupChange } from '../../../runtime/routing/group.ts';
import { router } from '../../../runtime/routing/router.ts';
import { roundRobin } from '../../../runtime/routing/routing-policy.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { thrownBy } from '../../support/rejection.ts';

const obedient: ActorFactory<string> = (context) => ({
  handle(message) {
    if (message === 'stop') context.stop();
    if (message === 'fail') throw new Error('planted');
  },
});

function changesOf(group: Group<string>): string[] {
  const heard: string[] = [];
  group.onChange((change: GroupChange<string>) =>
    heard.push(
      change.type === 'joined'
        ? `+${change.ref.path}`
        : `-${change.ref.path} ${change.reason?.kind ?? 'alive'}`,
    ),
  );
  return heard;
}

describe('Group', () => {
  it('holds its members in the order of joining, each once, and tells every change in its step [S-145]', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = new Group<string>('workers');
    const heard = changesOf(group);
    const [a, b] = [system.spawn(obedient, { name: 'a' }), system.spawn(obedient, { name: 'b' })];
    const before = group.members;
    for (const ref of [b, a, b]) group.join(ref);
    expect(group.members).to.deep.equal([b, a]);
    expect(before, 'a list once read never changes').to.deep.equal([]);
    expect(group.leave(b)).to.equal(true);
    expect(group.leave(b)).to.equal(false);
    expect(group.members).to.deep.equal([a]);
    expect(heard).to.deep.equal(['+/b', '+/a', '-/b alive']);
  });

  it('loses a member when that is dead, and not when it is restarted [S-145]', async () => {
    const clock = new FakeClock();
    const system = new ActorSystem({ clock });
    const kept = localChild(system, 'kept', obedient);
    const supervisor = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 5, windowMs: 1_000 },
        children: [{ id: 'kept', start: kept.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      },
      { clock },
    );
    await supervisor.start();
    const group = new Group<string>('workers');
    const heard = changesOf(group);
    const mortal = system.spawn(obedient, { name: 'mortal' });
    group.join(kept.ref);
    group.join(mortal);
    kept.ref.tell('fail');
    mortal.tell('fail');
    await settle();
    expect(system.counts().restarted).to.equal(1);
    expect(group.members).to.deep.equal([kept.ref]);
    await supervisor.stop(100);
    expect(group.members).to.deep.equal([]);
    expect(heard.slice(2)).to.deep.equal(['-/mortal failed', '-/kept shutdown']);
  });

  it('takes out soon again who was dead already [S-145]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const dead = system.spawn(obedient);
    dead.tell('stop');
    await settle();
    const group = new Group<string>('workers');
    group.join(dead);
    await settle();
    expect(group.members).to.deep.equal([]);
  });

  it('is bounded: one member too many is refused, and so is a bound that is none [S-145]', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = new Group<string>('workers', { membersMax: 1 });
    group.join(system.spawn(obedient));
    expect(thrownBy(() => group.join(system.spawn(obedient)))).to.have.property('code', 'E_GROUP_FULL');
    for (const membersMax of [0, 1.5, Infinity]) {
      expect(thrownBy(() => new Group('x', { membersMax }))).to.have.property('code', 'E_OPTIONS_INVALID');
    }
    expect(thrownBy(() => new Group('a/b'))).to.have.property('code', 'E_OPTIONS_INVALID');
  });

  it('lets no listener keep the others from hearing', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = new Group<string>('workers');
    group.onChange(() => {
      throw new CodedError('E_PLANTED', 'planted');
    });
    const heard = changesOf(group);
    const ref = system.spawn(obedient, { name: 'a' });
    expect(thrownBy(() => group.join(ref))).to.have.property('code', 'E_PLANTED');
    expect(group.has(ref)).to.equal(true);
    expect(heard).to.deep.equal(['+/a']);
  });

  it('tells all of its members, whatever each says to that [S-146]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const got: string[] = [];
    const group = new Group<string>('workers');
    const factory: ActorFactory<string> = (context) => ({
      handle: (message) => void got.push(`${context.path} ${message}`),
    });
    group.join(system.spawn(factory, { name: 'a' }));
    group.join(system.spawn(factory, { name: 'full', mailbox: { capacity: 1, overflow: 'refuse' } }));
    group.join(system.spawn(factory, { name: 'dropping', mailbox: { capacity: 1, overflow: 'dropNewest' } }));
    expect(group.tellAll('one')).to.deep.equal({ accepted: 3, dropped: 0, refused: 0 });
    expect(group.tellAll('two')).to.deep.equal({ accepted: 1, dropped: 1, refused: 1 });
    await settle();
    expect(got).to.deep.equal(['/a one', '/a two', '/full one', '/dropping one']);
  });

  it('is found by its name, which no actor may have too, until it is closed [S-147]', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = system.group<string>('workers');
    expect(system.group('workers')).to.equal(group);
    expect(system.whereis('workers'), 'it is no actor').to.equal(undefined);
    expect(system.names()).to.deep.equal(['workers']);
    expect(thrownBy(() => system.spawn(obedient, { name: 'workers' }))).to.have.property(
      'code',
      'E_NAME_TAKEN',
    );
    system.spawn(obedient, { name: 'actor' });
    expect(thrownBy(() => system.group('actor'))).to.have.property('code', 'E_NAME_TAKEN');
    group.close();
    expect(system.group('workers')).to.not.equal(group);
  });

  it('lets its members live when it is closed, and takes none after that [S-147]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = system.group<string>('workers');
    const ref = system.spawn(obedient);
    group.join(ref);
    const heard = changesOf(group);
    const ends: string[] = [];
    group.onTerminated((reason) => ends.push(`before ${reason.kind}`));
    group.onTerminated(() => ends.push('taken away'))();
    group.close();
    group.close();
    group.onTerminated((reason) => ends.push(`after ${reason.kind}`));
    await settle();
    expect(heard).to.have.length(1);
    expect(ends).to.deep.equal(['before shutdown', 'after shutdown']);
    expect(ref.tell('still')).to.equal('accepted');
    expect(thrownBy(() => group.join(ref))).to.have.property('code', 'E_ACTOR_STOPPED');
  });

  it('is one of at most 4,096 named ones [S-147]', () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    for (let index = 0; index < 4_096; index++) system.group(`g${index}`);
    expect(thrownBy(() => system.group('more'))).to.have.property('code', 'E_GROUPS_FULL');
    system.group('g0').close();
    expect(system.group('more').members).to.deep.equal([]);
  });

  it('is closed whole, whatever its listeners throw, and logs that [S-147]', async () => {
    const logged: LogEntry[] = [];
    const system = new ActorSystem({ clock: new FakeClock(), log: (entry) => logged.push(entry) });
    const group = system.group<string>('workers');
    const planted = (): never => {
      throw new CodedError('E_PLANTED', 'planted');
    };
    for (const name of ['a', 'b']) group.join(system.spawn(obedient, { name }));
    const heard = changesOf(group);
    const ends: string[] = [];
    group.onChange(planted);
    group.onTerminated(planted);
    group.onTerminated(({ kind }) => ends.push(kind));
    group.close();
    group.onTerminated(planted);
    await settle();
    expect(group.members).to.deep.equal([]);
    expect(heard).to.deep.equal(['-/a alive', '-/b alive']);
    expect(ends).to.deep.equal(['shutdown']);
    expect(system.group('workers'), 'its name is free').to.not.equal(group);
    const texts = logged.map(({ path, text }) => `${path} ${text}`);
    expect(texts).to.deep.equal([
      ...Array<string>(2).fill('/workers a listener for the changes of a group threw'),
      ...Array<string>(2).fill('/workers a termination listener threw'),
    ]);
  });

  it('takes no router that leads to itself, by however many others [S-184]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const [one, two, three] = ['one', 'two', 'three'].map((name) => new Group<string>(name)) as [
      Group<string>,
      Group<string>,
      Group<string>,
    ];
    const to = (group: Group<string>): ActorRef<string> => router(group, roundRobin<string>());
    const cycle = (group: Group<string>, ref: ActorRef<string>): void => {
      const error = thrownBy(() => group.join(ref));
      expect(error).to.include({ code: 'E_GROUP_CYCLE', kind: 'defect' });
      expect(group.has(ref)).to.equal(false);
    };
    cycle(one, to(one));
    one.join(to(two));
    two.join(to(three));
    cycle(three, to(one));
    cycle(two, to(one));
    three.join(system.spawn(obedient, { name: 'end' }));
    one.join(to(three));
    expect(to(one).tell('through three groups'), 'what is no circle is allowed').to.equal('accepted');
    await settle();
    expect(system.counts().messagesHandled).to.equal(1);
  });
});
