/**
 * The running server against its own OpenAPI document: every operation of a real node is called, for success and for
 * each way in which a request can be wrong, and every reply is checked against the document.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { AdminPort } from '../../../gateways/admin/admin-port.ts';
import { adminEndpoints } from '../../../gateways/admin/endpoints.ts';
import { RecentAlertRing } from '../../../gateways/admin/recent-alerts.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { NodeUnderTest, until } from '../../support/node-under-test.ts';
import { queryNode } from '../../product/node-database.ts';
import { rawExchange } from '../http/raw-http.ts';
import { ApiUnderTest } from './api-under-test.ts';
import type { ApiReply, Asked, Operation } from './api-under-test.ts';
import { GOOD_CALLS, LETTERS, REJECTED, UNMATCHED } from './good-calls.ts';

const TIMEOUT_MS = 120_000;
/** Those that take whole sets of rules. */
const LARGE_BODIES: ReadonlySet<string> = new Set([
  'applyRuleSet',
  'checkRuleSet',
  'testRules',
  'backtestRules',
]);
const SCOPES = ['ingest', 'read', 'operate', 'admin'] as const;
type Scope = (typeof SCOPES)[number];
/** Scopes that let a key in where this one is asked for. */
const WIDER: Record<string, readonly Scope[]> = {
  open: [...SCOPES],
  read: ['read', 'operate', 'admin'],
  operate: ['operate', 'admin'],
  admin: ['admin'],
  sink: [],
};

/** The table, to name the specs; the same that the server has. Nothing of the ports is called. */
const table = adminEndpoints(
  new Proxy({}, { get: () => ({}) }) as AdminPort,
  new RecentAlertRing(systemClock),
).filter(({ deprecated }) => deprecated !== true);

