/**
 * What senders of other dialects are told: the shapes of their own protocols, under the statuses of our one policy.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { IngestVerdict } from '../../../gateways/ingest/ingest-port.ts';
import { HEC_HEALTH_ROUTES, INGEST_ROUTES } from '../../../gateways/ingest/routes.ts';
import { ManualClock } from '../http/manual-clock.ts';
import { rawExchange } from '../http/raw-http.ts';
import type { RawReply } from '../http/raw-http.ts';
import { KEY, keyRecord, startIngest } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';

const OTLP = '/v1/logs';
const HEC = '/services/collector/event';
const LOKI = '/loki/api/v1/push';
const PROTOBUF = { 'Content-Type': 'application/x-protobuf' };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const NO_KEY = { 'X-API-KEY': '' };
const FLUENT = { 'User-Agent': 'Fluent-Bit' };

type Verdict = Omit<IngestVerdict, 'request'>;
const ERRORS = [{ index: 3, code: 'E_FIELD_MISSING', message: 'hostname is missing.' }];
const STORED: Verdict = { status: 'stored', accepted: 7, rejected: 0, errors: [] };
const PARTIAL: Verdict = { status: 'stored', accepted: 6, rejected: 1, errors: ERRORS };
const UNREADABLE: Verdict = {
  status: 'unreadable',
  accepted: 0,
  rejected: 1,
  errors: [{ index: 0, code: 'E_BODY_UNREADABLE', message: 'No.' }],
};
const AWAY: Verdict = { status: 'away', accepted: 0, rejected: 0, errors: [] };
const TOO_LARGE: Verdict = { status: 'too_large', accepted: 0, rejected: 0, errors: [] };

/** Fields of a protobuf message by number: numbers and texts. */
function fieldsOf(bytes: Uint8Array): Record<number, number | string | Uint8Array> {
  const reader = new BinaryReader(bytes);
  const fields: Record<number, number | string | Uint8Array> = {};
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === WireType.Varint) fields[field] = Number(reader.int64());
    else fields[field] = reader.bytes();
  }
  return fields;
}
const bytesOf = (reply: RawReply): Buffer => Buffer.from(reply.body, 'latin1');
const textOf = (value: unknown): string => Buffer.from(value as Uint8Array).toString('utf8');
const jsonOf = (reply: RawReply): unknown => JSON.parse(reply.body);

