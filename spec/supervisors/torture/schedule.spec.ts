import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { FaultKind } from '../../../supervisors/torture/faults/fault.ts';
import { FAULT_KINDS } from '../../../supervisors/torture/faults/kinds.ts';
import { Recoveries } from '../../../supervisors/torture/recovery.ts';
import { scheduleOf } from '../../../supervisors/torture/schedule.ts';

const NODES = ['node-1', 'node-2'];

function kindsCalled(...names: string[]): FaultKind[] {
  return names.map((name) => ({ name, what: name, takes: ['node'], inject: async () => undefined }));
}

function first(
  count: number,
  kinds: readonly FaultKind[],
  seed: number,
): { name: string; node: string; drawn: number }[] {
  const schedule = scheduleOf(kinds, NODES, seed);
  return Array.from({ length: count }, () => {
    const { value } = schedule.next();
    if (value === undefined) throw new Error('the schedule has ended');
    return { name: value.kind.name, node: value.node, drawn: value.random() };
  });
}

describe('The schedule of a torture', () => {
  const kinds = kindsCalled('a', 'b', 'c', 'd', 'e', 'f');

  it('is the same for a seed, with all that its faults draw, and another for another', () => {
    expect(first(50, kinds, 7)).to.deep.equal(first(50, kinds, 7));
    expect(first(50, kinds, 7)).to.not.deep.equal(first(50, kinds, 8));
  });

  it('has every kind once before any comes again', () => {
    const names = first(60, kinds, 3).map(({ name }) => name);
    for (let round = 0; round < 10; round++)
      expect([...names.slice(round * 6, round * 6 + 6)].sort()).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(
      new Set(Array.from({ length: 10 }, (_, round) => names.slice(round * 6, round * 6 + 6).join())).size,
    ).to.be.above(5);
  });

  it('numbers them from 1 and means every node', () => {
    const schedule = scheduleOf(kinds, NODES, 1);
    expect([schedule.next(), schedule.next()].map(({ value }) => value?.nth)).to.deep.equal([1, 2]);
    expect(new Set(first(60, kinds, 1).map(({ node }) => node))).to.have.keys(NODES);
  });
});

describe('The kinds of fault of a torture', () => {
  it('are at least 25, each with a name of its own, something to take and words for it', () => {
    const names = FAULT_KINDS.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    expect(names.length).to.be.at.least(25);
    for (const { name, what, takes } of FAULT_KINDS) {
      expect(name).to.match(/^[a-z][a-z0-9]*(-[a-z0-9]+)+$/);
      expect(what, name).to.match(/\S \S/);
      expect(takes, name).to.have.length.at.least(1);
    }
  });
});

describe('The recoveries of a torture', () => {
  it('are told by kind as p50 and max, with those that never came', () => {
    const recoveries = new Recoveries(['a', 'b']);
    for (const takenMs of [40.4, 10, 20, 30, 50]) {
      recoveries.noteInjected('a');
      recoveries.noteRecovery('a', { takenMs, arrivedMs: takenMs * 2 });
    }
    recoveries.noteMissed('b', 'it does not run');
    recoveries.noteInjected('c');
    expect(recoveries.injected).to.equal(6);
    expect(recoveries.report()).to.deep.equal([
      { kind: 'a', injected: 5, missed: [], takenMs: { p50: 30, max: 50 }, arrivedMs: { p50: 60, max: 100 } },
      { kind: 'b', injected: 0, missed: ['it does not run'], takenMs: null, arrivedMs: null },
      { kind: 'c', injected: 1, missed: [], takenMs: null, arrivedMs: null },
    ]);
  });
});