describe('The API of a running node', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let api: ApiUnderTest;
  const keys = {} as Record<Scope, string>;
  const seen = new Map<string, ApiReply>();

  before(async () => {
    node = await NodeUnderTest.start();
    api = await ApiUnderTest.of(node);
    await api.liftRate();
    expect((await node.post(REJECTED)).body.rejected).to.equal(3);
    for (const scope of SCOPES) {
      const { body } = await api.call('createKey', { body: { name: `spec-${scope}`, scopes: [scope] } });
      keys[scope] = String(body['key']);
    }
    await api.whenKey(keys.admin, true);
    await queryNode(
      node.dir,
      `INSERT INTO stores (name, seen_at) VALUES ('a-store-that-is-gone', now() - interval '1 day')`,
      [],
    );
    await queryNode(
      node.dir,
      `INSERT INTO dead_letters (
         alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at
       )
       SELECT id, 0, 'local', jsonb_build_object(
         'id', id, 'destination', 'local', 'signature', id, 'event_ids', '[]'::jsonb, 'description', 'contract', 'team', 'NETO',
         'rule_id', 1, 'status', 'firing'
       ), 'rejected', 'HTTP 422', 1, now(), now(), now() FROM unnest($1::text[]) AS given (id)`,
      [[...LETTERS]],
    );
    expect((await node.post(UNMATCHED)).body.accepted).to.equal(1);
    await until(
      async () => ((await api.call('listUnmatched')).body['items'] as unknown[]).length > 0,
      20_000,
      () => 'what no rule matched is not listed',
    );
  });
  after(() => node.close());

  const withKey = (operation: Operation, asked: Asked): Asked =>
    operation.scope === 'sink' && asked.key === undefined
      ? { ...asked, key: readFileSync(join(node.dir, 'keys', 'sink.key'), 'utf8').trim() }
      : asked;
  const ask = (operationId: string, asked: Asked = {}): Promise<ApiReply> =>
    api.call(operationId, withKey(api.operation(operationId), asked));
  const refused = (reply: ApiReply, status: number, ...codes: string[]): ApiReply => {
    expect(reply.status, reply.text).to.equal(status);
    expect(reply.headers.get('content-type')).to.match(/^application\/problem\+json/);
    expect(codes, reply.text).to.include(reply.body['code']);
    return reply;
  };

  describe('has a document', () => {
    it('that describes every route of the table and no other', () => {
      const documented = [...api.operations.values()]
        .filter(({ isDeprecated }) => !isDeprecated)
        .map(({ operationId, method, path }) => `${operationId} ${method} ${path}`);
      const used = table.map(
        ({ operationId, method, path }) =>
          `${operationId} ${method.toUpperCase()} ${path.replace(/:(\w+)/g, '{$1}')}`,
      );
      expect(documented.sort()).to.deep.equal(used.sort());
      expect(new Set(used).size).to.equal(used.length);
    });

    it('whose every reference leads somewhere, and whose paths name their parameters', async () => {
      const { body, text } = await ask('getOpenApi');
      const { schemas } = body['components'] as { schemas: object };
      for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
        expect(Object.keys(schemas)).to.include(name);
      }
      expect(text.match(/"\$ref"/g)?.length).to.equal(
        text.match(/"\$ref":"#\/components\/schemas\/\w+"/g)?.length,
      );
      for (const { path, parameters, operationId } of api.operations.values()) {
        const inPath = parameters
          .filter((parameter) => parameter.in === 'path')
          .map(({ name }) => `{${name}}`);
        expect(path.match(/\{\w+\}/g) ?? [], operationId).to.deep.equal(inPath);
      }
    });

    it('is open on loopback and unchanged as long as the node is', async () => {
      const first = await ask('getOpenApi', { key: null });
      const etag = first.headers.get('etag') ?? '';
      const again = await ask('getOpenApi', { key: null, headers: { 'if-none-match': etag } });
      expect(again.status).to.equal(304);
      expect(again.text).to.equal('');
    });

    it('has a good call for every operation in this file', () => {
      const called = new Set(GOOD_CALLS.map(({ operationId }) => operationId));
      expect(table.map(({ operationId }) => operationId).filter((id) => !called.has(id))).to.deep.equal([]);
    });
  });

  describe('answers as its document says', () => {
    for (const { operationId, status, asked } of GOOD_CALLS) {
      it(`${operationId} with ${status}`, async () => {
        const reply = await ask(operationId, asked(seen));
        expect(reply.status, reply.text).to.equal(status);
        seen.set(operationId, reply);
        expect(reply.headers.get('x-content-type-options')).to.equal('nosniff');
        expect(reply.headers.get('cache-control')).to.equal('no-store');
        expect(reply.headers.get('content-security-policy')).to.include("default-src 'none'");
        expect(reply.headers.get('x-frame-options')).to.equal('DENY');
        expect(reply.headers.get('referrer-policy')).to.equal('no-referrer');
        expect(reply.headers.get('x-request-id')).to.match(/^[0-9a-f-]{36}$/);
        expect(reply.headers.get('x-correlation-id')).to.equal(reply.headers.get('x-request-id'));
      });
    }
  });

  for (const { operationId, scope, method, path, ...endpoint } of table) {
    describe(`${operationId} (${method.toUpperCase()} ${path})`, () => {
      it('is for whoever has a key of the scope, and for nobody else', async () => {
        if (scope !== 'open') refused(await ask(operationId, { key: null }), 401, 'E_KEY_MISSING');
        if (scope !== 'open') refused(await ask(operationId, { key: 'guessed' }), 401, 'E_KEY_UNKNOWN');
        for (const held of SCOPES) {
          // Wrong in another way, so that nothing is changed by it.
          const reply = await ask(operationId, { key: keys[held], query: { nosuch: 1 } });
          if (WIDER[scope]?.includes(held) === true)
            refused(reply, 400, 'E_PARAMETER_UNKNOWN', 'E_PARAMETER_INVALID');
          else refused(reply, 403, 'E_SCOPE_MISSING');
        }
      });

      it('refuses a query parameter that it does not have, and names the nearest', async () => {
        const [known] = Object.keys(endpoint.query?.properties ?? {});
        const name = known === undefined ? 'limit' : `${known}x`;
        const reply = refused(
          await ask(operationId, { params: sound(operationId), query: { [name]: 1 } }),
          400,
          'E_PARAMETER_UNKNOWN',
        );
        const [fault] = reply.body['errors'] as { field: string; mend: string }[];
        expect(fault?.field).to.equal(name);
        if (known !== undefined) expect(fault?.mend).to.include(known);
      });

      it('answers HEAD and OPTIONS, and other methods with 405', async () => {
        const address = path.replaceAll(/:(\w+)/g, '1');
        const options = await api.send('OPTIONS', address, { key: null });
        expect(options.status).to.equal(200);
        const allowed = (options.headers.get('allow') ?? '').split(', ');
        expect(allowed).to.include(method.toUpperCase());
        expect(allowed.includes('HEAD')).to.equal(allowed.includes('GET'));
        for (const other of ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'].filter(
          (name) => !allowed.includes(name),
        )) {
          const reply = refused(await api.send(other, address), 405, 'E_METHOD');
          expect(reply.headers.get('allow')).to.equal(options.headers.get('allow'));
        }
        if (method !== 'get') return;
        const [get, head] = [await api.send('GET', address), await api.send('HEAD', address)];
        expect(head.status).to.equal(get.status);
        expect(head.text).to.equal('');
        expect(head.headers.get('etag')).to.equal(get.headers.get('etag'));
      });

      if (endpoint.query?.properties['cursor'] !== undefined) {
        for (const cursor of [
          'x',
          '',
          'bnVsbA',
          'eyJfX3Byb3RvX18iOjF9',
          'W1tbW1tbW1tbW1tbW1tbW1tbW1tb',
          '%00',
          'A'.repeat(3_000),
        ]) {
          it(`refuses the cursor ${cursor.slice(0, 30)}`, async () => {
            refused(
              await ask(operationId, { params: sound(operationId), query: { cursor } }),
              400,
              'E_CURSOR_INVALID',
            );
          });
        }
        for (const limit of [
          '0',
          '-1',
          '201',
          '1.5',
          'x',
          '',
          '1e2',
          '0x10',
          '99999999999999999999',
          'null',
        ]) {
          it(`refuses the limit "${limit}"`, async () => {
            const reply = refused(
              await ask(operationId, { params: sound(operationId), query: { limit } }),
              400,
              'E_PARAMETER_INVALID',
            );
            expect(reply.text).to.include('a whole number from 1 to 200');
          });
        }
        it('refuses a parameter that is given twice', async () => {
          refused(await api.send('GET', `${path}?limit=1&limit=2`), 400, 'E_PARAMETER_INVALID');
        });
      }

      if (endpoint.body !== undefined) bodies(operationId, endpoint.body.isRaw === true);

      if (endpoint.ifMatch !== undefined) {
        for (const tag of ['3', '"x"', '"1", "2"', 'W/"1"', '"-1"', "''"]) {
          it(`refuses If-Match: ${tag}`, async () => {
            const asked = { params: sound(operationId), headers: { 'if-match': tag }, body: {} };
            refused(await ask(operationId, asked), 400, 'E_IF_MATCH_INVALID');
          });
        }
      }
      if (endpoint.ifMatch === 'required') {
        it('is refused without If-Match', async () => {
          const asked = { params: sound(operationId), body: {} };
          refused(await ask(operationId, asked), 428, 'E_IF_MATCH_REQUIRED');
        });
      }
    });
  }

  /** Parameters of the path that have the right form and name nothing. */
  function sound(operationId: string): Record<string, string | number> {
    const { parameters } = api.operation(operationId);
    const inPath = parameters.filter((parameter) => parameter.in === 'path');
    return Object.fromEntries(
      inPath.map(({ name, schema }) => {
        if (name === 'fingerprint') return [name, '0123456789abcdef'];
        return [name, schema['type'] === 'integer' ? 999 : 'nothing-there'];
      }),
    );
  }

  function bodies(operationId: string, isRaw: boolean): void {
    const sent = (text: string | Uint8Array): Promise<ApiReply> =>
      ask(operationId, { params: sound(operationId), headers: { 'if-match': '"999"' }, text });
    const broken = isRaw ? ['E_BODY_INVALID'] : ['E_JSON_MALFORMED'];

    for (const [what, text] of [
      ['no JSON', '{"a": hunter2}'],
      ['half a document', '{"reason": "hunter2'],
      ['two documents', '{}{"hunter2":1}'],
      ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ] as const) {
      it(`refuses a body that is ${what}, and repeats nothing of it`, async () => {
        const reply = refused(await sent(text), 400, ...broken);
        expect(reply.text).to.not.include('hunter2');
      });
    }

    for (const [what, text] of [
      ['a list', '[1]'],
      ['a number', '1'],
      ['null', 'null'],
      ['nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
      ['an object nested deep', `${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}`],
    ] as const) {
      it(`refuses a body that is ${what}`, async () => {
        const reply = await sent(text);
        expect(reply.status, reply.text).to.equal(400);
      });
    }

    if (isRaw) return;
    for (const [what, text] of [
      ['a prototype key', '{"__proto__":{"isAdmin":true}}'],
      ['a constructor key', '{"constructor":{"prototype":{"isAdmin":true}}}'],
      ['a toString key', '{"toString":"x"}'],
    ] as const) {
      it(`refuses ${what} as a field that it does not know`, async () => {
        const reply = await sent(text);
        expect(reply.status, reply.text).to.equal(400);
        const faults = reply.body['errors'] as { field: string }[];
        const [name = ''] = Object.keys(JSON.parse(text) as object);
        expect(faults.map(({ field }) => field.split('.').at(-1))).to.include(name);
        expect(({} as { isAdmin?: boolean }).isAdmin).to.equal(undefined);
      });
    }

    it('refuses a body over its limit, announced or not', async () => {
      const megabytes = LARGE_BODIES.has(operationId) ? 40 : 10;
      const { method, path } = api.operation(operationId);
      const address = path.replaceAll(/\{\w+\}/g, '1');
      const head = `${method} ${address} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${node.adminKey}\r\nIf-Match: "1"\r\n`;
      const announced = await rawExchange(
        node.ports.admin,
        [`${head}Content-Length: ${megabytes * 1_000_000}\r\n\r\n`],
        {
          waitMs: 10_000,
        },
      );
      expect(announced.replies[0]?.status).to.equal(413);
      const chunk = `${(1_000_000).toString(16)}\r\n${' '.repeat(1_000_000)}\r\n`;
      const parts = [
        `${head}Transfer-Encoding: chunked\r\n\r\n`,
        ...Array.from({ length: megabytes }, () => chunk),
      ];
      const chunked = await rawExchange(node.ports.admin, parts, { untilClosed: true, waitMs: 10_000 });
      // Whoever goes on sending may lose the reply to the end of the connection, which comes in any case.
      expect(chunked.isClosed).to.equal(true);
      for (const { status, body } of chunked.replies) {
        expect(status).to.equal(413);
        expect(body).to.include('E_BODY_TOO_LARGE');
      }
    });
  }

  describe('after all this', () => {
    it('leaves the tree, the books and the record of changes whole after all this', async () => {
      const status = await ask('getStatus');
      expect(status.body['ready'], status.text).to.equal(true);
      expect((await ask('verifyConfigAudit')).body['intact']).to.equal(true);
      expect((await ask('getLedger')).body['balanced']).to.equal(true);
      expect(node.output).to.not.include('hunter2');
    });
  });
});
