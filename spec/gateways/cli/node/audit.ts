import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { ChangeDocument, EventAuditDocument } from '../../../../gateways/cli/admin-documents.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json, sendEvent } from './bed.ts';
import type { GivenNode } from './bed.ts';

export function describeAudit(node: GivenNode): void {
  describe('mutt audit', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    async function changes(...filter: string[]): Promise<ChangeDocument[]> {
      cli.out = '';
      expect(await cli.run('audit', 'list', '--json', ...filter), cli.err).to.equal(0);
      return json<ChangeDocument[]>(cli);
    }

    it('lists what was changed, newest first, by every filter', async () => {
      await cli.run('config', 'set', 'api.rate.burst', '500', '--reason', 'first\nline');
      await cli.run('config', 'unset', 'api.rate.burst', '--reason', 'second');
      const [second, first] = await changes('--resource', 'settings', '--record', 'api.rate.burst');
      expect(first).to.include({ operation: 'CREATE', changed_by: 'admin' });
      expect(second).to.include({ operation: 'DELETE', reason: 'second' });
      expect(second?.id).to.be.greaterThan(Number(first?.id));
      expect(await changes('--record', 'api.rate.burst', '--operation', 'DELETE')).to.deep.include(second);
      expect(await changes('--by', 'nobody')).to.deep.equal([]);
      expect(await changes('--to', '1d')).to.deep.equal([]);
      expect(await changes('--from', '1h', '--limit', '1')).to.deep.equal([second]);
    });

    it('lists more than the node gives at once', async () => {
      expect(await cli.run('rules', 'apply', cli.file('r.yaml', manyHosts(230)))).to.equal(0);
      expect(await changes('--resource', 'development_hosts', '--limit', '220')).to.have.length(220);
    }).timeout(60_000);

    it('says on stderr when there are more than asked for', async () => {
      expect(await cli.run('audit', 'list', '--limit', '1')).to.equal(0);
      expect(cli.out.trimEnd().split('\n')).to.have.length(2);
      expect(cli.err).to.equal('mutt: there are more; a greater --limit shows them\n');
    });

    it('shows one change whole, on one line a field', async () => {
      await cli.run('config', 'set', 'api.rate.burst', '501', '--reason', 'one\u001b[2J\nmore');
      await cli.run('config', 'unset', 'api.rate.burst');
      const [change] = await changes('--operation', 'CREATE', '--record', 'api.rate.burst', '--limit', '1');
      expect(await cli.run('audit', 'show', String(change?.id)), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/\nrecord +api\.rate\.burst\n/)
        .and.to.match(/\nhash +[0-9a-f]{64}\n/)
        .and.to.contain('\n  value: nothing -> 501\n')
        .and.not.contain('\u001b');
      cli.out = '';
      expect(await cli.run('audit', 'show', String(change?.id), '--json')).to.equal(0);
      expect(json(cli)).to.deep.equal(change);
      expect(await cli.run('audit', 'show', '2000000000')).to.equal(2);
      expect(cli.err).to.contain('E_NOT_FOUND');
      expect(await cli.run('audit', 'show', 'x')).to.equal(2);
    });

    it('verifies the chain of hashes', async () => {
      expect(await cli.run('audit', 'verify'), cli.err).to.equal(0);
      expect(cli.out).to.match(/^intact: [\d,]+ entries, each with the hash of the one before it\n$/);
      cli.out = '';
      expect(await cli.run('audit', 'verify', '--json')).to.equal(0);
      expect(json<object>(cli)).to.include({ intact: true });
    });

    it('refuses filters that mean nothing, and says what is allowed', async () => {
      expect(await cli.run('audit', 'list', '--operation', 'DROP')).to.equal(2);
      expect(cli.err).to.contain('CREATE, UPDATE, DELETE');
      expect(await cli.run('audit', 'list', '--from', 'yesterday')).to.equal(2);
      expect(cli.err).to.contain('It must be a moment');
      expect(await cli.run('audit', 'events', '--decision', 'Maybe')).to.equal(2);
      expect(cli.err).to.contain('Page_and_ticket');
      expect(await cli.run('audit', 'list', '--by', "x' OR 1=1 --")).to.equal(0);
    });

    it('lists decisions about events, by host, rule and decision', async () => {
      await sendEvent(node(), 'audit-rtr-01');
      const found = async (...filter: string[]): Promise<EventAuditDocument[]> => {
        cli.out = '';
        expect(await cli.run('audit', 'events', '--json', ...filter), cli.err).to.equal(0);
        return json<EventAuditDocument[]>(cli);
      };
      await until(
        async () => (await found('--host', 'audit-rtr-01')).length === 1,
        30_000,
        () => 'no decision is listed',
      );
      const [event] = await found('--host', 'audit-rtr-01', '--from', '1h');
      expect(event).to.include({ handling_decision: 'Page_and_ticket', matched_rule_id: 5 });
      expect(
        await found('--host', 'audit-rtr-01', '--rule', '5', '--decision', 'Page_and_ticket'),
      ).to.have.length(1);
      expect(await found('--host', 'audit-rtr-01', '--rule', '6')).to.deep.equal([]);
      expect(await found('--host', 'audit-rtr-01', '--decision', 'Ignore')).to.deep.equal([]);
      cli.out = '';
      expect(await cli.run('audit', 'events', '--host', 'audit-rtr-01')).to.equal(0);
      expect(cli.out).to.match(
        /^received +host +env +decision +rule +team +sent +message\n\S+Z {2}audit-rtr-01 {2}prod {2}Page_and_ticket +5 /,
      );
    });
  });
}

function manyHosts(count: number): string {
  const hosts = Array.from({ length: count }, (_, index) => `dev-${index}`);
  return `rules: []\ndevelopment_hosts: [${hosts.join(', ')}]\n`;
}
