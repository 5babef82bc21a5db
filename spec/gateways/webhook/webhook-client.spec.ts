import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { classifyFailure } from '../../../actors/forward/classify-response.ts';
import type { WebhookReply, WebhookRequest } from '../../../actors/ports.ts';
import { SecretSource } from '../../../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../../../gateways/webhook/webhook-client.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';

const SECRET_NAME = 'SPEC_WEBHOOK_SECRET';
const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url));

describe('HttpWebhookClient', () => {
  let client: HttpWebhookClient;
  let servers: Server[];
  let requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  let sockets: Set<Socket>;
  let answer: (response: ServerResponse, request: IncomingMessage) => void;
  let url: string;

  beforeEach(async () => {
    client = new HttpWebhookClient({
      secrets: new SecretSource(() => performance.now(), { directory: '/nowhere', files: [] }),
      connectionsMax: 4,
    });
    servers = [];
    requests = [];
    sockets = new Set();
    answer = (response) => response.end('ok');
    url = `http://127.0.0.1:${await listen(createServer())}/hook?a=1`;
    process.env[SECRET_NAME] = 'hunter2-hunter2';
  });
  afterEach(() => {
    client.close();
    delete process.env[SECRET_NAME];
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  async function listen(server: Server): Promise<number> {
    servers.push(server);
    server.on('connection', (socket) => sockets.add(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('error', () => undefined);
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        requests.push({ method, url: path, headers, body: Buffer.concat(chunks).toString() });
        answer(response, request);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
  const compose: WebhookRequest['compose'] = (credential) => ({
    headers: {
      'content-type': 'application/json',
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
    },
    body: '{"a":"é"}',
  });
  const post = (rest: Partial<WebhookRequest> = {}): Promise<WebhookReply> =>
    client.post({ url, timeoutMs: 1_000, secretRef: null, compose, ...rest });
  async function failureOf(promise: Promise<unknown>): Promise<Error> {
    return promise.then(
      () => {
        throw new Error('it did not reject');
      },
      (thrown: unknown) => thrown as Error,
    );
  }

  it('posts the document and gives the answer’s status, headers and beginning', async () => {
    answer = (response) => response.writeHead(422, { 'Retry-After': '7' }).end('because');
    expect(await post()).to.deep.include({ status: 422, excerpt: 'because' });
    expect((await post()).headers['retry-after']).to.equal('7');
    expect(requests[0]).to.include({ method: 'POST', url: '/hook?a=1', body: '{"a":"é"}' });
    expect(requests[0]?.headers).to.include({ 'content-type': 'application/json', 'content-length': '10' });
    expect(requests[0]?.headers).to.not.have.property('authorization');
  });

  it('uses a connection again', async () => {
    for (let n = 0; n < 5; n++) await post();
    expect(requests).to.have.length(5);
    expect(sockets.size).to.equal(1);
  });

  it('has no more connections than allowed', async () => {
    answer = (response) => setTimeout(() => response.end(), 20);
    await Promise.all(Array.from({ length: 12 }, () => post()));
    expect(sockets.size).to.equal(4);
  });

  describe('the credential', () => {
    it('is in the one header only, read anew when it has changed', async () => {
      client.close();
      let nowMs = 0;
      client = new HttpWebhookClient({
        secrets: new SecretSource(() => nowMs, { directory: '/nowhere', files: [] }),
        connectionsMax: 1,
      });
      await post({ secretRef: `env:${SECRET_NAME}` });
      process.env[SECRET_NAME] = 'rotated';
      nowMs = 2_000;
      await post({ secretRef: `env:${SECRET_NAME}` });
      expect(requests.map(({ headers }) => headers.authorization)).to.deep.equal([
        'Bearer hunter2-hunter2',
        'Bearer rotated',
      ]);
      const [first] = requests;
      const rest = JSON.stringify({ ...first, headers: { ...first?.headers, authorization: '' } });
      expect(rest).to.not.include('hunter2');
    });

    it('that cannot be found, or makes no header, sends nothing and is in no error', async () => {
      process.env[SECRET_NAME] = 'hunter2\nhunter2';
      for (const secretRef of [`env:${SECRET_NAME}`, 'env:SPEC_NOT_SET', 'hunter2']) {
        const error = await failureOf(post({ secretRef }));
        expect(`${error.message} ${error.stack}`).to.not.include('hunter2');
        expect(classifyFailure(error).kind).to.equal('retry');
      }
      expect(requests).to.deep.equal([]);
    });

    it('is taken out of an answer that repeats it', async () => {
      process.env[SECRET_NAME] = 'say "hunter2"';
      const credential = process.env[SECRET_NAME];
      const forms = [credential, JSON.stringify({ credential }), Buffer.from(credential).toString('base64')];
      answer = (response) => response.writeHead(400).end(`refused: ${forms.join(' ')}`);
      const { excerpt } = await post({
        secretRef: `env:${SECRET_NAME}`,
        compose: () => ({ headers: {}, body: '{}' }),
      });
      expect(excerpt).to.equal('refused: *** {"credential":"***"} ***');
      process.env[SECRET_NAME] = 'mutt:hunter2';
      answer = (response) => response.writeHead(401).end('not the password hunter2 of mutt');
      client.close();
      client = new HttpWebhookClient({
        secrets: new SecretSource(() => 0, { directory: '/nowhere', files: [] }),
        connectionsMax: 1,
      });
      const refused = await post({ secretRef: `env:${SECRET_NAME}` });
      expect(refused.excerpt).to.equal('not the password *** of mutt');
    });

    it('does not follow a redirect', async () => {
      const other = await listen(createServer());
      answer = (response) => response.writeHead(307, { location: `http://127.0.0.1:${other}/` }).end();
      expect((await post({ secretRef: `env:${SECRET_NAME}` })).status).to.equal(307);
      expect(requests).to.have.length(1);
    });
  });

  describe('an answer that', () => {
    it('does not come is a time-out', async () => {
      answer = () => undefined;
      const began = performance.now();
      const error = await failureOf(post({ timeoutMs: 60 }));
      expect(codeOf(error)).to.equal('ETIMEDOUT');
      expect(classifyFailure(error)).to.include({ reason: 'timeout' });
      expect(performance.now() - began).to.be.within(50, 500);
    });

    it('has no end is cut off, and its status counts', async () => {
      let isCut = false;
      answer = (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, 'x')));
          if (!response.destroyed) response.once('drain', more);
        };
        response.on('close', () => (isCut = true));
        more();
      };
      const { status, excerpt } = await post();
      expect(status).to.equal(200);
      expect(excerpt).to.have.length(2_048);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(isCut).to.equal(true);
    });

    it('stops half-way keeps its status: the alert was taken', async () => {
      answer = (response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half');
      };
      expect(await post({ timeoutMs: 80 })).to.include({ status: 200, excerpt: 'half' });
      answer = (response, request) => {
        response.writeHead(500, { 'content-length': 100 });
        response.write('half', () => request.socket.destroy());
      };
      expect((await post()).status).to.equal(500);
    });

    it('is no HTTP, or a reset, is a failure of the network', async () => {
      answer = (_response, request) => request.socket.destroy();
      expect(classifyFailure(await failureOf(post()))).to.include({ kind: 'retry', reason: 'network' });
      answer = (_response, request) => request.socket.end('220 smtp.example ESMTP\r\n');
      expect(classifyFailure(await failureOf(post()))).to.include({ kind: 'retry', reason: 'network' });
    });
  });

  it('says that nobody listens, and that an address is none', async () => {
    const [free] = await freePorts(1);
    expect(codeOf(await failureOf(post({ url: `http://127.0.0.1:${free}/` })))).to.equal('ECONNREFUSED');
    expect(codeOf(await failureOf(post({ url: 'nonsense' })))).to.equal('ERR_INVALID_URL');
  });

  describe('over TLS', () => {
    it('refuses a certificate that nobody vouches for, and sends it nothing', async () => {
      const port = await listen(
        createTlsServer({
          cert: fixture('self-signed.crt'),
          key: fixture('self-signed.key'),
        }),
      );
      const error = await failureOf(
        post({ url: `https://127.0.0.1:${port}/`, secretRef: `env:${SECRET_NAME}` }),
      );
      expect(codeOf(error)).to.equal('DEPTH_ZERO_SELF_SIGNED_CERT');
      expect(classifyFailure(error)).to.include({ kind: 'retry', reason: 'tls' });
      expect(requests).to.deep.equal([]);
    });

    it('says so when the other side speaks none', async () => {
      const error = await failureOf(post({ url: url.replace('http:', 'https:') }));
      expect(classifyFailure(error)).to.include({ kind: 'retry', reason: 'tls' });
    });
  });
});
