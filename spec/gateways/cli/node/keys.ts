import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyDocument, NewKey } from '../../../../gateways/cli/admin-documents.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { adminUrlOf, cliFor, json } from './bed.ts';
import type { GivenNode } from './bed.ts';

export function describeKeys(node: GivenNode): void {
  describe('mutt keys', () => {
    let cli: CliRun;
    let made = 0;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    /** Names are never used again. */
    function freshName(): string {
      made += 1;
      return `relay-${made}`;
    }

    async function accepted(key: string): Promise<boolean> {
      const reply = await fetch(`${adminUrlOf(node())}/api/v2/status`, { headers: { 'x-api-key': key } });
      await reply.arrayBuffer();
      return reply.status === 200;
    }

    async function whenAccepted(key: string, wanted: boolean): Promise<void> {
      await until(
        async () => (await accepted(key)) === wanted,
        10_000,
        () => `the key is still ${wanted ? 'refused' : 'accepted'}`,
      );
    }

    it('creates a key that works, printed alone on stdout with a warning beside it', async () => {
      expect(await cli.run('keys', 'create', freshName(), '--scope', 'read'), cli.err).to.equal(0);
      expect(cli.out).to.match(/^[\w-]{43}\n$/);
      expect(cli.err).to.contain('the only time that this key is shown');
      await whenAccepted(cli.out.trim(), true);
    });

    it('writes a key to a file for its owner alone, and shows it nowhere', async () => {
      const path = join(cli.dir, 'relay.key');
      const name = freshName();
      expect(
        await cli.run('keys', 'create', name, '--scope', 'ingest,read', '--out', path, '--json'),
      ).to.equal(0);
      const key = readFileSync(path, 'utf8').trim();
      expect(statSync(path).mode & 0o777).to.equal(0o600);
      expect(cli.out + cli.err).to.not.contain(key);
      expect(json<object>(cli)).to.deep.include({ name, scopes: ['ingest', 'read'], file: path });
      await whenAccepted(key, true);
    });

    it('opts in to ids of events only when it is told to', async () => {
      const [opted, plain] = [freshName(), freshName()];
      expect(await cli.run('keys', 'create', opted, '--scope', 'ingest', '--event-ids')).to.equal(0);
      expect(await cli.run('keys', 'create', plain, '--scope', 'ingest')).to.equal(0);
      const keys = new Map((await list()).map((key) => [key.name, key.event_ids]));
      expect([keys.get(opted), keys.get(plain)]).to.deep.equal([true, false]);
    });

    it('never writes over a file, and makes no key without a place for it', async () => {
      const path = cli.file('taken.key', 'precious');
      const name = freshName();
      expect(await cli.run('keys', 'create', name, '--scope', 'read', '--out', path)).to.equal(2);
      expect(cli.err).to.contain('E_FILE_EXISTS');
      expect(readFileSync(path, 'utf8')).to.equal('precious');
      expect(
        await cli.run('keys', 'create', name, '--scope', 'read', '--out', join(cli.dir, 'no', 'x.key')),
      ).to.equal(2);
      expect(cli.err).to.contain('E_FILE_UNWRITABLE');
      expect((await list()).map((key) => key.name)).to.not.include(name);
    });

    it('leaves no file behind when the node refuses', async () => {
      const dir = join(cli.dir, 'out');
      mkdirSync(dir);
      expect(
        await cli.run('keys', 'create', 'admin', '--scope', 'read', '--out', join(dir, 'x.key')),
      ).to.equal(1);
      expect(readdirSync(dir)).to.deep.equal([]);
    });

    it('tells why a name, a scope or an end is refused', async () => {
      expect(await cli.run('keys', 'create', 'admin', '--scope', 'read')).to.equal(1);
      expect(await cli.run('keys', 'create', freshName(), '--scope', 'everything')).to.equal(1);
      expect(cli.err).to.contain('one of ingest, read, operate, admin');
      expect(
        await cli.run('keys', 'create', freshName(), '--scope', 'read', '--expires', '2020-01-01'),
      ).to.equal(1);
      expect(await cli.run('keys', 'create', freshName(), '--scope', 'read', '--expires', 'soon')).to.equal(
        2,
      );
      expect(await cli.run('keys', 'create', freshName())).to.equal(2);
      expect(cli.err).to.contain("required option '--scope <scopes>' not specified");
      expect(cli.out).to.equal('');
    });

    it('rotates a key: both values work, and the file has the new one', async () => {
      const name = freshName();
      await cli.run('keys', 'create', name, '--scope', 'read', '--expires', '90d');
      const before = cli.out.trim();
      const path = cli.file('relay.key', `${before}\n`);
      cli.err = '';
      expect(await cli.run('keys', 'rotate', name, '--overlap', '2h', '--out', path), cli.err).to.equal(0);
      expect(cli.err).to.match(/the old key works until 20\d\d-.*Z\n/);
      const after = readFileSync(path, 'utf8').trim();
      expect(after).to.not.equal(before);
      expect(statSync(path).mode & 0o777).to.equal(0o600);
      await whenAccepted(after, true);
      expect(await accepted(before)).to.equal(true);
      cli.out = '';
      expect(await cli.run('keys', 'rotate', name, '--overlap', '0s', '--json')).to.equal(0);
      await whenAccepted(json<NewKey>(cli).key, true);
      await whenAccepted(after, false);
    });

    it('revokes a key', async () => {
      const name = freshName();
      await cli.run('keys', 'create', name, '--scope', 'read');
      const key = cli.out.trim();
      await whenAccepted(key, true);
      expect(await cli.run('keys', 'revoke', name, '--reason', 'lost'), cli.err).to.equal(0);
      await whenAccepted(key, false);
      expect((await list()).find((each) => each.name === name)).to.include({ state: 'revoked' });
    });

    it("neither rotates nor revokes the node's own keys, nor one that is not there", async () => {
      for (const command of ['rotate', 'revoke']) {
        expect(await cli.run('keys', command, 'admin'), command).to.equal(1);
        expect(cli.err).to.contain('E_KEY_OF_NODE');
        expect(await cli.run('keys', command, 'nobody'), command).to.equal(2);
        expect(cli.err).to.contain('E_NOT_FOUND');
      }
      expect(existsSync(join(node().dir, 'keys', 'admin.key'))).to.equal(true);
    });

    it('lists keys in columns, and never a key', async () => {
      await cli.run('keys', 'create', freshName(), '--scope', 'read');
      const key = cli.out.trim();
      cli.out = '';
      expect(await cli.run('keys', 'list')).to.equal(0);
      const [head, first] = cli.out.split('\n').map((line) => line.split(/ {2,}/));
      expect(head?.slice(0, 4)).to.deep.equal(['name', 'scopes', 'source', 'state']);
      expect(first?.slice(0, 4)).to.deep.equal(['admin', 'ingest,read,operate,admin', 'node', 'active']);
      expect(cli.out).to.not.contain(key).and.not.contain(node().adminKey);
    });

    async function list(): Promise<KeyDocument[]> {
      cli.out = '';
      expect(await cli.run('keys', 'list', '--json')).to.equal(0);
      return json<KeyDocument[]>(cli);
    }
  });
}
