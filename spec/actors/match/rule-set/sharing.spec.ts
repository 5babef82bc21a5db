/** The image is one piece of memory for all threads: what they count and what they suspend is seen by all. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { RuleSet, buildRuleSet } from '../../../../actors/match/rule-set/rule-set.ts';
import type { Offender } from '../../../../actors/match/rule-set/rule-set.ts';
import { CodedError } from '../../../../runtime/errors.ts';
import { eventOf, receivedAtMs, ruleOf } from '../fixtures.ts';

const rows = [
  ruleOf({ id: 7, priority: 1, match_string: 'link' }),
  ruleOf({ id: 3, match_string: 'Fan \\d+ failed', match_type: 'regex', continue: true }),
  ruleOf({ id: 5, match_string: 'fan' }),
  ruleOf({ id: 9, match_string: 'link', is_active: false }),
];

describe('the image of a rule set', () => {
  const threads: Worker[] = [];

  /** A thread that matches messages with its own view of the image. */
  function startThread(image: SharedArrayBuffer): (what: object) => Promise<unknown> {
    const thread = new Worker(fileURLToPath(new URL('./matching-thread.ts', import.meta.url)), {
      workerData: image,
    });
    threads.push(thread);
    return async (what) => {
      thread.postMessage(what);
      const [answer] = (await once(thread, 'message')) as [unknown];
      return answer;
    };
  }

  afterEach(async () => {
    await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
  });

  it('counts the matches of all threads, with the newest receipt time of all', async () => {
    const { image } = buildRuleSet(rows, 4);
    const here = new RuleSet(image);
    const there = startThread(image);
    const event = { message: 'fan 3 failed', receivedAtMs: receivedAtMs + 5 };
    expect(await there({ match: event })).to.deep.equal([3, 5]);
    expect(here.match(eventOf({ message: 'Link down', receivedAtMs })).map(({ id }) => id)).to.deep.equal([
      7,
    ]);
    expect(here.match(eventOf({ message: 'FAN 4 FAILED' })).map(({ id }) => id)).to.deep.equal([3, 5]);
    const hits = [
      { ruleId: 3, hits: 2, lastReceivedAtMs: receivedAtMs + 5 },
      { ruleId: 5, hits: 2, lastReceivedAtMs: receivedAtMs + 5 },
      { ruleId: 7, hits: 1, lastReceivedAtMs: receivedAtMs },
    ];
    expect(here.hits()).to.deep.equal(hits);
    expect(await there({ hits: true })).to.deep.equal(hits);
  });

  it('lets a thread suspend a rule for all of them, once', async () => {
    const { image } = buildRuleSet(rows, 4);
    const here = new RuleSet(image);
    const there = startThread(image);
    expect(await there({ match: { message: 'link down' } })).to.deep.equal([7]);
    expect(here.suspend(7)).to.equal(true);
    expect(await there({ suspend: 7 })).to.equal(false);
    expect(await there({ match: { message: 'link down' } })).to.deep.equal([]);
    expect(here.isSuspended(7)).to.equal(true);
    expect(here.isSuspended(3)).to.equal(false);
    expect(here.suspend(9), 'a rule that is off').to.equal(false);
    expect(here.suspend(4), 'a rule that is not there').to.equal(false);
  });

  it('suspends a rule over its budget, tells of it once, and goes on with the others', () => {
    const { image } = buildRuleSet(
      [
        ruleOf({ id: 3, version: 6, network: '10.0.0.0/8', continue: true }),
        ruleOf({ id: 5, match_string: 'link' }),
      ],
      4,
    );
    const offenders: Offender[] = [];
    const faults: number[] = [];
    const hooks = {
      onFault: (ruleId: number) => faults.push(ruleId),
      onOffender: (offender: Offender) => offenders.push(offender),
    };
    const views = [new RuleSet(image, hooks), new RuleSet(image, hooks)];
    const error = new CodedError('E_RULE_OVER_BUDGET', 'too long');
    const event = Object.defineProperty(eventOf({ id: 'e-1' }), 'sourceIp', {
      get: () => {
        throw error;
      },
    });
    for (const view of [...views, ...views]) {
      expect(view.match(event).map(({ id }) => id)).to.deep.equal([5]);
      expect(view.isSuspended(3)).to.equal(true);
    }
    expect(offenders).to.deep.equal([{ ruleId: 3, ruleVersion: 6, eventId: 'e-1', error }]);
    expect(faults).to.deep.equal([]);
  });

  it('is opened without decoding a rule, and decodes one only when an event needs it', () => {
    const view = new RuleSet(buildRuleSet(rows, 4).image);
    expect(view.decodedRules).to.equal(0);
    view.match(eventOf({ message: 'nothing of the kind' }));
    expect(view.decodedRules).to.equal(0);
    view.match(eventOf({ message: 'a link' }));
    expect(view.decodedRules).to.equal(1);
    expect(view.rule(9)).to.deep.equal(rows[3]);
    expect(view.rule(8)).to.equal(undefined);
  });

  it('is refused when it is damaged or something else', () => {
    const { image } = buildRuleSet(rows, 4);
    const copyOf = (bytes: number): SharedArrayBuffer => {
      const copy = new SharedArrayBuffer(bytes);
      new Uint8Array(copy).set(new Uint8Array(image).subarray(0, bytes));
      return copy;
    };
    const damaged = copyOf(image.byteLength);
    new Float64Array(damaged)[8]! += 8;
    for (const bad of [
      new SharedArrayBuffer(4),
      new SharedArrayBuffer(4096),
      copyOf(image.byteLength - 8),
      damaged,
    ]) {
      expect(() => new RuleSet(bad))
        .to.throw()
        .with.property('code', 'E_RULE_SET_DAMAGED');
    }
    expect(new RuleSet(copyOf(image.byteLength)).version).to.equal(4);
  });
});
