import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { ActorRef } from '../../runtime/actor-ref.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { stateMachine } from '../../runtime/state-machine.ts';
import type { StateBehaviour, StateMachineSpec } from '../../runtime/state-machine.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

type State = 'locked' | 'open' | 'jammed';
interface Data {
  digits: string;
  opened: number;
}
type Lock = StateMachineSpec<State, Data, string>;

describe('stateMachine', () => {
  let clock: FakeClock;
  let system: ActorSystem;
  let trace: string[];

  beforeEach(() => {
    clock = new FakeClock();
    system = new ActorSystem({ clock });
    trace = [];
  });

  /** A door lock: digits while locked, anything else is for the open door; open for 100 ms. */
  const lock = (more: Partial<Record<State, Partial<StateBehaviour<State, Data, string>>>> = {}): Lock => ({
    initial: 'locked',
    data: () => ({ digits: '', opened: 0 }),
    states: {
      locked: {
        enter: () => void trace.push('enter locked'),
        exit: () => void trace.push('exit locked'),
        handle: (message, data) => {
          trace.push(`locked ${message}`);
          if (!/^\d$/.test(message)) return { postpone: true };
          const digits = data.digits + message;
          return digits === '12'
            ? { next: 'open', data: { digits: '', opened: data.opened + 1 } }
            : { data: { ...data, digits } };
        },
        ...more.locked,
      },
      open: {
        enter: () => void trace.push('enter open'),
        exit: () => void trace.push('exit open'),
        timeoutMs: 100,
        timedOut: () => {
          trace.push('open too long');
          return { next: 'locked' };
        },
        handle: (message) => {
          trace.push(`open ${message}`);
          if (message === 'close') return { next: 'locked' };
          if (message === 'stay') return { next: 'open' };
          return undefined;
        },
        ...more.open,
      },
      jammed: { handle: () => undefined, ...more.jammed },
    },
    inspect: ({ opened }) => ({ opened }),
  });
  const run = (spec: Lock): ActorRef<string> => system.spawn(stateMachine(spec), { name: 'lock' });
  async function tell(ref: ActorRef<string>, ...messages: string[]): Promise<void> {
    for (const message of messages) ref.tell(message);
    for (let turn = 0; turn < 3; turn++) await settle();
  }
  const endOf = (ref: ActorRef<string>): Promise<ExitReason> =>
    new Promise((resolve) => ref.onTerminated(resolve));

  it('goes from state to state with its data: exit, enter, and then the next message [S-102]', async () => {
    const ref = run(lock());
    await tell(ref, '1', '2', 'push', 'close');
    expect(trace).to.deep.equal([
      'enter locked',
      'locked 1',
      'locked 2',
      'exit locked',
      'enter open',
      'open push',
      'open close',
      'exit open',
      'enter locked',
    ]);
    expect(system.inspect(ref).state).to.deep.equal({
      state: 'locked',
      sinceMs: clock.wallMs(),
      data: { opened: 1 },
    });
  });

  it('says its state and since when [S-102]', async () => {
    const ref = run(lock());
    await settle();
    const sinceMs = clock.wallMs();
    clock.advance(40);
    await tell(ref, '1');
    expect(system.inspect(ref).state).to.include({ state: 'locked', sinceMs });
    await tell(ref, '2');
    expect(system.inspect(ref).state).to.include({ state: 'open', sinceMs: sinceMs + 40 });
  });

  it('does not leave a state for itself: no exit, no enter, the time-out runs on [S-102] [S-103]', async () => {
    const ref = run(lock());
    await tell(ref, '1', '2');
    await clock.pass(60);
    trace = [];
    await tell(ref, 'stay');
    expect(trace).to.deep.equal(['open stay']);
    await clock.pass(40);
    expect(trace).to.include('open too long');
  });

  it('waits for async handlers, exits and entries before the next message [S-102]', async () => {
    const later = (what: string) => async (): Promise<void> => {
      await settle();
      trace.push(what);
    };
    const ref = run(
      lock({
        locked: {
          enter: later('entered locked'),
          exit: later('left locked'),
          handle: async (message) => {
            await settle();
            trace.push(`handled ${message}`);
            return { next: 'open' };
          },
        },
        open: { enter: later('entered open') },
      }),
    );
    for (const message of ['go', 'push']) ref.tell(message);
    for (let turn = 0; turn < 12; turn++) await settle();
    expect(trace).to.deep.equal(['entered locked', 'handled go', 'left locked', 'entered open', 'open push']);
  });

  describe('a time-out', () => {
    it('comes once, when the machine has been in the state for so long [S-103]', async () => {
      const ref = run(lock());
      await tell(ref, '1', '2');
      await clock.pass(99);
      expect(trace).to.not.include('open too long');
      await clock.pass(1);
      expect(trace.slice(-3)).to.deep.equal(['open too long', 'exit open', 'enter locked']);
      await clock.pass(500);
      expect(trace.filter((what) => what === 'open too long')).to.have.length(1);
      expect(clock.pending).to.equal(0);
    });

    it('of a state that was left never arrives, even if it was in the mailbox [S-103]', async () => {
      const gate = Promise.withResolvers<void>();
      const ref = run(
        lock({
          open: {
            handle: async () => {
              await gate.promise;
              return { next: 'locked' };
            },
          },
        }),
      );
      await tell(ref, '1', '2', 'slow');
      // It falls due and waits behind the message in hand, which leaves the state.
      await clock.pass(150);
      expect(system.inspect(ref).waiting).to.equal(1);
      gate.resolve();
      await tell(ref, '1', '2');
      expect(trace).to.not.include('open too long');
      // The state entered again has its whole time.
      await clock.pass(99);
      expect(trace).to.not.include('open too long');
      await clock.pass(1);
      expect(trace).to.include('open too long');
    });
  });

  describe('a postponed message', () => {
    it('comes again after the next change of state, in order, before what waits [S-104]', async () => {
      const ref = run(lock());
      await tell(ref, 'a', '1', 'b', '2', 'c');
      expect(trace.filter((what) => what.startsWith('open'))).to.deep.equal(['open a', 'open b', 'open c']);
    });

    it('is postponed as often as the states wish, and is not handled in between [S-104]', async () => {
      const ref = run(
        lock({ open: { handle: (message) => ({ next: 'jammed', postpone: message === 'a' }) } }),
      );
      await tell(ref, 'a', '1', '2');
      // Postponed with a change of state: it belongs to the new state at once.
      expect(system.inspect(ref)).to.include({ stashed: 0, waiting: 0 });
      expect(system.inspect(ref).state).to.include({ state: 'jammed' });
    });

    it('that is one too many fails the machine with E_STASH_FULL [S-104]', async () => {
      const ref = system.spawn(stateMachine(lock()), { stashCapacity: 1 });
      const end = endOf(ref);
      await tell(ref, 'a', 'b');
      expect(await end).to.have.nested.property('error.code', 'E_STASH_FULL');
    });
  });

  it('begins anew in its initial state after a restart, with data of its own [S-102]', async () => {
    const child = localChild(
      system,
      'lock',
      stateMachine(
        lock({
          open: {
            handle: () => {
              throw new Error('planted');
            },
          },
        }),
      ),
    );
    const supervisor = new Supervisor(
      {
        id: 'root',
        strategy: 'oneForOne',
        intensity: { restartsMax: 5, windowMs: 1_000 },
        children: [{ id: 'lock', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      },
      { clock },
    );
    await supervisor.start();
    await tell(child.ref, '1', '2', 'break');
    expect(system.inspect(child.ref).state).to.deep.include({ state: 'locked', data: { opened: 0 } });
    await supervisor.stop(100);
    expect(clock.pending).to.equal(0);
  });

  it('hands on signals and its end', async () => {
    const other = system.spawn<string>(() => ({ handle: () => undefined }));
    const ref = run({
      ...lock({ locked: { enter: (_data, context) => context.watch(other) } }),
      onSignal: ({ type }) => {
        trace.push(type);
        return { next: 'open' };
      },
      terminate: ({ kind }) => void trace.push(kind),
    });
    await settle();
    await system.stopActor(other);
    await settle();
    await system.stopActor(ref);
    expect(trace).to.deep.equal(['terminated', 'exit locked', 'enter open', 'shutdown']);
  });

  describe('what is wrong', () => {
    const planted = (): never => {
      throw new Error('planted');
    };
    const breaking: Record<string, Lock> = {
      'an enter that throws': lock({ open: { enter: planted } }),
      'an enter that rejects': lock({ open: { enter: () => Promise.reject(new Error('planted')) } }),
      'an exit that throws': lock({ locked: { exit: planted } }),
      'a handle that throws': lock({ locked: { handle: planted } }),
      'a first enter that throws': lock({ locked: { enter: planted } }),
      'data that throw': { ...lock(), data: planted },
    };
    for (const [title, spec] of Object.entries(breaking)) {
      it(`${title} fails the actor`, async () => {
        const ref = run(spec);
        const end = endOf(ref);
        await tell(ref, '1', '2');
        expect(await end).to.have.nested.property('error.message', 'planted');
      });
    }

    it('is a time-out handler that throws', async () => {
      const ref = run(lock({ open: { timedOut: planted } }));
      const end = endOf(ref);
      await tell(ref, '1', '2');
      await clock.pass(100);
      expect(await end).to.have.nested.property('error.message', 'planted');
    });

    it('a state that there is not fails the actor and names the nearest', async () => {
      const ref = run(lock({ locked: { handle: () => ({ next: 'opem' as State }) } }));
      const end = endOf(ref);
      await tell(ref, 'x');
      expect(await end).to.deep.nested.include({ 'error.code': 'E_STATE_UNKNOWN' });
      expect(await end).to.have.nested.property('error.mend', 'Did you mean open?');
    });

    it('a step that is none fails the actor and names what is wrong [S-185]', async () => {
      const steps: [unknown, string][] = [
        [5, 'of type number'],
        ['open', 'of type string'],
        [null, 'null'],
        [[], 'an array'],
        [{ next: 5 }, 'next is of type number'],
        [{ postpone: 'yes' }, 'postpone is of type string'],
        [{ nxet: 'open' }, 'the field "nxet"'],
        [Promise.resolve({ date: 7 }), 'the field "date"'],
      ];
      for (const [step, named] of steps) {
        const ref = run(lock({ locked: { handle: () => step as undefined } }));
        const end = endOf(ref);
        await tell(ref, 'x');
        expect(await end).to.deep.nested.include({ 'error.code': 'E_STEP_INVALID' });
        expect(await end)
          .to.have.nested.property('error.message')
          .that.contains(named);
      }
    });

    it('in the spec is refused before any actor is made, with every fault', () => {
      const bad = {
        initial: 'shut',
        data: { digits: '' },
        states: { open: { timeoutMs: -1 }, locked: { handle: () => undefined, timedOut: () => undefined } },
      } as unknown as Lock;
      const error = thrownBy(() => stateMachine(bad));
      expect(error.code).to.equal('E_STATE_MACHINE_INVALID');
      expect(error.details['faults']).to.have.length(6);
      for (const field of ['initial "shut"', 'data', 'open.handle', 'open.timeoutMs -1', 'states.locked'])
        expect(error.message).to.contain(field);
    });
  });
});
