/**
 * The whole product, harmed while it works, with stores of its own: a fixed list of faults. `mutt torture` does more of it at
 * random, to two nodes (../product/torture.spec.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { until } from '../support/node-under-test.ts';
import type { FaultInjector, FaultName, FaultResult } from '../product/faults.ts';
import { killRun } from '../product/kill-run.ts';
import type { KillRunRow } from '../product/kill-run.ts';
import type { KnownTraffic } from '../product/known-traffic.ts';

const TIMEOUT_MS = 150_000;
const SEED = 20_260_101;
/** Until events are taken again, on a machine that runs the other specs beside it. */
const RECOVERY_MS = 30_000;
const QUIET_MS = 300;

/** Every actor, process and store; those of one line together, the next when events are taken again. */
const FAULTS: FaultName[][] = [
  ['kill match-0', 'kill forward-0', 'kill remediation-0'],
  ['kill gateway-0', 'sink swallow'],
  ['kill redis', 'kill admin'],
  ['kill postgres', 'sink drop'],
  // A stopped gateway cannot end by itself when its supervisor dies, and would keep the port.
  ['pause gateway-0', 'kill supervisor'],
  ['pause postgres', 'kill match-0'],
  ['pause redis'],
  ['kill node'],
];

async function inTurn(injector: FaultInjector, traffic: KnownTraffic): Promise<FaultResult[]> {
  const results: FaultResult[] = [];
  await sleep(QUIET_MS);
  for (const together of FAULTS) {
    results.push(...(await Promise.all(together.map((name) => injector.inject(name)))));
    const overMs = performance.now();
    await until(
      async () => traffic.recoveryMs(overMs) !== undefined,
      RECOVERY_MS,
      () => `no event is taken after ${together.join(', ')}`,
    );
    await sleep(QUIET_MS);
  }
  return results;
}

describe('A node harmed under traffic', function () {
  this.timeout(TIMEOUT_MS);
  let row: KillRunRow;

  before(async () => {
    row = await killRun({ seed: SEED, harm: inTurn, eventsPerSecond: 1_000 });
    const { faults: _, wrong: __, ...figures } = row;
    console.log(`      ${JSON.stringify(figures)}`);
  });

  it('is harmed by every fault of the list', () => {
    const missed = row.faults.filter((fault) => fault.missed !== undefined);
    expect(missed.map(({ name, missed: why }) => `${name}: ${why}`)).to.deep.equal([]);
    expect(row.failedStarts, 'starts after the death of the supervisor').to.deep.equal([]);
  });

  it('answers enough of the traffic for the books to mean something', () => {
    expect(row.answered).to.be.above(1_000);
    expect(row.alerts).to.be.above(100);
    expect(row.unanswered).to.be.above(0);
    expect(row.resent.unanswered).to.be.above(0);
    expect(row.resent.answered).to.be.above(0);
    expect(row.socketAnswered).to.be.above(500);
    expect(row.socketBreaks, 'connections of WebSockets that broke').to.be.above(4);
  });

  it('has stored every answered event exactly once and no other more than once, resends or not', () => {
    expect({ lost: row.lost, doubled: row.doubled }).to.deep.equal({ lost: 0, doubled: 0 });
  });

  it('has brought every alert to its destination, and the ledger, the audit rows and the destination agree', () => {
    expect(row.wrong).to.deep.equal([]);
    expect(row.balanced).to.equal(true);
  });
});
