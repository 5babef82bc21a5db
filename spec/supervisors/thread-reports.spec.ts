import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { LaneReports } from '../../supervisors/thread-reports.ts';

const report = (name: string, since: string): LaneReport => ({
  name,
  state: 'down',
  reason: 'network',
  last_error: 'ECONNREFUSED: refused',
  since,
});

describe('LaneReports', () => {
  const reports = new LaneReports();

  it('gives each destination once, as the thread says that has seen its trouble longest, and the latest of a thread', () => {
    reports.put('forward-0', [
      report('b', '2026-01-01T00:00:02.000Z'),
      report('a', '2026-01-01T00:00:03.000Z'),
    ]);
    reports.put('forward-1', [report('b', '2026-01-01T00:00:01.000Z')]);
    expect(reports.destinations.map(({ name, since }) => `${name} ${since}`)).to.deep.equal([
      'a 2026-01-01T00:00:03.000Z',
      'b 2026-01-01T00:00:01.000Z',
    ]);
    reports.put('forward-0', []);
    expect(reports.destinations.map(({ name }) => name)).to.deep.equal(['b']);
    reports.delete('forward-1');
    expect(reports.destinations).to.deep.equal([]);
  });
});
