/** `mutt failures`: what was rejected, and what to do about it. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  FailureDocument,
  FailureOutcome,
  RejectTotals,
} from '../../../../gateways/cli/admin-documents.ts';
import type { CliRun } from '../cli-run.ts';
import { cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

const event = (message: string): string =>
  JSON.stringify({ hostname: 'core-1', message, timestamp: new Date().toISOString() });

export function describeRejects(node: GivenNode): void {
  describe('mutt failures', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    /** Ids, the newest first. */
    async function rejected(body: string | Buffer): Promise<string[]> {
      const { rejected: count = 1 } = (await node().post(body)).body;
      return (await list()).slice(0, Number(count)).map(({ id }) => id);
    }

    async function list(...args: string[]): Promise<FailureDocument[]> {
      cli.out = '';
      expect(await cli.run('failures', 'list', '--json', ...args), cli.err).to.equal(0);
      return json<FailureDocument[]>(cli);
    }

    async function outcomesOf(...args: string[]): Promise<FailureOutcome[]> {
      cli.out = '';
      await cli.run('failures', ...args, '--json');
      return json<FailureOutcome[]>(cli);
    }

    it('lists rejects in columns, harmless whatever is in them, and says when there are more', async () => {
      await rejected('{"hostname":"\u001b[31mred\u001b[0m"}\n'.repeat(3));
      expect(await cli.run('failures', 'list', '--limit', '2', '--since', '1h')).to.equal(0);
      const lines = cli.out.trimEnd().split('\n');
      expect(lines[0]?.split(/ {2,}/)).to.deep.equal([
        'id',
        'failed',
        'key',
        'sender',
        'code',
        'state',
        'bytes',
        'body',
      ]);
      expect(lines.length).to.equal(3);
      expect(cli.out).to.not.include('\u001b');
      expect(cli.err).to.include('there are more');
      expect((await list('--code', 'E_JSON_MALFORMED', '--key', 'ingest')).length).to.be.at.least(3);
      expect(await list('--key', 'nobody')).to.deep.equal([]);
      expect(await list('--kind', 'quarantine')).to.deep.equal([]);
      expect(await cli.run('failures', 'list', '--kind', 'everything')).to.equal(2);
      expect(await cli.run('failures', 'list', '--kind', 'quarantine', '--key', 'ingest')).to.equal(2);
    });

    it('shows one whole, and keeps its bytes in a file that was not there', async () => {
      const body = Buffer.from('{"hostname":"\u001b]0;title","x":"\xff"}', 'latin1');
      const [id = ''] = await rejected(body);
      expect(await cli.run('failures', 'show', id), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/^reason +E_/m)
        .and.to.match(/^body \(not UTF-8: --out keeps its bytes\):$/m);
      expect(cli.out).to.not.include('\u001b');
      const out = join(cli.dir, 'body');
      cli.out = '';
      expect(await cli.run('failures', 'show', id, '--out', out, '--json')).to.equal(0);
      expect(readFileSync(out)).to.deep.equal(body);
      expect(await cli.run('failures', 'show', id, '--out', out)).to.equal(2);
      expect(cli.err).to.include('E_FILE_EXISTS');
      const nowhere = join(cli.dir, 'no', 'body');
      expect(await cli.run('failures', 'show', id, '--out', nowhere)).to.equal(2);
      expect(cli.err).to.include('E_FILE_UNWRITABLE');
      expect(existsSync(nowhere)).to.equal(false);
      expect(await cli.run('failures', 'show', 'nothing')).to.equal(2);
      expect(cli.err).to.include('E_NOT_FOUND');
    });

    it('resubmits one with a corrected body, once', async () => {
      const [id = ''] = await rejected('{"hostname":"core-1"}');
      expect(await cli.run('failures', 'resubmit', id)).to.equal(1);
      expect(cli.out).to.include('unusable').and.to.include('timestamp');
      expect(await cli.run('failures', 'resubmit', id, '--dry-run')).to.equal(1);
      expect(cli.err).to.include('E_REJECT_UNUSABLE');
      const file = cli.file('corrected.json', event('corrected'));
      const { accepted } = await node().settled();
      expect((await outcomesOf('resubmit', id, '--body-file', file, '--dry-run'))[0]?.outcome).to.equal(
        'usable',
      );
      expect((await node().settled()).accepted).to.equal(accepted);
      for (const outcome of ['resubmitted', 'already_resubmitted']) {
        const [done] = await outcomesOf('resubmit', id, '--body-file', file, '--reason', 'clock');
        expect(done?.outcome).to.equal(outcome);
      }
      expect((await node().settled()).accepted).to.equal(accepted + 1);
      expect((await list('--state', 'resubmitted')).map((each) => each.id)).to.include(id);
      cli.out = '';
      expect(await cli.run('audit', 'list', '--resource', 'rejects', '--record', id), cli.err).to.equal(0);
      expect(cli.out).to.include('clock');
    });

    it('acts on all that have something in common, in as many requests as that takes', async () => {
      await node().post('{"hostname":"r1","message":"m","timestamp":"never"}\n'.repeat(250));
      const common = ['--code', 'E_TIMESTAMP_INVALID', '--since', '1h'];
      const unusable = await outcomesOf('resubmit', ...common);
      expect(unusable.length).to.equal(250);
      expect(new Set(unusable.map(({ outcome }) => outcome))).to.deep.equal(new Set(['unusable']));
      expect(await cli.run('failures', 'discard', ...common, '--limit', '30', '--reason', 'test')).to.equal(
        0,
      );
      expect(cli.out).to.equal('30 discarded\n');
      expect(cli.err).to.include('there are more');
      cli.out = '';
      expect(await cli.run('failures', 'discard', ...common), cli.err).to.equal(0);
      expect(cli.out).to.equal('220 discarded\n');
      cli.out = '';
      expect(await cli.run('failures', 'discard', ...common)).to.equal(0);
      expect(cli.out).to.equal('there are no such rejects\n');
    });

    it('wants to know which, and says what is not there', async () => {
      for (const operation of ['resubmit', 'discard']) {
        expect(await cli.run('failures', operation)).to.equal(2);
        expect(cli.err).to.include('E_USAGE');
        expect(await cli.run('failures', operation, 'x', '--key', 'ingest')).to.equal(2);
        cli.out = '';
        expect(await cli.run('failures', operation, 'nothing', 'nothing')).to.equal(1);
        expect(cli.out).to.match(/^1 unknown$/m);
      }
      expect(await cli.run('failures', 'resubmit', 'a', 'b', '--dry-run')).to.equal(2);
      expect(await cli.run('failures', 'resubmit', 'a', '--body-file', join(cli.dir, 'none'))).to.equal(2);
      expect(cli.err).to.include('E_FILE_UNREADABLE');
      const large = cli.file('large', Buffer.alloc(1024 * 1024 + 1));
      expect(await cli.run('failures', 'resubmit', 'a', '--body-file', large)).to.equal(2);
    });

    it('counts per key', async () => {
      await rejected('{"hostname":"r1"}');
      expect(await cli.run('failures', 'totals', '--json')).to.equal(0);
      const [own] = json<RejectTotals[]>(cli).filter(({ key }) => key === 'ingest');
      expect(own?.kept).to.be.greaterThan(0);
      expect(own?.discarded).to.be.at.least(250);
      expect(await cli.run('failures', 'totals')).to.equal(0);
      expect(cli.out).to.match(/^key +kept +bytes +evicted +resubmitted +discarded\n/);
    });
  });
}
