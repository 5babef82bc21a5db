import { expect } from 'chai';
import type { Command } from 'commander';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { buildProgram } from '../../../gateways/cli/program.ts';
import { CliRun } from './cli-run.ts';
import { leafCommands } from './leaf-commands.ts';

describe('the mutt command', () => {
  let cli: CliRun;

  beforeEach(() => {
    cli = new CliRun('http://127.0.0.1:1');
  });
  afterEach(() => cli.close());

  function everyCommand(): Command[] {
    const walk = (command: Command): Command[] => [command, ...command.commands.flatMap(walk)];
    return walk(cli.program.command).slice(1);
  }

  it('suggests the nearest command and option', async () => {
    expect(await cli.run('repaly')).to.equal(2);
    expect(cli.err).to.contain("mutt: unknown command 'repaly'").and.to.contain('Did you mean replay?');
    cli.err = '';
    expect(await cli.run('replay', 'x.log', '--conections', '2')).to.equal(2);
    expect(cli.err).to.contain('Did you mean --connections?');
  });

  for (const [option, value] of [
    ['--rate', '0'],
    ['--rate', 'fast'],
    ['--rate', ''],
    ['--batch', '1.5'],
    ['--connections', '65'],
    ['--timeout', '-1'],
  ] as const) {
    it(`refuses ${option} ${JSON.stringify(value)} and says what is allowed`, async () => {
      expect(await cli.run('replay', 'x.log', option, value)).to.equal(2);
      expect(cli.err).to.match(/It must be a (whole )?number from [\d.]+ to \d+/);
    });
  }

  it('shows help without an error when asked, or when nothing is said', async () => {
    for (const args of [[], ['--help'], ['help', 'replay'], ['replay', '--help']]) {
      cli.out = '';
      expect(await cli.run(...args), args.join(' ')).to.equal(0);
      expect(cli.out).to.contain('Usage: mutt');
    }
    expect(await cli.run('rules')).to.equal(2);
    expect(cli.err).to.contain('Usage: mutt rules');
  });

  it('has a description and an example for every command', async () => {
    for (const { path } of leafCommands(cli.program.command)) {
      cli.out = '';
      expect(await cli.run(...path, '--help')).to.equal(0);
      expect(cli.out, path.join(' ')).to.match(/^Usage: mutt [^\n]+\n\n\w/);
      expect(cli.out, path.join(' ')).to.contain('Examples:\n  ');
    }
    for (const group of everyCommand()) expect(group.description(), group.name()).to.not.equal('');
  });

  it('runs commands of the composition root and gives back their exit code', async () => {
    let given: unknown;
    const program = buildProgram({
      ...cli.context,
      commands: [
        {
          name: 'start',
          description: 'start a node',
          options: [{ flags: '--wait <s>', description: 'how long' }],
          run: async (options) => {
            given = options;
            return 7;
          },
        },
      ],
    });
    expect(await program.run(['start', '--wait', '3'])).to.equal(7);
    expect(given).to.deep.equal({ wait: '3' });
  });

  it('turns whatever a command throws into what, why and mend', async () => {
    const thrown = Object.assign(new Error('the port is\u001b[2J taken'), {
      code: 'E_PORT_IN_USE',
      mend: 'Use another.',
    });
    const program = buildProgram({
      ...cli.context,
      commands: [{ name: 'start', description: 'start a node', run: () => Promise.reject(thrown) }],
    });
    expect(await program.run(['start'])).to.equal(2);
    expect(cli.err).to.equal('mutt: the port is\ufffd[2J taken (E_PORT_IN_USE)\n  Use another.\n');
  });

  it('prints its version', async () => {
    expect(await cli.run('--version')).to.equal(0);
    expect(cli.out).to.equal('0.0.0-spec\n');
  });
});
