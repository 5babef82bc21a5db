/** What one message can take of a thread, when each expression by itself stays within its own budget. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../../actors/event.ts';
import { stepMeter } from '../../../../actors/match/regex/step-meter.ts';
import {
  DEAR_STEPS_MIN,
  EVENT_CHEAP_STEPS_MAX,
  EVENT_STEPS_MAX,
} from '../../../../actors/match/rule-set/event-budget.ts';
import { RuleSet, buildRuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import type { Offender } from '../../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow } from '../../../../actors/ports.ts';
import { eventOf, ruleOf } from '../fixtures.ts';
import { randomOf } from '../regex/random-expressions.ts';

const TEXT_CHARS = 64 * 1024;

/** Random a's and b's: they lead an expression that counts them to ever new states. */
const tosses = ((): string => {
  const random = randomOf(5);
  return Array.from({ length: TEXT_CHARS - 9 }, () => (random() < 0.5 ? 'a' : 'b')).join('') + ' and tail';
})();

/** An expression that takes the more of such a text the larger `size` is: 1,000 takes some 5 million steps. */
const counting = (id: number, size: number, fields: Partial<RuleRow> = {}): RuleRow =>
  ruleOf({
    id,
    priority: id,
    match_type: 'regex',
    match_string: `a[ab]{${size}}c`,
    continue: true,
    ...fields,
  });

class Watched {
  readonly offenders: Offender[] = [];
  readonly view: RuleSet;

  constructor(rows: readonly RuleRow[]) {
    this.view = new RuleSet(buildRuleSet(rows, 1).image, {
      onOffender: (offender) => this.offenders.push(offender),
    });
  }

  /** The ids that matched, and the steps that it took. */
  match(event: NormalizedEvent): { ids: number[]; steps: number } {
    const before = stepMeter.spent;
    const ids = this.view.match(event).map(({ id }) => id);
    return { ids, steps: stepMeter.spent - before };
  }

  get suspended(): number[] {
    return this.offenders.map(({ ruleId }) => ruleId);
  }
}

describe('the budget of an event', function () {
  this.timeout(60_000);
  const hostile = eventOf({ id: 'e-1', message: tosses });

  it('suspends of many dear expressions as many as it must, each once, and what is left fits', () => {
    const rows = Array.from({ length: 24 }, (_, at) => counting(at + 1, 960 + at));
    rows.push(ruleOf({ id: 99, priority: 99, match_string: 'and tail' }));
    const rules = new Watched(rows);
    const first = rules.match(hostile);
    expect(first.ids).to.deep.equal([99]);
    expect(new Set(rules.suspended).size).to.equal(rules.offenders.length);
    expect(rules.offenders.length).to.be.within(8, 18);
    for (const { error, eventId, ruleVersion } of rules.offenders) {
      expect(error).to.include({ code: 'E_RULE_OVER_BUDGET', kind: 'permanent' });
      expect(error.message).to.contain('on one event').and.contain(String(EVENT_STEPS_MAX));
      expect({ eventId, ruleVersion }).to.deep.equal({ eventId: 'e-1', ruleVersion: 1 });
    }
    // Those that come late have only what is left.
    expect(first.steps).to.be.below(2 * EVENT_STEPS_MAX);
    const told = rules.offenders.length;
    const second = rules.match(hostile);
    expect(second.ids).to.deep.equal([99]);
    expect(second.steps).to.be.within(EVENT_STEPS_MAX / 2, EVENT_STEPS_MAX);
    expect(rules.offenders).to.have.length(told);
  });

  it('suspends the dearest first, also one that has matched, and the rest is as if it had never been there', () => {
    const cheap = Array.from({ length: 21 }, (_, at) => counting(at + 10, 500 + at));
    // Its end is at the very end of the text.
    const dearest = counting(1, 1_900, { match_string: 'a[ab]{1900}c|a[ab]{9}c|tail$' });
    const rules = new Watched([dearest, ...cheap, ruleOf({ id: 99, priority: 99, match_string: 'tail' })]);
    const { ids } = rules.match(hostile);
    expect(rules.suspended[0]).to.equal(1);
    expect(rules.suspended.length).to.be.below(5);
    expect(ids).to.deep.equal([99]);
    expect(rules.view.hits()).to.deep.equal([
      { ruleId: 99, hits: 1, lastReceivedAtMs: hostile.receivedAtMs },
    ]);
  });

  it('goes on behind a rule that ends the matching and is the dearest', () => {
    const rows = Array.from({ length: 12 }, (_, at) => counting(at + 1, 900));
    const last = counting(50, 1_900, { match_string: 'a[ab]{1900}c|tail$', continue: false });
    const rules = new Watched([...rows, last, ruleOf({ id: 99, priority: 99, match_string: 'tail' })]);
    const { ids } = rules.match(hostile);
    expect(rules.suspended).to.deep.equal([50]);
    expect(ids).to.deep.equal([99]);
  });

  it('suspends nothing for thousands of cheap candidates, which are the doing of the message: it is given up', () => {
    const words = Array.from({ length: 4_000 }, (_, at) => `<${at.toString(36).padStart(4, 'z')}>`);
    const rows = words.map((word, at) =>
      ruleOf({ id: at + 1, match_type: 'regex', match_string: `${word}.*never`, continue: true }),
    );
    const rules = new Watched(rows);
    const crowded = eventOf({ message: words.join('').padEnd(TEXT_CHARS) });
    const before = stepMeter.spent;
    expect(() => rules.match(crowded))
      .to.throw('too long for so many')
      .with.property('code', 'E_EVENT_OVER_BUDGET');
    expect(stepMeter.spent - before).to.be.within(EVENT_CHEAP_STEPS_MAX, 1.1 * EVENT_CHEAP_STEPS_MAX);
    expect(rules.offenders).to.deep.equal([]);
    const half = eventOf({ message: words.slice(0, 400).join('').padEnd(TEXT_CHARS) });
    expect(rules.match(half).steps / 400).to.be.below(DEAR_STEPS_MIN / 10);
    expect(rules.offenders).to.deep.equal([]);
  });

  it('is a matter of one event: the next one has all of it', () => {
    const rules = new Watched(Array.from({ length: 9 }, (_, at) => counting(at + 1, 1_000)));
    for (let round = 0; round < 2; round++) rules.match(hostile);
    expect(rules.offenders).to.deep.equal([]);
  });
});
