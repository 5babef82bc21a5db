/** The benchmarks that are done in a minute; those that load a node of their own are among the long specs. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeBenches, runBench } from './bench-runs.ts';

describeBenches(['runtime', 'durable', 'pipeline', 'audit', 'rules', 'latency']);

describe('npm run bench with another name', function () {
  this.timeout(20_000);

  it('names the benchmarks there are', async () => {
    const { code, output } = await runBench('speed');
    expect(code).to.equal(2);
    expect(output).to.contain(
      'runtime, durable, pipeline, ingest, soak, control, audit, rules, whole-way, deliver, latency, remediation',
    );
  });
});
