import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { effectiveSettings } from '../../actors/settings.ts';
import type { CounterSample } from '../../runtime/shared/counters.ts';
import { LatencyHistory } from '../../supervisors/latency-history.ts';
import { SloHistory } from '../../supervisors/slo-history.ts';
import { LATENCY_BOUNDS_S, Histogram, histogramLayout } from '../../runtime/shared/histogram.ts';
import { CounterBlock, CounterCollector } from '../../runtime/shared/counters.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('The history of objectives', () => {
  let clock: FakeClock;
  let history: SloHistory;
  const counted = new Map<string, number>();

  const sample = (name: string, values: [labels: Record<string, string>, key: string][]): CounterSample => ({
    name,
    kind: 'counter',
    help: '',
    values: values.map(([labels, key]) => ({ labels, value: counted.get(key) ?? 0 })),
  });
  const samples = (): CounterSample[] => [
    sample('mutt_ingest_requests_total', [
      [{ status: 'success', reason: 'stored' }, 'stored'],
      [{ status: 'fail', reason: 'away' }, 'away'],
      [{ status: 'fail', reason: 'auth' }, 'wrong key'],
    ]),
    sample('mutt_alerter_events_processed_total', [
      [{ status: 'unmatched' }, 'unmatched'],
      [{ status: 'quarantined' }, 'quarantined'],
    ]),
    sample('mutt_moog_requests_total', [
      [{ status: 'success', reason: '' }, 'delivered'],
      [{ status: 'fail', reason: 'server' }, 'server'],
      [{ status: 'fail', reason: 'rejected' }, 'rejected'],
    ]),
  ];
  const count = (key: string, n: number): void => void counted.set(key, (counted.get(key) ?? 0) + n);

  beforeEach(() => {
    counted.clear();
    clock = new FakeClock();
    history = new SloHistory({
      clock,
      samples,
      settings: () => effectiveSettings({ 'slo.forwarder.targetRatio': 0.9 }),
    });
  });

  it('has nothing to say of what nobody did, and never a number that is none', () => {
    count('stored', 19);
    const { components, window_hours } = history.document();
    expect(window_hours).to.equal(24);
    for (const component of Object.values(components)) {
      expect(component).to.include({ state: 'no_data', availability: null, burn_rate: null });
    }
  });

  it('counts faults of ours and of destinations, and not those of senders and alerts', () => {
    count('stored', 999);
    count('away', 1);
    count('wrong key', 5_000);
    count('unmatched', 9_990);
    count('quarantined', 10);
    count('delivered', 70);
    count('server', 30);
    count('rejected', 400);
    const { components } = history.document();
    expect(components.ingestor).to.include({ availability: 0.999, burn_rate: 1, state: 'ok', target: 0.999 });
    expect(components.alerter).to.include({ availability: 0.999, error_budget_remaining: 0 });
    expect(components.forwarder).to.include({
      target: 0.9,
      availability: 0.7,
      burn_rate: 3,
      error_budget_remaining: -2,
      state: 'critical',
    });
  });

  it('warns above a burn rate of 1, and is critical above 2', () => {
    count('delivered', 85);
    count('server', 15);
    expect(history.document().components.forwarder.state).to.equal('warn');
    count('server', 20);
    expect(history.document().components.forwarder.state).to.equal('critical');
  });

  it('forgets after a day, says how much it knows, and leaves no timer behind', () => {
    history.start();
    count('delivered', 50);
    count('server', 50);
    clock.advance(12 * HOUR_MS);
    expect(history.document().components.forwarder).to.include({ state: 'critical', window_hours: 12 });
    clock.advance(12 * HOUR_MS + 2 * MINUTE_MS);
    count('delivered', 50);
    expect(history.document().components.forwarder).to.include({
      state: 'ok',
      window_hours: 24,
      availability: 1,
    });
    history.stop();
    expect(clock.pending).to.equal(0);
  });
});

describe('The history of latency', () => {
  it('says p50 and p99 of the last five minutes for each stage, and nothing of what nobody passed', () => {
    const clock = new FakeClock();
    const block = new CounterBlock(histogramLayout('mutt_sent_to_accepted_seconds', '', LATENCY_BOUNDS_S));
    const collector = new CounterCollector();
    collector.attachBlock('forward-0', block);
    const histogram = new Histogram(block, 0, LATENCY_BOUNDS_S);
    const history = new LatencyHistory({ clock, samples: () => collector.collect() });
    history.start();
    histogram.observe(30, 1_000);
    clock.advance(6 * MINUTE_MS);
    histogram.observe(0.0075, 98);
    histogram.observe(0.2, 2);
    clock.advance(MINUTE_MS);
    const { stages, window_seconds } = history.document();
    expect(window_seconds).to.be.within(290, 300);
    expect(stages.sent_to_accepted).to.deep.include({ count: 100 });
    expect(stages.sent_to_accepted.p50_ms).to.be.within(5, 10);
    expect(stages.sent_to_accepted.p99_ms).to.be.within(100, 250);
    expect(stages.stored_to_matched).to.deep.equal({ count: 0, p50_ms: null, p99_ms: null });
    histogram.observe(100_000, 1_000);
    expect(history.document().stages.sent_to_accepted.p99_ms).to.equal(3_600_000);
    history.stop();
    expect(clock.pending).to.equal(0);
  });
});
