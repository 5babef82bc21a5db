import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { OWN_RULE_ID, UNMATCHED_RULE_ID } from '../../../actors/event.ts';
import { webhookPayload } from '../../../actors/forward/webhook-payload.ts';
import { moogsoftPayload } from '../../../actors/forward/moogsoft-payload.ts';
import { knownText } from '../../../supervisors/torture/known-event.ts';
import { ReceivedAlerts, readAlert } from '../../../supervisors/torture/received-alerts.ts';
import { RequestReader } from '../../../supervisors/torture/request-reader.ts';
import { alertOf } from '../../actors/forward/alerts.ts';

function read(chunks: readonly Buffer[]): string[] {
  const told: string[] = [];
  const reader = new RequestReader({
    onHead: ({ method, path }) => told.push(`head ${method} ${path}`),
    onBody: () => told.push('body begins'),
    onRequest: ({ headers }, body) => told.push(`request ${headers.get('x-n')} ${body.toString()}`),
    onFault: (fault) => told.push(`fault ${fault.slice(0, 40)}`),
  });
  for (const chunk of chunks) reader.read(chunk);
  return told;
}

function requestOf(n: number, body: string): string {
  return `POST /alerts HTTP/1.1\r\nHost: a\r\nX-N: ${n}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

describe('RequestReader', () => {
  it('finds the same requests however they are cut into pieces', () => {
    const bodies = fc.array(fc.constantFrom('', '{}', 'x'.repeat(300), '\r\n\r\n'), {
      minLength: 1,
      maxLength: 4,
    });
    const cuts = fc.array(fc.nat(2_000), { maxLength: 12 });
    fc.assert(
      fc.property(bodies, cuts, (texts, at) => {
        const bytes = Buffer.from(texts.map((text, n) => requestOf(n, text)).join(''));
        const places = [0, ...at.map((place) => place % bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        const expected = texts.flatMap((text, n) => [
          'head POST /alerts',
          ...(text === '' ? [] : ['body begins']),
          `request ${n} ${text}`,
        ]);
        expect(read(chunks)).to.deep.equal(expected);
      }),
    );
  });

  it('tells of a head and of the beginning of a body before the rest has come', () => {
    const text = requestOf(1, 'body');
    expect(read([Buffer.from(text.slice(0, -4))])).to.deep.equal(['head POST /alerts']);
    expect(read([Buffer.from(text.slice(0, -3))])).to.deep.equal(['head POST /alerts', 'body begins']);
  });

  it('stops at what it cannot read, and says so once', () => {
    for (const head of [
      'mess\r\n\r\n',
      'POST / HTTP/1.0\r\n\r\n',
      'POST / HTTP/1.1\r\nno colon\r\n\r\n',
      'POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n',
      'POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n',
      `POST / HTTP/1.1\r\nX: ${'x'.repeat(70_000)}`,
    ]) {
      const told = read([Buffer.from(head), Buffer.from(requestOf(1, ''))]);
      expect(told, head.slice(0, 60)).to.have.length(1);
      expect(told[0]).to.match(/^fault /);
    }
  });
});

describe('ReceivedAlerts', () => {
  const alert = alertOf('a1', { description: knownText({ host: 'h', sequence: 3 }, true) });

  it('reads what the product posts, of both kinds', () => {
    const expected = {
      signature: 'a1',
      ruleId: 4,
      description: alert.description,
      alertId: 'a1',
      dedupKey: 'a1',
    };
    const headers = new Map([['idempotency-key', 'a1']]);
    expect(readAlert('webhook', headers, JSON.stringify(webhookPayload(alert)))).to.deep.equal(expected);
    expect(readAlert('moogsoft', new Map(), JSON.stringify(moogsoftPayload(alert)))).to.deep.equal(expected);
  });

  it('reads nothing else', () => {
    const noKey = JSON.stringify(webhookPayload(alert));
    for (const body of ['', 'mess', 'null', '7', '[]', '{}', noKey])
      expect(readAlert('webhook', new Map(), body), body).to.equal(undefined);
  });

  it('knows when the first of an alert came, and counts what is of no event apart', () => {
    const received = new ReceivedAlerts({ collapses: false });
    const post = readAlert('moogsoft', new Map(), JSON.stringify(moogsoftPayload(alert)));
    if (post === undefined) throw new Error('it is an alert');
    received.take(post, 'body', 70);
    received.take(post, 'body', 90);
    received.take({ ...post, ruleId: OWN_RULE_ID }, 'body', 95);
    received.take({ ...post, ruleId: UNMATCHED_RULE_ID }, 'body', 95);
    expect(received.takenAtMs({ host: 'h', sequence: 3 })).to.equal(70);
    expect(received.takenAtMs({ host: 'h', sequence: 4 })).to.equal(undefined);
    const { size, repeats, own, unmatched, deliveries } = received;
    expect({ size, repeats, own, unmatched, deliveries }).to.deep.equal({
      size: 1,
      repeats: 1,
      own: 1,
      unmatched: 1,
      deliveries: 4,
    });
  });
});
