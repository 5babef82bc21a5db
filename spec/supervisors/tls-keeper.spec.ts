/**
 * Files that are replaced under a node, whole and in halves, and what it says of them.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { fingerprintOf } from '../../gateways/http/tls-material.ts';
import { codeOf } from '../../runtime/errors.ts';
import { TLS_LAYOUT, TlsKeeper } from '../../supervisors/tls-keeper.ts';
import { makeAuthority } from '../support/certificates.ts';
import type { Authority, Identity } from '../support/certificates.ts';
import { specDirectory } from '../support/servers.ts';

const DAY_MS = 86_400_000;

describe('TlsKeeper', () => {
  let authority: Authority;
  let first: Identity;
  let second: Identity;
  let dir: string;
  let keeper: TlsKeeper;
  let renewed: number;
  let nowMs: number;
  let logged: { level: string; fields: Record<string, unknown>; text: string }[];

  before(async () => {
    authority = await makeAuthority('ours');
    first = await authority.issue('server', { from: -1, until: 20 });
    second = await authority.issue('server', { from: -1, until: 25 });
    dir = specDirectory('tls-keeper');
  });
  after(() => rmSync(dir, { recursive: true }));
  beforeEach(() => {
    logged = [];
    renewed = 0;
    nowMs = Date.now();
    put(first);
    const note =
      (level: string) =>
      (fields: object, text?: string): void =>
        void logged.push({ level, fields: fields as Record<string, unknown>, text: text ?? '' });
    keeper = new TlsKeeper({
      files: { certificateFile: join(dir, 'crt'), keyFile: join(dir, 'key'), clientCaFile: undefined },
      clock: { wallMs: () => nowMs },
      log: { info: note('info'), warn: note('warn'), error: note('error') },
      onRenewed: () => (renewed += 1),
    });
  });
  afterEach(async () => {
    await keeper.stop();
    expect(JSON.stringify(logged)).not.to.include('PRIVATE KEY');
  });

  function put({ certificate, key }: Partial<Identity>): void {
    if (certificate !== undefined) writeFileSync(join(dir, 'crt'), certificate);
    if (key !== undefined) writeFileSync(join(dir, 'key'), key, { mode: 0o600 });
  }
  const gauge = (name: string): number =>
    keeper.counters.get(TLS_LAYOUT.findIndex((definition) => definition.name === name));
  const isUnusable = (): number => gauge('mutt_tls_files_unusable');
  const levels = (): string[] => logged.map(({ level }) => level);

  it('does not start with files that cannot be used', async () => {
    put({ key: second.key });
    expect(await keeper.start().catch(codeOf)).to.equal('E_TLS_KEY_MISMATCH');
  });

  it('gives out what replaces the files, once', async () => {
    await keeper.start();
    await keeper.look();
    expect([renewed, logged]).to.deep.equal([0, []]);
    put(second);
    await keeper.look();
    await keeper.look();
    expect(renewed).to.equal(1);
    expect(keeper.material?.certificate).to.equal(second.certificate);
    expect(logged.map(({ fields }) => fields['fingerprint'])).to.deep.equal([fingerprintOf(second)]);
    const expirySeconds = gauge('mutt_tls_certificate_expiry_timestamp_seconds');
    expect(expirySeconds * 1_000).to.be.within(nowMs + 24.9 * DAY_MS, nowMs + 25 * DAY_MS);
  });

  it('waits for the second of two files without a word', async () => {
    await keeper.start();
    put({ certificate: second.certificate });
    await keeper.look();
    expect([renewed, isUnusable(), logged]).to.deep.equal([0, 0, []]);
    put({ key: second.key });
    await keeper.look();
    expect([renewed, isUnusable(), levels()]).to.deep.equal([1, 0, ['info']]);
  });

  it('keeps what it has when the files stay unusable, says so once, and when they are mended', async () => {
    await keeper.start();
    for (const [at, text] of ['half of a', 'half of a cert'].entries()) {
      put({ certificate: text });
      for (let look = 0; look < 4; look++) await keeper.look();
      expect([renewed, isUnusable(), keeper.material?.key]).to.deep.equal([0, 1, first.key]);
      // Both are the same trouble.
      expect(levels(), String(at)).to.deep.equal(['error']);
    }
    expect(logged[0]?.fields['code']).to.equal('E_TLS_FILE_INVALID');
    put(first);
    await keeper.look();
    expect([renewed, isUnusable(), levels()]).to.deep.equal([0, 0, ['error', 'info']]);
  });

  it('warns once a day when the certificate ends within 14 days, and tells when it has ended', async () => {
    await keeper.start();
    nowMs += 5.9 * DAY_MS;
    await keeper.look();
    expect(logged).to.deep.equal([]);
    for (let hour = 0; hour < 48; hour++) {
      nowMs += DAY_MS / 24;
      await keeper.look();
    }
    expect(levels()).to.deep.equal(['warn', 'warn']);
    put(second);
    await keeper.look();
    expect(levels()).to.deep.equal(['warn', 'warn', 'info']);
    nowMs += 30 * DAY_MS;
    await keeper.look();
    await keeper.look();
    expect(isUnusable()).to.equal(1);
    expect(logged.find(({ level }) => level === 'error')?.fields['code']).to.equal(
      'E_TLS_CERTIFICATE_EXPIRED',
    );
  });

  it('looks by itself', async () => {
    await keeper.start();
    put(second);
    const startedMs = performance.now();
    while (renewed === 0 && performance.now() - startedMs < 15_000) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(renewed).to.equal(1);
  }).timeout(20_000);
});
