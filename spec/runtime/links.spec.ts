import { expect } from 'chai';
import fc from 'fast-check';
import { beforeEach, describe, it } from 'mocha';
import type { ActorContext, SpawnOptions } from '../../runtime/actor.ts';
import type { ActorRef, AnyRef } from '../../runtime/actor-ref.ts';
import type { ActorSignal } from '../../runtime/actor-signal.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { LINKS_PER_ACTOR_MAX } from '../../runtime/limits.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { LocalChild } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { thrownBy } from '../support/rejection.ts';

type Act = (context: ActorContext<Act>) => void | Promise<void>;

describe('links', () => {
  let clock: FakeClock;
  let system: ActorSystem;
  let ends: Map<string, ExitReason>;
  let signals: ActorSignal[];

  beforeEach(() => {
    clock = new FakeClock();
    system = new ActorSystem({ clock });
    ends = new Map();
    signals = [];
  });

  /** An actor that does what it is told. */
  function spawn(name: string, options: SpawnOptions = {}): ActorRef<Act> {
    const ref = system.spawn<Act>(
      (context) => ({
        handle: (act) => act(context),
        onSignal: (signal) => void signals.push(signal),
      }),
      { ...options, name },
    );
    ref.onTerminated((reason) => ends.set(name, reason));
    return ref;
  }
  const fail: Act = () => {
    throw new Error('planted');
  };
  const link =
    (ref: AnyRef): Act =>
    (context) =>
      context.link(ref);
  const ended = (): string[] => [...ends.keys()].sort();

  describe('between two actors', () => {
    for (const [title, first] of [
      ['the one that linked', 'a'],
      ['the one that was linked', 'b'],
    ] as const) {
      it(`fail the other when ${title} fails, with E_LINKED and the cause [S-99]`, async () => {
        const refs = { a: spawn('a'), b: spawn('b') };
        refs.a.tell(link(refs.b));
        await settle();
        refs[first].tell(fail);
        await settle();
        const reason = ends.get(first === 'a' ? 'b' : 'a');
        expect(reason).to.have.nested.property('error.code', 'E_LINKED');
        expect(reason).to.have.nested.property('error.cause.message', 'planted');
        expect(reason).to.have.nested.property('error.details.path', `/${first}`);
        expect(signals).to.deep.equal([]);
      });
    }

    it('count a kill as a failure, and give its words [S-99]', async () => {
      const [a, b] = [spawn('a'), spawn('b')];
      a.tell(link(b));
      await settle();
      system.killActor(b, 'the spec');
      await settle();
      expect(ends.get('a')).to.have.deep.nested.property('error.details', {
        path: '/b',
        reason: { kind: 'killed', by: 'the spec' },
      });
    });

    for (const [title, end] of [
      ['stopped', (ref: AnyRef) => system.stopActor(ref)],
      ['ended by itself', async (ref: ActorRef<Act>) => void ref.tell((context) => context.stop())],
    ] as [string, (ref: ActorRef<Act>) => Promise<unknown>][]) {
      it(`are broken in silence when one is ${title} [S-99]`, async () => {
        const [a, b] = [spawn('a', { trapExits: true }), spawn('b')];
        a.tell(link(b));
        await settle();
        await end(b);
        await settle();
        expect([ended(), signals]).to.deep.equal([['b'], []]);
      });
    }

    it('let the message in hand end, and no other begin [S-99]', async () => {
      const gate = Promise.withResolvers<void>();
      const done: string[] = [];
      const [a, b] = [spawn('a'), spawn('b')];
      a.tell(link(b));
      a.tell(async () => {
        await gate.promise;
        done.push('in hand');
      });
      a.tell(() => void done.push('next'));
      await settle();
      b.tell(fail);
      await settle();
      expect(ended()).to.deep.equal(['b']);
      gate.resolve();
      await settle();
      expect([done, ended()]).to.deep.equal([['in hand'], ['a', 'b']]);
    });

    it('are for an actor that is just starting too', async () => {
      const a = spawn('a');
      a.tell((context) => {
        const child = context.spawn<Act>(() => {
          throw new Error('planted');
        });
        context.link(child);
      });
      await settle();
      expect(ends.get('a')).to.have.nested.property('error.code', 'E_LINKED');
    });

    it('to a dead actor tell at once that it had failed, and nothing of a clean end [S-99]', async () => {
      const [failed, stopped, a, b] = [spawn('failed'), spawn('stopped'), spawn('a'), spawn('b')];
      failed.tell(fail);
      await system.stopActor(stopped);
      a.tell(link(failed));
      b.tell(link(stopped));
      await settle();
      expect(ended()).to.deep.equal(['a', 'failed', 'stopped']);
    });

    it('mean nothing to oneself, and once is enough', async () => {
      const [a, b] = [spawn('a'), spawn('b', { trapExits: true })];
      a.tell((context) => {
        context.link(context.self);
        context.link(b);
        context.link(b);
      });
      await settle();
      a.tell(fail);
      await settle();
      expect(signals.map(({ type }) => type)).to.deep.equal(['linkBroken']);
    });

    it('to an actor of another system, or too many, are refused', async () => {
      const stranger = new ActorSystem({ clock: new FakeClock() }).spawn<Act>(() => ({
        handle: () => undefined,
      }));
      const a = spawn('a');
      const codes: string[] = [];
      a.tell((context) => {
        codes.push(thrownBy(() => context.link(stranger)).code);
        for (let n = 0; n < LINKS_PER_ACTOR_MAX; n++)
          context.link(context.spawn(() => ({ handle: () => undefined })));
        const oneMore = context.spawn(() => ({ handle: () => undefined }));
        codes.push(thrownBy(() => context.link(oneMore)).code);
      });
      await settle();
      expect(codes).to.deep.equal(['E_NOT_LOCAL', 'E_LINKS_FULL']);
    });
  });

  describe('with trapExits', () => {
    it('are heard of by onSignal, with ref and reason, and the actor goes on [S-100]', async () => {
      const [a, b] = [spawn('a', { trapExits: true }), spawn('b')];
      a.tell(link(b));
      await settle();
      b.tell(fail);
      await settle();
      expect(ended()).to.deep.equal(['b']);
      expect(signals).to.have.length(1);
      expect(signals[0]).to.deep.include({ type: 'linkBroken', ref: b });
      expect(signals[0]?.reason.kind).to.equal('failed');
    });

    it('fail an actor that has no onSignal all the same [S-100]', async () => {
      const b = spawn('b');
      const a = system.spawn<Act>((context) => ({ handle: (act) => act(context) }), { trapExits: true });
      a.onTerminated((reason) => ends.set('a', reason));
      a.tell(link(b));
      await settle();
      b.tell(fail);
      await settle();
      expect(ended()).to.deep.equal(['a', 'b']);
    });

    it('is said with true or false', () => {
      const spawnBadly = (): unknown => spawn('a', { trapExits: 'yes' as unknown as boolean });
      expect(thrownBy(spawnBadly).message).to.contain('trapExits');
    });
  });

  it('that were unlinked do nothing, even if the end was on its way [S-100]', async () => {
    const [a, b, c] = [spawn('a'), spawn('b'), spawn('c')];
    a.tell((context) => {
      context.link(b);
      context.link(c);
      // Both end while this message is in hand.
      system.killActor(b, 'the spec');
      context.unlink(b);
    });
    await settle();
    a.tell((context) => context.unlink(c));
    await settle();
    c.tell(fail);
    await settle();
    expect(ended()).to.deep.equal(['b', 'c']);
  });

  it('in a chain of 1,000 end all of it, each with an error that is no longer than the first [S-101]', async () => {
    const refs = Array.from({ length: 1_000 }, (_, n) => spawn(`a${n}`));
    for (const [n, ref] of refs.entries()) {
      const next = refs[n + 1];
      if (next !== undefined) ref.tell(link(next));
    }
    await settle();
    refs[0]?.tell(fail);
    await settle();
    expect(ends.size).to.equal(1_000);
    const last = ends.get('a999');
    expect(JSON.stringify(last).length).to.be.lessThan(20_000);
    expect(last?.kind === 'failed' && last.error.message.length).to.be.lessThan(200);
  });

  describe('of supervised actors', () => {
    interface Group {
      children: LocalChild<Act>[];
      supervisor: Supervisor;
      /** By actor, the codes of its ends. */
      exits: string[][];
    }
    async function group(size: number, edges: readonly (readonly [number, number])[]): Promise<Group> {
      const exits: string[][] = Array.from({ length: size }, () => []);
      const children: LocalChild<Act>[] = Array.from({ length: size }, (_, n) =>
        localChild<Act>(system, `a${n}`, (context) => {
          for (const [from, to] of edges) {
            const other = children[to];
            if (from === n && other !== undefined) context.link(other.ref);
          }
          return { handle: (act) => act(context) };
        }),
      );
      const supervisor = new Supervisor(
        {
          id: 'root',
          strategy: 'oneForOne',
          intensity: { restartsMax: 1_000, windowMs: 1_000 },
          children: children.map(({ start }, n) => ({
            id: `a${n}`,
            start,
            restart: 'permanent',
            shutdownDeadlineMs: 100,
          })),
        },
        {
          clock,
          onEvent: (event) => {
            if (event.type !== 'childExited') return;
            const { reason } = event;
            exits[Number(event.child.slice(1))]?.push(
              reason.kind === 'failed' ? reason.error.code : reason.kind,
            );
          },
        },
      );
      await supervisor.start();
      await settle();
      return { children, supervisor, exits };
    }

    it('belong to the incarnation: the next one has those that it makes [S-101]', async () => {
      const { children, exits, supervisor } = await group(2, []);
      const [a, b] = children.map(({ ref }) => ref) as [ActorRef<Act>, ActorRef<Act>];
      a.tell(link(b));
      await settle();
      await supervisor.restartChild('a0');
      b.tell(fail);
      await settle();
      expect(exits).to.deep.equal([['shutdown'], ['E_UNKNOWN']]);
    });

    for (const isBusy of [false, true]) {
      it(`in a circle end each incarnation once and come to rest${isBusy ? ', with messages in hand' : ''} [S-101]`, async () => {
        const edges = [0, 1, 2, 3].map((n) => [n, (n + 1) % 4] as const);
        const { children, exits, supervisor } = await group(4, edges);
        const gates = children.slice(1).map(({ ref }) => {
          const gate = Promise.withResolvers<void>();
          if (isBusy) ref.tell(() => gate.promise);
          return gate;
        });
        await settle();
        children[0]?.ref.tell(fail);
        for (let turn = 0; turn < 3; turn++) await settle();
        for (const gate of gates) {
          gate.resolve();
          await settle();
        }
        await clock.pass(100);
        expect(exits).to.deep.equal([['E_UNKNOWN'], ['E_LINKED'], ['E_LINKED'], ['E_LINKED']]);
        expect(system.counts().restarted).to.equal(4);
        expect(supervisor.describe().children.map(({ status }) => status)).to.deep.equal(
          Array(4).fill('running'),
        );
        // The new incarnations are linked as the old ones were.
        children[2]?.ref.tell(fail);
        await clock.pass(100);
        expect(exits.map(({ length }) => length)).to.deep.equal([2, 2, 2, 2]);
        await supervisor.stop(100);
      });
    }

    it('share fates with all they reach and nobody else, once for each failure, whatever the graph [S-101]', async () => {
      const size = 6;
      const node = fc.nat(size - 1);
      const edge = fc.tuple(node, node);
      const fault = fc.record({ at: node, busy: fc.uniqueArray(node), how: fc.constantFrom('fail', 'kill') });
      await fc.assert(
        fc.asyncProperty(
          fc.array(edge, { maxLength: 10 }),
          fc.array(fault, { minLength: 1, maxLength: 3 }),
          async (edges, faults) => {
            clock = new FakeClock();
            system = new ActorSystem({ clock });
            const { children, exits, supervisor } = await group(size, edges);
            const expected = Array<number>(size).fill(0);
            for (const { at, busy, how } of faults) {
              const gates = busy
                .filter((n) => n !== at)
                .map((n) => {
                  const gate = Promise.withResolvers<void>();
                  children[n]?.ref.tell(() => gate.promise);
                  return gate;
                });
              await settle();
              const child = children[at];
              if (child === undefined) continue;
              if (how === 'kill') system.killActor(child.ref, 'the spec');
              else child.ref.tell(fail);
              for (let turn = 0; turn < 3; turn++) await settle();
              for (const gate of gates) {
                gate.resolve();
                await settle();
              }
              await clock.pass(50);
              for (const n of reached(at, edges)) expected[n] = (expected[n] ?? 0) + 1;
              expect(exits.map(({ length }) => length)).to.deep.equal(expected);
            }
            expect(supervisor.describe().children.every(({ status }) => status === 'running')).to.equal(true);
            await supervisor.stop(100);
            expect(clock.pending).to.equal(0);
          },
        ),
        { numRuns: 80 },
      );
    });
  });
});

function reached(from: number, edges: readonly (readonly [number, number])[]): Set<number> {
  const found = new Set([from]);
  for (const n of found) {
    for (const [a, b] of edges) {
      if (a === n) found.add(b);
      if (b === n) found.add(a);
    }
  }
  return found;
}
