/**
 * The lock file: one living holder at a time, and none that is dead.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tryLock, waitForLock } from '../../supervisors/exclusive-lock.mjs';
import { killHard, saidBy } from '../support/said-by.ts';
import { specDirectory } from '../support/servers.ts';

const MODULE = fileURLToPath(new URL('../../supervisors/exclusive-lock.mjs', import.meta.url));

/** A process that takes the lock, says so, and holds it until it is killed. */
function holder(path: string): ReturnType<typeof spawn> {
  const script = `
    const { tryLock } = await import(${JSON.stringify(MODULE)});
    const { holderPid } = tryLock(${JSON.stringify(path)});
    console.log(JSON.stringify({ holderPid: holderPid ?? null }));
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

describe('tryLock', () => {
  const directory = specDirectory('lock');
  const path = join(directory, 'lock');

  it('gives the lock once and names its holder to the next', () => {
    const first = tryLock(path);
    expect(tryLock(path).holderPid).to.equal(process.pid);
    first.release?.();
    const second = tryLock(path);
    expect(second.release).to.be.a('function');
    second.release?.();
    expect(existsSync(path)).to.equal(false);
  });

  it('takes over from a holder that was killed', async () => {
    const child = holder(path);
    expect(await saidBy(child)).to.deep.equal({ holderPid: null });
    expect(tryLock(path).holderPid).to.equal(child.pid);
    await killHard(child);
    expect(existsSync(path)).to.equal(true);
    const lock = tryLock(path);
    expect(lock.release).to.be.a('function');
    lock.release?.();
  });

  it('takes over a lock whose pid now belongs to another process', () => {
    writeFileSync(path, JSON.stringify({ pid: process.pid, identity: 'another start', nonce: '' }));
    const lock = tryLock(path);
    expect(lock.release).to.be.a('function');
    lock.release?.();
  });

  it('takes over a lock that a crash of the machine left unreadable', () => {
    writeFileSync(path, '');
    const lock = tryLock(path);
    expect(lock.release).to.be.a('function');
    lock.release?.();
  });

  it('is given to exactly one of many that find a dead holder at the same moment', async () => {
    writeFileSync(path, JSON.stringify({ pid: 999_999_999, identity: 'dead', nonce: '' }));
    const children = Array.from({ length: 6 }, () => holder(path));
    const answers = await Promise.all(children.map(saidBy));
    const owners = children.filter((_, index) => answers[index]?.['holderPid'] === null);
    expect(owners).to.have.lengthOf(1);
    expect(JSON.parse(readFileSync(path, 'utf8'))).to.include({ pid: owners[0]?.pid });
    await Promise.all(children.map(killHard));
    tryLock(path).release?.();
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('does not remove the lock of another when it is released late', () => {
    const mine = tryLock(path);
    const theirs = JSON.stringify({ pid: 1, identity: 'theirs', nonce: '' });
    writeFileSync(path, theirs);
    mine.release?.();
    expect(readFileSync(path, 'utf8')).to.equal(theirs);
    tryLock(path).release?.();
  });
});

describe('waitForLock', () => {
  it('waits, says for whom once, and gets the lock', async () => {
    const path = join(specDirectory('lock-wait'), 'lock');
    const first = tryLock(path);
    const said: number[] = [];
    setTimeout(() => first.release?.(), 200);
    const second = await waitForLock(path, (pid) => said.push(pid));
    expect(said).to.deep.equal([process.pid]);
    second.release();
  });
});
