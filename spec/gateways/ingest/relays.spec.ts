/**
 * What real relays send, with their headers and bytes, and what comes of it: a reply that the relay takes for success,
 * and events with host, message, time and severity in their places.
 */
import { encode } from '@msgpack/msgpack';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { RelayBed } from './relay-bed.ts';
import { NATIVE, OTHERS, TIME_MS, event, fixture, json } from './relay-requests.ts';
import type { Sent } from './relay-requests.ts';

describe('What relays send', () => {
  let bed: RelayBed;
  beforeEach(() => {
    bed = new RelayBed();
  });
  afterEach(() => bed.close());

  async function send({ body, headers = {}, path, status = 200 }: Sent): Promise<NormalizedEvent[]> {
    const reply = await bed.ingest.post(body, headers, path);
    expect(reply.status, reply.body).to.equal(status);
    expect(bed.parked.map(({ code, message }) => `${code} ${message}`)).to.deep.equal([]);
    return bed.events();
  }

  for (const [name, sent] of Object.entries(NATIVE)) {
    it(`is understood: ${name}`, async () => {
      const events = await send(sent);
      expect(events).to.have.length.within(1, 2);
      for (const [at, { hostname, message, program, severity, eventTimeMs, fields }] of events.entries()) {
        expect({ hostname, message, program, severity, eventTimeMs, fields }).to.deep.equal({
          hostname: `r${at + 1}`,
          message: `message ${at + 1}`,
          program: 'sshd',
          severity: 4,
          eventTimeMs: TIME_MS,
          fields: {},
        });
      }
    });
  }

  for (const [name, { events: expected, ...sent }] of Object.entries(OTHERS)) {
    it(`is understood: ${name}`, async () => {
      const events = await send(sent);
      expect(events.map(({ message }) => message)).to.have.length(expected.length);
      for (const [at, want] of expected.entries()) expect(events[at]).to.deep.include(want);
    });
  }

  it('is understood: snappy of the reference implementation', async () => {
    const events = await send({ body: fixture('events.snappy'), headers: { 'Content-Encoding': 'snappy' } });
    expect(events).to.have.length(200);
  });

  it('is parked where it is bad, and the good beside it is stored, in every dialect', async () => {
    const bad: Record<string, Sent> = {
      native: { body: `${json(1)}\n{"hostname":"x"}` },
      kafka: { body: `{"records":[{"value":${json(1)}},{"value":{"hostname":"x"}}]}` },
      msgpack: { body: Buffer.concat([encode([1, event(1)]), encode([1, { a: 1 }])]) },
      'OTLP JSON': {
        body: otlpWith([{ body: 'good' }, {}]),
        path: '/v1/logs',
        headers: { 'Content-Type': 'application/json' },
      },
      HEC: { body: '{"event":"e","host":"r1"}{"host":"r1"}', path: '/services/collector/event' },
      Loki: {
        body: '{"streams":[{"stream":{"host":"r1"},"values":[["1714564800123000000","m"],["soon","m"]]}]}',
        path: '/loki/api/v1/push',
        status: 204,
      },
    };
    for (const [name, { body, headers = {}, path, status = 200 }] of Object.entries(bad)) {
      const before = (await bed.events()).length;
      bed.parked.length = 0;
      const reply = await bed.ingest.post(body, headers, path);
      expect(reply.status, `${name} ${reply.body}`).to.equal(status);
      expect(bed.parked, name).to.have.length(1);
      expect(bed.parked[0]?.body.length, name).to.be.above(0);
      expect((await bed.events()).length, name).to.equal(before + 1);
    }
  });
});

/** A request of log records of one host, given by their bodies. */
function otlpWith(records: { body?: string }[]): string {
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'host.name', value: { stringValue: 'r1' } }] },
        scopeLogs: [
          {
            logRecords: records.map(({ body }) =>
              body === undefined ? {} : { body: { stringValue: body } },
            ),
          },
        ],
      },
    ],
  });
}
