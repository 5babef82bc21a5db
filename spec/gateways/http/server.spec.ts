import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { correlationIdOf } from '../../../gateways/http/correlation-id.ts';
import { areKeysDifferent, presentedKey } from '../../../gateways/http/presented-key.ts';
import { readBody } from '../../../gateways/http/read-body.ts';
import { HttpServer } from '../../../gateways/http/server.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { rawExchange } from './raw-http.ts';

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const POST = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe('HttpServer', () => {
  const open: HttpServer[] = [];
  const faults: { message: string; id: string }[] = [];
  function serverUnderTest(connectionsMax = 100): HttpServer {
    const server = new HttpServer({
      connectionsMax,
      onFault: (fault, id) => faults.push({ message: messageOf(fault), id }),
    });
    open.push(server);
    return server;
  }
  afterEach(() => {
    for (const server of open.splice(0)) server.close();
    faults.length = 0;
  });

  it('answers 500 with an opaque id when a handler throws, at once or later, and serves on', async () => {
    const server = serverUnderTest()
      .route('get', '/throws', () => {
        throw new Error('secret reason');
      })
      .route('get', '/rejects', async (response) => {
        response.onAborted(() => undefined);
        await Promise.resolve();
        throw new Error('secret reason');
      })
      .route('get', '/answers-and-throws', (response) => {
        response.end('fine');
        throw new Error('too late');
      });
    const port = server.listen(0, '127.0.0.1');
    for (const path of ['/throws', '/rejects']) {
      const { replies, isClosed } = await rawExchange(port, [GET(path)]);
      expect(replies[0]?.status, path).to.equal(500);
      expect(replies[0]?.headers['content-type']).to.equal('application/problem+json');
      const problem = JSON.parse(replies[0]?.body ?? '') as Record<string, unknown>;
      expect(problem.code).to.equal('E_INTERNAL');
      expect(problem.fault_id).to.equal(faults.at(-1)?.id);
      expect(replies[0]?.body).not.to.include('secret');
      expect(isClosed).to.equal(false);
    }
    const { replies } = await rawExchange(port, [GET('/answers-and-throws')]);
    expect(replies[0]?.body).to.equal('fine');
    expect(faults.map(({ message }) => message)).to.deep.equal([
      'secret reason',
      'secret reason',
      'too late',
    ]);
  });

  it('names no software in its replies', async () => {
    const server = serverUnderTest().route('any', '/*', (response) => void response.end('x'));
    const { text } = await rawExchange(server.listen(0, '127.0.0.1'), [GET('/')]);
    expect(text).not.to.match(/uWebSockets|Server:/i);
  });

  it('says that it cannot listen', async () => {
    const server = serverUnderTest();
    const [taken = 0] = await freePorts(1);
    const { createServer } = await import('node:net');
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(taken, '127.0.0.1', resolve));
    try {
      const attempts: [number, string][] = [
        [taken, '127.0.0.1'],
        [0, 'no such host'],
        [70_000, '127.0.0.1'],
        [-1, '127.0.0.1'],
        [1.5, '127.0.0.1'],
      ];
      for (const [port, host] of attempts) {
        let code = '';
        try {
          server.listen(port, host);
        } catch (thrown) {
          code = codeOf(thrown);
        }
        expect(code, `${host}:${port}`).to.equal('E_LISTEN_REFUSED');
      }
      expect(server.isListening).to.equal(false);
    } finally {
      stranger.close();
    }
  });

  it('shares an explicit port with another of its kind', async () => {
    const [port = 0] = await freePorts(1);
    const servers = [serverUnderTest(), serverUnderTest()];
    for (const server of servers) {
      server.route('any', '/*', (response) => void response.end('x'));
      expect(server.listen(port, '127.0.0.1')).to.equal(port);
    }
    servers[0]?.stopAccepting();
    expect((await rawExchange(port, [GET('/')])).replies[0]?.status).to.equal(200);
  });

  it('closes connections over its limit, and takes new ones when there is room again', async () => {
    const server = serverUnderTest(3).route('any', '/*', (response) => void response.end('x'));
    const port = server.listen(0, '127.0.0.1');
    const all = await Promise.all(
      Array.from({ length: 50 }, () => rawExchange(port, [100, GET('/')], { waitMs: 400, replies: 9 })),
    );
    expect(all.filter(({ replies }) => replies.length === 1)).to.have.length(3);
    expect(all.filter(({ isClosed }) => isClosed)).to.have.length(47);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.connections).to.equal(0);
    expect((await rawExchange(port, [GET('/')])).replies).to.have.length(1);
  });

  it('closes twice without harm', () => {
    const server = serverUnderTest();
    server.listen(0, '127.0.0.1');
    server.stopAccepting();
    server.stopAccepting();
    server.close();
    server.close();
    expect(server.isListening).to.equal(false);
  });

  describe('readBody', () => {
    function echo(bytesMax: number, timeoutMs: number): { port: number; codes: string[] } {
      const codes: string[] = [];
      const server = serverUnderTest().route('post', '/echo', async (response, request) => {
        let isGone = false;
        const contentLength = request.getHeader('content-length');
        try {
          const options = { bytesMax, timeoutMs, clock: systemClock, contentLength };
          const body = await readBody(response, options, () => (isGone = true));
          response.cork(() => response.end(body));
        } catch (thrown) {
          codes.push(codeOf(thrown));
          if (!isGone) response.cork(() => response.end(codeOf(thrown)));
        }
      });
      return { port: server.listen(0, '127.0.0.1'), codes };
    }

    it('gives the whole body, in one piece, in pieces, or empty', async () => {
      const { port } = echo(1_000_000, 1_000);
      const big = 'ab'.repeat(200_000);
      for (const parts of [
        [POST('/echo', 'hello')],
        [POST('/echo', 'hello').slice(0, -2), 30, 'lo'],
        [POST('/echo', '')],
      ]) {
        const { replies } = await rawExchange(port, parts);
        expect(replies[0]?.body).to.equal(parts[0]?.toString().endsWith('\r\n\r\n') ? '' : 'hello');
      }
      expect((await rawExchange(port, [POST('/echo', big)])).replies[0]?.body).to.equal(big);
    });

    it('refuses a body over the limit, announced or not', async () => {
      const { port } = echo(10, 1_000);
      expect((await rawExchange(port, [POST('/echo', 'x'.repeat(11))])).replies[0]?.body).to.equal(
        'E_BODY_TOO_LARGE',
      );
      const chunked =
        'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n';
      expect((await rawExchange(port, [chunked])).replies[0]?.body).to.equal('E_BODY_TOO_LARGE');
      expect((await rawExchange(port, [POST('/echo', 'x'.repeat(10))])).replies[0]?.body).to.have.length(10);
    });

    it('gives up on a slow body and on a client that goes away', async () => {
      const { port, codes } = echo(100, 80);
      const { replies } = await rawExchange(port, [POST('/echo', 'hello').slice(0, -2)]);
      expect(replies[0]?.body).to.equal('E_BODY_SLOW');
      await rawExchange(port, [POST('/echo', 'hello').slice(0, -2)], { waitMs: 30 });
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(codes).to.deep.equal(['E_BODY_SLOW', 'E_REQUEST_ABORTED']);
    });
  });
});

