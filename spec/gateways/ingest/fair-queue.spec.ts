import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { FairQueue } from '../../../gateways/ingest/fair-queue.ts';
import type { Place } from '../../../gateways/ingest/fair-queue.ts';

const of = (name: string, network = '1'): { key: { name: string }; network: string } => ({
  key: { name },
  network,
});

function takeAll(queue: FairQueue<string>): string[] {
  const taken: string[] = [];
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
  return taken;
}

describe('FairQueue', () => {
  it('takes a source that has just come before a backlog, and then in turn', () => {
    const queue = new FairQueue<string>();
    for (let n = 0; n < 1_000; n++) queue.push(of('loud'), `loud ${n}`, 30_000);
    for (let n = 0; n < 10; n++) queue.take();
    for (let n = 0; n < 4; n++) queue.push(of('quiet'), `quiet ${n}`, 30_000);
    const next = takeAll(queue).slice(0, 8);
    expect(next.slice(0, 3)).to.deep.equal(['quiet 0', 'quiet 1', 'quiet 2']);
    expect(next.slice(3)).to.include('quiet 3').and.include('loud 10');
  });

  it('takes the addresses of a key in turn, within the turns of the keys', () => {
    const queue = new FairQueue<string>();
    for (let n = 0; n < 600; n++) {
      for (const network of ['1', '2', '3']) queue.push(of('a', network), `a${network}`, 1_000);
      queue.push(of('b'), 'b', 1_000);
    }
    const first = takeAll(queue).slice(0, 1_200);
    const count = (item: string): number => first.filter((taken) => taken === item).length;
    expect(count('b')).to.be.closeTo(600, 70);
    for (const item of ['a1', 'a2', 'a3']) expect(count(item)).to.be.closeTo(200, 70);
  });

  it('counts work and not items, and lets nobody forget a debt by having nothing waiting', () => {
    const queue = new FairQueue<string>();
    const done = { large: 0, small: 0 };
    for (let n = 0; n < 4_000; n++) queue.push(of('small'), 'small', 1_000);
    queue.push(of('large'), 'large', 1_000_000);
    while (done.small < 3_000) {
      const item = queue.take() as 'large' | 'small';
      done[item] += 1;
      // One at a time: it has nothing waiting whenever it was its turn.
      if (item === 'large') queue.push(of('large'), 'large', 1_000_000);
    }
    expect(done.large).to.be.within(3, 5);
  });

  it('forgets debts when nothing waits', () => {
    const queue = new FairQueue<string>();
    queue.push(of('a'), 'huge', 100_000_000);
    expect(takeAll(queue)).to.deep.equal(['huge']);
    queue.push(of('b'), 'b', 1_000);
    queue.push(of('a'), 'a', 1_000);
    expect(takeAll(queue)).to.deep.equal(['b', 'a']);
  });

  it('takes out what is removed, wherever it stands', () => {
    const queue = new FairQueue<string>();
    const places = ['1', '2', '3', '4', '5'].map((item) => queue.push(of('a'), item, 1));
    for (const at of [0, 2, 4]) queue.remove(places[at] as Place<string>);
    expect([queue.length, queue.sources]).to.deep.equal([2, 1]);
    expect(takeAll(queue)).to.deep.equal(['2', '4']);
    expect([queue.length, queue.sources]).to.deep.equal([0, 0]);
  });

  it('keeps a bounded number of sources that have nothing waiting', function () {
    this.timeout(10_000);
    const queue = new FairQueue<string>();
    queue.push(of('stays'), 'stays', 1);
    const stuck = queue.push(of('stays', '2'), 'stuck', 1);
    for (let n = 0; n < 40_000; n++) queue.remove(queue.push(of(`key ${n}`), 'gone', 1));
    queue.push(of('late'), 'late', 1);
    queue.remove(stuck);
    expect(takeAll(queue)).to.have.members(['stays', 'late']);
  });

  it('gives every item once, those of a source in their order, whatever comes and goes', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b'),
      network: fc.constantFrom('1', '2', '3'),
      work: fc.integer({ min: 1, max: 500_000 }),
      act: fc.constantFrom('push', 'push', 'take', 'remove'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new FairQueue<{ lane: string; n: number }>();
        const waiting = new Map<string, { place: Place<{ lane: string; n: number }>; n: number }[]>();
        const all = (): number => [...waiting.values()].reduce((sum, { length }) => sum + length, 0);
        const take = (): void => {
          const item = queue.take();
          if (all() === 0) expect(item).to.equal(undefined);
          else expect(waiting.get(item?.lane ?? '')?.shift()?.n).to.equal(item?.n);
        };
        for (const [n, { key, network, work, act }] of steps.entries()) {
          const lane = key + network;
          const ours = waiting.get(lane) ?? [];
          waiting.set(lane, ours);
          if (act === 'push') ours.push({ place: queue.push(of(key, network), { lane, n }, work), n });
          else if (act === 'take') take();
          else {
            const [removed] = ours.splice(n % Math.max(1, ours.length), 1);
            if (removed !== undefined) queue.remove(removed.place);
          }
          expect(queue.length).to.equal(all());
        }
        while (all() > 0) take();
        take();
      }),
    );
  });
});
