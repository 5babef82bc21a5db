import { createHmac } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { CodedError } from '../../runtime/errors.ts';
import { openNodeKeys } from '../../supervisors/node-keys.ts';
import { specDirectory } from '../support/servers.ts';

describe('openNodeKeys', () => {
  let dir: string;
  beforeEach(() => {
    dir = specDirectory('node-keys');
  });
  const keyIn = (file: string): string => readFileSync(file, 'utf8').trim();

  it('makes keys once, which only their owner reads', () => {
    const first = openNodeKeys(dir);
    expect(first.made).to.deep.equal(['ingest', 'admin', 'sink']);
    for (const file of readdirSync(join(dir, 'keys'))) {
      expect(statSync(join(dir, 'keys', file)).mode & 0o777, file).to.equal(0o600);
    }
    expect(statSync(join(dir, 'keys')).mode & 0o777).to.equal(0o700);
    const again = openNodeKeys(dir);
    expect(again).to.deep.equal({ ...first, made: [] });
  });

  it('makes one that was removed anew, and says which', () => {
    const { files } = openNodeKeys(dir);
    rmSync(files.admin);
    expect(openNodeKeys(dir).made).to.deep.equal(['admin']);
  });

  it('refuses a pepper that is none: of what is not hex nothing would be left', () => {
    openNodeKeys(dir);
    const file = join(dir, 'keys', 'pepper');
    for (const text of ['changeme', 'abcd', `${'0'.repeat(63)}x`, '0'.repeat(63)]) {
      writeFileSync(file, `${text}\n`);
      expect(() => openNodeKeys(dir), text)
        .to.throw(CodedError)
        .that.includes({ code: 'E_PEPPER_INVALID' })
        .and.satisfies((error: CodedError) => !`${error.message} ${JSON.stringify(error)}`.includes(text));
    }
    writeFileSync(file, `${'AB'.repeat(32)}\n`);
    expect(openNodeKeys(dir).pepper).to.equal('AB'.repeat(32));
  });

  it('gives names, scopes and digests, never a key', () => {
    const { records, files, pepper, nonce } = openNodeKeys(dir);
    expect(records.map(({ name, scopes }) => [name, scopes])).to.deep.equal([
      ['ingest', ['ingest']],
      ['admin', ['ingest', 'read', 'operate', 'admin']],
      ['sink', ['sink']],
    ]);
    const keys = Object.values(files).map(keyIn);
    expect(keys.every((key) => Buffer.from(key, 'base64url').length === 32)).to.equal(true);
    expect(new Set([...keys, pepper, nonce]).size).to.equal(5);
    for (const key of keys) expect(JSON.stringify(records)).to.not.include(key);
    expect(records[0]?.hmacSha256).to.equal(
      createHmac('sha256', Buffer.from(pepper, 'hex'))
        .update(keys[0] ?? '')
        .digest('hex'),
    );
  });

  it('differs from every other node', () => {
    const other = openNodeKeys(specDirectory('node-keys'));
    const mine = openNodeKeys(dir);
    expect(other.nonce).to.not.equal(mine.nonce);
    expect(keyIn(other.files.ingest)).to.not.equal(keyIn(mine.files.ingest));
  });

  it('takes a key that its operator has put there, and closes its file', () => {
    const { files } = openNodeKeys(dir);
    writeFileSync(files.ingest, 'my own key\n');
    chmodSync(files.ingest, 0o644);
    const { records, pepper } = openNodeKeys(dir);
    expect(records[0]?.hmacSha256).to.equal(
      createHmac('sha256', Buffer.from(pepper, 'hex')).update('my own key').digest('hex'),
    );
    expect(statSync(files.ingest).mode & 0o777).to.equal(0o600);
  });

  it('makes a new one for a file that a crash has left empty: everybody knows the empty key', () => {
    const { files } = openNodeKeys(dir);
    for (const file of [files.ingest, join(dir, 'keys', 'pepper')]) writeFileSync(file, '\n');
    const { pepper } = openNodeKeys(dir);
    expect(keyIn(files.ingest)).to.have.length(43);
    expect(pepper).to.match(/^[0-9a-f]{64}$/);
  });
});
