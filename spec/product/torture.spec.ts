/** The short form of the torture: a fixed seed, kinds of every sort, and the verdict. */
import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { FAULT_KINDS } from '../../supervisors/torture/faults/kinds.ts';
import { torture } from '../../supervisors/torture/torture.ts';
import type { TortureReport } from '../../supervisors/torture/torture.ts';

const TIMEOUT_MS = 420_000;
const SEED = 20_260_101;
const EVENTS_PER_SECOND = 200;
/** Of every sort, those that are soon over. */
const KINDS = [
  'gateway-kill',
  'supervisor-kill',
  'match-kill',
  'forward-kill',
  'redis-kill',
  'redis-scripts-flushed',
  'redis-memory-full',
  'postgres-kill',
  'postgres-lock',
  'setting-changed',
  'clock-back',
  'destination-muted',
  'destination-status-503-date',
  'destination-reset-in-body',
  'destination-take-and-stall',
  'destination-status-400',
];

describe('A torture in its short form', function () {
  this.timeout(TIMEOUT_MS);
  let report: TortureReport;

  before(async () => {
    const done = await torture({
      seed: SEED,
      faultsMax: KINDS.length,
      durationMs: TIMEOUT_MS,
      kinds: FAULT_KINDS.filter(({ name }) => KINDS.includes(name)),
      eventsPerSecond: EVENTS_PER_SECOND,
      isKept: false,
      signal: new AbortController().signal,
      say: () => undefined,
      onFault: () => undefined,
    });
    if (done === undefined) throw new Error('it was interrupted');
    report = done;
    const { kinds: _, wrong: __, ...figures } = report;
    console.log(`      ${JSON.stringify(figures)}`);
  });

  after(() => {
    if (report.keptIn !== null) rmSync(report.keptIn, { recursive: true, force: true });
  });

  it('does every kind of fault', () => {
    const missed = report.kinds.flatMap(({ kind, injected, missed: why }) =>
      injected === 1 ? [] : [`${kind}: ${why.join('; ')}`],
    );
    expect(missed).to.deep.equal([]);
    expect(report.injected).to.equal(KINDS.length);
  });

  it('sees how long each recovery takes', () => {
    const unseen = report.kinds.filter(({ takenMs, arrivedMs }) => takenMs === null || arrivedMs === null);
    expect(unseen).to.deep.equal([]);
  });

  it('has traffic for the verdict to mean something', () => {
    expect(report.answered).to.be.above(1_000);
    expect(report.sent).to.be.above(report.answered);
    expect(Object.values(report.alerts).every((count) => count > 100)).to.equal(true);
    expect(report.repeats).to.be.above(0);
  });

  it('finds nothing wrong', () => {
    expect(report.wrong).to.deep.equal([]);
    expect(report.keptIn).to.equal(null);
  });
});
