/** What the load generator reports is what a client sees, also while a server stands still. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { runHttpLoad } from '../../bench/support/http-load.ts';
import type { LoadReport } from '../../bench/support/load.ts';

const DURATION_MS = 1_200;
const STALL_MS = 800;
const RATE = 100;

describe('the load generator', function () {
  this.timeout(30_000);
  let server: Server;
  let port: number;
  let requests = 0;
  /** From so many requests on, nothing is answered until the time has passed. */
  let stallFrom: number;
  let stallEndsMs: number;

  before(async () => {
    server = createServer((request, response) => {
      request.resume();
      requests += 1;
      if (requests === stallFrom) stallEndsMs = performance.now() + STALL_MS;
      const waitMs = requests >= stallFrom ? stallEndsMs - performance.now() : 0;
      setTimeout(() => response.writeHead(200, { 'content-length': 2 }).end('{}'), Math.max(0, waitMs));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const load = (ratePerSecond: number, stalledFrom: number): Promise<LoadReport> => {
    requests = 0;
    stallFrom = stalledFrom;
    return runHttpLoad({
      port,
      connections: 2,
      durationMs: DURATION_MS,
      warmUpMs: 200,
      bodies: ['{}'],
      ratePerSecond,
    });
  };

  it('counts from when a request was due, and every one that was due', async () => {
    const { latencyMs, statuses, unanswered } = await load(RATE, 40);
    // Of 120 requests two were in flight when it stopped; 80 were due while it stood still.
    expect(statuses['200']).to.be.within(110, 125);
    expect(unanswered).to.equal(0);
    expect(latencyMs.p90).to.be.above(STALL_MS / 2);
  });

  it('counts what was never answered with the time that it has waited', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      const report = await runHttpLoad({
        port: (silent.address() as AddressInfo).port,
        connections: 1,
        durationMs: 300,
        warmUpMs: 0,
        bodies: ['{}'],
        ratePerSecond: 20,
        answerWaitMs: 200,
      });
      expect(report.statuses).to.deep.equal({});
      // Six are due in time; a busy machine ends a moment late, and more are due by then.
      expect(report.unanswered).to.be.within(5, 10);
      expect(report.latencyMs.max).to.be.above(400);
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });
});
