import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { AUTH_FAILURES, INGEST_LAYOUT, REQUEST_OUTCOMES } from '../../../gateways/ingest/metrics.ts';
import { REFUSAL } from '../../../gateways/ingest/replies.ts';
import { senderCodeOf, SENDERS } from '../../../gateways/ingest/sender.ts';
import { rawExchange } from '../http/raw-http.ts';
import type { RawReply } from '../http/raw-http.ts';
import { ManualClock } from '../http/manual-clock.ts';
import { KEY, keyRecord, postHead, postOf, startIngest } from './ingest-under-test.ts';
import type { IngestUnderTest } from './ingest-under-test.ts';

const EVENT = '{"hostname":"r1","timestamp":"2026-01-01T00:00:00Z","message":"m"}';
const RELAYS: Record<string, string> = {
  omhttp: '',
  'omhttp HEC': 'Rsyslog-omhttp',
  rsyslog: 'rsyslog/8.2302',
  'syslog-ng': 'syslog-ng 4.8/libcurl 7.88',
  'fluent-bit': 'Fluent-Bit',
  vector: 'Vector/0.40.0 (x86_64)',
  opentelemetry: 'OpenTelemetry Collector Contrib/0.100',
  logstash: 'Logstash/8.15',
  promtail: 'promtail/2.9.4',
  alloy: 'Alloy/v1.2.0 (linux; binary)',
  alertmanager: 'Alertmanager/0.27.0',
  splunk: 'Splunk/9.2',
};
/** Statuses that make some relay drop data or stop (wire formats, section 6.7, and the contract). */
const NEVER_SENT = [408, 410, 415, 416, 422, 424, 425, 428, 429, 451, 501, 504, 508];

function json(reply: RawReply | undefined): Record<string, unknown> {
  return JSON.parse(reply?.body ?? '') as Record<string, unknown>;
}