describe('The replies of the dialects', () => {
  let ingest: IngestUnderTest;
  beforeEach(() => {
    ingest = startIngest();
  });
  afterEach(() => ingest.server.close());

  const told = async (
    verdict: Verdict,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<RawReply> => {
    ingest.store.judge = () => verdict;
    return ingest.post('{}', headers, path);
  };

  describe('of OTLP', () => {
    it('are an ExportLogsServiceResponse in the encoding of the request', async () => {
      const json = await told(STORED, OTLP, JSON_TYPE);
      expect([json.status, json.headers['content-type'], jsonOf(json)]).to.deep.equal([
        200,
        'application/json',
        { partialSuccess: {} },
      ]);
      for (const type of [PROTOBUF, {}, { 'Content-Type': 'text/plain' }] as Record<string, string>[]) {
        const protobuf = await told(STORED, OTLP, type);
        expect([protobuf.status, protobuf.headers['content-type'], protobuf.body]).to.deep.equal([
          200,
          'application/x-protobuf',
          '',
        ]);
      }
      expect(ingest.store.stored.map(({ dialect }) => dialect)).to.deep.equal([
        'otlp_json',
        'otlp_protobuf',
        'otlp_protobuf',
        'otlp_protobuf',
      ]);
    });

    it('say how many records were rejected, and why', async () => {
      expect(jsonOf(await told(PARTIAL, OTLP, JSON_TYPE))).to.deep.equal({
        partialSuccess: {
          rejectedLogRecords: '1',
          errorMessage: 'Record 3: E_FIELD_MISSING: hostname is missing.',
        },
      });
      const partial = fieldsOf(fieldsOf(bytesOf(await told(PARTIAL, OTLP, PROTOBUF)))[1] as Uint8Array);
      expect(partial[1]).to.equal(1);
      expect(textOf(partial[2])).to.equal('Record 3: E_FIELD_MISSING: hostname is missing.');
    });

    it('are a google.rpc.Status for what was refused, and 400 for what nobody can read, relay or not', async () => {
      for (const headers of [FLUENT, { 'User-Agent': '' }, { 'User-Agent': 'OTel-OTLP-Exporter-Python/1' }]) {
        const unreadable = await told(UNREADABLE, OTLP, { ...headers, ...JSON_TYPE });
        expect(unreadable.status).to.equal(400);
        expect(jsonOf(unreadable)).to.deep.include({ code: 3 });
        expect(unreadable.body).to.include('E_BODY_UNREADABLE');
      }
      const away = await told(AWAY, OTLP, PROTOBUF);
      expect([away.status, away.headers['retry-after'], away.headers['content-type']]).to.deep.equal([
        503,
        '2',
        'application/x-protobuf',
      ]);
      expect(fieldsOf(bytesOf(away))[1]).to.equal(14);
      expect(textOf(fieldsOf(bytesOf(away))[2])).to.match(/^E_STORE_AWAY: /);
      expect((await told(TOO_LARGE, OTLP, PROTOBUF)).status).to.equal(413);
      const stranger = await told(STORED, OTLP, { ...PROTOBUF, ...NO_KEY });
      expect([stranger.status, fieldsOf(bytesOf(stranger))[1]]).to.deep.equal([401, 16]);
      expect(stranger.headers['www-authenticate']).to.match(/^Bearer/);
    });
  });

  describe("of Splunk's event collector", () => {
    const token = { ...NO_KEY, Authorization: `Splunk ${KEY}` };

    it('are its own, with its own numbers', async () => {
      const cases: [Verdict, Record<string, string>, number, number][] = [
        [STORED, token, 200, 0],
        [PARTIAL, token, 200, 0],
        [UNREADABLE, { ...token, ...FLUENT }, 200, 0],
        [UNREADABLE, token, 400, 6],
        [{ ...UNREADABLE, errors: [{ index: 0, code: 'E_BODY_EMPTY', message: 'm' }] }, token, 400, 5],
        [AWAY, token, 503, 9],
        [TOO_LARGE, token, 413, 27],
        [STORED, NO_KEY, 401, 2],
        [STORED, { ...NO_KEY, Authorization: 'Splunk wrong' }, 401, 4],
      ];
      for (const [verdict, headers, status, code] of cases) {
        const reply = await told(verdict, HEC, headers);
        expect([reply.status, (jsonOf(reply) as { code: number }).code], reply.body).to.deep.equal([
          status,
          code,
        ]);
        expect(reply.headers['content-type']).to.equal('application/json');
        expect(reply.headers['retry-after'] !== undefined).to.equal(status === 503);
      }
      expect((await told(STORED, HEC, token)).body).to.equal('{"text":"Success","code":0}');
    });

    it('say the number of the event that is bad', async () => {
      const refused = { ...PARTIAL, status: 'refused' } as const;
      const reply = await told(refused, HEC, { ...token, Prefer: 'handling=strict' });
      expect(reply.status).to.equal(400);
      expect(jsonOf(reply)).to.include({
        code: 6,
        'invalid-event-number': 3,
        mutt_code: 'E_RECORDS_INVALID',
      });
    });

    it('take the token of every scheme that its senders use, and none from the address', async () => {
      const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
      for (const Authorization of [
        `Splunk ${KEY}`,
        `splunk  ${KEY}`,
        `Bearer ${KEY}`,
        basic(`x:${KEY}`),
        basic(`:${KEY}`),
      ])
        expect((await told(STORED, HEC, { ...NO_KEY, Authorization })).status, Authorization).to.equal(200);
      for (const Authorization of ['Splunk', 'Splunk wrong', basic(KEY), basic('x:wrong'), 'Basic ='])
        expect((await told(STORED, HEC, { ...NO_KEY, Authorization })).status, Authorization).to.equal(401);
      expect((await told(STORED, `${HEC}?token=${KEY}`, NO_KEY)).status).to.equal(401);
      expect((await told(STORED, HEC, { Authorization: 'Splunk other' })).status).to.equal(401);
      expect((await told(STORED, HEC, { Authorization: `Splunk ${KEY}` })).status).to.equal(200);
      // Elsewhere these schemes are nothing.
      expect((await told(STORED, '/api/v2/ingest', token)).status).to.equal(401);
      expect((await told(STORED, OTLP, token)).status).to.equal(401);
      expect((await told(STORED, LOKI, token)).status).to.equal(401);
    });

    it('hands on what the query of the raw route says, if it can be a host', async () => {
      const hints: Record<string, string> = {
        '?host=r1': 'r1',
        '?channel=a&host=r%C3%A9seau': 'réseau',
        '': '',
        '?host=': '',
        '?host=a%0Ab': '',
        '?host=%E2%82%AC': '',
        [`?host=${'x'.repeat(256)}`]: '',
      };
      for (const [query, hint] of Object.entries(hints)) {
        await told(STORED, `/services/collector/raw${query}`, token);
        expect(ingest.store.stored.at(-1), query).to.include({ hint, dialect: 'hec_raw' });
      }
      await told(STORED, `${HEC}?host=r1`, token);
      expect(ingest.store.stored.at(-1)).to.include({ hint: '', dialect: 'hec_event' });
    });

    it('say on the health route whether to send, without a key', async () => {
      const ask = async (path: string): Promise<RawReply | undefined> => {
        const { replies } = await rawExchange(ingest.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`]);
        return replies[0];
      };
      for (const path of HEC_HEALTH_ROUTES) {
        const reply = await ask(path);
        expect([reply?.status, reply?.body]).to.deep.equal([200, '{"text":"HEC is healthy","code":17}']);
      }
      ingest.server.close();
      ingest = startIngest({ limits: { requestsMax: 1 } });
      ingest.store.isHolding = true;
      const held = ingest.post('{}');
      await new Promise((resolve) => setTimeout(resolve, 50));
      const full = await ask(HEC_HEALTH_ROUTES[0]);
      expect([full?.status, full?.body]).to.deep.equal([
        503,
        '{"text":"HEC is unhealthy, queues are full","code":18}',
      ]);
      ingest.store.answerHeld();
      await held;
    });
  });

  describe('of Loki', () => {
    it('are 204 without a body, also for what was parked', async () => {
      for (const [verdict, headers] of [
        [STORED, JSON_TYPE],
        [PARTIAL, PROTOBUF],
        [UNREADABLE, { 'User-Agent': 'promtail/2.9.4', ...PROTOBUF }],
        [UNREADABLE, { 'User-Agent': 'Alloy/1.2', ...PROTOBUF }],
      ] as [Verdict, Record<string, string>][]) {
        const reply = await told(verdict, LOKI, headers);
        expect([reply.status, reply.body, reply.headers['content-length']]).to.deep.equal([
          204,
          '',
          undefined,
        ]);
      }
      expect(ingest.store.stored.map(({ dialect }) => dialect)).to.deep.equal([
        'loki_json',
        'loki_protobuf',
        'loki_protobuf',
        'loki_protobuf',
      ]);
      // The connection goes on behind a reply without a length.
      ingest.store.judge = () => STORED;
      const { replies } = await rawExchange(ingest.port, [headOf(LOKI), 100, headOf('/api/v2/ingest'), 100], {
        replies: 2,
      });
      expect(replies.map(({ status }) => status)).to.deep.equal([204, 200]);
    });

    it('are a line of text for what was refused', async () => {
      const reply = await told(UNREADABLE, LOKI, JSON_TYPE);
      expect(reply.status).to.equal(400);
      expect(reply.headers['content-type']).to.match(/^text\/plain/);
      expect(reply.body).to.match(/^E_BODY_UNREADABLE: .+\nrecord 0: E_BODY_UNREADABLE: No\.\n$/);
      expect((await told(AWAY, LOKI)).headers['retry-after']).to.equal('2');
    });

    it('take the password of Basic for the key', async () => {
      const Authorization = `Basic ${Buffer.from(`tenant:${KEY}`).toString('base64')}`;
      expect((await told(STORED, LOKI, { ...NO_KEY, Authorization })).status).to.equal(204);
      // A proxy's own Basic is nothing beside a key.
      expect((await told(STORED, LOKI, { Authorization: 'Basic dTpw' })).status).to.equal(204);
    });
  });

  it('take other methods, missing scopes and rotated keys as the native route does', async () => {
    const clock = new ManualClock();
    ingest.server.close();
    ingest = startIngest({ clock });
    ingest.keys.replace([
      keyRecord('reader', 'reader', ['read']),
      keyRecord('old', 'old', ['ingest'], clock.wallMs() - 1_000),
    ]);
    for (const { path, family } of INGEST_ROUTES) {
      const { replies } = await rawExchange(ingest.port, [`PUT ${path} HTTP/1.1\r\nHost: a\r\n\r\n`]);
      expect([replies[0]?.status, replies[0]?.headers.allow], path).to.deep.equal([405, 'POST']);
      expect((await ingest.post('{}', { 'X-API-KEY': 'reader' }, path)).status, path).to.equal(403);
      const rotated = await ingest.post('{}', { 'X-API-KEY': 'old' }, path);
      expect([rotated.status, rotated.headers['retry-after']], path).to.deep.equal([503, '60']);
      expect(rotated.headers['content-type']?.includes('problem'), path).to.equal(family === 'native');
    }
    expect(ingest.store.stored).to.deep.equal([]);
    expect(ingest.count('mutt_ingest_requests_total', { reason: 'method' })).to.equal(INGEST_ROUTES.length);
    expect(ingest.count('mutt_ingest_requests_total', { reason: 'key_grace' })).to.equal(
      INGEST_ROUTES.length,
    );
  });

  it('end the connection behind a last answer while the server drains', async () => {
    ingest.store.isHolding = true;
    for (const [path, status] of [
      [LOKI, 204],
      [HEC, 200],
      [OTLP, 200],
    ] as const) {
      ingest.server.close();
      ingest = startIngest();
      ingest.store.isHolding = true;
      const exchange = rawExchange(ingest.port, [headOf(path)], { untilClosed: true });
      await new Promise((resolve) => setTimeout(resolve, 50));
      const drained = ingest.server.drain(2_000);
      ingest.store.answerHeld();
      const { replies, isClosed } = await exchange;
      expect([replies[0]?.status, isClosed], path).to.deep.equal([status, true]);
      expect(await drained).to.deep.equal({ abandoned: 0 });
    }
  });
});

function headOf(path: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\nX-API-KEY: ${KEY}\r\nContent-Length: 2\r\n\r\n{}`;
}
