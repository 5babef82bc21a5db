/**
 * The commands of the page on TLS, run by the openssl of this machine, and the files they make, used by a real server and
 * a real client.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HttpServer } from '../../gateways/http/server.ts';
import { readTlsMaterial } from '../../gateways/http/tls-material.ts';
import { specDirectory } from '../support/servers.ts';
import { readTree } from '../support/source-files.ts';
import { tlsRequest } from '../support/tls-request.ts';

describe('The page on TLS', () => {
  it('makes certificates that the node serves with, and that it takes from clients', async () => {
    const dir = specDirectory('tls-page');
    const page = readTree().get('docs/how-to/serve-over-tls.md') ?? '';
    const blocks = [...page.matchAll(/^```sh\n(openssl [\s\S]+?)^```$/gm)].map(
      ([, commands = '']) => commands,
    );
    expect(blocks).to.have.length(2);
    for (const commands of blocks) execFileSync('sh', ['-euc', commands], { cwd: dir, stdio: 'pipe' });
    const file = (name: string): string => join(dir, name);
    const tls = await readTlsMaterial(
      {
        certificateFile: file('server.crt'),
        keyFile: file('server.key'),
        clientCaFile: file('relays-ca.crt'),
      },
      Date.now(),
    );
    const server = new HttpServer({ connectionsMax: 10, onFault: () => undefined, tls });
    server.route('any', '/*', (response) => void response.end('served'));
    try {
      const asked = { port: server.listen(0, '127.0.0.1'), servername: 'mutt.example.net' };
      const text = (name: string): string => readFileSync(file(name), 'utf8');
      const ca = text('ca.crt');
      const identity = { certificate: text('relay-01.crt'), key: text('relay-01.key') };
      expect(await tlsRequest({ ...asked, ca, identity })).to.include({ status: 200, body: 'served' });
      expect(await tlsRequest({ ...asked, ca })).to.include({ status: 0 });
    } finally {
      server.close();
    }
  });
});
