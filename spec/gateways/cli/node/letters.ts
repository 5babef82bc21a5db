/** `mutt failures` and dead letters: seen, looked at before they are sent, sent, taken back, thrown away. */
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import type {
  Adoption,
  FailureDetail,
  FailureDocument,
  FailureOutcome,
  ReplayOperation,
  ReplayPreview,
  StoreDocument,
} from '../../../../gateways/cli/admin-documents.ts';
import { queryNode } from '../../../product/node-database.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

const LETTERS = 30;
const OF = ['--kind', 'dead_letter', '--destination', 'letters'];

export function describeLetters(node: GivenNode): void {
  describe('mutt failures and dead letters', () => {
    let cli: CliRun;

    before(async () => {
      const { status } = await node().admin('/api/v2/destinations/letters', {
        method: 'PUT',
        body: { kind: 'webhook', url: 'http://127.0.0.1:9/nobody', routes: [{ team: 'NOBODY' }] },
      });
      expect(status).to.equal(201);
      await queryNode(
        node().dir,
        `INSERT INTO dead_letters (
           alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at
         )
         SELECT md5(n::text), 0, 'letters', jsonb_build_object(
           'id', md5(n::text), 'destination', 'letters', 'signature', n::text, 'event_ids', '[]'::jsonb, 'rule_id', 1,
           'description', E'link \\u001b[31m' || n, 'team', 'NETO', 'status', 'firing'
         ), 'rejected', 'HTTP 422', 1, now(), now(), now() + n * interval '1 second'
         FROM generate_series(1, $1::integer) AS n`,
        [LETTERS],
      );
    });
    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    async function said<T>(exitCode: number, ...args: string[]): Promise<T> {
      cli.out = '';
      expect(await cli.run('failures', ...args, '--json'), cli.err).to.equal(exitCode);
      return json<T>(cli);
    }

    it('lists and shows them', async () => {
      expect(await cli.run('failures', 'list', ...OF), cli.err).to.equal(0);
      expect(cli.out.split('\n')[0]?.split(/ {2,}/).slice(0, 4)).to.deep.equal([
        'id',
        'failed',
        'destination',
        'team',
      ]);
      expect(cli.out).to.not.include('\u001b');
      const found = await said<FailureDocument[]>(0, 'list', ...OF, '--team', 'NETO');
      expect(found).to.have.length(LETTERS);
      const detail = await said<FailureDetail>(0, 'show', found[0]?.id ?? '');
      expect(detail.body?.text).to.include('"signature"');
    });

    it('says what would be sent, sends it, says how far it is, and takes back what waits', async () => {
      const named = ['--destination', 'letters'];
      const preview = await said<ReplayPreview>(0, 'replay', ...named, '--dry-run');
      expect(preview).to.include({ letters: LETTERS, superseded: 0 });
      expect(await cli.run('failures', 'replay')).to.equal(2);
      expect(cli.err).to.include('--destination');
      expect(await cli.run('failures', 'replay', ...named, '--set', 'id=x')).to.equal(2);
      expect(await cli.run('failures', 'replay', ...named, '--set', 'severity=9')).to.equal(2);
      const begun = await said<ReplayOperation>(0, 'replay', ...named, '--rate', '1', '--set', 'severity=2');
      expect(begun.letters).to.equal(LETTERS);
      expect((await said<ReplayOperation[]>(0, 'progress')).map(({ id }) => id)).to.include(begun.id);
      cli.out = '';
      expect(await cli.run('failures', 'progress', begun.id), cli.err).to.equal(0);
      expect(cli.out).to.match(/running: 30 dead letters, .*waiting/);
      const canceled = await said<ReplayOperation>(0, 'cancel', begun.id, '--reason', 'a test');
      expect(canceled.canceled).to.be.at.least(20);
      expect(await cli.run('failures', 'cancel', begun.id)).to.equal(1);
      expect(cli.err).to.include('E_REPLAY_ENDED');
    });

    it('throws them away', async () => {
      const gone = await said<FailureOutcome[]>(
        0,
        'discard',
        '--destination',
        'letters',
        '--reason',
        'a test',
      );
      expect(gone.length).to.be.at.least(20);
      expect(new Set(gone.map(({ outcome }) => outcome))).to.deep.equal(new Set(['discarded']));
      cli.out = '';
      expect(await cli.run('failures', 'discard', '--destination', 'nowhere'), cli.err).to.equal(0);
      expect(cli.out).to.equal('there are no such dead letters\n');
    });

    it('shows whose they are, and takes over those of a Redis that is gone', async () => {
      await queryNode(
        node().dir,
        `INSERT INTO dead_letters (
           alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at, store
         )
         SELECT md5('s' || n), 0, 'letters', jsonb_build_object(
           'id', md5('s' || n), 'destination', 'letters', 'signature', 's', 'event_ids', '[]'::jsonb, 'rule_id', 1,
           'description', 'link', 'team', 'NETO', 'status', 'firing'
         ), 'rejected', 'HTTP 422', 1, now(), now(), now(), 'scrapped'
         FROM generate_series(1, 2) AS n`,
        [],
      );
      const stranded = (await said<FailureDocument[]>(0, 'list', ...OF, '--store', 'scrapped')).map(
        ({ id }) => id,
      );
      expect(stranded).to.have.length(2);
      cli.out = '';
      expect(await cli.run('failures', 'list', ...OF, '--store', 'scrapped'), cli.err).to.equal(0);
      expect(cli.out).to.include('kept, stranded');
      expect(cli.err).to.include('mutt failures stores');
      const found = await said<StoreDocument[]>(0, 'stores');
      expect(found.find(({ store }) => store === 'scrapped')).to.include({ is_stranded: true, letters: 2 });
      const own = found.find(({ is_own: isOwn }) => isOwn);
      expect(own).to.include({ is_stranded: false });
      expect(await cli.run('failures', 'adopt', own?.store ?? '')).to.equal(1);
      expect(cli.err).to.include('E_STORE_ALIVE');
      expect(await said<Adoption>(0, 'adopt', 'scrapped', '--dry-run')).to.include({ letters: 2, left: 0 });
      cli.out = '';
      expect(await cli.run('failures', 'adopt', 'scrapped', '--reason', 'a test'), cli.err).to.equal(0);
      expect(cli.out).to.equal('took over 2 dead letters, 0 alerts of its outboxes, 0 resubmissions\n');
      const ours = await said<FailureDocument[]>(0, 'list', ...OF, '--store', own?.store ?? '');
      // Among those of the specs before, as far as these have become its own by now.
      expect(ours.map(({ id }) => id)).to.include.members(stranded);
    });
  });
}
