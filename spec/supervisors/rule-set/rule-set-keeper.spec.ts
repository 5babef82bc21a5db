/** Real builds in real threads. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { RuleSet, buildRuleSet } from '../../../actors/match/rule-set/rule-set.ts';
import type { RuleRow, Snapshot } from '../../../actors/ports.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { HitTally } from '../../../supervisors/rule-set/hit-tally.ts';
import { RuleBuilder } from '../../../supervisors/rule-set/rule-builder.ts';
import { RuleSetKeeper } from '../../../supervisors/rule-set/rule-set-keeper.ts';
import type { MatchInForce } from '../../../supervisors/threads/worker-messages.ts';
import { eventOf, ruleOf } from '../../actors/match/fixtures.ts';
import { until } from '../../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { specDirectory } from '../../support/servers.ts';

const moduleUrl = new URL('../../fixtures/tasks/builder.ts', import.meta.url).href;
const settings = effectiveSettings({}, {});

describe('RuleSetKeeper', function () {
  this.timeout(30_000);
  let keeper: RuleSetKeeper;
  let builder: RuleBuilder;
  /** For what would hang. */
  let impatient: RuleBuilder;
  let tally: HitTally;
  /** What match threads would have been told, in order. */
  let told: MatchInForce[];
  let built: number[];
  let logged: string[];
  /** As long as it is there, rules that name it break their build. */
  let trouble: string;

  beforeEach(() => {
    trouble = join(specDirectory('rule-set'), 'trouble');
    writeFileSync(trouble, '');
    [told, built, logged] = [[], [], []];
    tally = new HitTally();
    impatient = new RuleBuilder({ moduleUrl, buildMsMax: 3_000 });
    builder = new RuleBuilder({ moduleUrl, heapMbMax: 64 });
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? '');
    keeper = new RuleSetKeeper({
      build: (rules, version) => {
        built.push(version);
        if (rules.includes('hang ')) return impatient.build(rules, version);
        return builder.build(rules, version);
      },
      tally,
      clock: systemClock,
      log: { info: log, warn: log, error: log } as never,
      onChange: () => told.push(keeper.inForce!),
      onImage: () => undefined,
    });
  });
  afterEach(async () => {
    keeper.close();
    await Promise.all([builder.close(), impatient.close()]);
  });

  const snapshotOf = (version: number, rules: RuleRow[], developmentHosts: string[] = []): Snapshot => ({
    version,
    rules,
    developmentHosts,
    teams: {},
    destinations: [],
    settings: {},
    keys: [],
  });
  const put = (version: number, rules: RuleRow[], developmentHosts?: string[]): void =>
    keeper.put({ version, settings, snapshot: snapshotOf(version, rules, developmentHosts) });
  const rulesNamed = (...texts: string[]): RuleRow[] =>
    texts.map((text, at) => ruleOf({ id: at + 1, match_string: text }));
  /** The texts of what a match thread would run now. */
  const matching = (message: string): number[] =>
    new RuleSet(keeper.inForce!.decisions.image).match(eventOf({ message })).map(({ id }) => id);
  const whenVersion = (version: number): Promise<void> => until(() => keeper.view.version === version);

  it('puts into force what it built, with the rest of the same snapshot', async () => {
    put(4, rulesNamed('link down', 'fan'), ['r1']);
    expect(keeper.inForce).to.equal(undefined);
    await keeper.ready();
    expect(told).to.have.length(1);
    expect(told[0]).to.deep.include({ version: 4, rules: 2 });
    expect(told[0]?.decisions).to.deep.include({ version: 4, developmentHosts: ['r1'] });
    expect(matching('fan broken')).to.deep.equal([2]);
    expect(keeper.view).to.deep.include({ in_use: 2, suspended: 0, is_building: false, failure: null });
  });

  it('keeps the image for a snapshot with the same rules, and does not wait for a build', async () => {
    const rules = rulesNamed('link down');
    put(1, rules);
    await keeper.ready();
    put(2, rules, ['r1']);
    expect(told.map(({ version }) => version)).to.deep.equal([1, 2]);
    expect(told[1]?.decisions.build).to.equal(told[0]?.decisions.build);
    expect(built).to.deep.equal([1]);
  });

  it('builds of a burst what is being built and the newest, and goes only forward', async () => {
    const rules = rulesNamed('zero');
    put(1, rules);
    await keeper.ready();
    for (let version = 2; version <= 20; version++) put(version, rulesNamed(`rule ${version}`));
    await whenVersion(20);
    expect(built).to.deep.equal([1, 2, 20]);
    expect(told.map(({ version }) => version)).to.deep.equal([1, 2, 20]);
    expect(matching('rule 20')).to.deep.equal([1]);
  });

  it('does not put into force what was taken back while it was built', async () => {
    const rules = rulesNamed('zero');
    put(1, rules);
    await keeper.ready();
    put(2, rulesNamed('one'));
    put(3, rules);
    expect(keeper.view.version).to.equal(3);
    await until(() => !keeper.view.is_building);
    expect(told.map(({ version }) => version)).to.deep.equal([1, 3]);
    expect(matching('zero')).to.deep.equal([1]);
  });

  for (const what of ['hang', 'exhaust', 'exit'] as const) {
    it(`leaves the old set in force, whole, when a build would ${what}, and recovers by itself`, async () => {
      put(1, rulesNamed('link down'));
      await keeper.ready();
      const broken = rulesNamed('link down', `${what} ${trouble}`);
      put(2, broken, ['r1']);
      // A change of something else meanwhile comes with the rules of its snapshot, or not at all.
      put(3, broken, ['r2']);
      await until(() => keeper.view.failure !== null, 15_000);
      expect(keeper.view).to.deep.include({ version: 1, in_use: 1 });
      expect(keeper.view.failure).to.include({ code: 'E_RULE_SET_UNBUILT' });
      expect(keeper.inForce?.decisions.developmentHosts).to.deep.equal([]);
      expect(matching('link down')).to.deep.equal([1]);
      expect(logged).to.include('the rule set cannot be built; the old one stays in force');
      rmSync(trouble);
      await whenVersion(3);
      expect(keeper.view).to.deep.include({ in_use: 2, failure: null });
      expect(keeper.inForce?.decisions.developmentHosts).to.deep.equal(['r2']);
    });
  }

  it('tries other rules at once after a failure', async () => {
    put(1, rulesNamed('link down'));
    await keeper.ready();
    put(2, rulesNamed(`exit ${trouble}`));
    await until(() => (keeper.view.failure?.attempts ?? 0) >= 2);
    put(3, rulesNamed('fan'));
    expect(keeper.view.failure).to.equal(null);
    await whenVersion(3);
    expect(matching('fan')).to.deep.equal([1]);
  });

  it('says why there is no first set, and takes the next that can be built', async () => {
    put(1, rulesNamed(`exit ${trouble}`));
    expect(await rejectionOf(keeper.ready())).to.include({ code: 'E_RULE_SET_UNBUILT', kind: 'transient' });
    expect(keeper.inForce).to.equal(undefined);
    put(2, rulesNamed('fan'));
    await keeper.ready();
    expect(keeper.view.version).to.equal(2);
  });

  it('leaves out a suspended rule and names one that does not compile', async () => {
    const suspended = { at: '2024-05-01T12:00:00.000Z', reason: 'slow', event_id: 'e' };
    put(1, [
      ruleOf({ id: 1, match_string: 'fan', suspended }),
      ruleOf({ id: 2, match_string: 'fan', priority: 200 }),
      ruleOf({ id: 3, match_type: 'regex', match_string: '(' }),
    ]);
    await keeper.ready();
    expect(matching('fan')).to.deep.equal([2]);
    expect(keeper.view).to.deep.include({ in_use: 1, suspended: 1, refused: 1 });
    expect(logged).to.include('a rule was left out');
  });

  it('counts the hits of an image until nobody uses it, each once', async () => {
    const hit = (): void =>
      void new RuleSet(keeper.inForce!.decisions.image).match(eventOf({ message: 'fan' }));
    put(1, rulesNamed('fan'));
    await keeper.ready();
    const old = new RuleSet(keeper.inForce!.decisions.image);
    hit();
    keeper.countHits();
    hit();
    put(2, rulesNamed('fan', 'other'));
    await whenVersion(2);
    hit();
    // A thread that has not swapped yet.
    old.match(eventOf({ message: 'fan' }));
    keeper.settle();
    old.match(eventOf({ message: 'fan' }));
    keeper.countHits();
    expect(tally.take().map(({ ruleId, hits }) => [ruleId, hits])).to.deep.equal([[1, 4]]);
    keeper.countHits();
    expect(tally.take()).to.deep.equal([]);
  });
});

describe('HitTally', () => {
  it('adds up what could not be stored and what came since', () => {
    const { image } = buildRuleSet([ruleOf({ id: 1, match_string: 'fan' })], 1);
    const rules = new RuleSet(image);
    const tally = new HitTally();
    const hit = (receivedAtMs: number): void => void rules.match(eventOf({ message: 'fan', receivedAtMs }));
    hit(5_000);
    tally.read(rules);
    const taken = tally.take();
    hit(4_000);
    tally.read(rules);
    tally.giveBack(taken);
    expect(tally.take()).to.deep.equal([{ ruleId: 1, hits: 2, lastReceivedAtMs: 5_000 }]);
  });
});
