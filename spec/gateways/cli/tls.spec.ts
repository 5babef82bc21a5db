/** `mutt send` over TLS, against a real ingest server that asks for client certificates. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, before, beforeEach, describe, it } from 'mocha';
import { trustOnly } from '../../../gateways/cli/client-tls.ts';
import { makeAuthority } from '../../support/certificates.ts';
import type { Authority, Identity } from '../../support/certificates.ts';
import { KEY, keyRecord, startIngest, until } from '../ingest/ingest-under-test.ts';
import type { IngestUnderTest } from '../ingest/ingest-under-test.ts';
import { CliRun } from './cli-run.ts';
import { INGEST_KEY } from './contract-server.ts';

const WAYS = [[], ['--ws']];

describe('mutt send over TLS', function () {
  this.timeout(20_000);
  let authority: Authority;
  let strangers: Authority;
  let server: Identity;
  let client: Identity;
  let ingest: IngestUnderTest;
  let cli: CliRun;
  let events: string;

  before(async () => {
    [authority, strangers] = await Promise.all([makeAuthority('ours'), makeAuthority('strangers')]);
    [server, client] = await Promise.all([authority.issue('server'), authority.issue('client')]);
  });
  beforeEach(() => serve(authority.certificate));
  afterEach(() => stop());

  function serve(clientCa: string | undefined): void {
    ingest = startIngest({ tls: { ...server, clientCa } });
    ingest.keys.replace([keyRecord('spec', KEY), keyRecord('cli', INGEST_KEY)]);
    cli = new CliRun(`https://127.0.0.1:${ingest.port}`);
    events = cli.file('events', '{"n":1}\n');
  }
  function stop(): void {
    ingest.server.close();
    cli.close();
  }
  /** Options that name files with these. */
  function shown(ca: string | undefined, identity?: Identity): string[] {
    return [
      ...(ca === undefined ? [] : ['--tls-ca-file', cli.file('ca.crt', ca)]),
      ...(identity === undefined
        ? []
        : [
            ...['--tls-cert-file', cli.file('client.crt', identity.certificate)],
            ...['--tls-key-file', cli.file('client.key', identity.key)],
          ]),
    ];
  }

  for (const way of WAYS) {
    describe(way[0] ?? 'by requests', () => {
      const send = (...args: string[]): Promise<number> =>
        cli.run('send', ...way, '--timeout', '0', ...args, events);

      it('sends when both sides can trust each other', async () => {
        expect(
          await send(
            '--url',
            cli.context.ingestUrl,
            '--key-file',
            cli.file('key', KEY),
            ...shown(authority.certificate, client),
          ),
          cli.err,
        ).to.equal(0);
        expect(ingest.store.stored.length).to.be.greaterThan(0);
      });

      it('sends nothing to a server that it cannot trust', async () => {
        for (const ca of [undefined, strangers.certificate]) {
          expect(
            await send(
              '--url',
              cli.context.ingestUrl,
              '--key-file',
              cli.file('key', KEY),
              ...shown(ca, client),
            ),
          ).to.equal(2);
          expect(cli.err).to.include('E_TLS_UNTRUSTED').and.include('--tls-ca-file');
        }
        expect(ingest.store.stored).to.deep.equal([]);
      });

      it('says so when the server does not take its certificate, and how to give one', async () => {
        const other = await strangers.issue('client');
        expect(await send(...shown(authority.certificate, other))).to.equal(2);
        expect(cli.err).to.include('E_TLS_REFUSED');
        cli.err = '';
        expect(await send(...shown(authority.certificate))).to.equal(3);
        expect(cli.err).to.include('E_CONNECTION_BROKEN').and.include('--tls-cert-file');
        expect(ingest.store.stored).to.deep.equal([]);
      });

      it('waits for a certificate that holds, when told to wait', async () => {
        const url = ['--url', cli.context.ingestUrl, '--key-file', cli.file('key', KEY)];
        const options = [...url, ...shown(strangers.certificate, client)];
        const sending = cli.run('send', ...way, '--wait', ...options, events);
        await until(() => cli.err.includes('cannot be trusted'));
        cli.file('ca.crt', authority.certificate);
        expect(await sending, cli.err).to.equal(0);
      });

      it('trusts the node here by its certificate file, also when that was renewed, and nobody else', async () => {
        stop();
        serve(undefined);
        const file = join(cli.dir, 'server.crt');
        writeFileSync(file, server.certificate);
        cli.context.ingestTls = trustOnly(file);
        expect(await send(), cli.err).to.equal(0);
        const renewed = await strangers.issue('server');
        ingest.server.renewTls({ ...renewed, clientCa: undefined });
        expect(await send()).to.equal(2);
        expect(cli.err).to.include('E_TLS_UNTRUSTED');
        writeFileSync(file, renewed.certificate);
        cli.err = '';
        expect(await send(), cli.err).to.equal(0);
        // Of the same authority, and yet not the one in the file.
        ingest.server.renewTls({ ...(await strangers.issue('server')), clientCa: undefined });
        expect(await send()).to.equal(2);
      });
    });
  }

  it('tells a port that speaks no TLS', async () => {
    const plain = startIngest();
    try {
      expect(await cli.run('send', '--url', `https://127.0.0.1:${plain.port}`, events)).to.equal(2);
      expect(cli.err).to.include('E_TLS_REFUSED').and.include('Does it speak TLS there?');
      expect(
        await cli.run('send', '--timeout', '0', '--url', `http://127.0.0.1:${ingest.port}`, events),
      ).to.equal(3);
    } finally {
      plain.server.close();
    }
  });

  it('refuses half of an identity and files that are not there', async () => {
    const [, , , , keyOption = '', keyFile = ''] = shown(authority.certificate, client);
    expect(await cli.run('send', keyOption, keyFile, events)).to.equal(2);
    expect(cli.err).to.include('E_TLS_OPTIONS');
    for (const way of WAYS) {
      cli.err = '';
      expect(await cli.run('send', ...way, '--tls-ca-file', '/no/such.crt', events)).to.equal(2);
      expect(cli.err).to.include('/no/such.crt cannot be read: ENOENT (E_TLS_FILE_UNREADABLE)');
    }
  });
});
