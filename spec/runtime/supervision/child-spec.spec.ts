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
  faultsOf(() => checkChildSpec({ ...CHILD, ...child }, new Set())).map(({ field }) => field);

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

  it('names what is no spec at all, instead of falling over it [S-132]', () => {
    const holes: ChildSpec[] = [CHILD];
    holes[2] = { ...CHILD, id: 'third' };
    const wrong: [unknown, string][] = [
      [null, 'the spec'],
      [5, 'the spec'],
      [{ ...SPEC, children: null }, 'children'],
      [{ ...SPEC, children: { length: 1 } }, 'children'],
      [{ ...SPEC, children: [null] }, 'children[0]'],
      [{ ...SPEC, children: holes }, 'children[1]'],
      [{ ...SPEC, intensity: undefined }, 'intensity'],
      [{ ...SPEC, intensity: { restartsMax: 3n, windowMs: 1_000 } }, 'intensity.restartsMax'],
      [{ ...SPEC, template: null }, 'template'],
      [{ ...SPEC, children: [{ ...CHILD, id: Symbol('odd') }] }, 'children[0].id'],
    ];
    for (const [spec, field] of wrong) {
      const faults = faultsOf(() => checkSupervisorSpec(spec as SupervisorSpec));
      expect(
        faults.map((fault) => fault.field),
        field,
      ).to.deep.equal([field]);
    }
    expect(fieldsOf({ backoff: null })).to.deep.equal(['backoff']);
    expect(faultsOf(() => checkChildSpec(null as never, new Set())).map(({ field }) => field)).to.deep.equal([
      'the spec',
    ]);
  });

  describe('names what contradicts itself [S-132]:', () => {
    const significant = { ...CHILD, restart: 'transient' as const, significant: true };
    const template = { ...CHILD, id: 'made', start: () => start, restart: 'temporary' as const };
    const mendOf = (spec: Partial<SupervisorSpec>): Record<string, string> =>
      Object.fromEntries(
        faultsOf(() => checkSupervisorSpec({ ...SPEC, ...spec })).map(({ field, mend }) => [field, mend]),
      );

    it('a permanent one, which never ends for good', () => {
      const children = [{ ...significant, restart: 'permanent' as const }];
      const mends = mendOf({ children, autoShutdown: 'anySignificant' });
      expect(mends).to.have.all.keys('children[0].significant');
      expect(mends['children[0].significant']).to.match(/'transient' or 'temporary'/);
    });

    it('one under a supervisor that never ends with it', () => {
      for (const autoShutdown of [{}, { autoShutdown: 'never' as const }]) {
        const mends = mendOf({
          children: [significant],
          template: { ...template, significant: true },
          ...autoShutdown,
        });
        expect(mends).to.have.all.keys('children[0].significant', 'template.significant');
        expect(mends['children[0].significant']).to.include('autoShutdown');
      }
    });

    it('an autoShutdown that no child can bring about', () => {
      const autoShutdown = 'allSignificant';
      for (const spec of [{}, { children: [] }, { template }, { childrenMax: 1 }]) {
        expect(Object.values(mendOf({ autoShutdown, ...spec })).join()).to.include('significant');
      }
      checkSupervisorSpec({ ...SPEC, autoShutdown, childrenMax: 2 });
      checkSupervisorSpec({ ...SPEC, autoShutdown, children: [significant] });
      checkSupervisorSpec({ ...SPEC, autoShutdown, template: { ...template, significant: true } });
    });

    it('values that are none', () => {
      const children = [{ ...significant, significant: 'yes' as never }];
      expect(mendOf({ children, autoShutdown: 'sometimes' as never })).to.deep.equal({
        'children[0].significant': 'Use true or false, or leave it out.',
        autoShutdown: 'Use one of never, anySignificant, allSignificant.',
      });
    });
  });

  it('names a room that is none [S-132]', () => {
    const template = { ...CHILD, id: 'a/b', start: () => start };
    expect(
      [{ childrenMax: 0 }, { childrenMax: 1.5 }, { childrenMax: CHILDREN_PER_SUPERVISOR_MAX + 1 }].map(
        (spec) => faultsOf(() => checkSupervisorSpec({ ...SPEC, children: [], ...spec }))[0]?.field,
      ),
    ).to.deep.equal(['childrenMax', 'childrenMax', 'childrenMax']);
    const two = [CHILD, { ...CHILD, id: 'second' }];
    expect(
      faultsOf(() => checkSupervisorSpec({ ...SPEC, children: two, childrenMax: 1 })).map(({ mend }) => mend),
    ).to.deep.equal(['Use at most 1 children, or raise childrenMax.']);
    expect(
      faultsOf(() => checkSupervisorSpec({ ...SPEC, childrenMax: 1, template })).map(({ field }) => field),
    ).to.deep.equal(['childrenMax', 'template.id']);
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
    expect(faultsOf(() => checkChildSpec(CHILD, new Set(['child']))).map(({ field }) => field)).to.deep.equal(
      ['id'],
    );
  });
});
