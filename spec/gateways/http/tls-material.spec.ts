/**
 * Certificate files as operators leave them: each fault has its code, names its file, and never shows a key.
 */
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { expiryMs, readTlsMaterial } from '../../../gateways/http/tls-material.ts';
import type { TlsFiles } from '../../../gateways/http/tls-material.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { makeAuthority } from '../../support/certificates.ts';
import type { Authority, Identity } from '../../support/certificates.ts';
import { specDirectory } from '../../support/servers.ts';

const DAY_MS = 86_400_000;

describe('readTlsMaterial', () => {
  let authority: Authority;
  let server: Identity;
  let dir: string;
  let files: TlsFiles;

  before(async () => {
    authority = await makeAuthority('ours');
    server = await authority.issue('server');
    dir = specDirectory('tls-material');
  });
  after(() => rmSync(dir, { recursive: true }));
  beforeEach(() => {
    files = {
      certificateFile: write('server.crt', server.certificate + '\n' + authority.certificate),
      keyFile: write('server.key', server.key, 0o640),
      clientCaFile: write('clients.crt', authority.certificate),
    };
  });

  function write(name: string, text: string | Buffer, mode = 0o600): string {
    const path = join(dir, name);
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  }

  async function refusal(nowMs = Date.now()): Promise<CodedError> {
    const thrown: unknown = await readTlsMaterial(files, nowMs).catch((error: unknown) => error);
    if (!(thrown instanceof CodedError)) throw new Error('It was not refused.');
    expect(thrown.mend).to.be.a('string');
    expect(inspect(thrown)).not.to.match(/[A-Za-z0-9+/]{60}/);
    return thrown;
  }

  it('gives what is in the files, and when the first of the chain ends', async () => {
    const material = await readTlsMaterial(files, Date.now());
    expect(material).to.deep.equal({
      certificate: server.certificate + '\n' + authority.certificate,
      key: server.key,
      clientCa: authority.certificate,
    });
    expect(expiryMs(material)).to.be.within(Date.now() + DAY_MS - 120_000, Date.now() + DAY_MS);
    const withoutClients = await readTlsMaterial({ ...files, clientCaFile: undefined }, Date.now());
    expect(withoutClients.clientCa).to.equal(undefined);
  });

  for (const part of ['certificateFile', 'keyFile', 'clientCaFile'] as const) {
    it(`refuses a ${part} that is not there, no file, too large, empty, or not PEM`, async () => {
      const path = files[part] ?? '';
      rmSync(path);
      expect(await refusal()).to.include({ code: 'E_TLS_FILE_UNREADABLE' });
      mkdirSync(path, { mode: 0o700 });
      expect((await refusal()).message).to.include(`${path}: it is no file`);
      write(path.slice(dir.length), Buffer.alloc(1024 * 1024 + 1));
      expect((await refusal()).message).to.include('it is larger than 1048576 bytes');
      for (const text of ['', 'not PEM', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
        write(path.slice(dir.length), text);
        const { code, message } = await refusal();
        expect([code, message.includes(path)], message).to.deep.equal(['E_TLS_FILE_INVALID', true]);
      }
    });
  }

  it('refuses a key that everybody may read, and lets a group read it', async () => {
    chmodSync(files.keyFile, 0o644);
    expect(await refusal()).to.include({ code: 'E_TLS_KEY_EXPOSED', mend: `chmod o= ${files.keyFile}` });
  });

  it('refuses a key with a passphrase, in both forms that there are', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const secret = { cipher: 'aes-256-cbc', passphrase: 'open sesame' };
    for (const type of ['pkcs8', 'sec1'] as const) {
      write('server.key', privateKey.export({ type, format: 'pem', ...secret }));
      expect(await refusal(), type).to.include({ code: 'E_TLS_KEY_ENCRYPTED' });
    }
  });

  it('refuses a weak or rare key', async () => {
    const keys = [
      generateKeyPairSync('rsa', { modulusLength: 1024 }),
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
      generateKeyPairSync('x25519'),
    ];
    for (const { privateKey } of keys) {
      write('server.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
      expect(await refusal()).to.include({ code: 'E_TLS_KEY_UNSUITED' });
    }
  });

  it('refuses the key of another certificate, and says when the order in the file is wrong', async () => {
    write('server.key', (await authority.issue('other')).key);
    expect((await refusal()).mend).to.match(/^Give the key/);
    write('server.key', server.key);
    write('server.crt', authority.certificate + server.certificate);
    expect(await refusal()).to.include({
      code: 'E_TLS_KEY_MISMATCH',
      mend: "Put the server's own certificate first in the file, then those of its authorities.",
    });
  });

  it('refuses what has ended or not begun, also within the chain and of every client CA', async () => {
    expect(await refusal(Date.now() + 2 * DAY_MS)).to.include({ code: 'E_TLS_CERTIFICATE_EXPIRED' });
    expect(await refusal(Date.now() - 2 * DAY_MS)).to.include({ code: 'E_TLS_CERTIFICATE_EARLY' });
    const old = await authority.issue('old', { from: -3, until: -1 });
    write('server.crt', server.certificate + old.certificate);
    expect(await refusal()).to.include({ code: 'E_TLS_CERTIFICATE_EXPIRED' });
  });

  it('refuses a client CA file with the certificate of a client', async () => {
    write('clients.crt', authority.certificate + server.certificate);
    expect((await refusal()).message).to.include('none of an authority');
  });
});
