import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import type { ActorInstance, SpawnOptions } from '../../../runtime/actor.ts';
import type { ActorRef } from '../../../runtime/actor-ref.ts';
import { BlackBox, BlackBoxWriter, Recorded } from '../../../runtime/shared/black-box.ts';
import type { ActorRecord } from '../../../runtime/shared/black-box.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** As many pages as a box has. */
const PAGES = 32;
const WHOLE = { actorsMax: PAGES, entriesMax: 16 };

describe('BlackBox', () => {
  it('shows every reader of its memory the last messages of an actor, with their times and outcomes', () => {
    const clock = new FakeClock();
    const box = new BlackBox();
    const recorder = new BlackBoxWriter(box, clock).open('/actor');
    recorder?.begin('order', 3, false);
    clock.advance(40);
    recorder?.end(Recorded.handled);
    recorder?.begin('refund', 2, true);
    clock.advance(5);
    recorder?.end(Recorded.failed);
    clock.advance(1_000);
    recorder?.begin('order', 7, false);
    const reader = new BlackBox(box.buffer);
    const [record] = reader.tail();
    expect(record).to.include({ actor: '/actor', waiting: 7 });
    expect(record?.last.map(({ n, type, tookMs, outcome }) => [n, type, tookMs, outcome])).to.deep.equal([
      [1, 'order', 40, 'handled'],
      [2, 'refund', 5, 'failed'],
    ]);
    expect(record?.current?.type).to.equal('order');
    const [first, second] = record?.last ?? [];
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0), 'it went on at once').to.equal(40);
    expect((record?.current?.sinceMs ?? 0) - (second?.atMs ?? 0)).to.equal(1_005);
  });

  it('tells times that people can read', () => {
    const box = new BlackBox();
    const clock = new FakeClock();
    new BlackBoxWriter(box, clock).open('/actor')?.begin('order', 0, false);
    expect(Math.abs((box.tail()[0]?.current?.sinceMs ?? 0) - Date.now())).to.be.lessThan(1_000);
  });

  it('keeps the last 16 of each actor, and puts as much into a tail as it is asked for [S-89]', () => {
    const box = new BlackBox();
    const writer = new BlackBoxWriter(box, new FakeClock());
    const recorder = writer.open('/busy');
    for (let message = 1; message <= 100; message++) {
      recorder?.begin(`m${message % 3}`, 0, false);
      recorder?.end(Recorded.handled);
    }
    writer.open('/idle');
    const [record, ...others] = box.tail(WHOLE);
    expect(others, 'who has done nothing is not listed').to.deep.equal([]);
    expect(record?.last.map(({ n }) => n)).to.deep.equal(Array.from({ length: 16 }, (_, at) => 85 + at));
    expect(record?.last.every(({ n, type }) => type === `m${n % 3}`)).to.equal(true);
    expect(box.tail({ actorsMax: 1, entriesMax: 2 })[0]?.last.map(({ n }) => n)).to.deep.equal([99, 100]);
  });

  it('lists the actors that were active last, and has a bound for actors and for types [S-89]', () => {
    const clock = new FakeClock();
    const box = new BlackBox();
    const writer = new BlackBoxWriter(box, clock);
    const recorders = Array.from({ length: PAGES }, (_, at) => writer.open(`/a${at}`));
    expect(writer.open('/one-too-many')).to.equal(undefined);
    expect(box.actorsLeftOut).to.equal(1);
    for (const at of [4, 9, 2]) {
      clock.advance(10);
      recorders[at]?.begin('x', 0, false);
    }
    expect(box.tail().map(({ actor }) => actor)).to.deep.equal(['/a2', '/a9', '/a4']);
    for (let type = 0; type < 200; type++) {
      recorders[0]?.begin(`type ${type}`, 0, false);
      recorders[0]?.end(Recorded.handled);
    }
    const types = box
      .tail(WHOLE)
      .find(({ actor }) => actor === '/a0')
      ?.last.map(({ type }) => type);
    expect(new Set(types)).to.deep.equal(new Set(['other types']));
  });

  it('keeps the page of a dead actor until another needs it', () => {
    const box = new BlackBox();
    const writer = new BlackBoxWriter(box, new FakeClock());
    const dead = writer.open('/dead');
    dead?.begin('last words', 0, false);
    dead?.end(Recorded.failed);
    dead?.close();
    for (let at = 1; at < PAGES; at++) writer.open(`/a${at}`);
    expect(box.tail(WHOLE)[0]).to.deep.include({ actor: '/dead' });
    writer.open('/heir')?.begin('x', 0, false);
    expect(box.tail(WHOLE).map(({ actor }) => actor)).to.deep.equal(['/heir']);
    box.clear();
    expect(box.tail(WHOLE)).to.deep.equal([]);
  });

  it('changes its stamp whenever something is written', () => {
    const box = new BlackBox();
    const recorder = new BlackBoxWriter(box, new FakeClock()).open('/actor');
    const stamps = [box.stamp];
    for (const write of [
      () => recorder?.begin('x', 0, false),
      () => recorder?.end(Recorded.handled),
      () => recorder?.begin('x', 0, false),
    ]) {
      write();
      stamps.push(box.stamp);
    }
    expect(new Set(stamps).size).to.equal(4);
  });

  describe('of an actor system', () => {
    function bed(
      instance: ActorInstance<{ type: string; content?: string }>,
      options: SpawnOptions = {},
    ): {
      ref: ActorRef<{ type: string; content?: string }>;
      system: ActorSystem;
      clock: FakeClock;
      box: BlackBox;
      page: () => ActorRecord | undefined;
      last: () => string[];
    } {
      const clock = new FakeClock();
      const box = new BlackBox();
      const system = new ActorSystem({ clock, blackBox: new BlackBoxWriter(box, clock) });
      const ref = system.spawn<{ type: string; content?: string }>(() => instance, {
        name: 'actor',
        ...options,
      });
      const page = (): ActorRecord | undefined => box.tail(WHOLE).find(({ actor }) => actor === '/actor');
      const last = (): string[] => (page()?.last ?? []).map(({ type, outcome }) => `${type} ${outcome}`);
      return { ref, system, clock, box, page, last };
    }

    it('records starts, messages and stops as they are begun and ended', async () => {
      const { ref, system, clock, page, last } = bed({
        handle: ({ type }) =>
          type === 'slow' ? new Promise<void>((resolve) => clock.after(30, resolve)) : undefined,
        terminate: () => undefined,
      });
      for (const type of ['quick', 'slow', 'quick']) ref.tell({ type });
      await settle();
      expect(last()).to.deep.equal(['a start handled', 'quick handled']);
      expect(page()).to.deep.include({ waiting: 1 });
      expect(page()?.current?.type).to.equal('slow');
      await clock.pass(30);
      await system.stopActor(ref);
      expect(last().slice(2)).to.deep.equal(['slow handled', 'quick handled', 'a stop handled']);
      expect(page()?.last[2]?.tookMs).to.equal(30);
      expect(page()?.current).to.equal(undefined);
    });

    for (const [how, outcome] of [
      ['throw', 'failed'],
      ['reject', 'failed'],
      ['hang', 'hung'],
      ['kill', 'killed'],
    ] as const) {
      it(`records a handler that ends by ${how} as ${outcome}`, async () => {
        const { ref, system, clock, last } = bed(
          {
            handle: ({ type }) => {
              if (type === 'throw') throw new Error('planted');
              return type === 'reject' ? Promise.reject(new Error('planted')) : new Promise(() => undefined);
            },
          },
          { handlerTimeoutMs: 100 },
        );
        ref.tell({ type: how });
        await settle();
        if (how === 'kill') system.killActor(ref, 'a spec');
        await clock.pass(100);
        expect(last()).to.deep.equal(['a start handled', `${how} ${outcome}`]);
      });
    }

    it('records signals, and a clean-up that fails', async () => {
      const clock = new FakeClock();
      const box = new BlackBox();
      const system = new ActorSystem({ clock, blackBox: new BlackBoxWriter(box, clock) });
      const watched = system.spawn<string>(() => ({ handle: () => undefined }));
      const watcher = system.spawn<string>(
        (context) => {
          context.watch(watched);
          return {
            handle: () => undefined,
            onSignal: () => undefined,
            terminate: () => {
              throw new Error('planted');
            },
          };
        },
        { name: 'watcher' },
      );
      await settle();
      await system.stopActor(watched);
      await settle();
      await system.stopActor(watcher);
      const page = box.tail(WHOLE).find(({ actor }) => actor === '/watcher');
      expect(page?.last.map(({ type, outcome }) => `${type} ${outcome}`)).to.deep.equal([
        'a start handled',
        'a signal handled',
        'a stop failed',
      ]);
    });

    it('never holds what a message holds [S-89]', async () => {
      const { ref, box, last } = bed({ handle: () => undefined });
      ref.tell({ type: 'order', content: 'the-secret' });
      await settle();
      expect(last()).to.include('order handled');
      expect(Buffer.from(box.buffer).includes('the-secret')).to.equal(false);
      expect(Buffer.from(box.buffer).includes('order')).to.equal(true);
    });

    it('goes on for actors that find no page left', async () => {
      const box = new BlackBox();
      const system = new ActorSystem({ blackBox: new BlackBoxWriter(box, new FakeClock()) });
      let handled = 0;
      for (let at = 0; at < PAGES + 3; at++) {
        system.spawn<string>(() => ({ handle: () => void handled++ })).tell('x');
      }
      await settle();
      expect([handled, box.actorsLeftOut]).to.deep.equal([PAGES + 3, 3]);
    });
  });
});
