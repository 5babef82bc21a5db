import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CHILDREN_PER_SUPERVISOR_MAX } from '../../../runtime/limits.ts';
import type { RunningChild } from '../../../runtime/placement.ts';
import { checkChildSpec, checkSupervisorSpec } from '../../../runtime/supervision/child-spec.ts';
import type { ChildSpec, SpecFault, SupervisorSpec } from '../../../runtime/supervision/child-spec.ts';
import { thrownBy } from '../../support/rejection.ts';

const start = (): Promise<RunningChild> => Promise.reject(new Error('never started'));
const CHILD: ChildSpec = { id: 'child', start, restart: 'permanent', shutdownDeadlineMs: 1_000 };
const SPEC: SupervisorSpec = {
  id: 'root',
  strategy: 'oneForOne',
  intensity: { restartsMax: 3, windowMs: 1_000 },
  children: [CHILD],
};

function faultsOf(check: () => void): SpecFault[] {
  const error = thrownBy(check);
  expect(error.code).to.equal('E_CHILD_SPEC_INVALID');
  return error.details['faults'] as SpecFault[];
}

const fieldsOf = (child: Record<string, unknown>): string[] =>
  faultsOf(() => checkChildSpec({ ...CHILD, ...child }, [])).map(({ field }) => field);

describe('checkSupervisorSpec', () => {
  it('accepts a spec that is right', () => {
    checkSupervisorSpec(SPEC);
    checkSupervisorSpec({ ...SPEC, children: [] });
  });

  it('names every fault of the whole spec at once, with field, value and mend', () => {
    const backoff = { initialMs: 500, maxMs: 100, resetAfterMs: 1_000 };
    const faults = faultsOf(() =>
      checkSupervisorSpec({
        id: 'a b',
        strategy: 'someForSome' as never,
        intensity: { restartsMax: -1, windowMs: 0 },
        children: [CHILD, { ...CHILD, restart: 'sometimes' as never }, { ...CHILD, id: 'third', backoff }],
      }),
    );
    expect(faults).to.deep.equal([
      { field: 'id', value: '"a b"', mend: 'Use 1 to 128 characters without "/" and spaces.' },
      { field: 'strategy', value: '"someForSome"', mend: 'Use one of oneForOne, oneForAll, restForOne.' },
      { field: 'intensity.restartsMax', value: '-1', mend: 'Use a whole number from 0 to 10000.' },
      { field: 'intensity.windowMs', value: '0', mend: 'Use milliseconds above 0 and at most 86400000.' },
      { field: 'children[1].id', value: '"child"', mend: 'Choose another id: children[0] has this one.' },
      {
        field: 'children[1].restart',
        value: '"sometimes"',
        mend: 'Use one of permanent, transient, temporary.',
      },
      { field: 'children[2].backoff.maxMs', value: '100', mend: 'Use at least initialMs, which is 500.' },
    ]);
  });

  it('bounds the number of children', () => {
    const children = Array.from({ length: CHILDREN_PER_SUPERVISOR_MAX + 1 }, (_, index) => ({
      ...CHILD,
      id: `child-${index}`,
    }));
    expect(
      faultsOf(() => checkSupervisorSpec({ ...SPEC, children })).map(({ field }) => field),
    ).to.deep.equal(['children']);
  });
});

describe('checkChildSpec', () => {
  it('names each field that is wrong', () => {
    const right = { initialMs: 1, maxMs: 1, resetAfterMs: 1 };
    expect(fieldsOf({ id: 'a/b' })).to.deep.equal(['id']);
    expect(fieldsOf({ start: 'now' })).to.deep.equal(['start']);
    expect(fieldsOf({ shutdownDeadlineMs: 0 })).to.deep.equal(['shutdownDeadlineMs']);
    expect(fieldsOf({ shutdownDeadlineMs: 'never' })).to.deep.equal(['shutdownDeadlineMs']);
    expect(fieldsOf({ countsTowardsIntensity: true })).to.deep.equal(['countsTowardsIntensity']);
    expect(fieldsOf({ backoff: { ...right, factor: 0.5 } })).to.deep.equal(['backoff.factor']);
    expect(fieldsOf({ backoff: { ...right, jitter: 'some' } })).to.deep.equal(['backoff.jitter']);
    expect(fieldsOf({ backoff: { ...right, resetAfterMs: Number.NaN } })).to.deep.equal([
      'backoff.resetAfterMs',
    ]);
  });

  it('refuses what a temporary child can never use', () => {
    const backoff = { initialMs: 1, maxMs: 1, resetAfterMs: 1 };
    expect(fieldsOf({ restart: 'temporary', backoff, countsTowardsIntensity: () => true })).to.deep.equal([
      'backoff',
      'countsTowardsIntensity',
    ]);
  });

  it('refuses the id of a sibling', () => {
    expect(faultsOf(() => checkChildSpec(CHILD, ['child'])).map(({ field }) => field)).to.deep.equal(['id']);
  });
});
