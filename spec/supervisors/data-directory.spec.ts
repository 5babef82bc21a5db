/**
 * The data directory: refused and left as it is when it is damaged, newer, full, in use or not writable.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CodedError } from '../../runtime/errors.ts';
import { dataDirectoryPath, openDataDirectory } from '../../supervisors/data-directory.ts';
import { openNodeKeys } from '../../supervisors/node-keys.ts';
import { isRoot } from '../../supervisors/embedded/server-user.ts';
import { killHard, saidBy } from '../support/said-by.ts';
import { specDirectory } from '../support/servers.ts';

const MODULE = fileURLToPath(new URL('../../supervisors/data-directory.ts', import.meta.url));

const NOBODY = 65_534;

function failureOf(work: () => unknown): CodedError {
  try {
    work();
  } catch (error) {
    return error as CodedError;
  }
  return expect.fail('it did not fail');
}

function fresh(): string {
  return join(specDirectory('data'), 'with a space', 'var');
}

describe('openDataDirectory', () => {
  it('makes a directory that others cannot list, with its format, and opens it again', () => {
    const path = fresh();
    openDataDirectory({ path }).release();
    expect(statSync(path).mode & 0o777).to.equal(isRoot() ? 0o711 : 0o700);
    expect(readFileSync(join(path, 'FORMAT'), 'utf8')).to.equal('mutt-data 1\n');
    openDataDirectory({ path }).release();
    expect(readdirSync(path)).to.deep.equal(['FORMAT']);
  });

  it('takes what the set-up or people put there before for no data', () => {
    const path = fresh();
    mkdirSync(join(path, 'cache'), { recursive: true });
    mkdirSync(join(path, 'bootstrap'));
    // As people do who let a node share the keys of another.
    mkdirSync(join(path, 'keys'));
    writeFileSync(join(path, 'keys', 'pepper'), 'f'.repeat(64));
    openDataDirectory({ path }).release();
    expect(existsSync(join(path, 'FORMAT'))).to.equal(true);
  });

  it('names the process that has it, and takes over when that was killed', async () => {
    const path = fresh();
    const script = `
      const { openDataDirectory } = await import(${JSON.stringify(MODULE)});
      openDataDirectory({ path: ${JSON.stringify(path)} });
      console.log(JSON.stringify({}));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await saidBy(child);
    const failure = failureOf(() => openDataDirectory({ path }));
    expect(failure.code).to.equal('E_ALREADY_RUNNING');
    expect(failure.details).to.deep.equal({ pid: child.pid, path });
    expect(failure.message).to.include(String(child.pid));
    await killHard(child);
    openDataDirectory({ path }).release();
  });

  for (const [title, content, code] of [
    ['a newer format', 'mutt-data 2\n', 'E_DATA_NEWER'],
    ['an empty format file', '', 'E_DATA_DAMAGED'],
    ['a format file that says something else', 'mutt-data one', 'E_DATA_DAMAGED'],
  ] as const) {
    it(`refuses ${title} and leaves it as it is`, () => {
      const path = fresh();
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'FORMAT'), content);
      chmodSync(path, 0o755);
      const failure = failureOf(() => openDataDirectory({ path }));
      expect(failure.code).to.equal(code);
      expect(failure.mend).to.include('Nothing was changed');
      expect(readFileSync(join(path, 'FORMAT'), 'utf8')).to.equal(content);
      expect(statSync(path).mode & 0o777).to.equal(0o755);
      expect(readdirSync(path)).to.deep.equal(['FORMAT']);
    });
  }

  it('refuses data without a format file', () => {
    const path = fresh();
    mkdirSync(join(path, 'postgres'), { recursive: true });
    expect(failureOf(() => openDataDirectory({ path })).code).to.equal('E_DATA_DAMAGED');
    expect(readdirSync(path)).to.deep.equal(['postgres']);
  });

  it('refuses keys that a node has made without a format file', () => {
    const path = fresh();
    openNodeKeys(path);
    expect(failureOf(() => openDataDirectory({ path })).code).to.equal('E_DATA_DAMAGED');
    expect(readdirSync(path)).to.deep.equal(['keys']);
  });

  it('refuses a disk with too little room before anything is written', () => {
    const path = fresh();
    const failure = failureOf(() => openDataDirectory({ path, diskFreeBytesMin: Number.MAX_SAFE_INTEGER }));
    expect(failure.code).to.equal('E_DISK_FULL');
    expect(readdirSync(path)).to.deep.equal([]);
  });

  it('refuses a path that is a file', () => {
    const path = join(specDirectory('data-file'), 'var');
    writeFileSync(path, 'not a directory');
    const failure = failureOf(() => openDataDirectory({ path }));
    expect(failure.code).to.equal('E_DATA_UNWRITABLE');
    expect(failure.message).to.include(`${path} is a file`);
    expect(failure.mend).to.include('MUTT_DATA_DIR');
    expect(readFileSync(path, 'utf8')).to.equal('not a directory');
  });
});

describe('a data directory that cannot be written', () => {
  /** What an ordinary user is told. */
  async function refusal(path: string): Promise<Record<string, unknown>> {
    const script = `
      const { openDataDirectory } = await import(${JSON.stringify(MODULE)});
      try { openDataDirectory({ path: ${JSON.stringify(path)} }); console.log('{}'); }
      catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: '/',
      env: {},
      ...(isRoot() ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    return saidBy(child);
  }

  it('is named itself when it is there', async () => {
    const path = join(specDirectory('data-closed'), 'var');
    mkdirSync(path);
    chmodSync(path, 0o555);
    const { code, message } = await refusal(path);
    expect(code).to.equal('E_DATA_UNWRITABLE');
    expect(message).to.include(`${path} cannot be read and written by this user`).and.to.include('mode 555');
  });

  it('is not, when it is the directory above that takes no new one', async () => {
    const above = specDirectory('data-closed');
    chmodSync(above, 0o555);
    const { code, message } = await refusal(join(above, 'new', 'var'));
    expect(code).to.equal('E_DATA_UNWRITABLE');
    expect(message).to.include(`used: ${above} cannot be`);
  });

  it('is refused at once where directories cannot be made at all', () => {
    const failure = failureOf(() => openDataDirectory({ path: '/proc/mutt/var' }));
    expect(failure.code).to.equal('E_DATA_UNWRITABLE');
    expect(failure.message).to.include('/proc takes nothing new');
  });
});

describe('dataDirectoryPath', () => {
  it('is what MUTT_DATA_DIR says', () => {
    expect(dataDirectoryPath('/clone', { MUTT_DATA_DIR: '/data/here' })).to.equal('/data/here');
  });

  it('is var/ in the clone, and for root outside a clone that the servers cannot reach', () => {
    const clone = mkdtempSync(join(tmpdir(), 'mutt-spec-clone-'));
    try {
      chmodSync(clone, 0o755);
      expect(dataDirectoryPath(clone, {})).to.equal(join(clone, 'var'));
      chmodSync(clone, 0o700);
      const closed = dataDirectoryPath(clone, {});
      if (isRoot()) expect(closed).to.match(/^\/var\/lib\/mutt\/[0-9a-f]{12}$/);
      else expect(closed).to.equal(join(clone, 'var'));
    } finally {
      rmSync(clone, { recursive: true });
    }
  });
});
