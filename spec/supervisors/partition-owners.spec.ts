import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { LaneTrouble } from '../../actors/forward/lane-trouble.ts';
import type { PauseReason } from '../../gateways/admin/documents.ts';
import { partitionOwners } from '../../supervisors/partition-owners.ts';
import type { PartitionOwner } from '../../supervisors/partition-owners.ts';
import type { Custody } from '../../supervisors/partition-leases.ts';
import { ThreadReports } from '../../supervisors/thread-reports.ts';
import type { TreeDocument } from '../../supervisors/tree-document.ts';

const SINCE = '2026-01-01T00:00:00.000Z';
const part = (id: string, status: string, children: TreeDocument[] = []): TreeDocument => ({
  id,
  status,
  epoch: 1,
  restarts: 0,
  since: SINCE,
  children,
});

describe('partitionOwners', () => {
  let reports: ThreadReports;
  let match: TreeDocument | undefined;
  let custody: Custody;
  beforeEach(() => {
    reports = new ThreadReports();
    match = part('match-0', 'running', [part('match', 'running')]);
    custody = { slot: 'match-0', leaseLeftMs: 1 };
  });

  function owners(): PartitionOwner[] {
    const pool = (worker: string, of: () => Custody) => ({
      shares: [{ worker, partitions: [0, 1] }],
      custodyOf: of,
    });
    const always = (slot: string) => pool(slot, () => ({ slot, leaseLeftMs: 1 }));
    const threads = [part('forward-0', 'running'), part('remediation-0', 'running')];
    const tree = part('node', 'running', [
      part('threads', 'running', [...(match ? [match] : []), ...threads]),
    ]);
    return partitionOwners(
      tree,
      {
        match: pool('match-0', () => custody),
        forward: always('forward-0'),
        remediation: always('remediation-0'),
      },
      reports,
    );
  }
  const ofMatch = (): PartitionOwner =>
    owners().find(({ role, partition }) => role === 'match' && partition === 0) as PartitionOwner;
  const only = (): PartitionOwner['pauses'][number] => {
    const { pauses } = ofMatch();
    expect(pauses).to.have.length(1);
    return pauses[0] as PartitionOwner['pauses'][number];
  };

  it('names every owner, and no pause while all is well', () => {
    expect(owners().map(({ role, partition, worker }) => `${role} ${partition} ${worker}`)).to.deep.equal([
      'match 0 match-0',
      'match 1 match-0',
      'forward 0 forward-0',
      'forward 1 forward-0',
      'remediation 0 remediation-0',
      'remediation 1 remediation-0',
    ]);
    expect(owners().flatMap(({ pauses }) => pauses)).to.deep.equal([]);
  });

  it('knows a thread that is not there, or does not run, with why it ended, and an actor in it that does not', () => {
    match = undefined;
    expect(only()).to.include({ mailbox: null, reason: 'worker_down', since: null });
    const exits = [{ at: SINCE, reason: 'out of memory' }];
    match = { ...part('match-0', 'waiting'), exits };
    expect(only()).to.include({ reason: 'worker_down', since: SINCE });
    expect(only().detail).to.equal('match-0 does not run now (waiting); it ended last with: out of memory.');
    match = part('match-0', 'running', [part('match', 'starting')]);
    expect(only().reason).to.equal('worker_down');
  });

  it('knows a lost lease, and a partition that its last owner has not given up yet', () => {
    custody = { slot: 'match-0', leaseLeftMs: 0 };
    expect(only()).to.include({ mailbox: null, reason: 'lease_lost' });
    custody = { slot: 'match-1', leaseLeftMs: 1 };
    expect(only()).to.include({ mailbox: null, reason: 'handing_over' });
    expect(only().detail).to.include('match-1');
  });

  for (const [code, reason, detail] of [
    ['E_DATABASE_AWAY', 'database_away', 'words'],
    ['E_DATABASE_REFUSED', 'database_away', 'words'],
    ['E_STORE_MEMORY', 'store_away', 'words'],
    ['E_LEASE_UNCERTAIN', 'lease_lost', 'another node'],
    ['E_LANE_FULL', 'mailbox_full', 'alert:noc'],
    ['E_SPILL_FULL', 'mailbox_full', 'alert:noc, and the outbox'],
    ['E_EVENT_BREAKS_HANDLER', 'message_fails', 'E_EVENT_BREAKS_HANDLER'],
  ] as const) {
    it(`says ${reason} of a partition that waits with ${code}, and of no other`, () => {
      const wait = {
        partition: 0,
        mailbox: 'ingest',
        code,
        message: 'words',
        full: 'alert:noc',
        since: SINCE,
      };
      reports.putWaits('match-0', [wait]);
      expect(only()).to.include({ mailbox: 'ingest', reason, since: SINCE });
      expect(only().detail).to.include(detail);
      expect(owners().flatMap(({ pauses }) => pauses)).to.have.length(1);
      // A thread that does not run waits for nothing else.
      match = part('match-0', 'waiting');
      expect(only().reason).to.equal('worker_down');
    });
  }

  it('does not repeat the words of a handler, which may be those of an event', () => {
    const wait = {
      partition: 0,
      mailbox: 'ingest',
      code: 'E_UNKNOWN',
      message: 'secret words',
      since: SINCE,
    };
    reports.putWaits('match-0', [wait]);
    expect(only().detail).to.not.include('secret');
  });

  it('says what is the matter with a destination, of the lane of that destination', () => {
    const reasons: Record<LaneTrouble, PauseReason> = {
      failing: 'destination_failing',
      down: 'destination_down',
      unauthorized: 'destination_unauthorized',
      secret_unreadable: 'secret_unreadable',
    };
    for (const [state, reason] of Object.entries(reasons)) {
      reports.putLanes('forward-0', [
        { name: 'noc', state: state as LaneTrouble, reason: 'auth', last_error: 'HTTP 401', since: SINCE },
      ]);
      const pauses = owners().flatMap((owner) => owner.pauses);
      expect(pauses).to.have.length(2);
      for (const pause of pauses) {
        expect(pause).to.include({ mailbox: 'alert:noc', reason, since: SINCE });
        expect(pause.detail).to.include('noc').and.include('HTTP 401');
      }
    }
  });
});
