import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { AdminPort, Readiness } from '../../../gateways/admin/admin-port.ts';
import { AdminServer } from '../../../gateways/admin/admin-server.ts';
import { BRAKE_FAILURES_MAX } from '../../../gateways/http/failure-brake.ts';
import { KeyRing } from '../../../gateways/http/key-ring.ts';
import type { KeyRecord } from '../../../gateways/http/key-ring.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { freePorts } from '../../../supervisors/embedded/free-ports.ts';
import { rawExchange } from '../http/raw-http.ts';
import type { RawPart, RawReply } from '../http/raw-http.ts';

const PEPPER = Buffer.alloc(32, 7);
const KEYS = {
  ingest: ['ingest'],
  reader: ['read'],
  operator: ['operate'],
  admin: ['admin'],
  sink: ['sink'],
  old: ['admin'],
};
const keyOf = (name: keyof typeof KEYS): string => `key-of-${name}-0123456789`;
const records = Object.entries(KEYS).map(([name, scopes]): KeyRecord => ({
  name,
  scopes: scopes as KeyRecord['scopes'],
  hmacSha256: createHmac('sha256', PEPPER).update(`key-of-${name}-0123456789`).digest('hex'),
  expiresAt: name === 'old' ? 1 : null,
}));

describe('AdminServer', () => {
  let server: AdminServer;
  let adminPort: number;
  let healthPort: number;
  let readiness: Readiness;
  let calls: unknown[][];
  let logged: unknown[];
  /** What the next status is made of. */
  let status: () => Promise<unknown>;

  /** Only what these specs reach; the rest of the API is tested on a real node (api-*.spec.ts). */
  const port = {
    node: { readiness: () => readiness, status: () => status() },
    metrics: { exposition: async () => 'mutt_up 1\n' },
    ledger: { read: async () => ({ balanced: true }) },
    rules: {
      set: async () => ({ version: 4, rules: [] }),
      applySet: async (...args: unknown[]) => {
        calls.push(['rules', ...args]);
        const [document] = args;
        if ((document as { bad?: boolean }).bad === true) {
          throw new CodedError('E_CONFIG_INVALID', 'rules[0] is bad', {
            details: { faults: [{ field: 'rules[0]' }] },
          });
        }
        return { created: 1 };
      },
      checkSet: async (...args: unknown[]) => {
        calls.push(['check', ...args]);
        return [];
      },
      remove: async (...args: unknown[]) => {
        calls.push(['remove', ...args]);
        return true;
      },
    },
    actors: {
      restart: async (...args: unknown[]) => {
        calls.push(['restart', ...args]);
        if (args[0] !== 'match-0') throw new CodedError('E_ACTOR_UNKNOWN', 'nothing of this name runs here');
        return { id: 'match-0' };
      },
    },
  } as unknown as AdminPort;

  before(() => expect(records.every(({ hmacSha256 }) => hmacSha256.length === 64)).to.equal(true));
  beforeEach(async () => {
    readiness = { ready: true, reasons: [] };
    calls = [];
    logged = [];
    status = async () => ({ version: '3' });
    const log = (...entry: unknown[]): void => void logged.push(entry);
    server = new AdminServer({
      port,
      keys: new KeyRing(records, { pepper: PEPPER, clock: systemClock }),
      clock: systemClock,
      log: { warn: log, error: log },
      rate: { requestsPerSecond: 1_000, burst: 1_000 },
    });
    const ports = await freePorts(2);
    [adminPort, healthPort] = ports as [number, number];
    server.listen({ adminHost: '127.0.0.1', adminPort, healthHost: '127.0.0.1', healthPort });
  });
  afterEach(() => server.close());
  after(() => expect(adminPort).to.not.equal(healthPort));

  interface Asked {
    key?: keyof typeof KEYS | undefined;
    headers?: string[];
    body?: string;
    at?: number;
  }
  function requestText(method: string, path: string, { key, headers = [], body }: Asked): string {
    const lines = [
      `${method} ${path} HTTP/1.1`,
      'Host: a',
      ...(key === undefined ? [] : [`X-API-KEY: ${keyOf(key)}`]),
      ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
      ...headers,
    ];
    return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
  }
  async function ask(method: string, path: string, asked: Asked = {}): Promise<RawReply> {
    const { replies } = await rawExchange(asked.at ?? adminPort, [requestText(method, path, asked)]);
    const [reply] = replies;
    if (reply === undefined) throw new Error('no reply');
    return reply;
  }
  function problemOf(reply: RawReply | undefined, statusCode: number, code: string): Record<string, unknown> {
    expect(reply?.status, reply?.body).to.equal(statusCode);
    expect(reply?.headers['content-type']).to.equal('application/problem+json');
    const problem = JSON.parse(reply?.body ?? '') as Record<string, unknown>;
    expect(problem).to.include({ status: statusCode, code });
    return problem;
  }

  describe('keys and scopes', () => {
    const table: [method: string, path: string, body: string | undefined, allowed: (keyof typeof KEYS)[]][] =
      [
        ['GET', '/api/v2/status', undefined, ['reader', 'operator', 'admin']],
        ['GET', '/api/v2/ledger', undefined, ['reader', 'operator', 'admin']],
        ['GET', '/api/v2/rule-set', undefined, ['reader', 'operator', 'admin']],
        ['GET', '/api/v2/alerts/recent', undefined, ['reader', 'operator', 'admin']],
        ['POST', '/api/v2/actors/match-0/restart', '{}', ['operator', 'admin']],
        ['PUT', '/api/v2/rule-set', '{}', ['admin']],
        ['POST', '/api/v2/rule-set/check', '{}', ['reader', 'operator', 'admin']],
        ['POST', '/api/v2/sink/moogsoft', '{}', ['sink']],
      ];
    for (const [method, path, body, allowed] of table) {
      it(`lets ${allowed.join(', ')} and no other ${method} ${path}`, async () => {
        for (const key of Object.keys(KEYS) as (keyof typeof KEYS)[]) {
          const reply = await ask(method, path, { key, ...(body === undefined ? {} : { body }) });
          if (allowed.includes(key)) expect(reply.status, key).to.equal(200);
          else if (key === 'old') problemOf(reply, 401, 'E_KEY_EXPIRED');
          else problemOf(reply, 403, 'E_SCOPE_MISSING');
        }
        problemOf(await ask(method, path, body === undefined ? {} : { body }), 401, 'E_KEY_MISSING');
        expect(calls.every(([, ...args]) => args.length > 0)).to.equal(true);
      });
    }

    it('takes a bearer token, and no key in the URL', async () => {
      const headers = [`Authorization: Bearer ${keyOf('reader')}`];
      expect((await ask('GET', '/api/v2/status', { headers })).status).to.equal(200);
      problemOf(await ask('GET', `/api/v2/status?api_key=${keyOf('reader')}`), 401, 'E_KEY_MISSING');
      problemOf(await ask('GET', '/api/v2/status', { headers: ['X-API-KEY: wrong'] }), 401, 'E_KEY_UNKNOWN');
    });

    it('refuses two different keys, whichever headers they come in', async () => {
      const good = `X-API-KEY: ${keyOf('reader')}`;
      for (const other of ['Authorization: Bearer other', 'X-API-KEY: other']) {
        for (const headers of [
          [good, other],
          [other, good],
        ]) {
          problemOf(await ask('GET', '/api/v2/status', { headers }), 401, 'E_KEY_UNKNOWN');
        }
      }
      const headers = [good, good, `Authorization: Bearer ${keyOf('reader')}`];
      expect((await ask('GET', '/api/v2/status', { headers })).status).to.equal(200);
      expect(
        (await ask('GET', '/api/v2/status', { headers: [good, 'Authorization: Basic dTpw'] })).status,
      ).to.equal(200);
    });

    it('shows metrics on loopback to anybody', async () => {
      const reply = await ask('GET', '/metrics');
      expect(reply).to.include({ status: 200, body: 'mutt_up 1\n' });
      expect(reply.headers['content-type']).to.match(/^text\/plain; version=0\.0\.4/);
    });

    it('slows whoever guesses down, and nobody with a key', async () => {
      for (let guess = 0; guess < BRAKE_FAILURES_MAX; guess++) await ask('GET', '/api/v2/status');
      const began = performance.now();
      const guess = ask('GET', '/api/v2/status');
      await ask('GET', '/api/v2/status', { key: 'reader' });
      expect(performance.now() - began).to.be.lessThan(200);
      problemOf(await guess, 401, 'E_KEY_MISSING');
      expect(performance.now() - began).to.be.greaterThan(200);
    });

    it('hears a refused upload out before it answers, and keeps nothing of it', async () => {
      const body = 'x'.repeat(1024 * 1024);
      problemOf(await ask('PUT', '/api/v2/rule-set', { key: 'reader', body }), 403, 'E_SCOPE_MISSING');
      problemOf(await ask('PUT', '/api/v2/rule-set', { body }), 401, 'E_KEY_MISSING');
      expect(calls).to.deep.equal([]);
    });
  });

  describe('bodies', () => {
    it('go to the handler parsed, with who sent them', async () => {
      const reply = await ask('PUT', '/api/v2/rule-set', {
        key: 'admin',
        body: '{"rules":[]}',
        headers: ['X-Correlation-ID: my.id-1'],
      });
      expect(calls).to.deep.equal([['rules', { rules: [] }, { keyName: 'admin', correlationId: 'my.id-1' }]]);
      expect(reply.headers['x-correlation-id']).to.equal('my.id-1');
      expect(JSON.parse(reply.body)).to.deep.equal({ created: 1 });
    });

    it('that are no JSON are refused, and not repeated', async () => {
      const reply = await ask('PUT', '/api/v2/rule-set', { key: 'admin', body: '{"a": hunter2}' });
      problemOf(reply, 400, 'E_JSON_MALFORMED');
      expect(reply.body).to.not.include('hunter2');
    });

    it('with faults are answered with all of them', async () => {
      const problem = problemOf(
        await ask('PUT', '/api/v2/rule-set', { key: 'admin', body: '{"bad":true}' }),
        400,
        'E_CONFIG_INVALID',
      );
      expect(problem.errors).to.deep.equal([{ field: 'rules[0]' }]);
    });

    for (const [path, megabytes] of [
      ['/api/v2/teams/a', 4],
      ['/api/v2/rule-set', 32],
    ] as const) {
      it(`of ${path} over ${megabytes} MiB are refused, announced or not, and the connection ends`, async () => {
        const head = [`PUT ${path} HTTP/1.1`, 'Host: a', `X-API-KEY: ${keyOf('admin')}`].join('\r\n');
        const large = (megabytes + 1) * 1024 * 1024;
        const first = await rawExchange(adminPort, [`${head}\r\nContent-Length: ${large}\r\n\r\n`]);
        problemOf(first.replies[0], 413, 'E_BODY_TOO_LARGE');
        const chunk = `${(64 * 1024).toString(16)}\r\n${'x'.repeat(64 * 1024)}\r\n`;
        const parts: RawPart[] = [`${head}\r\nTransfer-Encoding: chunked\r\n\r\n`];
        for (let sent = 0; sent < large; sent += 64 * 1024) parts.push(chunk);
        const second = await rawExchange(adminPort, parts, { untilClosed: true });
        problemOf(second.replies[0], 413, 'E_BODY_TOO_LARGE');
        expect(second.isClosed).to.equal(true);
        expect(calls).to.deep.equal([]);
      });
    }

    it('that are large are taken two at a time, and the next one when they are gone', async () => {
      const body = `{${' '.repeat(5 * 1024 * 1024)}}`;
      const half = requestText('PUT', '/api/v2/rule-set', { key: 'admin', body }).slice(0, 100_000);
      const slow = [1, 2].map(() => rawExchange(adminPort, [half], { waitMs: 500 }));
      await sleep(200);
      const third = await ask('PUT', '/api/v2/rule-set', { key: 'admin', body });
      problemOf(third, 503, 'E_BODIES_FULL');
      await Promise.all(slow);
      expect((await ask('PUT', '/api/v2/rule-set', { key: 'admin', body })).status).to.equal(200);
    });

    for (const [body, statusCode] of [
      ['', 200],
      ['{}', 200],
      ['{"how":"kill"}', 200],
      ['{"how":"drain"}', 200],
      ['{"how":"burn"}', 400],
      ['{"how":null}', 400],
    ] as const) {
      it(`restart with ${body === '' ? 'nothing' : body} is ${statusCode}`, async () => {
        expect(
          (await ask('POST', '/api/v2/actors/match-0/restart', { key: 'operator', body })).status,
        ).to.equal(statusCode);
        expect(calls).to.have.length(statusCode === 200 ? 1 : 0);
      });
    }
  });

  describe('paths and methods', () => {
    it('answers 404 and 405 with problems that name the way', async () => {
      problemOf(await ask('GET', '/'), 404, 'E_ROUTE_UNKNOWN');
      problemOf(await ask('GET', '/api/v2/status/'), 404, 'E_ROUTE_UNKNOWN');
      const reply = await ask('DELETE', '/api/v2/rule-set', { key: 'admin' });
      problemOf(reply, 405, 'E_METHOD');
      expect(reply.headers.allow).to.equal('GET, HEAD, PUT, OPTIONS');
      expect((await ask('OPTIONS', '/api/v2/status')).headers.allow).to.equal('GET, HEAD, OPTIONS');
      problemOf(await ask('POST', '/health', { at: healthPort, body: '' }), 405, 'E_METHOD');
      problemOf(await ask('GET', '/api/v2/status', { at: healthPort, key: 'admin' }), 404, 'E_ROUTE_UNKNOWN');
    });

    it('answers HEAD like GET, without a body', async () => {
      for (const [path, at, statusCode] of [
        ['/health', healthPort, 200],
        ['/ready', healthPort, 200],
        ['/metrics', adminPort, 200],
        ['/api/v2/status', adminPort, 401],
        ['/nothing', adminPort, 404],
        ['/api/v2/sink/moogsoft', adminPort, 405],
      ] as const) {
        const { text } = await rawExchange(at, [requestText('HEAD', path, {})], { waitMs: 300 });
        expect(text, path).to.match(new RegExp(`^HTTP/1.1 ${statusCode} `));
        expect(text.slice(text.indexOf('\r\n\r\n') + 4), path).to.equal('');
      }
    });

    for (const hostile of ['%2e%2e%2f%2e%2e', '%', '%E0%A4%A', "a'%22%3Cscript%3E", '__proto__']) {
      it(`takes the hostile name ${hostile.slice(0, 20)} for an unknown one, and does not repeat it`, async () => {
        const reply = await ask('POST', `/api/v2/actors/${hostile}/restart`, { key: 'operator', body: '{}' });
        problemOf(reply, 404, 'E_ACTOR_UNKNOWN');
        expect(reply.body).to.not.include('script');
        expect(calls).to.have.length(1);
      });
    }

    for (const hostile of ['%00', 'a%00b', 'x'.repeat(2_000)]) {
      it(`refuses the impossible name ${hostile.slice(0, 20)}`, async () => {
        const reply = await ask('POST', `/api/v2/actors/${hostile}/restart`, { key: 'operator', body: '{}' });
        problemOf(reply, 400, 'E_PARAMETER_INVALID');
        expect(calls).to.deep.equal([]);
      });
    }

    for (const after of ['-1', '1.5', 'x', '', '99999999999999999999']) {
      it(`refuses alerts after "${after}"`, async () => {
        problemOf(
          await ask('GET', `/api/v2/alerts/recent?after=${after}`, { key: 'reader' }),
          400,
          'E_PARAMETER_INVALID',
        );
      });
    }

    it('shows what the built-in sink took', async () => {
      await ask('POST', '/api/v2/sink/moogsoft', { key: 'sink', body: '{"signature":"s"}' });
      problemOf(
        await ask('POST', '/api/v2/sink/moogsoft', { key: 'sink', body: '{' }),
        400,
        'E_BODY_INVALID',
      );
      const { alerts } = JSON.parse((await ask('GET', '/api/v2/alerts/recent', { key: 'reader' })).body) as {
        alerts: { alert: unknown }[];
      };
      expect(alerts.map(({ alert }) => alert)).to.deep.equal([{ signature: 's' }]);
    });
  });

  describe('rates', () => {
    it('are limited per key, told with every reply, and changed while it runs', async () => {
      server.rate = { requestsPerSecond: 1, burst: 2 };
      const first = await ask('GET', '/api/v2/status', { key: 'reader' });
      expect(first.headers['ratelimit-policy']).to.equal('"key";q=2;w=2');
      expect(first.headers.ratelimit).to.equal('"key";r=1;t=0');
      await ask('GET', '/api/v2/status', { key: 'reader' });
      const limited = await ask('GET', '/api/v2/status', { key: 'reader' });
      problemOf(limited, 429, 'E_RATE_LIMITED');
      expect(limited.headers['retry-after']).to.equal('1');
      expect((await ask('GET', '/api/v2/status', { key: 'operator' })).status).to.equal(200);
      expect((await ask('GET', '/metrics')).status).to.equal(200);
      server.rate = { requestsPerSecond: 1_000, burst: 1_000 };
      // The bucket was empty: the first whole request at the new rate comes a millisecond later.
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect((await ask('GET', '/api/v2/status', { key: 'reader' })).status).to.equal(200);
    });

    it('do not hold up the built-in sink', async () => {
      server.rate = { requestsPerSecond: 1, burst: 1 };
      for (let sent = 0; sent < 5; sent++) {
        const reply = await ask('POST', '/api/v2/sink/moogsoft', { key: 'sink', body: '{}' });
        expect(reply.status).to.equal(200);
      }
    });
  });

  describe('replies without a body', () => {
    it('leave the connection usable: 204 and 304', async () => {
      const remove = requestText('DELETE', '/api/v2/rules/7', { key: 'admin', headers: ['If-Match: *'] });
      const fresh = requestText('GET', '/api/v2/rule-set', {
        key: 'reader',
        headers: ['If-None-Match: "4"'],
      });
      const { text } = await rawExchange(adminPort, [remove, 300, fresh, 300, remove], {
        waitMs: 1_500,
        replies: 9,
      });
      expect(text.match(/HTTP\/1\.1 (204|304)/g)).to.deep.equal([
        'HTTP/1.1 204',
        'HTTP/1.1 304',
        'HTTP/1.1 204',
      ]);
      expect(text).to.not.match(/content-length/i);
      expect(text).to.include('ETag: "4"');
      expect(
        calls.map(([, id, change]) => [id, (change as { expectedVersion?: number }).expectedVersion]),
      ).to.deep.equal([
        [7, undefined],
        [7, undefined],
      ]);
    });
  });

  describe('health', () => {
    it('is alive whatever else, and ready only when it could accept', async () => {
      expect((await ask('GET', '/ready', { at: healthPort })).status).to.equal(200);
      readiness = { ready: false, reasons: ['redis is away'] };
      const reply = await ask('GET', '/ready', { at: healthPort });
      expect(reply.status).to.equal(503);
      expect(JSON.parse(reply.body)).to.deep.equal({ ready: false, reasons: ['redis is away'] });
      expect(JSON.parse((await ask('GET', '/health', { at: healthPort })).body)).to.deep.equal({
        status: 'alive',
      });
    });
  });

  describe('when the handler fails', () => {
    for (const [title, fail] of [
      ['rejects', () => Promise.reject(new Error('password=hunter2'))],
      [
        'throws',
        (): never => {
          throw new TypeError('password=hunter2');
        },
      ],
      ['gives what cannot be written', async () => ({ n: 1n })],
    ] as [string, () => Promise<unknown>][]) {
      it(`that ${title}: 500 with an id that the log has, and nothing else`, async () => {
        status = fail;
        const reply = await ask('GET', '/api/v2/status', { key: 'reader' });
        const problem = problemOf(reply, 500, 'E_INTERNAL');
        expect(reply.body).to.not.include('hunter2');
        expect(JSON.stringify(logged)).to.include(problem.correlation_id);
        status = async () => ({});
        expect((await ask('GET', '/api/v2/status', { key: 'reader' })).status).to.equal(200);
      });
    }

    it('answers 503 for what passes by itself', async () => {
      status = () => Promise.reject(new CodedError('E_CALL_TIMEOUT', 'no answer', { kind: 'transient' }));
      problemOf(await ask('GET', '/api/v2/status', { key: 'reader' }), 503, 'E_CALL_TIMEOUT');
    });

    it('outlives clients that go while it works', async () => {
      const gate = Promise.withResolvers<unknown>();
      status = () => gate.promise;
      await rawExchange(adminPort, [requestText('GET', '/api/v2/status', { key: 'reader' })], { waitMs: 50 });
      const upload = requestText('PUT', '/api/v2/rule-set', { key: 'admin', body: 'x'.repeat(100) }).slice(
        0,
        -50,
      );
      await rawExchange(adminPort, [upload], { waitMs: 50 });
      gate.resolve({});
      await new Promise((resolve) => setTimeout(resolve, 20));
      status = async () => ({ again: true });
      expect((await ask('GET', '/api/v2/status', { key: 'reader' })).status).to.equal(200);
      expect(logged).to.deep.equal([]);
    });
  });
});