describe('IngestServer', () => {
  let ingest: IngestUnderTest;
  beforeEach(() => {
    ingest = startIngest();
  });
  afterEach(() => ingest.server.close());

  describe('stored', () => {
    it('answers 200 with the counts, and hands the bytes over as they came', async () => {
      const reply = await ingest.post(EVENT, { 'X-Correlation-ID': 'abc-1' });
      expect(reply.status).to.equal(200);
      expect(reply.headers['content-type']).to.equal('application/json');
      expect(reply.headers['x-content-type-options']).to.equal('nosniff');
      expect(reply.headers['x-correlation-id']).to.equal('abc-1');
      expect(json(reply)).to.deep.equal({
        status: 'queued',
        accepted: 1,
        rejected: 0,
        correlation_id: 'abc-1',
        errors: [],
      });
      const [row] = ingest.store.stored;
      expect(row?.body.toString()).to.equal(EVENT);
      expect(row).to.include({
        encoding: 'identity',
        isStrict: false,
        keyName: 'spec',
        correlationId: 'abc-1',
      });
      expect(row?.idempotencyKey).to.equal(undefined);
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'stored' })).to.equal(1);
      expect(ingest.count('mutt_ingest_accepted_events_total')).to.equal(1);
      expect(ingest.count('mutt_ingest_body_bytes_total')).to.equal(EVENT.length);
      expect(ingest.count('mutt_ingest_request_duration_seconds_bucket', { le: '+Inf' })).to.equal(1);
    });

    it('says when the Idempotency-Key came before with another body', async () => {
      ingest.store.judge = () => ({
        status: 'stored',
        accepted: 1,
        rejected: 0,
        errors: [],
        isKeyReused: true,
      });
      const reply = await ingest.post(EVENT, { 'Idempotency-Key': 'k-1' });
      expect(reply.status).to.equal(200);
      expect(json(reply)).to.include({ status: 'queued', accepted: 1, idempotency_key_reused: true });
    });

    it('counts what was stored, and not what is answered once more', async () => {
      ingest.store.judge = () => ({ status: 'stored', accepted: 5, rejected: 0, errors: [], stored: 2 });
      expect(json(await ingest.post(EVENT, { 'Idempotency-Key': 'k-1' }))).to.include({ accepted: 5 });
      expect(ingest.count('mutt_ingest_accepted_events_total')).to.equal(2);
      expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(0);
    });

    it('counts what was stored of a request that is answered 503, as unclaimed too', async () => {
      ingest.store.judge = () => ({ status: 'away', accepted: 0, rejected: 0, errors: [], stored: 2 });
      expect((await ingest.post(EVENT)).status).to.equal(503);
      expect(ingest.count('mutt_ingest_accepted_events_total')).to.equal(2);
      expect(ingest.count('mutt_ingest_unclaimed_events_total')).to.equal(2);
    });

    it('tells the threads of the API keys whose events have ids', async () => {
      ingest.keys.replace([
        keyRecord('plain', KEY),
        { ...keyRecord('opted', 'another-key'), eventIds: true },
      ]);
      await ingest.post(EVENT);
      await ingest.post(EVENT, { 'X-API-KEY': 'another-key', Prefer: 'handling=strict' });
      const flags = ingest.store.stored.map(({ hasEventIds, isStrict }) => [hasEventIds, isStrict]);
      expect(flags).to.deep.equal([
        [false, false],
        [true, true],
      ]);
    });

    it('takes all three routes, and marks the old one as deprecated', async () => {
      for (const path of ['/api/v2/ingest', '/ingest', '/api/v1/ingest', '/ingest?source=x']) {
        const reply = await ingest.post(EVENT, {}, path);
        expect(reply.status, path).to.equal(200);
        const isOld = path === '/api/v1/ingest';
        expect(reply.headers.deprecation !== undefined, path).to.equal(isOld);
        expect(reply.headers.sunset !== undefined, path).to.equal(isOld);
      }
      const refused = await ingest.post(EVENT, { 'X-API-KEY': 'no' }, '/api/v1/ingest');
      expect(refused.headers.deprecation).to.match(/^@\d+$/);
    });

    it('takes a bearer token for a key', async () => {
      expect((await ingest.post(EVENT, { 'X-API-KEY': '', Authorization: `Bearer ${KEY}` })).status).to.equal(
        200,
      );
    });

    it('gives a request without a usable correlation id one of its own, in header and body', async () => {
      for (const id of ['', 'a b', 'x'.repeat(129), '"}', 'é']) {
        const reply = await ingest.post(EVENT, { 'X-Correlation-ID': id });
        const own = reply.headers['x-correlation-id'];
        expect(own).to.match(/^[0-9a-f-]{36}$/);
        expect(json(reply).correlation_id).to.equal(own);
        expect(ingest.store.stored.at(-1)?.correlationId).to.equal(own);
      }
    });

    it('passes on encoding, idempotency key, sender and strictness', async () => {
      const encodings: Record<string, string> = {
        gzip: 'gzip',
        'X-GZIP': 'gzip',
        Deflate: 'deflate',
        zlib: 'deflate',
        zstd: 'zstd',
        snappy: 'snappy',
        br: 'unknown',
        'gzip, gzip': 'unknown',
        identity: 'identity',
      };
      for (const [sent, seen] of Object.entries(encodings)) {
        await ingest.post(EVENT, { 'Content-Encoding': sent });
        expect(ingest.store.stored.at(-1)?.encoding, sent).to.equal(seen);
      }
      await ingest.post(EVENT, { 'Idempotency-Key': 'batch:17', Prefer: 'respond-async, handling=strict' });
      expect(ingest.store.stored.at(-1)).to.include({ idempotencyKey: 'batch:17', isStrict: true });
      for (const prefer of ['handling=lenient', 'handling=stricter', 'xhandling=strict']) {
        await ingest.post(EVENT, { Prefer: prefer });
        expect(ingest.store.stored.at(-1)?.isStrict, prefer).to.equal(false);
      }
      await ingest.post(EVENT, { 'User-Agent': '' });
      expect(ingest.store.stored.at(-1)).to.include({ sender: 'omhttp', dialect: 'native', hint: '' });
      const beside = { 'X-Syslog-Host': 'r1', 'X-Syslog-Facility': 'auth', 'X-Syslog-Level': 'err' };
      await ingest.post(EVENT, beside);
      expect(ingest.store.stored.at(-1)?.hint).to.equal('r1\n\nauth\nerr');
      await ingest.post(EVENT, { ...beside, 'X-Syslog-Program': 'x'.repeat(600) });
      expect(ingest.store.stored.at(-1)?.hint).to.equal('');
    });

    it('takes a body of any size up to the limit, whole', async () => {
      for (const size of [0, 1, 262_144, 262_145, 600_000, 3_000_000, 16 * 1024 * 1024]) {
        const body = Buffer.alloc(size, 'abcdefghijklmnopqrstuvw');
        const { replies } = await rawExchange(ingest.port, [postHead(size), body], { waitMs: 5_000 });
        expect(replies[0]?.status, String(size)).to.equal(200);
        expect(ingest.store.stored.at(-1)?.body.equals(body), String(size)).to.equal(true);
      }
      expect(ingest.server.inFlight).to.deep.equal({ requests: 0, bytes: 0 });
    });
  });

  describe('records that are bad', () => {
    const errors = Array.from({ length: 30 }, (_, index) => ({
      index,
      code: 'E_FIELD',
      message: 'm'.repeat(500),
    }));

    it('are 200 for everybody, with the first ten errors, shortened', async () => {
      ingest.store.judge = () => ({ status: 'stored', accepted: 70, rejected: 30, errors });
      const reply = await ingest.post(EVENT);
      expect(reply.status).to.equal(200);
      expect(json(reply)).to.include({ accepted: 70, rejected: 30 });
      expect(json(reply).errors).to.have.length(10);
      expect(reply.body.length).to.be.below(3_000);
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'partial' })).to.equal(1);
      expect(ingest.count('mutt_ingest_rejected_events_total')).to.equal(30);
    });

    it('are 400 for a client that asked for all or nothing', async () => {
      ingest.store.judge = () => ({
        status: 'refused',
        accepted: 0,
        rejected: 1,
        errors: errors.slice(0, 1),
      });
      const reply = await ingest.post(EVENT, { Prefer: 'handling=strict' });
      expect(reply.status).to.equal(400);
      expect(json(reply)).to.include({ code: 'E_RECORDS_INVALID', accepted: 0, rejected: 1 });
      expect(json(reply).errors).to.have.length(1);
    });
  });

  describe('an unreadable body', () => {
    beforeEach(() => {
      const errors = [{ index: 0, code: 'E_JSON', message: 'no "JSON" <b>' }];
      ingest.store.judge = () => ({ status: 'unreadable', accepted: 0, rejected: 1, errors });
    });

    it('is 400 for a person, who must see it', async () => {
      for (const agent of ['curl/8.1', 'python-requests/2', 'Mozilla/5.0']) {
        const reply = await ingest.post('}', { 'User-Agent': agent });
        expect(reply.status, agent).to.equal(400);
        expect(json(reply)).to.include({ code: 'E_BODY_UNREADABLE', rejected: 1 });
      }
    });

    it('is 200 for every relay, which would drop or repeat it for ever', async () => {
      for (const [name, agent] of Object.entries(RELAYS)) {
        const reply = await ingest.post('}', { 'User-Agent': agent });
        expect(reply.status, name).to.equal(200);
        expect(json(reply)).to.include({ accepted: 0, rejected: 1 });
      }
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'parked' })).to.equal(
        Object.keys(RELAYS).length,
      );
    });

    it('is 400 for a relay that asked to be told', async () => {
      expect((await ingest.post('}', { 'User-Agent': '', Prefer: 'handling=strict' })).status).to.equal(400);
    });
  });

  it('answers 503 with Retry-After when the mailbox is full or the store is away, and 413 when decoded too large', async () => {
    for (const [status, code, statusCode] of [
      ['full', 'E_MAILBOX_FULL', 503],
      ['away', 'E_STORE_AWAY', 503],
      ['too_large', 'E_DECODED_TOO_LARGE', 413],
    ] as const) {
      ingest.store.judge = () => ({ status, accepted: 0, rejected: 0, errors: [] });
      const reply = await ingest.post(EVENT, { 'User-Agent': '' });
      expect(reply.status).to.equal(statusCode);
      expect(json(reply).code).to.equal(code);
      expect(reply.headers['retry-after'] !== undefined).to.equal(statusCode === 503);
    }
  });

  describe('without a valid key', () => {
    it('answers 401 and hands nothing over', async () => {
      const attempts: Record<string, string>[] = [
        { 'X-API-KEY': '' },
        { 'X-API-KEY': 'wrong' },
        { 'X-API-KEY': `${KEY}x` },
        { 'X-API-KEY': KEY.slice(0, -1) },
        { 'X-API-KEY': KEY.toUpperCase() },
        { 'X-API-KEY': 'schl\u00fcssel\u00ff' },
        { 'X-API-KEY': 'k'.repeat(3_000) },
        { 'X-API-KEY': '', Authorization: 'Basic dTpw' },
        { 'X-API-KEY': '', Authorization: 'Bearer' },
        { 'X-API-KEY': '', Authorization: KEY },
        { 'x-api-key': 'other', 'X-API-KEY': KEY },
        { 'X-API-KEY': KEY, Authorization: 'Bearer other' },
        { 'X-API-KEY': '', Authorization: 'Bearer other', authorization: `Bearer ${KEY}` },
      ];
      for (const headers of attempts) {
        const reply = await ingest.post(EVENT, headers);
        expect(reply.status, JSON.stringify(headers)).to.equal(401);
        expect(reply.headers['www-authenticate']).to.match(/^Bearer/);
        expect(reply.headers['content-type']).to.equal('application/problem+json');
        expect(reply.body).not.to.include(KEY.slice(0, 8));
      }
      expect(ingest.store.stored).to.have.length(0);
      expect(ingest.count('mutt_ingest_auth_failures_total')).to.equal(attempts.length);
      expect(ingest.count('mutt_ingest_auth_failures_total', { reason: 'missing' })).to.equal(4);
    });

    it('takes the same key twice, and a key beside what a proxy adds of another scheme', async () => {
      for (const Authorization of [`Bearer ${KEY}`, 'Basic dTpw']) {
        expect((await ingest.post(EVENT, { Authorization })).status, Authorization).to.equal(200);
      }
    });

    it('never takes a key from the URL', async () => {
      expect((await ingest.post(EVENT, { 'X-API-KEY': '' }, `/ingest?api_key=${KEY}`)).status).to.equal(401);
    });

    it('answers 403 to a key of another scope', async () => {
      ingest.keys.replace([keyRecord('reader', 'reader', ['read'])]);
      const reply = await ingest.post(EVENT, { 'X-API-KEY': 'reader' });
      expect(reply.status).to.equal(403);
      expect(json(reply).code).to.equal('E_SCOPE_MISSING');
    });

    it('answers 503 to a key that expired a moment ago, so that relays keep their data, later 401', async () => {
      ingest.server.close();
      const clock = new ManualClock();
      ingest = startIngest({ clock });
      ingest.keys.replace([keyRecord('old', 'old', ['ingest'], clock.wallMs() + 1_000)]);
      expect((await ingest.post(EVENT, { 'X-API-KEY': 'old' })).status).to.equal(200);
      clock.advance(1_000);
      const reply = await ingest.post(EVENT, { 'X-API-KEY': 'old' });
      expect(reply.status).to.equal(503);
      expect(reply.headers['retry-after']).to.equal('60');
      clock.advance(3_600_000);
      expect(json(await ingest.post(EVENT, { 'X-API-KEY': 'old' })).code).to.equal('E_KEY_EXPIRED');
    });

    it('slows a guesser down after 20 failures, and nobody who has a key', async () => {
      const guess = postOf(EVENT, { 'X-API-KEY': 'guess' });
      for (let at = 0; at < 20; at++)
        expect((await rawExchange(ingest.port, [guess])).replies[0]?.status).to.equal(401);
      const startedMs = performance.now();
      const slowed = rawExchange(ingest.port, [guess]);
      expect((await ingest.post(EVENT)).status).to.equal(200);
      expect(performance.now() - startedMs).to.be.below(150);
      expect((await slowed).replies[0]?.status).to.equal(401);
      expect(performance.now() - startedMs).to.be.at.least(240);
      expect(ingest.count('mutt_ingest_slowed_auth_failures_total')).to.equal(1);
      // One that gives up meanwhile is forgotten without harm.
      await rawExchange(ingest.port, [guess], { waitMs: 20 });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await ingest.post(EVENT)).status).to.equal(200);
    });
  });

  describe('other routes and methods', () => {
    it('are 404 and 405 problems', async () => {
      for (const path of [
        '/',
        '/x',
        '/ingest/',
        '/api/v2',
        '/api/v2/ingest/x',
        '/%69ngest',
        '//ingest',
        '/health',
      ]) {
        const reply = await ingest.post(EVENT, {}, path);
        expect(reply.status, path).to.equal(404);
        expect(json(reply)).to.include({ status: 404, code: 'E_ROUTE_UNKNOWN', title: 'Not Found' });
      }
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'FOO', 'post']) {
        const { replies } = await rawExchange(ingest.port, [`${method} /ingest HTTP/1.1\r\nHost: a\r\n\r\n`]);
        expect(replies[0]?.status, method).to.equal(405);
        expect(replies[0]?.headers.allow).to.equal('POST');
        expect(json(replies[0]).code).to.equal('E_METHOD');
      }
      expect(ingest.store.stored).to.have.length(0);
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'route' })).to.equal(8);
      expect(ingest.count('mutt_ingest_requests_total', { reason: 'method' })).to.equal(9);
    });

    it('answers HEAD without a body', async () => {
      const { replies, text } = await rawExchange(ingest.port, ['HEAD /ingest HTTP/1.1\r\nHost: a\r\n\r\n'], {
        untilClosed: true,
      });
      expect(replies.map(({ status }) => status)).to.deep.equal([405]);
      expect(text).not.to.include('E_METHOD');
    });

    it('ends the connection, so that nobody can ask on and on without reading the answers', async () => {
      for (const line of ['GET /nothing', 'GET /ingest', 'GET /services/collector/health']) {
        const asked = `${line} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(1_000);
        const { replies, isClosed } = await rawExchange(ingest.port, [asked], { untilClosed: true });
        // What was answered before the first write stays.
        expect(replies.length, line).to.be.within(1, 100);
        expect(isClosed, line).to.equal(true);
      }
    });
  });

  it('never sends a status that makes a relay drop data', () => {
    for (const [name, { status, ...refusal }] of Object.entries(REFUSAL)) {
      const code = Number(status.slice(0, 3));
      expect(code >= 400 && !NEVER_SENT.includes(code), name).to.equal(true);
      expect(code === 503, name).to.equal('retryAfterS' in refusal);
    }
  });
});

describe('senderCodeOf', () => {
  it('knows the relays by the User-Agent they send', () => {
    for (const [name, agent] of Object.entries(RELAYS)) {
      expect(SENDERS[senderCodeOf(agent)], agent).to.equal(name === 'omhttp HEC' ? 'omhttp' : name);
    }
    for (const agent of ['curl/8', 'Mozilla rsyslog', ' '])
      expect(SENDERS[senderCodeOf(agent)]).to.equal('unknown');
  });
});

describe('INGEST_LAYOUT', () => {
  it('has every pair of labels once, and names with their units', () => {
    const keys = INGEST_LAYOUT.map(({ name, labels }) => `${name}${JSON.stringify(labels ?? {})}`);
    expect(new Set(keys).size).to.equal(keys.length);
    const requests = INGEST_LAYOUT.filter(({ name }) => name === 'mutt_ingest_requests_total');
    expect(requests.map(({ labels }) => [labels?.status, labels?.reason])).to.deep.equal(
      REQUEST_OUTCOMES.map((pair) => [...pair]),
    );
    const failures = INGEST_LAYOUT.filter(({ name }) => name === 'mutt_ingest_auth_failures_total');
    expect(failures.map(({ labels }) => labels?.reason)).to.deep.equal([...AUTH_FAILURES]);
    for (const { name, kind } of INGEST_LAYOUT) {
      expect(name).to.match(
        kind === 'gauge'
          ? /^mutt_ingest_[a-z_]+$/
          : /^mutt_(ingest|received)_[a-z_]+_(total|bucket|sum|count)$/,
      );
    }
  });
});
