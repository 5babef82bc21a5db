import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import type { Log } from '../../runtime/telemetry/log.ts';
import { ThreadReports } from '../../supervisors/thread-reports.ts';

const report = (name: string, since: string): LaneReport => ({
  name,
  state: 'down',
  reason: 'network',
  last_error: 'ECONNREFUSED: refused',
  since,
});

describe('ThreadReports', () => {
  const reports = new ThreadReports({ error: () => undefined } as unknown as Log);

  it('gives each destination once, as the thread says that has seen its trouble longest, and the latest of a thread', () => {
    reports.receive('forward-0', {
      type: 'lanes',
      lanes: [report('b', '2026-01-01T00:00:02.000Z'), report('a', '2026-01-01T00:00:03.000Z')],
    });
    reports.receive('forward-1', { type: 'lanes', lanes: [report('b', '2026-01-01T00:00:01.000Z')] });
    expect(reports.destinations.map(({ name, since }) => `${name} ${since}`)).to.deep.equal([
      'a 2026-01-01T00:00:03.000Z',
      'b 2026-01-01T00:00:01.000Z',
    ]);
    reports.receive('forward-0', { type: 'lanes', lanes: [] });
    expect(reports.destinations.map(({ name }) => name)).to.deep.equal(['b']);
  });

  it('keeps the rule set each worker uses', () => {
    reports.receive('match-0', { type: 'applied', applied: { version: 4, refused: [] } });
    reports.receive('match-0', { type: 'applied', applied: { version: 5, refused: [] } });
    expect(reports.applied).to.deep.equal([{ worker: 'match-0', version: 5 }]);
  });
});
