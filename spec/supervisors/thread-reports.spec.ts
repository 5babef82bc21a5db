import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LaneReport } from '../../actors/forward/lane-watch.ts';
import { ThreadReports } from '../../supervisors/thread-reports.ts';

const report = (name: string, since: string): LaneReport => ({
  name,
  state: 'down',
  reason: 'network',
  last_error: 'ECONNREFUSED: refused',
  since,
});

describe('ThreadReports', () => {
  const reports = new ThreadReports();

  it('gives each destination once, as the thread says that has seen its trouble longest, and the latest of a thread', () => {
    reports.putLanes('forward-0', [
      report('b', '2026-01-01T00:00:02.000Z'),
      report('a', '2026-01-01T00:00:03.000Z'),
    ]);
    reports.putLanes('forward-1', [report('b', '2026-01-01T00:00:01.000Z')]);
    expect(reports.destinations.map(({ name, since }) => `${name} ${since}`)).to.deep.equal([
      'a 2026-01-01T00:00:03.000Z',
      'b 2026-01-01T00:00:01.000Z',
    ]);
    reports.putLanes('forward-0', []);
    expect(reports.destinations.map(({ name }) => name)).to.deep.equal(['b']);
    reports.delete('forward-1');
    expect(reports.destinations).to.deep.equal([]);
  });

  it('keeps what each thread says apart, until the thread is no more', () => {
    const wait = {
      partition: 1,
      mailbox: 'ingest',
      code: 'E_DATABASE_AWAY',
      message: 'PostgreSQL is away',
      since: '2026-01-01T00:00:00.000Z',
    };
    reports.putWaits('match-0', [wait]);
    reports.putLanes('forward-0', [report('a', '2026-01-01T00:00:03.000Z')]);
    expect(reports.waitsOf('match-0')).to.deep.equal([wait]);
    expect(reports.waitsOf('match-1')).to.deep.equal([]);
    expect(reports.lanesOf('forward-0').map(({ name }) => name)).to.deep.equal(['a']);
    expect(reports.lanesOf('forward-1')).to.deep.equal([]);
    for (const worker of ['match-0', 'forward-0']) reports.delete(worker);
    expect([...reports.waitsOf('match-0'), ...reports.lanesOf('forward-0')]).to.deep.equal([]);
  });
});
