/** What happens to stored rules while they are in force: suspension, hits, the limit of a set, reading what changed. */
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { PostgresConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresRuleActivityStore } from '../../../gateways/postgres/rule-activity-store.ts';
import { PostgresRuleStore } from '../../../gateways/postgres/rule-store.ts';
import { PostgresRuleSuspensionStore } from '../../../gateways/postgres/rule-suspension-store.ts';
import { PostgresSnapshotSource } from '../../../gateways/postgres/snapshot-source.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';
import { ruleOf } from './rule-of.ts';

const AUTHOR = { changedBy: 'nils' };
const NODE = { changedBy: 'node a' };
const OFFENCE = { ruleId: 1, ruleVersion: 1, eventId: 'e-1', message: 'it took 5,000,000 steps' };

describe('Rules in force, in PostgreSQL', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let rules: PostgresRuleStore;
  let suspensions: PostgresRuleSuspensionStore;
  let source: PostgresSnapshotSource;

  before(async () => {
    database = await ownDatabase();
  });
  beforeEach(async () => {
    await database.sql(
      `TRUNCATE alert_rules, outbox RESTART IDENTITY CASCADE; UPDATE config_version SET snapshot_version = 0`,
    );
    rules = new PostgresRuleStore(database.connection);
    suspensions = new PostgresRuleSuspensionStore(database.connection);
    source = new PostgresSnapshotSource(database.connection);
    await rules.applyConfiguration({ rules: [ruleOf('a'), ruleOf('b'), ruleOf('c')] }, AUTHOR);
  });
  after(() => database.drop());

  const suspendedIn = async (): Promise<(number | undefined)[]> =>
    (await source.load()).rules.filter(({ suspended }) => (suspended ?? null) !== null).map(({ id }) => id);

  describe('a suspension', () => {
    it('is one change with its version, its notice and its audit entry, made once by whichever node comes first', async () => {
      expect(await suspensions.suspend(OFFENCE, NODE)).to.equal(true);
      expect(await suspensions.suspend({ ...OFFENCE, eventId: 'e-2' }, { changedBy: 'node b' })).to.equal(
        false,
      );
      expect(await source.currentVersion()).to.equal(2);
      expect((await rules.get(1))?.suspended).to.deep.include({
        reason: 'it took 5,000,000 steps',
        event_id: 'e-1',
      });
      expect(await suspendedIn()).to.deep.equal([1]);
      const { items } = await new PostgresConfigAudit(database.connection).search({ limit: 1 });
      expect(items[0]).to.deep.include({
        changedBy: 'node a',
        operation: 'CREATE',
        resource: 'rule_suspensions',
        recordKey: '1',
        oldValues: null,
        reason: 'over its budget: it took 5,000,000 steps',
      });
      expect(items[0]?.newValues).to.include({ rule_version: 1, event_id: 'e-1' });
      expect(await database.sql('SELECT * FROM outbox WHERE snapshot_version = 2')).to.have.length(1);
    });

    it('is of one version: saving the rule lifts it, also as it was, and applying it as it was does not', async () => {
      await suspensions.suspend(OFFENCE, NODE);
      await rules.applyConfiguration({ rules: [ruleOf('a')] }, AUTHOR);
      expect(await suspendedIn()).to.deep.equal([1]);
      const saved = await rules.replace(1, ruleOf('a'), { expectedVersion: 1 }, AUTHOR);
      expect(saved).to.deep.include({ version: 2, suspended: null });
      expect(await suspendedIn()).to.deep.equal([]);
      // As it was, and not suspended: nothing changes.
      expect(await rules.replace(1, ruleOf('a'), {}, AUTHOR)).to.include({ version: 2 });
      expect(await suspensions.suspend(OFFENCE, NODE), 'the version before').to.equal(false);
      expect(await suspensions.suspend({ ...OFFENCE, ruleVersion: 2 }, NODE)).to.equal(true);
      expect(await suspendedIn()).to.deep.equal([1]);
    });

    it('of a rule that is gone is nothing', async () => {
      await rules.remove(1, {}, AUTHOR);
      const version = await source.currentVersion();
      for (const ruleVersion of [1, 2])
        expect(await suspensions.suspend({ ...OFFENCE, ruleVersion }, NODE)).to.equal(false);
      expect(await suspensions.suspend({ ...OFFENCE, ruleId: 77 }, NODE)).to.equal(false);
      expect(await source.currentVersion()).to.equal(version);
    });

    it('takes whatever text the offence has', async () => {
      const message = `\u0000\ud800${'x'.repeat(5_000)}`;
      expect(await suspensions.suspend({ ...OFFENCE, message, eventId: '\u0000' }, NODE)).to.equal(true);
    });
  });

  it('adds up hits, and passes over rules that are gone for good', async () => {
    const activity = new PostgresRuleActivityStore(database.connection);
    const added = (ruleId: number, hits: number, lastReceivedAtMs: number): object => ({
      ruleId,
      hits,
      lastReceivedAtMs,
    });
    await activity.add([added(2, 3, 5_000), added(1, 1, 4_000), added(77, 9, 1)] as never);
    await activity.add([added(2, 2_000_000_000, 4_999)] as never);
    await activity.add([added(2, 2_000_000_000, 6_000)] as never);
    expect(await activity.list()).to.deep.equal([
      { ruleId: 1, hits: 1, firstReceivedAtMs: 4_000, lastReceivedAtMs: 4_000 },
      { ruleId: 2, hits: 4_000_000_003, firstReceivedAtMs: 5_000, lastReceivedAtMs: 6_000 },
    ]);
  });

  it('refuses what would make a set too large, and then nothing has changed', async () => {
    const small = new PostgresRuleStore(database.connection, { rulesMax: 4 });
    const version = await source.currentVersion();
    const error = await rejectionOf(
      small.applyConfiguration({ rules: [ruleOf('a', { priority: 1 }), ruleOf('d'), ruleOf('e')] }, AUTHOR),
    );
    expect(error).to.include({ code: 'E_RULE_SET_TOO_LARGE', kind: 'permanent' });
    expect(await source.currentVersion()).to.equal(version);
    expect((await rules.list()).map(({ priority }) => priority)).to.deep.equal([100, 100, 100]);
    await small.create(ruleOf('d'), AUTHOR);
    expect(await rejectionOf(small.create(ruleOf('e'), AUTHOR))).to.include({ code: 'E_RULE_SET_TOO_LARGE' });
    expect(await rules.list()).to.have.length(4);
    // One goes, one comes: there are no more than before.
    await small.applyConfiguration({ rules: [ruleOf('e')], remove: { rules: [1] } }, AUTHOR);
    expect(await rules.list()).to.have.length(4);
  });

  it('asks what is to judge a set about the whole of it, as it would be', async () => {
    const seen: string[] = [];
    const judged = new PostgresRuleStore(database.connection, {
      judgeSet: async (set) => {
        seen.push(set.map(({ id, version }) => `${id}/${version}`).join(' '));
        if (set.length > 3) throw Object.assign(new Error('too slow'), { code: 'E_RULE_SET_TOO_LARGE' });
      },
    });
    await judged.replace(2, ruleOf('b', { priority: 5 }), {}, AUTHOR);
    expect(await rejectionOf(judged.create(ruleOf('d'), AUTHOR))).to.include({ message: 'too slow' });
    await judged.applyConfiguration({ rules: [ruleOf('a', { priority: 500 })] }, AUTHOR);
    await judged.applyConfiguration({ rules: [ruleOf('a', { priority: 500 })] }, AUTHOR);
    expect(seen).to.deep.equal(['2/2 1/1 3/1', '2/2 1/1 3/1 4/1', '2/2 3/1 1/2']);
    expect(await rules.list()).to.have.length(3);
  });

  it('tells every rule that somebody else changed meanwhile', async () => {
    await rules.applyConfiguration({ rules: [ruleOf('a', { priority: 1 })] }, AUTHOR);
    await rules.remove(2, {}, AUTHOR);
    const error = await rejectionOf(
      rules.applyConfiguration(
        {
          rules: [
            ruleOf('c', { priority: 9, expected_version: 1 }),
            ruleOf('a', { priority: 2, expected_version: 1 }),
            ruleOf('b', { expected_version: 1 }),
          ],
        },
        AUTHOR,
      ),
    );
    expect(error).to.include({ code: 'E_VERSION_CONFLICT' });
    const { faults } = error['details'] as { faults: { field: string; why: string }[] };
    expect(faults.map(({ field, why }) => `${field} ${why}`)).to.deep.equal([
      'rules[1].expected_version of rule a is 1, and the rule is at version 2 by now',
      'rules[2].expected_version of rule b is 1, and the rule is gone',
    ]);
    expect((await rules.get(3))?.priority).to.equal(100);
  });

  describe('a snapshot', () => {
    it('has the rules it had, as the same objects, but for those that changed', async () => {
      const first = await source.load();
      await rules.replace(2, ruleOf('b', { priority: 5 }), {}, AUTHOR);
      const second = await source.load();
      expect(second.rules.map(({ id }) => id)).to.deep.equal([2, 1, 3]);
      expect(second.rules[1]).to.equal(first.rules[0]);
      expect(second.rules[2]).to.equal(first.rules[2]);
      expect(second.rules[0]).to.deep.include({ version: 2, priority: 5 });
      await rules.remove(1, {}, AUTHOR);
      expect((await source.load()).rules).to.deep.equal([second.rules[0], second.rules[2]]);
    });

    it('has the same list of rules when none changed', async () => {
      const first = await source.load();
      await rules.applyConfiguration({ teams: { r1: 'NETO' } }, AUTHOR);
      const second = await source.load();
      expect(second.teams).to.deep.equal({ r1: 'NETO' });
      expect(second.rules).to.equal(first.rules);
    });

    it('is what a fresh look gives, whatever happened', async () => {
      const fresh = (): Promise<unknown> => new PostgresSnapshotSource(database.connection).load();
      const steps: (() => Promise<unknown>)[] = [
        () => suspensions.suspend(OFFENCE, NODE),
        () => rules.replace(1, ruleOf('a'), {}, AUTHOR),
        () => rules.applyConfiguration({ remove: { rules: [1, 2, 3] } }, AUTHOR),
        () => rules.applyConfiguration({ rules: [ruleOf('b', { id: 2 })] }, AUTHOR),
        // Restored from a copy: the same id and version, another rule.
        () =>
          database.sql(
            `UPDATE alert_rules SET match_string = 'other', updated_at = updated_at - interval '1 day'`,
          ),
      ];
      for (const step of steps) {
        await step();
        expect(await source.load()).to.deep.equal(await fresh());
      }
    });
  });
});
