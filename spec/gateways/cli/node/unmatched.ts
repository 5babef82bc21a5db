/** `mutt unmatched`, and the whole way behind it: a flood that no rule matches raises one alert, whatever dies. */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type {
  List,
  TreeNode,
  UnmatchedDetail,
  UnmatchedDocument,
  UnmatchedHost,
} from '../../../../gateways/cli/admin-documents.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

const HOST = 'flooded-1';
const FLOOD = 300;
const THRESHOLD = 250;

interface SinkAlert {
  external_id: string;
  signature: string;
  type: string;
  source: string;
  description: string;
}

export function describeUnmatched(node: GivenNode): void {
  describe('mutt unmatched', () => {
    let cli: CliRun;
    let fingerprint: string;

    before(async () => {
      cli = cliFor(node());
      expect(await cli.run('config', 'set', 'unmatched.threshold', String(THRESHOLD)), cli.err).to.equal(0);
      // The second of them comes while the first is being handled or is done: the thread dies with it.
      await node().post(flood(FLOOD));
      await killMatchThreads();
      await node().post(flood(FLOOD));
      await until(
        async () => (await alerts()).length > 0,
        40_000,
        () => 'there is no meta-alert',
      );
      await killMatchThreads();
      await node().post(flood(FLOOD));
      await node().settled();
      await until(
        async () => typeof (await listed())[0]?.alerted_at === 'string',
        40_000,
        () => 'the template is not listed',
      );
      ({ fingerprint = '' } = (await listed())[0] ?? {});
      cli.close();
    });
    after(async () => {
      cli = cliFor(node());
      await cli.run('config', 'unset', 'unmatched.threshold');
      cli.close();
    });
    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    function flood(events: number): string {
      const timestamp = new Date().toISOString();
      return Array.from({ length: events }, (_, n) =>
        JSON.stringify({
          hostname: HOST,
          program: 'gizmod',
          timestamp,
          message: `gizmo ${n} wobbles at 10.0.0.${n % 250}`,
        }),
      ).join('\n');
    }

    async function killMatchThreads(): Promise<void> {
      const { body } = await node().admin<TreeNode>('/api/v2/actors');
      const ids = threadsIn(body).filter((id) => /^match-\d+$/.test(id));
      expect(ids).not.to.deep.equal([]);
      for (const id of ids) {
        const { status } = await node().admin(`/api/v2/actors/${id}/restart`, {
          method: 'POST',
          body: { how: 'kill' },
        });
        expect(status).to.equal(200);
      }
    }

    /** What the local sink took of it. */
    async function alerts(): Promise<SinkAlert[]> {
      const { body } = await node().admin<{ alerts: { alert: SinkAlert }[] }>(
        '/api/v2/alerts/recent?after=0',
      );
      return body.alerts.map(({ alert }) => alert).filter(({ source }) => source === HOST);
    }

    async function listed(): Promise<UnmatchedDocument[]> {
      const { body } = await node().admin<List<UnmatchedDocument>>(`/api/v2/unmatched?hostname=${HOST}`);
      return body.items;
    }

    it('follows one alert about a flood, though its threads died meanwhile, and balanced books', async () => {
      const sent = await alerts();
      expect(new Set(sent.map(({ external_id: id }) => id)).size).to.equal(1);
      expect(sent[0]).to.include({ type: 'unmatched', signature: `${HOST}::unmatched::${fingerprint}` });
      expect(sent[0]?.description).to.match(
        / events within 1 d that no rule matches: gizmod: gizmo # wobbles at #$/,
      );
      const ledger = await node().ledger();
      expect(ledger).to.include({ balanced: true, in_flight: 0, lost: 0 });
      // What waited while the admin process, which takes them, was away has come to its latest states.
      const { opened, delivered = 0, superseded = 0 } = ledger.alerts ?? {};
      expect(delivered + superseded).to.equal(opened);
    });

    it('list: shows templates in columns, of a host, since a time', async () => {
      expect(
        await cli.run('unmatched', 'list', '--host', HOST.toUpperCase(), '--since', '1h'),
        cli.err,
      ).to.equal(0);
      const [head = '', line = '', ...others] = cli.out.trimEnd().split('\n');
      expect(others).to.deep.equal([]);
      const columns = ['fingerprint', 'events', 'hosts', 'last seen', 'alerted', 'program', 'template'];
      expect(head.split(/ {2,}/)).to.deep.equal(columns);
      expect(line).to.match(new RegExp(`^${fingerprint} .* yes +gizmod +gizmo # wobbles at #$`));
      cli.out = '';
      expect(await cli.run('unmatched', 'list', '--json')).to.equal(0);
      const all = json<UnmatchedDocument[]>(cli);
      const [ours] = all.filter((each) => each.fingerprint === fingerprint);
      // A thread that dies takes with it what it counted in the last seconds, and what it had in hand is counted again.
      expect(ours?.count).to.be.within(FLOOD, 4 * FLOOD);
      expect(ours).to.include({ host_count: 1 });
      expect(all.map(({ count }) => count)).to.deep.equal(
        all.map(({ count }) => count).sort((a, b) => b - a),
      );
    });

    it('show: has the hosts, a sample, and a rule that can be applied', async () => {
      expect(await cli.run('unmatched', 'show', fingerprint), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/^sample +gizmo \d+ wobbles at 10\.0\.0\.\d+$/m)
        .and.to.match(/^flooded-1 /m);
      const yaml = /^rules:\n[^]+/m.exec(cli.out)?.[0] ?? '';
      const file = cli.file('suggested.yaml', yaml);
      cli.out = '';
      expect(await cli.run('rules', 'apply', file, '--dry-run'), cli.err).to.equal(0);
      cli.out = '';
      expect(await cli.run('unmatched', 'show', fingerprint, '--json')).to.equal(0);
      const detail = json<UnmatchedDetail & { hosts: UnmatchedHost[] }>(cli);
      expect(detail.hosts.map(({ hostname }) => hostname)).to.deep.equal([HOST]);
      expect(detail.suggested_rule).to.include({ match_string: 'wobbles at', program: 'gizmod' });
    });

    it('forget: removes it, says why in the audit, and knows what is not there', async () => {
      expect(await cli.run('unmatched', 'forget', fingerprint, '--host', 'nobody')).to.equal(2);
      expect(cli.err).to.contain('E_NOT_FOUND');
      expect(await cli.run('unmatched', 'forget', fingerprint, '--reason', 'a spec'), cli.err).to.equal(0);
      expect(await listed()).to.deep.equal([]);
      expect(await cli.run('unmatched', 'show', fingerprint)).to.equal(2);
      cli.out = '';
      await cli.run('audit', 'list', '--resource', 'unmatched_templates', '--json');
      expect(json<{ reason: string }[]>(cli)[0]).to.include({ reason: 'a spec' });
    });
  });
}

function threadsIn({ id, children = [] }: TreeNode): string[] {
  return [id, ...children.flatMap(threadsIn)];
}
