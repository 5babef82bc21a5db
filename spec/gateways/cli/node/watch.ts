import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TreeNode } from '../../../../gateways/cli/admin-documents.ts';
import { buildProgram } from '../../../../gateways/cli/program.ts';
import { examine } from '../../../../supervisors/doctor.ts';
import { until } from '../../../support/node-under-test.ts';
import type { CliRun } from '../cli-run.ts';
import { VirtualTerminal } from '../virtual-terminal.ts';
import { adminUrlOf, cliFor, json, LINK_DOWN, sendEvent } from './bed.ts';
import type { GivenNode } from './bed.ts';

const VERSION = (
  JSON.parse(readFileSync(fileURLToPath(new URL('../../../../package.json', import.meta.url)), 'utf8')) as {
    version: string;
  }
).version;

export function describeWatching(node: GivenNode): void {
  let cli: CliRun;
  let terminal: VirtualTerminal;
  let resize: () => void;
  let press: (key: string) => void;

  beforeEach(() => {
    cli = cliFor(node());
    terminal = new VirtualTerminal();
  });
  afterEach(() => cli.close());

  /** The program on a terminal of this size. */
  function onTerminal(size: { columns: number; rows: number }): ReturnType<typeof buildProgram> {
    const io = {
      ...cli.context.io,
      stdout: terminal,
      isTTY: true,
      get columns() {
        return size.columns;
      },
      get rows() {
        return size.rows;
      },
      onResize: (listener: () => void) => {
        resize = listener;
        return () => undefined;
      },
      onKey: (listener: (key: string) => void) => {
        press = listener;
        return () => undefined;
      },
    };
    return buildProgram({ ...cli.context, io });
  }

  async function shows(text: string | RegExp): Promise<void> {
    await until(
      async () => terminal.picture().join('\n').search(text) >= 0,
      30_000,
      () => `not shown: ${text}\n${terminal.picture().join('\n')}`,
    );
  }

  describe('mutt top', () => {
    it('looks once without a terminal', async () => {
      expect(await cli.run('top', '--interval', '200ms'), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/^mutt \S+ {2}pid \d+ {2}up \S+ {2}ready\nrates +[\d.,]+ in\/s/)
        .and.to.match(/\nledger +balanced: /)
        .and.to.match(/\nconfig +version \d+ on (\d+) of \1 workers\n/)
        .and.to.match(/\ningest +\d+ /)
        .and.to.match(/\n +match-0 +running +\d+ +\d+ +\d+ +\d+ MiB/)
        .and.not.contain('\u001b');
      cli.out = '';
      expect(await cli.run('top', '--interval', '200ms', '--json')).to.equal(0);
      expect(json<object>(cli)).to.include.keys('ready', 'actors', 'rates', 'ledger');
    });

    it('draws again in place, follows the size of the terminal, and leaves it as it was', async () => {
      const size = { columns: 100, rows: 50 };
      const running = onTerminal(size).run(['top', '--interval', '200ms']);
      await shows(/rates +[\d.,]+ in\/s/);
      await shows('gateway-0-ingest-0');
      size.rows = 6;
      resize();
      expect(terminal.picture().length).to.be.at.most(6);
      expect(terminal.picture().at(-1)).to.match(/^… \d+ more lines$/);
      size.rows = 50;
      resize();
      await sendEvent(node(), 'top-rtr-01');
      await shows(/rates +(?!0\.0)[\d.,]+ in\/s/);
      press('q');
      expect(await running).to.equal(0);
      expect(terminal).to.include({ isSecondPage: false, isCursorShown: true });
    });

    it('ends with 0 by Ctrl-C', async () => {
      const running = onTerminal({ columns: 120, rows: 24 }).run(['top', '--interval', '200ms']);
      await shows('postgres');
      cli.interrupt.abort();
      expect(await running).to.equal(0);
      expect(terminal.isSecondPage).to.equal(false);
    });

    it('keeps the last picture while the node is away for a moment, and says so', async () => {
      let isBroken = false;
      const program = buildProgram({
        ...cli.context,
        io: {
          ...cli.context.io,
          stdout: terminal,
          isTTY: true,
          rows: 50,
          onKey: (listener) => ((press = listener), () => undefined),
        },
        get adminUrl() {
          return adminUrlOf(node());
        },
        readAdminKey: async () => node().adminKey,
        clock: {
          ...cli.context.clock,
          monotonicMs: () => cli.context.clock.monotonicMs(),
          wallMs: () => cli.context.clock.wallMs(),
          after: (delayMs, task, options) =>
            // A request that may take no time at all is one to a node that does not answer.
            cli.context.clock.after(isBroken && delayMs > 1_000 ? 0 : delayMs, task, options),
        },
      });
      const running = program.run(['top', '--interval', '200ms']);
      await shows('match-0');
      isBroken = true;
      await shows('these figures are old');
      await shows('match-0');
      isBroken = false;
      await until(
        async () => !terminal.picture().join('\n').includes('these figures are old'),
        30_000,
        () => 'it does not recover',
      );
      press('q');
      expect(await running).to.equal(0);
    });
  });

  describe('mutt tap', () => {
    /** Sends events until the tap has ended, since it opens when it opens. */
    async function tapped(args: string[], send: () => Promise<void>): Promise<number> {
      let isOver = false;
      const running = cli.run('tap', ...args).finally(() => (isOver = true));
      await until(
        async () => {
          await send();
          return isOver;
        },
        30_000,
        () => `nothing is shown: ${cli.out}${cli.err}`,
      );
      return running;
    }

    it('shows what was decided, one line each, and ends after --limit', async () => {
      const code = await tapped(['--host', 'tap-rtr-*', '--limit', '2'], () =>
        sendEvent(node(), 'TAP-rtr-01'),
      );
      expect(code, cli.err).to.equal(0);
      expect(cli.out.trimEnd().split('\n')).to.have.length(2);
      expect(cli.out).to.match(
        /^\d\d:\d\d:\d\d {2}Page_and_ticket {2}TAP-rtr-01 +rule 5 +kernel: %LINK-3-UPDOWN/i,
      );
    });

    it('gives JSON lines, filtered by program, rule and decision', async () => {
      const filter = ['--program', 'kern?l', '--rule', '5', '--decision', 'Page_and_ticket'];
      const code = await tapped([...filter, '--limit', '3', '--json'], async () => {
        await sendEvent(node(), 'tap-srv-01', 'nothing that a rule knows');
        await sendEvent(node(), 'tap-rtr-02');
      });
      expect(code, cli.err).to.equal(0);
      const events = cli.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(events).to.have.length(3);
      for (const event of events) {
        expect(event).to.include({
          hostname: 'tap-rtr-02',
          rule_id: 5,
          decision: 'Page_and_ticket',
          message: LINK_DOWN,
        });
      }
    });

    it('ends with 0 when nobody reads any more, and by Ctrl-C', async () => {
      const closed = new AbortController();
      const program = buildProgram({ ...cli.context, io: { ...cli.context.io, closed: closed.signal } });
      const first = program.run(['tap']);
      const second = cli.run('tap');
      let isShown = false;
      await until(
        async () => {
          await sendEvent(node(), 'tap-rtr-03');
          isShown ||= cli.out.split('tap-rtr-03').length > 4;
          return isShown;
        },
        30_000,
        () => 'nothing is shown',
      );
      closed.abort();
      expect(await first).to.equal(0);
      cli.interrupt.abort();
      expect(await second).to.equal(0);
    });

    it('makes its connection again when the admin process was restarted', async () => {
      const running = cli.run('tap', '--host', 'again-*');
      const follows = (host: string): Promise<void> =>
        until(
          async () => {
            await sendEvent(node(), host);
            return cli.out.includes(host);
          },
          60_000,
          () => `${host} is not shown: ${cli.err}`,
        );
      await follows('again-01');
      const { pid } = await node().actor('admin');
      if (pid === undefined) throw new Error('the admin process has no pid');
      process.kill(pid, 'SIGKILL');
      await follows('again-02');
      expect(cli.err).to.contain('it is made again');
      cli.interrupt.abort();
      expect(await running).to.equal(0);
    }).timeout(120_000);

    it('tells what is wrong with a filter, and is 2', async () => {
      expect(await cli.run('tap', '--host', 'x'.repeat(300))).to.equal(2);
      expect(cli.err).to.contain('filter.host').and.to.contain('E_MESSAGE_INVALID');
      expect(await cli.run('tap', '--decision', 'Maybe')).to.equal(2);
      expect(cli.err).to.contain('filter.decision');
      expect(await cli.run('tap', '--rule', '0')).to.equal(2);
    });
  });

  describe('mutt actors', () => {
    it('shows the tree', async () => {
      expect(await cli.run('actors', 'tree'), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/^actor +state +epoch +restarts +for +memory/)
        .and.to.match(/\n {4}match-0 +running /);
      cli.out = '';
      expect(await cli.run('actors', 'tree', '--json')).to.equal(0);
      expect(json<TreeNode>(cli)).to.include({ id: 'node', status: 'running' });
    });

    for (const how of ['drain', 'kill']) {
      it(`restarts a thread (${how})`, async () => {
        const before = await node().actor('forward-0');
        expect(await cli.run('actors', 'restart', 'forward-0', '--how', how, '--json'), cli.err).to.equal(0);
        expect(json<object>(cli)).to.deep.include({ id: 'forward-0', how });
        await until(
          async () => {
            const now = await node().actor('forward-0');
            return now.status === 'running' && now.epoch > before.epoch;
          },
          30_000,
          () => 'it is not restarted',
        );
      });
    }

    it('suspends an actor, shows it so, inspects and resumes it', async () => {
      expect(await cli.run('actors', 'suspend', 'forward-0/forward'), cli.err).to.equal(0);
      expect(cli.out).to.contain('forward/forward-0/forward is suspended');
      cli.out = '';
      expect(await cli.run('actors', 'tree')).to.equal(1);
      expect(cli.out).to.match(/\n {6}forward +suspended /);
      cli.out = '';
      expect(await cli.run('actors', 'inspect', 'forward-0/forward'), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/\nstatus +suspended\n/)
        .and.to.match(/\nstate +\{"held":/);
      expect(await cli.run('actors', 'resume', 'forward-0/forward'), cli.err).to.equal(0);
      cli.out = '';
      expect(await cli.run('actors', 'inspect', 'forward-0/forward', '--json')).to.equal(0);
      expect(json<object>(cli)).to.deep.include({ id: 'forward/forward-0/forward', status: 'running' });
    });

    it('says what cannot be suspended', async () => {
      expect(await cli.run('actors', 'suspend', 'gateway-0')).to.not.equal(0);
      expect(cli.err).to.contain('E_NOT_AN_ACTOR').and.to.contain('match-0/match');
    });

    it('says that there is no such part, or no such way', async () => {
      expect(await cli.run('actors', 'restart', 'mach-0')).to.equal(2);
      expect(cli.err).to.contain('E_ACTOR_UNKNOWN');
      expect(await cli.run('actors', 'restart', 'match-0', '--how', 'gently')).to.equal(2);
      expect(cli.err).to.contain('Allowed choices are drain, kill');
    });
  });

  describe('mutt doctor', () => {
    it('finds nothing wrong with a node that runs', async () => {
      const checks = await examine({
        env: node().environment,
        dataDir: node().dir,
        version: VERSION,
        adminUrl: () => adminUrlOf(node()),
        readAdminKey: async () => node().adminKey,
      });
      expect(checks.filter(({ verdict }) => verdict === 'fail')).to.deep.equal([]);
      const found = new Map(checks.map((check) => [check.name, check]));
      for (const name of [
        'node',
        'program',
        'configuration',
        'API keys',
        'Redis',
        'PostgreSQL',
        'clock of Redis',
      ])
        expect(found.get(name), name).to.include({ verdict: 'ok' });
      expect(JSON.stringify(checks)).to.not.contain(node().adminKey);
    });
  });

  describe('mutt status and mutt rules', () => {
    it('show the node', async () => {
      expect(await cli.run('status'), cli.err).to.equal(0);
      expect(cli.out)
        .to.match(/^ready\n/)
        .and.to.contain('balanced');
    });

    it('apply, list and export rules', async () => {
      expect(await cli.run('rules', 'export'), cli.err).to.equal(0);
      const path = cli.file('rules.yaml', cli.out);
      cli.out = '';
      expect(await cli.run('rules', 'apply', path, '--dry-run'), cli.err).to.equal(0);
      expect(cli.out).to.contain('0 created, 0 updated');
      const rule =
        'rules:\n  - {name: cli-spec, match_string: x, prod_handling: Ignore, dev_handling: Ignore, team_assignment: NETO}\n';
      cli.out = '';
      expect(await cli.run('rules', 'apply', cli.file('one.yaml', rule)), cli.err).to.equal(0);
      expect(cli.out).to.match(
        /^1 created, 0 updated, 0 unchanged; rule set version \d+\nin force on every worker after [\d,]+ ms\n$/,
      );
      cli.out = '';
      expect(await cli.run('rules', 'list')).to.equal(0);
      expect(cli.out).to.match(/\n *\d+ +1 +100 {2}Ignore +NETO +cli-spec +x\n/);
      expect(await cli.run('rules', 'apply', cli.file('bad.yaml', rule.replace('Ignore', 'Maybe')))).to.equal(
        1,
      );
      expect(cli.err).to.match(/bad\.yaml:\d+:\d+: rules\[0\]\.prod_handling/);
    });
  });
}
