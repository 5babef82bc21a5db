import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { RuleSuspensions } from '../../../supervisors/rule-set/rule-suspensions.ts';
import type { Offence, SuspensionStore } from '../../../supervisors/rule-set/rule-suspensions.ts';
import { ruleOf } from '../../actors/match/fixtures.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../runtime/durable/store-under-test.ts';

const offenceOf = (ruleId: number, ruleVersion = 1): Offence => ({
  ruleId,
  ruleVersion,
  eventId: 'e-1',
  code: 'E_RULE_OVER_BUDGET',
  message: 'too slow',
});

describe('RuleSuspensions', () => {
  let clock: FakeClock;
  let store: SuspensionStore | undefined;
  let asked: number[];
  let written: number;
  let logged: string[];
  let fails: CodedError | undefined;
  let suspensions: RuleSuspensions;

  beforeEach(() => {
    clock = new FakeClock();
    [asked, written, logged, fails] = [[], 0, [], undefined];
    store = {
      suspend: async ({ ruleId }) => {
        asked.push(ruleId);
        if (fails !== undefined) throw fails;
        return ruleId !== 9;
      },
    };
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? '');
    suspensions = new RuleSuspensions({
      store: () => store,
      node: 'node spec',
      clock,
      log: { info: log, warn: log, error: log } as never,
      onWritten: () => (written += 1),
    });
  });
  afterEach(() => suspensions.stop());

  const imageOf = (version: number): RuleSet =>
    new RuleSet(
      buildRuleSet(
        [1, 2].map((id) => ruleOf({ id, match_string: 'fan', version: id === 1 ? version : 1 })),
        1,
      ).image,
    );

  it('writes a suspension, says that there is another snapshot, and forgets it', async () => {
    suspensions.report(offenceOf(1));
    await until(() => written === 1);
    expect(suspensions.waiting).to.equal(0);
    expect(logged).to.deep.equal(['a rule is suspended: it was over its budget; save it again to lift that']);
    const image = imageOf(1);
    suspensions.holdIn(image);
    expect(image.isSuspended(1)).to.equal(false);
  });

  it('says nothing when another node was faster', async () => {
    suspensions.report(offenceOf(9));
    await until(() => suspensions.waiting === 0);
    expect(written).to.equal(0);
  });

  it('holds it in every new image of the same version until PostgreSQL is back, and writes it then', async () => {
    fails = new CodedError('E_DATABASE_AWAY', 'away', { kind: 'transient' });
    suspensions.report(offenceOf(1));
    suspensions.report(offenceOf(2));
    await until(() => clock.pending === 1);
    const [same, later] = [imageOf(1), imageOf(2)];
    for (const image of [same, later]) suspensions.holdIn(image);
    expect([same.isSuspended(1), same.isSuspended(2)]).to.deep.equal([true, true]);
    expect(later.isSuspended(1), 'it was saved again').to.equal(false);
    expect(logged.filter((text) => text.includes('they hold on this node'))).to.have.length(1);
    fails = undefined;
    clock.advance(1_000);
    await until(() => written === 2);
    expect(suspensions.waiting).to.equal(0);
  });

  it('waits for a store, and for nothing when it is stopped', async () => {
    store = undefined;
    suspensions.report(offenceOf(1));
    await until(() => clock.pending === 1);
    await suspensions.stop();
    expect(asked).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });

  it('does not repeat what PostgreSQL will never take', async () => {
    fails = new CodedError('E_ROW_INVALID', 'no such column');
    suspensions.report(offenceOf(1));
    await until(() => suspensions.waiting === 0);
    expect(asked).to.deep.equal([1]);
    expect(logged).to.include('the suspension of a rule cannot be stored');
  });

  it('keeps so many and no more', async () => {
    store = undefined;
    for (let ruleId = 1; ruleId <= 1_200; ruleId++) suspensions.report(offenceOf(ruleId));
    expect(suspensions.waiting).to.equal(1_000);
  });
});
