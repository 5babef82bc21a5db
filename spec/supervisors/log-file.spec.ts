import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { keepLogSmall } from '../../supervisors/log-file.ts';
import { specDirectory } from '../support/servers.ts';

const MIB = 1024 * 1024;

describe('keepLogSmall', () => {
  let file: string;
  beforeEach(() => {
    file = join(specDirectory('log'), 'mutt.log');
  });
  const look = (): void => keepLogSmall(file)();

  it('leaves a log below 64 MiB alone', () => {
    writeFileSync(file, 'first\n');
    truncateSync(file, 64 * MIB - 1);
    look();
    expect(statSync(file).size).to.equal(64 * MIB - 1);
    expect(existsSync(`${file}.1`)).to.equal(false);
  });

  it('copies a larger one aside and empties it in place, under whoever appends to it', () => {
    writeFileSync(file, 'first\n');
    writeFileSync(`${file}.1`, 'older');
    truncateSync(file, 64 * MIB);
    const appending = openSync(file, 'a');
    look();
    writeSync(appending, 'next\n');
    closeSync(appending);
    expect(readFileSync(file, 'utf8')).to.equal('next\n');
    expect(statSync(`${file}.1`).size).to.equal(64 * MIB);
    expect(readFileSync(`${file}.1`).subarray(0, 6).toString()).to.equal('first\n');
  });

  it('empties it also when it cannot be copied: a full disk must not stay full', () => {
    mkdirSync(`${file}.1`);
    writeFileSync(file, '');
    truncateSync(file, 65 * MIB);
    look();
    expect(statSync(file).size).to.equal(0);
  });

  it('does not mind a log that is not there', () => {
    look();
    expect(existsSync(file)).to.equal(false);
  });
});
