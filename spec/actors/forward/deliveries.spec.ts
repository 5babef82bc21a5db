/** What is sent to destinations, what their answers mean, and how long to wait: as tables. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import {
  RETRY_AFTER_MS_MAX,
  classifyFailure,
  classifyResponse,
  readRetryAfter,
} from '../../../actors/forward/classify-response.ts';
import { moogsoftPayload, moogsoftSeverity } from '../../../actors/forward/moogsoft-payload.ts';
import { retryDelayMs } from '../../../actors/forward/retry-policy.ts';
import { webhookPayload } from '../../../actors/forward/webhook-payload.ts';
import { CodedError } from '../../../runtime/errors.ts';

const alert: Alert = {
  id: '0123456789abcdef0123456789abcdef',
  destination: 'noc',
  event_ids: ['f-0'],
  rule_id: 4,
  rule_version: 2,
  decision: 'Page_only',
  environment: 'prod',
  team: 'NETO',
  severity: 3,
  signature: 'r1::4::Gi0/1',
  hostname: 'r1',
  event_time: '2024-05-01T12:00:00.999Z',
  received_at: '2024-05-01T12:00:01.000Z',
  description: 'link down',
  correlation_id: 'c-1',
  count: 1,
  status: 'firing',
};

describe('moogsoftPayload', () => {
  it('has the fields that a LAM maps', () => {
    expect(moogsoftPayload(alert)).to.deep.equal({
      signature: 'r1::4::Gi0/1',
      source_id: 'r1',
      external_id: '0123456789abcdef0123456789abcdef',
      manager: 'MUTT',
      source: 'r1',
      class: 'NETO',
      agent: 'MUTT',
      agent_location: 'prod',
      type: 'rule 4',
      severity: 4,
      description: 'link down',
      agent_time: 1714564800,
      custom_info: {
        alert_id: '0123456789abcdef0123456789abcdef',
        event_ids: ['f-0'],
        decision: 'Page_only',
        rule_id: 4,
        rule_version: 2,
        environment: 'prod',
        team: 'NETO',
        syslog_severity: 3,
        correlation_id: 'c-1',
        received_at: '2024-05-01T12:00:01.000Z',
        count: 1,
        status: 'firing',
      },
    });
  });

  it('maps severities as the wire formats say, and clears what is resolved', () => {
    const mapped = [0, 1, 2, 3, 4, 5, 6, 7, null].map((severity) =>
      moogsoftSeverity({ severity, status: 'firing' }),
    );
    expect(mapped).to.deep.equal([5, 5, 5, 4, 2, 1, 1, 1, 1]);
    expect(moogsoftSeverity({ severity: 0, status: 'resolved' })).to.equal(0);
  });
});

describe('webhookPayload', () => {
  it('is the alert without our name of the receiver', () => {
    const { destination: _, ...rest } = alert;
    expect(webhookPayload(alert)).to.deep.equal(rest);
  });
});

describe('classifyResponse', () => {
  const table: [number, string, string | undefined][] = [
    [200, 'delivered', undefined],
    [201, 'delivered', undefined],
    [202, 'delivered', undefined],
    [204, 'delivered', undefined],
    [299, 'delivered', undefined],
    [301, 'retry', 'server'],
    [304, 'retry', 'server'],
    [400, 'refused', 'rejected'],
    [401, 'unauthorized', 'auth'],
    [403, 'unauthorized', 'auth'],
    [404, 'retry', 'server'],
    [408, 'retry', 'timeout'],
    [405, 'retry', 'server'],
    [409, 'refused', 'rejected'],
    [410, 'retry', 'server'],
    [413, 'refused', 'rejected'],
    [422, 'refused', 'rejected'],
    [425, 'retry', 'throttled'],
    [429, 'retry', 'throttled'],
    [500, 'retry', 'server'],
    [502, 'retry', 'server'],
    [503, 'retry', 'server'],
    [504, 'retry', 'server'],
    [599, 'retry', 'server'],
  ];
  for (const [status, kind, reason] of table) {
    it(`takes ${status} for ${kind}${reason === undefined ? '' : ` (${reason})`}`, () => {
      const outcome = classifyResponse({ status, headers: {} }, 0);
      expect(outcome).to.include({ kind, status });
      expect('reason' in outcome ? outcome.reason : undefined).to.equal(reason);
    });
  }

  it('keeps what the destination said, short and without credentials', () => {
    const excerpt = `bad field; Authorization: Bearer abc.def ; see https://user:pw@host/x?api_key=k123 ${'x'.repeat(2000)}`;
    const outcome = classifyResponse({ status: 400, headers: {}, excerpt }, 0) as { error: string };
    expect(outcome.error).to.match(/^HTTP 400: bad field/);
    expect(outcome.error).to.have.length.at.most(300);
    for (const secret of ['abc.def', 'user:pw', 'k123']) expect(outcome.error).to.not.include(secret);
  });

  it('says where a redirect leads, without its query, and that an address is the wrong one', () => {
    const errorAt = (status: number, location?: string): unknown => {
      const headers = location === undefined ? {} : { location };
      const outcome = classifyResponse({ status, headers }, 0);
      return 'error' in outcome ? outcome.error : undefined;
    };
    expect(errorAt(302, 'https://login.example/sso?token=k123')).to.equal(
      'HTTP 302, a redirect to https://login.example/sso that is not followed',
    );
    expect(errorAt(302, '/login')).to.equal('HTTP 302, a redirect that is not followed');
    expect(errorAt(404)).to.equal('HTTP 404, nothing takes alerts at this address');
  });

  it('keeps nothing of an answer that no text can hold', () => {
    const excerpt = Buffer.from([0, 1, 0xff, 0xfe, 0x41, 0x1b, 0x5b]).toString('utf8');
    const outcome = classifyResponse({ status: 400, headers: {}, excerpt }, 0);
    expect(outcome).to.include({ error: 'HTTP 400: A [' });
  });

  it('honours Retry-After where it tries again, and only there', () => {
    const headers = { 'retry-after': '7' };
    expect(classifyResponse({ status: 503, headers }, 0)).to.include({ retryAfterMs: 7000 });
    expect(classifyResponse({ status: 400, headers }, 0)).to.not.have.property('retryAfterMs');
    expect(classifyResponse({ status: 503, headers: {} }, 0)).to.not.have.property('retryAfterMs');
  });

  it('takes a date in Retry-After by the clock of who answers, whatever the clock here says', () => {
    const headers = {
      date: 'Wed, 21 Oct 2026 07:28:00 GMT',
      'retry-after': 'Wed, 21 Oct 2026 07:28:30 GMT',
    };
    const nowMs = Date.parse('2026-10-21T06:00:00Z');
    expect(classifyResponse({ status: 503, headers }, nowMs)).to.include({ retryAfterMs: 30_000 });
    const withoutDate = { ...headers, date: 'now' };
    const soon = Date.parse('2026-10-21T07:28:20Z');
    expect(classifyResponse({ status: 503, headers: withoutDate }, soon)).to.include({
      retryAfterMs: 10_000,
    });
  });
});

describe('readRetryAfter', () => {
  const nowMs = Date.parse('2024-05-01T12:00:00Z');
  const table: [string | string[] | undefined, number | undefined][] = [
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5000],
    [['3', '9'], 3000],
    ['Wed, 01 May 2024 12:00:30 GMT', 30_000],
    ['Wed, 01 May 2024 11:00:00 GMT', 0],
    ['99999999', RETRY_AFTER_MS_MAX],
    ['soon', undefined],
    ['', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    [undefined, undefined],
    [[], undefined],
  ];
  for (const [header, waitMs] of table) {
    it(`reads ${JSON.stringify(header)} as ${waitMs}`, () => {
      expect(readRetryAfter(header, nowMs)).to.equal(waitMs);
    });
  }
});

describe('classifyFailure', () => {
  const coded = (code: string): Error => Object.assign(new Error('x'), { code });
  const table: [string, unknown, string][] = [
    ['a refused connection', coded('ECONNREFUSED'), 'network'],
    ['a name that does not resolve', coded('ENOTFOUND'), 'network'],
    ['a connection that times out', coded('ETIMEDOUT'), 'timeout'],
    [
      'headers that never come',
      new TypeError('fetch failed', { cause: coded('UND_ERR_HEADERS_TIMEOUT') }),
      'timeout',
    ],
    ['our own deadline', new DOMException('late', 'TimeoutError'), 'timeout'],
    ['an expired certificate', new TypeError('fetch failed', { cause: coded('CERT_HAS_EXPIRED') }), 'tls'],
    ['a self-signed certificate', coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls'],
    ['an unknown issuer', coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'tls'],
    ['an error of ours', new CodedError('E_ANY', 'x'), 'network'],
    ['a credential that is not there', new CodedError('E_SECRET_UNAVAILABLE', 'x'), 'auth'],
    ['nothing that is an error', 'x', 'network'],
  ];
  for (const [name, thrown, reason] of table) {
    it(`tries again after ${name} (${reason})`, () => {
      expect(classifyFailure(thrown)).to.include({ kind: 'retry', reason });
    });
  }

  it('names the code, and no credential of the address', () => {
    const thrown = new TypeError('fetch failed for https://u:p@h/', { cause: coded('ECONNRESET') });
    expect(classifyFailure(thrown)).to.have.property('error', 'ECONNRESET: fetch failed for https://***@h/');
  });
});

describe('retryDelayMs', () => {
  const limits = { baseMs: 1_000, delayMsMax: 60_000 };

  it('doubles up to the limit, between half and the whole of it', () => {
    expect([1, 2, 3, 4].map((attempts) => retryDelayMs(attempts, () => 0, limits))).to.deep.equal([
      1000, 2000, 4000, 8000,
    ]);
    expect(retryDelayMs(1, () => 0.999999, limits)).to.equal(500);
    fc.assert(
      fc.property(fc.nat(5000), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempts, chance) => {
        const delayMs = retryDelayMs(attempts, () => chance, limits);
        expect(delayMs).to.be.within(limits.baseMs / 2, limits.delayMsMax);
      }),
    );
  });
});
