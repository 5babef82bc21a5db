import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CounterBlock, CounterCollector } from '../../../runtime/shared/counters.ts';
import type { CounterLayout } from '../../../runtime/shared/counters.ts';
import { SilenceJudge, Vitals } from '../../../runtime/shared/vitals.ts';
import { expose } from '../../../runtime/telemetry/exposition.ts';

const layout: CounterLayout = [
  { name: 'x_total', labels: { status: 'success' }, kind: 'counter', help: 'X.' },
  { name: 'x_total', labels: { status: 'fail' }, kind: 'counter', help: 'X.' },
  { name: 'depth', kind: 'gauge', help: 'Depth.' },
];

describe('CounterBlock', () => {
  it('is seen by every reader of the same memory', () => {
    const writer = new CounterBlock(layout);
    const reader = new CounterBlock(layout, writer.buffer);
    writer.add(0);
    writer.add(0, 4);
    writer.set(2, 7);
    expect(reader.values()).to.deep.equal([5, 0, 7]);
  });
});

describe('CounterCollector', () => {
  it('sums sources by name and labels', () => {
    const collector = new CounterCollector();
    const [a, b] = [new CounterBlock(layout), new CounterBlock(layout)];
    a.add(0, 2);
    b.add(0, 3);
    b.add(1, 1);
    collector.attachBlock('a', a);
    collector.attachBlock('b', b);
    expect(collector.collect()[0]?.values).to.deep.equal([
      { labels: { status: 'success' }, value: 5 },
      { labels: { status: 'fail' }, value: 1 },
    ]);
  });

  it('keeps the counters of a retired source and forgets its gauges', () => {
    const collector = new CounterCollector();
    const block = new CounterBlock(layout);
    block.add(0, 2);
    block.set(2, 9);
    collector.attachBlock('a', block);
    collector.retire('a');
    collector.retire('a');
    expect(collector.collect().map(({ name, values }) => [name, values[0]?.value])).to.deep.equal([
      ['x_total', 2],
    ]);
  });

  it('does not count a replaced source twice', () => {
    const collector = new CounterCollector();
    collector.attach('a', layout, () => [5, 0, 0]);
    collector.attach('a', layout, () => [1, 0, 0]);
    expect(collector.collect()[0]?.values[0]?.value).to.equal(6);
  });
});

describe('expose', () => {
  it('writes the text format, histograms as one family', async () => {
    const text = await expose([
      { name: 'x_total', kind: 'counter', help: 'X.', values: [{ labels: { status: 'fail' }, value: 3 }] },
      {
        name: 't_seconds_bucket',
        kind: 'counter',
        help: 'T.',
        values: [
          { labels: { le: '0.1' }, value: 2 },
          { labels: { le: '+Inf' }, value: 2 },
        ],
      },
      { name: 't_seconds_sum', kind: 'counter', help: 'T.', values: [{ labels: {}, value: 0.1 }] },
      { name: 't_seconds_count', kind: 'counter', help: 'T.', values: [{ labels: {}, value: 2 }] },
    ]);
    expect(text).to.contain('# TYPE x_total counter\nx_total{status="fail"} 3');
    expect(text.match(/# TYPE t_seconds histogram/g)).to.have.length(1);
    expect(text).to.contain('t_seconds_bucket{le="+Inf"} 2').and.to.contain('t_seconds_count 2');
  });
});

describe('Vitals', () => {
  it('shows another thread what this one is doing, cut to its room', () => {
    const writer = new Vitals();
    const reader = new Vitals(writer.buffer);
    writer.doing = 'entry 17-3';
    expect(reader.doing).to.equal('entry 17-3');
    writer.doing = 'ä'.repeat(500);
    expect(Buffer.byteLength(reader.doing)).to.equal(248);
    writer.begin(3);
    expect(reader.doing).to.equal('');
    expect(reader.get('epoch')).to.equal(3);
  });
});

describe('SilenceJudge', () => {
  const limits = { hangAfterMs: 1_000, tickMs: 100 };

  it('finds silence beyond the limit, and no sooner', () => {
    const judge = new SilenceJudge(limits, 0);
    expect(judge.silentMs(500, 0, 1_500)).to.equal(undefined);
    expect(judge.silentMs(500, 0, 1_501)).to.equal(1_001);
  });

  it('finds a handler past its own deadline', () => {
    const judge = new SilenceJudge(limits, 0);
    expect(judge.silentMs(900, 950, 1_000)).to.equal(50);
  });

  it('judges nobody after its own tick came late, and counts silence from then [S-45]', () => {
    const judge = new SilenceJudge(limits, 0);
    expect(judge.tick(100)).to.equal(true);
    // This process was stopped for an hour; so were the threads it watches.
    expect(judge.tick(3_600_000)).to.equal(false);
    expect(judge.silentMs(100, 200, 3_600_000)).to.equal(undefined);
    expect(judge.tick(3_600_100)).to.equal(true);
    expect(judge.silentMs(100, 0, 3_600_100)).to.equal(undefined);
    expect(judge.silentMs(100, 0, 3_601_001)).to.equal(1_001);
  });
});
