/** A flood far beyond what the decoding thread takes, and beside it a quiet source, in a real gateway. */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Flood, quantileMs, sendQuietly } from '../../gateways/ingest/flood.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { until } from '../../support/node-under-test.ts';
import { eventsRequest, startGateway } from './gateway-under-test.ts';
import type { GatewayUnderTest } from './gateway-under-test.ts';

const EVENTS = 200;
const CONNECTIONS = 1_024;
const LOUD = '127.0.0.2';
const QUIET = '127.0.0.3';
const P99_MS = 2_500;

describe('the gateway under a flood', function () {
  this.timeout(120_000);
  let database: OwnDatabase;
  let gateway: GatewayUnderTest;
  let flood: Flood;
  before(async () => {
    database = await ownDatabase();
    gateway = await startGateway(database.url, ['loud', 'quiet']);
    const request = eventsRequest(gateway.keys['loud'] ?? '', EVENTS);
    flood = new Flood({ port: gateway.port, request, connections: CONNECTIONS, localAddress: LOUD });
    // It has more under way than one source may.
    await until(
      async () => (flood.answers[503] ?? 0) > 100,
      30_000,
      () => `nothing was refused: ${JSON.stringify(flood.answers)}`,
    );
  });
  after(async () => {
    flood.stop();
    gateway.child.kill('the spec is over');
    await gateway.child.exited;
    await database.drop();
  });

  for (const [title, key, localAddress] of [
    ['another address of the same key', 'loud', QUIET],
    ['another key of the same address', 'quiet', LOUD],
  ] as const) {
    it(`answers ${title} at once, and refuses it nothing`, async () => {
      const served = flood.answers[200] ?? 0;
      const request = eventsRequest(gateway.keys[key] ?? '', 1);
      const answers = await sendQuietly({
        port: gateway.port,
        request,
        localAddress,
        everyMs: 50,
        times: 60,
      });
      expect(answers.filter(({ status }) => status !== 200)).to.deep.equal([]);
      const [p50, p99] = [0.5, 0.99].map((part) => Math.round(quantileMs(answers, part)));
      const said = `p50 ${p50} ms, p99 ${p99} ms; the flood was answered ${JSON.stringify(flood.answers)}`;
      expect(p99, said).to.be.at.most(P99_MS);
      // Delayed and not shut out: it has what the thread can take.
      expect((flood.answers[200] ?? 0) - served, said).to.be.greaterThan(60);
    });
  }

  it('delays the flood first, and refuses last', () => {
    const value = (name: string, reason?: string): number =>
      gateway.collector
        .collect()
        .find((sample) => sample.name === name)
        ?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? NaN;
    expect(value('mutt_ingest_delayed_requests_total')).to.be.greaterThan(1_000);
    expect(value('mutt_ingest_requests_total', 'share')).to.be.greaterThan(100);
    expect(value('mutt_ingest_requests_total', 'budget')).to.equal(0);
    expect(value('mutt_ingest_queued_bytes')).to.be.within(1, (64 * 1024 * 1024) / 3);
  });
});
