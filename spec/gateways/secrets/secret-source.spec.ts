import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { specDirectory } from '../../support/servers.ts';

const NAME = 'SPEC_SECRET_SOURCE';

describe('SecretSource', () => {
  let nowMs: number;
  let source: SecretSource;
  let file: string;
  /** A file that is named by itself. */
  let own: string;
  beforeEach(() => {
    nowMs = 0;
    const directory = specDirectory('secrets');
    own = join(specDirectory('keys'), 'sink.key');
    source = new SecretSource(() => nowMs, { directory, files: [own] });
    file = join(directory, 'key');
    process.env[NAME] = 'from the environment';
    writeFileSync(file, 'from a file\n');
  });
  afterEach(() => {
    delete process.env[NAME];
  });

  it('reads variables and files, these without the line end', async () => {
    expect(await source.read(`env:${NAME}`)).to.equal('from the environment');
    expect(await source.read(`file:${file}`)).to.equal('from a file');
  });

  it('takes a rotated secret after a second', async () => {
    await source.read(`file:${file}`);
    writeFileSync(file, 'rotated');
    nowMs = 999;
    expect(await source.read(`file:${file}`)).to.equal('from a file');
    nowMs = 1_000;
    expect(await source.read(`file:${file}`)).to.equal('rotated');
  });

  it('fails, to be tried again, with the reference and never a value', async () => {
    rmSync(file);
    for (const reference of [`file:${file}`, 'env:SPEC_NOT_SET']) {
      const error = await rejectionOf(source.read(reference));
      expect(error).to.include({ code: 'E_SECRET_UNAVAILABLE', kind: 'transient' });
      expect(error.message).to.include(reference);
    }
  });

  it('does not take an empty secret for one', async () => {
    writeFileSync(file, ' \n');
    process.env[NAME] = '';
    for (const reference of [`file:${file}`, `env:${NAME}`]) {
      expect((await rejectionOf(source.read(reference))).code).to.equal('E_SECRET_UNAVAILABLE');
    }
  });

  it('reads no file but those in its directory, at any depth, and those named one by one', async () => {
    const directory = dirname(file);
    mkdirSync(join(directory, 'a', 'b'), { recursive: true });
    const deep = join(directory, 'a', 'b', 'key');
    for (const path of [deep, own]) {
      writeFileSync(path, 'hunter2');
      expect(await source.read(`file:${path}`)).to.equal('hunter2');
    }
    const beside = join(dirname(own), 'pepper');
    writeFileSync(beside, 'hunter2');
    const link = join(directory, 'link');
    rmSync(link, { force: true });
    symlinkSync(beside, link);
    const inside = join(directory, 'inside');
    rmSync(inside, { force: true });
    symlinkSync(deep, inside);
    for (const path of [
      beside,
      link,
      `${directory}/../${basename(dirname(own))}/pepper`,
      `${directory}2/key`,
      directory,
      `${directory}/a/../..`,
      '/etc/passwd',
      'key',
      '/proc/self/environ',
    ]) {
      const error = await rejectionOf(source.read(`file:${path}`));
      expect(error.code, path).to.equal('E_SECRET_UNAVAILABLE');
      expect(error.message, path).to.include('directory of secrets').and.not.include('hunter2');
    }
    expect(await source.read(`file:${inside}`)).to.equal('hunter2');
  });

  it('does not wait for a pipe, nor read what is far too long', async () => {
    const pipe = join(dirname(file), 'pipe');
    rmSync(pipe, { force: true });
    execFileSync('mkfifo', [pipe]);
    const long = join(dirname(file), 'long');
    writeFileSync(long, 'x'.repeat(65_537));
    for (const [path, why] of [
      [pipe, 'not a plain file'],
      [join(dirname(file), 'a'), 'not a plain file'],
      [long, '65536 bytes'],
    ] as const) {
      mkdirSync(join(dirname(file), 'a'), { recursive: true });
      expect((await rejectionOf(source.read(`file:${path}`))).message, path).to.include(why);
    }
  });

  it('does not remember a failure', async () => {
    delete process.env[NAME];
    await rejectionOf(source.read(`env:${NAME}`));
    process.env[NAME] = 'now';
    expect(await source.read(`env:${NAME}`)).to.equal('now');
  });

  it('does not repeat what is no reference: it may be the secret itself', async () => {
    for (const reference of ['hunter2', 'Bearer hunter2', 'vault:hunter2', 'env:', '']) {
      const error = await rejectionOf(source.read(reference));
      expect(error.code).to.equal('E_SECRET_UNAVAILABLE');
      expect(error.message).to.not.include('hunter2');
    }
  });
});
