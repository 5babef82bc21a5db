import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { StoredAlert } from '../../../actors/forward/messages.ts';
import type { DeliveryOutcome, Destination } from '../../../actors/ports.ts';
import { CounterBlock, CounterCollector } from '../../../runtime/shared/counters.ts';
import { Histogram, LATENCY_BOUNDS_S, histogramLayout } from '../../../runtime/shared/histogram.ts';
import { expose } from '../../../runtime/telemetry/exposition.ts';
import { FORWARD_COUNTERS, MATCH_COUNTERS } from '../../../supervisors/threads/counters.ts';
import { MatchLatency, StageLatency, timedDelivery } from '../../../supervisors/threads/stage-latency.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const DESTINATION = {} as Destination;
const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const AGAIN: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 500' };

let clock: FakeClock;
let block: CounterBlock;
beforeEach(() => {
  clock = new FakeClock();
});

/** What a stage has observed so far: how often, and seconds in all. */
function seen(stage: string): { count: number; seconds: number; clamped: number } {
  const at = (name: string, labels?: object): number =>
    block.layout.findIndex(
      (cell) =>
        cell.name === name &&
        (labels === undefined || JSON.stringify(cell.labels) === JSON.stringify(labels)),
    );
  return {
    count: block.get(at(`mutt_${stage}_seconds_count`)),
    seconds: block.get(at(`mutt_${stage}_seconds_sum`)),
    clamped: block.get(at('mutt_clamped_durations_total', { stage })),
  };
}

describe('A histogram in counters', () => {
  it('is what Prometheus takes: cumulative buckets, sum and count, a weight at once', async () => {
    block = new CounterBlock(histogramLayout('t_seconds', 'Help.', [0.1, 1]));
    const histogram = new Histogram(block, 0, [0.1, 1]);
    histogram.observe(0.1, 3);
    histogram.observe(0.5);
    histogram.observe(7, 2);
    const collector = new CounterCollector();
    collector.attachBlock('dead', block);
    collector.retire('dead');
    const text = await expose(collector.collect());
    expect(text.split('\n').filter((line) => !line.startsWith('#') && line !== '')).to.deep.equal([
      't_seconds_bucket{le="0.1"} 3',
      't_seconds_bucket{le="1"} 4',
      't_seconds_bucket{le="+Inf"} 6',
      't_seconds_sum 14.8',
      't_seconds_count 6',
    ]);
    expect(text).to.include('# TYPE t_seconds histogram');
  });
});

describe('The latency of a match thread', () => {
  let match: MatchLatency;
  beforeEach(() => {
    const { layout, stages, stagesAt } = MATCH_COUNTERS;
    block = new CounterBlock(layout);
    match = new MatchLatency(new StageLatency(block, stagesAt, stages), clock);
  });

  it('counts each event once, however often its batch was decided, from the last decision on', () => {
    const frames = [
      { storedAtMs: clock.wallMs() - 100, count: 10 },
      { storedAtMs: clock.wallMs() - 50, count: 5 },
    ];
    match.decided(3);
    clock.advance(1_000);
    match.decided(3);
    clock.advance(20);
    match.committed(3, frames);
    expect(seen('stored_to_matched').count).to.equal(15);
    expect(seen('stored_to_matched').seconds).to.be.closeTo(10 * 1.1 + 5 * 1.05, 1e-9);
    expect(seen('matched_to_committed')).to.deep.include({ count: 15 });
    expect(seen('matched_to_committed').seconds).to.be.closeTo(15 * 0.02, 1e-9);
  });

  it('says nothing of a commit without a decision, nor of another partition', () => {
    match.decided(1);
    match.committed(2, [{ storedAtMs: 0, count: 1 }]);
    match.committed(1, [{ storedAtMs: clock.wallMs(), count: 1 }]);
    match.committed(1, [{ storedAtMs: clock.wallMs(), count: 1 }]);
    expect(seen('matched_to_committed').count).to.equal(1);
  });

  it('takes a negative duration for none, and counts it', () => {
    match.decided(0);
    match.committed(0, [{ storedAtMs: clock.wallMs() + 5_000, count: 4 }]);
    expect(seen('stored_to_matched')).to.deep.equal({ count: 4, seconds: 0, clamped: 4 });
  });

  it('goes on in the same cells when its thread has died', () => {
    match.decided(0);
    match.committed(0, [{ storedAtMs: clock.wallMs(), count: 1 }]);
    const { layout, stages, stagesAt } = MATCH_COUNTERS;
    const next = new CounterBlock(layout, block.buffer);
    const successor = new MatchLatency(new StageLatency(next, stagesAt, stages), clock);
    successor.decided(0);
    successor.committed(0, [{ storedAtMs: clock.wallMs(), count: 1 }]);
    expect(seen('matched_to_committed').count).to.equal(2);
  });
});

describe('The latency of a forward thread', () => {
  let outcomes: DeliveryOutcome[];
  let deliver: ReturnType<typeof timedDelivery>;
  const alert = (more: Partial<StoredAlert> = {}): StoredAlert =>
    ({
      alert: { received_at: new Date(clock.wallMs() - 400).toISOString() },
      attempts: 0,
      ...more,
    }) as StoredAlert;

  beforeEach(() => {
    const { layout, stages, stagesAt } = FORWARD_COUNTERS;
    block = new CounterBlock(layout);
    outcomes = [];
    deliver = timedDelivery(new StageLatency(block, stagesAt, stages), clock, async () => {
      clock.advance(30);
      return outcomes.shift() ?? DELIVERED;
    });
  });

  it('measures to the first POST, from it to the answer that took it, and from end to end', async () => {
    outcomes = [AGAIN];
    const stored = alert();
    const storedAtMs = clock.wallMs() - 70;
    await deliver(stored, DESTINATION, storedAtMs);
    expect(seen('sent_to_accepted').count).to.equal(0);
    clock.advance(1_000);
    stored.firstFailedAtMs = clock.wallMs();
    await deliver(stored, DESTINATION, storedAtMs);
    expect(seen('committed_to_sent').count).to.equal(1);
    expect(seen('committed_to_sent').seconds).to.be.closeTo(0.07, 1e-9);
    expect(seen('sent_to_accepted').seconds).to.be.closeTo(1.06, 1e-9);
    expect(seen('received_to_accepted').seconds).to.be.closeTo(1.46, 1e-9);
  });

  it('of one that was set aside knows when it failed first', async () => {
    await deliver(alert({ attempts: 3, firstFailedAtMs: clock.wallMs() - 60_000 }), DESTINATION);
    expect(seen('committed_to_sent').count).to.equal(0);
    expect(seen('sent_to_accepted').seconds).to.be.closeTo(60.03, 1e-9);
  });

  it('leaves out what has no time of receipt', async () => {
    await deliver(alert({ alert: { received_at: 'then' } as never }), DESTINATION, clock.wallMs());
    expect(seen('received_to_accepted').count).to.equal(0);
    expect(seen('sent_to_accepted').count).to.equal(1);
  });

  it('has buckets from a millisecond to an hour', () => {
    expect([LATENCY_BOUNDS_S[0], LATENCY_BOUNDS_S.at(-1)]).to.deep.equal([0.001, 3_600]);
  });
});
