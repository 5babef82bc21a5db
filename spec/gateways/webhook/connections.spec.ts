/**
 * What the client does with connections, against servers that speak to its socket: when it uses one again, what it sends
 * again, and that nothing of a request that has had its time is left.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { classifyFailure } from '../../../actors/forward/classify-response.ts';
import type { WebhookReply, WebhookRequest } from '../../../actors/ports.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { until } from '../../runtime/durable/store-under-test.ts';

const WAIT_MS = 10_000;
const BODY = '{"alert":1}';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('connections of HttpWebhookClient', function () {
  this.timeout(30_000);
  let client: HttpWebhookClient;
  let server: Server;
  let url: string;
  /** Of one connection each, those that the client has closed included. */
  let sockets: Socket[];
  let open: Set<Socket>;
  /** Whole requests, as they came. */
  let requests: string[];
  let answer: (socket: Socket) => void;

  beforeEach(async () => {
    [sockets, open, requests] = [[], new Set(), []];
    answer = (socket) => socket.write(OK);
    client = clientOf(4);
    server = createServer((socket) => {
      sockets.push(socket);
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!text.endsWith(BODY)) return;
        requests.push(text);
        text = '';
        answer(socket);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(async () => {
    client.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  function clientOf(connectionsMax: number): HttpWebhookClient {
    return new HttpWebhookClient({
      secrets: new SecretSource(() => 0, { directory: '/nowhere', files: [] }),
      connectionsMax,
    });
  }
  const post = (rest: Partial<WebhookRequest> = {}): Promise<WebhookReply> =>
    client.post({
      url,
      timeoutMs: WAIT_MS,
      secretRef: null,
      compose: () => ({ headers: {}, body: BODY }),
      ...rest,
    });
  const failure = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

  it('sends over another when the server has closed an idle one: once, and nobody hears of it', async () => {
    answer = (socket) => socket.end(OK);
    for (let n = 0; n < 20; n++) {
      expect((await post()).status).to.equal(200);
      await until(() => open.size === 0, WAIT_MS);
    }
    expect(requests).to.have.length(20);
    expect(sockets).to.have.length(20);
  });

  it('tells who sent it when one breaks off with a request, which it does not send again', async () => {
    await post();
    answer = (socket) => socket.end();
    const ended = await failure(post());
    expect(classifyFailure(ended)).to.include({ kind: 'retry', reason: 'network' });
    expect(codeOf(ended)).to.equal('ECONNRESET');
    answer = (socket) => socket.resetAndDestroy();
    expect(codeOf(await failure(post()))).to.equal('ECONNRESET');
    expect(requests).to.have.length(3);
    answer = (socket) => socket.write(OK);
    expect((await post()).status).to.equal(200);
    expect(requests).to.have.length(4);
  });

  it('closes an idle one before the server does, which says when', async () => {
    answer = (socket) => socket.write(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=2\r\n\r\n'));
    await post();
    const beganMs = performance.now();
    await until(() => open.size === 0, WAIT_MS);
    // Not at once, and sooner than where nothing is said.
    expect(performance.now() - beganMs).to.be.within(500, 3_500);
  });

  it('leaves none open to a server that never answers, handshake or request', async () => {
    answer = () => undefined;
    for (const address of [url, url.replace('http:', 'https:')]) {
      const error = await failure(post({ url: address, timeoutMs: 50 }));
      expect(codeOf(error)).to.equal('ETIMEDOUT');
      await until(() => open.size === 0, WAIT_MS);
    }
    expect(sockets).to.have.length(2);
  });

  it('never sends what had its time while it waited for one', async () => {
    client.close();
    client = clientOf(1);
    let first: Socket | undefined;
    answer = (socket) => (first = socket);
    const taken = post();
    await until(() => first !== undefined, WAIT_MS);
    const late = await Promise.all([1, 2].map(() => failure(post({ timeoutMs: 30 }))));
    expect(late.map(codeOf)).to.deep.equal(['ETIMEDOUT', 'ETIMEDOUT']);
    const next = post();
    answer = (socket) => socket.write(OK);
    first?.write(OK);
    expect([(await taken).status, (await next).status]).to.deep.equal([200, 200]);
    expect(requests).to.have.length(2);
    expect(sockets).to.have.length(1);
  });

  it('lets those that wait go on when one breaks', async () => {
    client.close();
    client = clientOf(1);
    let broken = 0;
    answer = (socket) => {
      if (broken++ < 3) socket.destroy();
      else socket.write(OK);
    };
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => failure(post())));
    expect(outcomes.filter((error) => error === undefined)).to.have.length(5);
    expect(requests).to.have.length(8);
  });

  it('fails what is on its way when it is closed, leaves nothing open, and sends nothing more', async () => {
    client.close();
    client = clientOf(1);
    answer = () => undefined;
    const underWay = [failure(post()), failure(post())];
    await until(() => requests.length === 1, WAIT_MS);
    client.close();
    for (const error of [...(await Promise.all(underWay)), await failure(post())])
      expect(codeOf(error)).to.equal('E_STOPPED');
    await until(() => open.size === 0, WAIT_MS);
    expect(requests).to.have.length(1);
  });

  const ANSWERS: Record<string, { text: string; excerpt: string; isKept: boolean }> = {
    'in chunks': {
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n',
      excerpt: 'ok!',
      isKept: true,
    },
    'that says nothing': { text: 'HTTP/1.1 204 No Content\r\n\r\n', excerpt: '', isKept: true },
    'that is the last': {
      text: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
      excerpt: 'ok',
      isKept: false,
    },
    'of HTTP/1.0': {
      text: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
      excerpt: 'ok',
      isKept: false,
    },
    'after early hints': {
      text: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
      excerpt: 'ok',
      isKept: true,
    },
    'after a Continue that nobody asked for': {
      text: `HTTP/1.1 100 Continue\r\n\r\n${OK}`,
      excerpt: 'ok',
      isKept: true,
    },
  };
  for (const [name, { text, excerpt, isKept }] of Object.entries(ANSWERS)) {
    it(`takes an answer ${name}`, async () => {
      answer = (socket) => socket.write(text);
      for (let n = 0; n < 3; n++) {
        const reply = await post();
        expect(reply.excerpt).to.equal(excerpt);
        expect(reply.status).to.be.within(200, 204);
      }
      expect(sockets).to.have.length(isKept ? 1 : 3);
    });
  }

  it('takes a Continue that comes by itself, and an answer in pieces', async () => {
    answer = (socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      const pieces = OK.match(/[^]{1,7}/g) ?? [];
      pieces.forEach((piece, at) => setTimeout(() => socket.write(piece), 10 + at * 2));
    };
    expect(await post()).to.deep.include({ status: 200, excerpt: 'ok' });
  });

  it('takes an answer that ends with the connection', async () => {
    answer = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end');
    expect(await post()).to.deep.include({ status: 200, excerpt: 'to the end' });
  });

  it('refuses an answer that is two in one, or none', async () => {
    const texts = [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok',
      `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}\r\n`,
      '\0\0\0\0',
    ];
    for (const text of texts) {
      answer = (socket) => socket.write(text);
      expect(classifyFailure(await failure(post()))).to.include({ kind: 'retry', reason: 'network' });
    }
    expect(sockets).to.have.length(texts.length);
  });

  it('does not take what follows an answer for the next one', async () => {
    answer = (socket) => socket.write(`${OK}HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n`);
    expect((await post()).status).to.equal(200);
    answer = (socket) => socket.write(OK);
    expect((await post()).status).to.equal(200);
  });

  it('sends the user of an address as one, and no header that has line breaks', async () => {
    await post({ url: url.replace('//', '//m%C3%BCtt:s%3Aecret@') });
    const sent = /^authorization: Basic (.+)\r$/m.exec(requests[0] ?? '')?.[1] ?? '';
    expect(Buffer.from(sent, 'base64').toString()).to.equal('mütt:s:ecret');
    const compose = () => ({ headers: { 'x-key': 'a\r\nb: hunter2' }, body: BODY });
    const error = await failure(post({ compose }));
    expect(String((error as Error).message)).to.not.include('hunter2');
    expect(codeOf(await failure(post({ url: 'ftp://127.0.0.1/' })))).to.equal('ERR_INVALID_PROTOCOL');
    expect(requests).to.have.length(1);
  });
});
