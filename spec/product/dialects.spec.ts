/**
 * The dialects of a running node: what an OpenTelemetry SDK, Promtail, Splunk's senders and Fluent Bit send is kept in
 * PostgreSQL as events of the right host, what is bad in it is parked with its bytes, and the books balance.
 */
import { readFileSync } from 'node:fs';
import { encode } from '@msgpack/msgpack';
import { expect } from 'chai';
import { snappyCompress } from 'hysnappy';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest } from '../support/node-under-test.ts';
import { queryNode } from './node-database.ts';

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/relays/${name}`, import.meta.url));

describe('A running node, spoken to in other dialects', function () {
  this.timeout(60_000);
  let node: NodeUnderTest;

  before(async () => {
    node = await NodeUnderTest.start({ MUTT_AUDIT_UNMATCHED: 'all' });
  });
  after(() => node.close());

  async function post(
    path: string,
    body: Uint8Array | string,
    headers: Record<string, string>,
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${node.ports.ingest}${path}`, {
      method: 'POST',
      headers,
      body: body as never,
      signal: AbortSignal.timeout(20_000),
    });
  }

  it('keeps the events of each, and parks what is none', async () => {
    const key = node.ingestKey;
    const otlp = await post('/v1/logs', fixture('otlp-logs.pb'), {
      authorization: `Bearer ${key}`,
      'content-type': 'application/x-protobuf',
    });
    expect([otlp.status, (await otlp.arrayBuffer()).byteLength]).to.deep.equal([200, 0]);
    const loki = await post('/loki/api/v1/push', fixture('loki-push.snappy'), {
      authorization: `Basic ${Buffer.from(`tenant:${key}`).toString('base64')}`,
      'content-type': 'application/x-protobuf',
    });
    expect(loki.status).to.equal(204);
    const hec = await post(
      '/services/collector/event',
      '{"event":"from splunk","host":"S1"}{"event":"no host"}',
      {
        authorization: `Splunk ${key}`,
        'x-correlation-id': 'hec-1',
      },
    );
    expect(await hec.json()).to.deep.equal({ text: 'Success', code: 0 });
    const raw = await post('/services/collector/raw?host=s2', 'from splunk raw', {
      authorization: `Splunk ${key}`,
    });
    expect(raw.status).to.equal(200);
    const msgpack = await node.post(
      snappyCompress(encode([1714564800, { host: 'F1', log: 'from fluent bit' }])) as Buffer,
      {
        'user-agent': 'Fluent-Bit',
        'content-encoding': 'snappy',
      },
    );
    expect(msgpack.body).to.include({ accepted: 1, rejected: 0 });

    const { accepted, rejected, balanced } = await node.settled();
    expect({ accepted, rejected, balanced }).to.deep.equal({ accepted: 8, rejected: 1, balanced: true });
    const rows = await queryNode<{ hostname: string }>(node.dir, 'SELECT hostname FROM event_audit_log');
    expect(rows.map(({ hostname }) => hostname).sort()).to.deep.equal([
      '10.0.0.7',
      'f1',
      's1',
      's2',
      'sw-7',
      'sw-7',
      'web-01.example.net',
      'web-01.example.net',
    ]);
    const parked = await queryNode<{ body: Buffer; position: number; code: string }>(
      node.dir,
      'SELECT body, position, code FROM rejects WHERE correlation_id = $1',
      ['hec-1'],
    );
    expect(parked.map((row) => ({ ...row, body: row.body.toString('utf8') }))).to.deep.equal([
      { body: '{"event":"no host"}', position: 1, code: 'E_FIELD_MISSING' },
    ]);
  });
});
