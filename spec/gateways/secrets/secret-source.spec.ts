import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  beforeEach(() => {
    nowMs = 0;
    source = new SecretSource(() => nowMs);
    file = join(specDirectory('secrets'), 'key');
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