describe('correlationIdOf', () => {
  it('keeps a token and replaces everything else with a UUID', () => {
    for (const id of ['a', 'A-9._x', 'x'.repeat(128)]) expect(correlationIdOf(id)).to.equal(id);
    for (const id of ['', 'x'.repeat(129), 'a b', 'a"b', 'a\r\nb', 'é', 'a/b', '<b>', '{}']) {
      expect(correlationIdOf(id), id).to.match(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/,
      );
    }
  });
});

describe('presentedKey', () => {
  it('reads X-API-KEY before a bearer token, and nothing else', () => {
    expect(presentedKey('k', 'Bearer other')).to.equal('k');
    expect(presentedKey('', 'Bearer tok')).to.equal('tok');
    expect(presentedKey('', 'bEARER   tok ')).to.equal('tok');
    for (const header of ['', 'Bearer', 'Bearer ', 'Basic dTpw', 'tok', 'Bearertok']) {
      expect(presentedKey('', header), header).to.equal('');
    }
  });

  it('finds two different keys, and no difference to what a proxy adds of another scheme', () => {
    expect(areKeysDifferent('k', 'Bearer other')).to.equal(true);
    expect(areKeysDifferent('k', 'bearer  k ')).to.equal(false);
    for (const header of ['', 'Bearer', 'Basic dTpw']) expect(areKeysDifferent('k', header)).to.equal(false);
    expect(areKeysDifferent('', 'Bearer other')).to.equal(false);
  });
});
