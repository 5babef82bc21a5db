/**
 * Method: bash itself completes, with the script it was given.
 */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { CliRun } from './cli-run.ts';
import { leafCommands } from './leaf-commands.ts';

describe('mutt completion', () => {
  let cli: CliRun;

  beforeEach(() => {
    cli = new CliRun('http://127.0.0.1:1');
  });
  afterEach(() => cli.close());

  async function scriptFor(shell: string): Promise<string> {
    cli.out = '';
    expect(await cli.run('completion', shell)).to.equal(0);
    return cli.out;
  }

  /** What bash offers after these words; the last one is being typed. */
  function offered(script: string, ...words: string[]): string[] {
    const run = [
      'complete() { :; }',
      script,
      `COMP_WORDS=(${['mutt', ...words].map((word) => `'${word}'`).join(' ')})`,
      `COMP_CWORD=${words.length}`,
      '_mutt',
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    const out = execFileSync('bash', ['--norc', '--noprofile', '-uc', run], {
      cwd: cli.dir,
      encoding: 'utf8',
    });
    return out.split('\n').filter((line) => line !== '');
  }

  it('offers commands, sub-commands and options to bash', async () => {
    const script = await scriptFor('bash');
    expect(offered(script, 'con')).to.deep.equal(['config']);
    expect(offered(script, 'config', '')).to.have.members([
      'list',
      'get',
      'effective',
      'set',
      'unset',
      'history',
      'rollback',
    ]);
    expect(offered(script, 'config', 'set', 'pool.match.size', '4', '--g')).to.deep.equal(['--guard']);
    expect(offered(script, 'config', 'set', '--reason', '')).to.deep.equal([]);
    expect(offered(script, 'actors', 'restart', '--how', '')).to.have.members(['drain', 'kill']);
    expect(offered(script, 'actors', '')).to.have.members([
      'tree',
      'restart',
      'suspend',
      'resume',
      'inspect',
    ]);
    expect(offered(script, 'completion', '')).to.have.members(['bash', 'zsh', 'fish']);
  });

  it('offers files where a file is wanted', async () => {
    const script = await scriptFor('bash');
    cli.file('sample.yaml', '');
    expect(offered(script, 'rules', 'apply', 'sam')).to.deep.equal(['sample.yaml']);
    expect(offered(script, 'status', '--admin-key-file', 'sam')).to.deep.equal(['sample.yaml']);
  });

  it('offers every command and option of the program to bash', async () => {
    const script = await scriptFor('bash');
    for (const { path, command } of leafCommands(cli.program.command)) {
      expect(offered(script, ...path), path.join(' ')).to.include(path.at(-1));
      expect(offered(script, ...path, '-')).to.have.members([
        ...command.options.map(({ long }) => long),
        '--help',
      ]);
    }
  }).timeout(60_000);

  for (const shell of ['zsh', 'fish']) {
    it(`names every command and option in the script for ${shell}`, async () => {
      const script = await scriptFor(shell);
      for (const { path, command } of leafCommands(cli.program.command)) {
        expect(script).to.contain(`'${path.join(' ')}'`.replaceAll("'", shell === 'fish' ? "\\'" : "'"));
        for (const { long } of command.options) {
          expect(script).to.contain(shell === 'fish' ? `-l ${long?.slice(2)} ` : `${long}:`);
        }
      }
      // An odd number of unescaped quotes would swallow the rest of the script.
      const quotes = script.replaceAll("\\'", '').split("'").length - 1;
      expect(quotes % 2).to.equal(0);
    });
  }

  it('refuses another shell and names those there are', async () => {
    expect(await cli.run('completion', 'csh')).to.equal(2);
    expect(cli.err).to.contain('Allowed choices are bash, zsh, fish');
  });
});
