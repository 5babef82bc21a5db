/**
 * TLS, client certificates and new certificates at a running server, with real clients.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Agent } from 'node:https';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { HttpServer } from '../../../gateways/http/server.ts';
import type { TlsMaterial } from '../../../gateways/http/tls-material.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { makeAuthority } from '../../support/certificates.ts';
import type { Authority, Identity } from '../../support/certificates.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { tlsRequest } from '../../support/tls-request.ts';
import type { TlsReply, TlsRequest } from '../../support/tls-request.ts';
import { rawExchange } from './raw-http.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const RENEWALS = 20;

interface UnderTest {
  server: HttpServer;
  port: number;
  /** Paths of the requests that a handler saw. */
  seen: string[];
  uncertified: number;
  /** Answers what waits. */
  release: () => void;
  ask: (options?: Partial<TlsRequest>) => Promise<TlsReply>;
}

describe('HttpServer with TLS', function () {
  this.timeout(30_000);
  let authority: Authority;
  let strangers: Authority;
  let first: Identity;
  let second: Identity;
  let client: Identity;
  const open: { close(): void }[] = [];

  before(async () => {
    [authority, strangers] = await Promise.all([makeAuthority('ours'), makeAuthority('strangers')]);
    [first, second, client] = await Promise.all([
      authority.issue('server'),
      authority.issue('server'),
      authority.issue('client'),
    ]);
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });

  const material = (identity: Identity, clientCa?: string): TlsMaterial => ({ ...identity, clientCa });
  const fingerprintOf = ({ certificate }: Identity): string =>
    new X509Certificate(certificate).fingerprint256;

  async function serve(tls: TlsMaterial): Promise<UnderTest> {
    const waiting: (() => void)[] = [];
    const [port = 0] = await freePorts(1);
    const server = new HttpServer({
      connectionsMax: 1_000,
      onFault: (fault) => {
        throw fault;
      },
      tls,
      onUncertified: () => (underTest.uncertified += 1),
    });
    server.route('get', '/slow', (response) => {
      response.onAborted(() => undefined);
      waiting.push(() => response.cork(() => response.end('late')));
    });
    server.route('any', '/*', (response, request) => {
      underTest.seen.push(request.getUrl());
      response.end('served');
    });
    server.webSocket('/ws', {
      upgrade: (response, request, context) => {
        underTest.seen.push('/ws');
        response.upgrade(
          {},
          request.getHeader('sec-websocket-key'),
          request.getHeader('sec-websocket-protocol'),
          request.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      message: (socket, message) => void socket.send(message),
    });
    server.listen(port, '127.0.0.1');
    open.push(server);
    const underTest: UnderTest = {
      server,
      port,
      seen: [],
      uncertified: 0,
      release: () => waiting.splice(0).forEach((answer) => answer()),
      ask: (options) => tlsRequest({ port, ca: authority.certificate, ...options }),
    };
    return underTest;
  }

  async function openSocket(port: number, identity?: Identity): Promise<WebSocket> {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, {
      ca: authority.certificate,
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
    });
    open.push({ close: () => socket.terminate() });
    await once(socket, 'open');
    return socket;
  }

  async function echoOf(socket: WebSocket, text: string): Promise<string> {
    socket.send(text);
    const [data] = (await once(socket, 'message')) as [Buffer];
    return data.toString();
  }

  it('speaks TLS 1.2 with forward secrecy, and 1.3; nothing older, nothing weaker, nothing plain', async () => {
    const { port, ask, seen } = await serve(material(first));
    for (const version of VERSIONS) {
      const reply = await ask({ minVersion: version, maxVersion: version });
      expect(reply, version).to.include({ status: 200, fingerprint: fingerprintOf(first) });
    }
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const weak = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256' } as const;
    for (const options of [old, weak]) expect(await ask(options)).to.include({ status: 0 });
    const plain = await rawExchange(port, ['GET / HTTP/1.1\r\nHost: a\r\n\r\n'], { untilClosed: true });
    expect(plain).to.deep.equal({ replies: [], isClosed: true, text: '' });
    expect(seen).to.deep.equal(['/', '/']);
  });

  it('serves only clients with a certificate of the client CA that holds', async () => {
    const underTest = await serve(material(first, authority.certificate));
    const { ask, seen } = underTest;
    const refused = {
      none: undefined,
      stranger: await strangers.issue('client'),
      'self-signed': strangers,
      expired: await authority.issue('client', { from: -2, until: -1 }),
      early: await authority.issue('client', { from: 1, until: 2 }),
    };
    for (const version of VERSIONS) {
      const pinned = { minVersion: version, maxVersion: version };
      expect(await ask({ ...pinned, identity: client }), version).to.include({ status: 200 });
      for (const [name, identity] of Object.entries(refused)) {
        const reply = await ask({ ...pinned, identity, path: `/${name}` });
        expect(reply, `${name} ${version}`).to.include({ status: 0, body: '' });
        expect(reply.fault, `${name} ${version}`).to.be.a('string');
      }
    }
    expect(seen).to.deep.equal(['/', '/']);
    // The others were refused in the handshake.
    expect(underTest.uncertified).to.equal(VERSIONS.length);
  });

  it('refuses a WebSocket without a certificate', async () => {
    const underTest = await serve(material(first, authority.certificate));
    const { port, seen } = underTest;
    const fault = await openSocket(port).catch((thrown: Error) => thrown.message);
    expect(fault).to.equal('socket hang up');
    expect(seen).to.deep.equal([]);
    expect(await echoOf(await openSocket(port, client), 'hello')).to.equal('hello');
  });

  it('takes a resumed session for what its first connection was', async () => {
    const { ask } = await serve(material(first, authority.certificate));
    const pinned = { maxVersion: 'TLSv1.2' } as const;
    const { session } = await ask({ ...pinned, identity: client });
    expect(session).to.not.equal(undefined);
    const resumed = await ask({ ...pinned, identity: client, session });
    expect(resumed).to.include({ status: 200, wasResumed: true });
  });

  it('gives new connections the new certificate and lets the old ones finish', async () => {
    const { server, port, ask, release } = await serve(material(first));
    const socket = await openSocket(port);
    const agent = new Agent({ keepAlive: true, ca: authority.certificate });
    open.push({ close: () => agent.destroy() });
    expect(await ask({ agent })).to.include({ status: 200, connection: undefined });
    const slow = ask({ path: '/slow' });
    await until(() => server.connections === 3);
    server.renewTls(material(second));

    expect(await ask()).to.include({ status: 200, fingerprint: fingerprintOf(second) });
    const kept = await ask({ agent });
    expect(kept).to.include({ status: 200, fingerprint: fingerprintOf(first), connection: 'close' });
    expect(await ask({ agent })).to.include({ status: 200, fingerprint: fingerprintOf(second) });
    release();
    expect(await slow).to.include({ status: 200, body: 'late', fingerprint: fingerprintOf(first) });
    expect(await echoOf(socket, 'still here')).to.equal('still here');
  });

  it('takes no session over that another client CA has let in', async () => {
    const { server, ask } = await serve(material(first, authority.certificate));
    const pinned = { maxVersion: 'TLSv1.2', identity: client } as const;
    const { session } = await ask(pinned);
    server.renewTls(material(first, strangers.certificate));
    expect(await ask({ ...pinned, session })).to.include({ status: 0 });
    expect(await ask({ identity: await strangers.issue('client') })).to.include({ status: 200 });
  });

  it('keeps its certificate when the new one cannot be used, and says nothing of the key', async () => {
    const { server, ask } = await serve(material(first));
    const thrown = thrownBy(() => server.renewTls({ ...material(second), key: first.key }));
    expect(codeOf(thrown)).to.equal('E_TLS_UNUSABLE');
    expect(inspect(thrown)).not.to.include('PRIVATE KEY');
    expect(await ask()).to.include({ status: 200, fingerprint: fingerprintOf(first) });
    expect(readdirSync('/dev/shm').filter((name) => name.startsWith('mutt-tls-'))).to.deep.equal([]);
  });

  it('cannot begin to speak TLS', () => {
    const server = new HttpServer({ connectionsMax: 1, onFault: () => undefined });
    open.push(server);
    expect(codeOf(thrownBy(() => server.renewTls(material(first))))).to.equal('E_TLS_UNUSABLE');
  });

  it(`fails no request and no connection in ${RENEWALS} renewals under load`, async () => {
    const { server, port, ask } = await serve(material(first));
    const socket = await openSocket(port);
    const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: authority.certificate });
    open.push({ close: () => agent.destroy() });
    const replies: TlsReply[] = [];
    let isOver = false;
    const keepAsking = async (options: Partial<TlsRequest>): Promise<void> => {
      while (!isOver) replies.push(await ask(options));
    };
    const asking = Promise.all(Array.from({ length: 12 }, (_, n) => keepAsking(n < 4 ? { agent } : {})));
    for (let renewal = 1; renewal <= RENEWALS; renewal++) {
      const before = replies.length;
      server.renewTls(material(renewal % 2 === 0 ? first : second));
      await until(() => replies.length >= before + 24);
    }
    isOver = true;
    await asking;
    expect(replies.filter(({ status }) => status !== 200)).to.deep.equal([]);
    expect(new Set(replies.map(({ fingerprint }) => fingerprint))).to.have.length(2);
    expect(await echoOf(socket, 'hello')).to.equal('hello');
  });

  it('keeps the WebSockets of so many renewals, and gives up the oldest', async () => {
    const { server, port } = await serve(material(first));
    const sockets: WebSocket[] = [];
    for (let renewal = 0; renewal < 10; renewal++) {
      sockets.push(await openSocket(port));
      server.renewTls(material(renewal % 2 === 0 ? second : first));
    }
    await until(() => sockets.filter(({ readyState }) => readyState === WebSocket.OPEN).length === 8);
    expect(sockets.slice(0, 2).map(({ readyState }) => readyState)).to.deep.equal([3, 3]);
    expect(await echoOf(sockets[2] as WebSocket, 'hello')).to.equal('hello');
  });
});

function thrownBy(act: () => void): unknown {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

async function until(condition: () => boolean, waitMs = 10_000): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    if (performance.now() - startedMs > waitMs) throw new Error('It did not happen in time.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
