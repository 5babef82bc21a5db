/**
 * What every command does when there is no node, when its key is wrong, and when its key has not the right.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { CliRun } from '../cli-run.ts';
import { leafCommands } from '../leaf-commands.ts';
import { adminUrlOf, cliFor } from './bed.ts';
import type { GivenNode } from './bed.ts';

const KEY = 'match.batch.eventsMax';

/** A call of every command that asks the admin API, and the scope that it needs. */
const CALLS: readonly (readonly [args: string, scope: 'read' | 'operate' | 'admin'])[] = [
  ['status', 'read'],
  ['top', 'read'],
  ['tap', 'read'],
  ['rules lint FILE', 'read'],
  ['rules diff FILE', 'read'],
  ['rules test FILE', 'read'],
  ['rules backtest FILE', 'read'],
  ['rules coverage', 'read'],
  ['rules schema', 'read'],
  ['rules versions 1', 'read'],
  ['rules rollback 1', 'admin'],
  ['rules list', 'read'],
  ['rules export', 'read'],
  ['rules apply FILE', 'admin'],
  ['config list', 'read'],
  [`config get ${KEY}`, 'read'],
  ['config effective', 'read'],
  [`config set ${KEY} 3000`, 'admin'],
  [`config unset ${KEY} --if-version 1`, 'admin'],
  [`config history ${KEY}`, 'read'],
  [`config rollback ${KEY}`, 'admin'],
  ['destinations add spec-failures --kind webhook --url http://127.0.0.1:9/', 'admin'],
  ['destinations show local', 'read'],
  ['destinations test local', 'admin'],
  ['destinations remove local', 'admin'],
  ['keys list', 'admin'],
  ['keys create spec-failures --scope read', 'admin'],
  ['keys rotate spec-failures', 'admin'],
  ['keys revoke spec-failures', 'admin'],
  ['destinations list', 'read'],
  ['destinations pause nobody --reason x', 'operate'],
  ['destinations mute nobody --reason x', 'operate'],
  ['destinations resume nobody', 'operate'],
  ['audit list', 'read'],
  ['audit show 1', 'read'],
  ['audit verify', 'read'],
  ['audit events', 'read'],
  ['trace nothing-of-this-name', 'read'],
  ['failures list', 'read'],
  ['failures totals', 'read'],
  ['failures show 1', 'read'],
  ['failures resubmit 1', 'operate'],
  ['failures discard 1', 'operate'],
  ['failures stores', 'read'],
  ['failures adopt 0123456789abcdef', 'operate'],
  ['failures replay 1', 'operate'],
  ['failures progress', 'read'],
  ['failures cancel 0123456789abcdef0123456789abcdef', 'operate'],
  ['unmatched list', 'read'],
  ['unmatched show 0123456789abcdef', 'read'],
  ['unmatched forget 0123456789abcdef', 'operate'],
  ['actors tree', 'read'],
  ['actors restart match-0', 'operate'],
  ['actors suspend match-0/match', 'operate'],
  ['actors resume match-0/match', 'operate'],
  ['actors inspect match-0/match', 'read'],
];

export function describeFailures(node: GivenNode): void {
  describe('commands that ask the admin API', () => {
    let cli: CliRun;

    beforeEach(() => {
      cli = cliFor(node());
    });
    afterEach(() => cli.close());

    function callOf(args: string): string[] {
      const file = cli.file('rules.yaml', 'rules: []\n');
      return args.split(' ').map((word) => (word === 'FILE' ? file : word));
    }

    it('are all called here', () => {
      const asking = leafCommands(cli.program.command)
        .filter(({ command }) => command.options.some(({ long }) => long === '--admin-url'))
        .map(({ path }) => path.join(' '));
      // Replay talks to the ingest port first; its failures have a spec of their own.
      const called = [
        ...CALLS.map(([args]) => asking.find((name) => `${args} `.startsWith(`${name} `))),
        'replay',
      ];
      expect(called).to.have.members(asking);
    });

    for (const [args] of CALLS) {
      it(`${args}: is 3 and says how to start one when no node is there`, async () => {
        expect(await cli.run(...callOf(args), '--admin-url', 'http://127.0.0.1:9')).to.equal(3);
        expect(cli.err)
          .to.contain('E_UNREACHABLE')
          .and.to.contain('mutt start')
          .and.to.contain('--admin-url');
        expect(cli.out).to.equal('');
      });
    }

    for (const [args] of CALLS) {
      it(`${args}: is 2 when the key is wrong, and never shows it`, async () => {
        const wrong = 'wrong-key-of-the-spec';
        const file = cli.file('wrong.key', `${wrong}\n`);
        expect(await cli.run(...callOf(args), '--admin-key-file', file)).to.equal(2);
        expect(cli.err).to.contain('This key is not known').and.to.contain('E_KEY_REFUSED');
        expect(cli.out + cli.err).to.not.contain(wrong);
      });
    }

    for (const [args, scope] of CALLS) {
      it(`${args}: is 2 and names the scope ${scope} when the key has it not`, async () => {
        const [lesser] = scope === 'read' ? ['ingest'] : ['read'];
        const key = lesser === 'ingest' ? node().ingestKey : await readKey();
        const file = cli.file('lesser.key', `${key}\n`);
        expect(await cli.run(...callOf(args), '--admin-key-file', file), cli.err).to.equal(2);
        expect(cli.err).to.contain(`a key with the scope ${scope}`).and.to.contain('E_KEY_REFUSED');
        expect(cli.out).to.equal('');
      });
    }

    let madeKey: Promise<string> | undefined;

    /** A key that may only read, made once. */
    function readKey(): Promise<string> {
      madeKey ??= (async () => {
        const maker = cliFor(node());
        expect(await maker.run('keys', 'create', 'spec-reader', '--scope', 'read'), maker.err).to.equal(0);
        const key = maker.out.trim();
        maker.close();
        for (;;) {
          const reply = await fetch(`${adminUrlOf(node())}/api/v2/status`, { headers: { 'x-api-key': key } });
          await reply.arrayBuffer();
          if (reply.status === 200) return key;
        }
      })();
      return madeKey;
    }
  });
}
