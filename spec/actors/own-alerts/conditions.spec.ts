import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { OwnConditions } from '../../../actors/own-alerts/conditions.ts';
import type { Finding, OwnFacts } from '../../../actors/own-alerts/conditions.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import type { Clock } from '../../../runtime/clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('What MUTT itself suffers', () => {
  let nowMs: number;
  let wallOffsetMs: number;
  let conditions: OwnConditions;
  let open: Set<string>;
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs + wallOffsetMs,
    after: () => () => undefined,
  };
  let facts: OwnFacts;
  let totals: {
    quarantined: number;
    deadLetters: number;
    shed: number;
    lost: number;
    restarts: Map<string, number>;
  };

  beforeEach(() => {
    nowMs = 1_000;
    wallOffsetMs = 1.7e12;
    open = new Set();
    totals = { quarantined: 0, deadLetters: 0, shed: 0, lost: 0, restarts: new Map() };
    facts = {
      lanes: [],
      waits: [],
      redisTrouble: undefined,
      isDatabaseThere: true,
      totals,
      suspendedRules: [],
      books: { unbalanced: [], fills: new Map() },
    };
    const settings = effectiveSettings({ 'alerts.own.quarantinedPerHourMax': 10 });
    conditions = new OwnConditions({ clock, node: 'n1:8090', settings: () => settings });
    look();
  });

  /** Looks every second for so long, and gives what the last look found. */
  function look(forMs = 0): string[] {
    let found: Finding[] = [];
    for (let passed = 0; passed <= forMs; passed += 1_000) {
      nowMs += 1_000;
      found = conditions.look(facts, (signature) => open.has(signature));
    }
    open = new Set(found.map(({ signature }) => signature));
    return [...open];
  }
  const set = (change: Partial<OwnFacts>): void => void (facts = { ...facts, ...change });
  const lane = (state: 'failing' | 'down' | 'unauthorized' | 'secret_unreadable'): OwnFacts['lanes'] => [
    { name: 'a', state, reason: 'auth', last_error: 'HTTP 401', since: '2026-01-01T00:00:00Z' },
  ];

  it('is nothing while all is well', () => {
    expect(look(HOUR_MS)).to.deep.equal([]);
  });

  it('is a refused credential at once, and a destination that is down after its time', () => {
    set({ lanes: lane('unauthorized') });
    expect(look()).to.deep.equal(['mutt::destination_unauthorized::a']);
    set({ lanes: lane('secret_unreadable') });
    expect(look()).to.deep.equal(['mutt::destination_unauthorized::a']);
    set({ lanes: lane('down') });
    expect(look(4 * MINUTE_MS)).to.deep.equal([]);
    expect(look(MINUTE_MS)).to.deep.equal(['mutt::destination_down::a']);
    set({ lanes: [] });
    look();
    set({ lanes: lane('failing') });
    expect(look(4 * MINUTE_MS), 'its time begins anew').to.deep.equal([]);
  });

  it('is a store that is away for longer than its time', () => {
    set({ redisTrouble: 'Redis does not answer', isDatabaseThere: false });
    expect(look(59_000)).to.deep.equal([]);
    expect(look(1_000)).to.deep.equal(['mutt::redis_away::n1:8090', 'mutt::postgres_away::postgres']);
  });

  it('is an imbalance that persists, not one that passes or that nobody can see', () => {
    const unbalanced = { unbalanced: [3], fills: new Map<string, number>() };
    set({ books: unbalanced });
    look(30_000);
    set({ books: undefined });
    look();
    set({ books: unbalanced });
    expect(look(50_000)).to.deep.equal([]);
    expect(look(10_000)).to.deep.equal(['mutt::ledger_imbalance::n1:8090']);
  });

  it('is a loss for an hour after it was found out, and again with the next', () => {
    totals.lost = 7;
    expect(look()).to.deep.equal(['mutt::events_lost::n1:8090']);
    expect(look(HOUR_MS)).to.deep.equal([]);
    totals.lost = 8;
    expect(look()).to.deep.equal(['mutt::events_lost::n1:8090']);
  });

  it('is a partition that its own content holds back, and not one that waits for a store', () => {
    const wait = (code: string): OwnFacts['waits'] => [{ partition: 2, mailbox: 'ingest', code, since: '' }];
    set({ waits: wait('E_DATABASE_AWAY') });
    expect(look(10 * MINUTE_MS)).to.deep.equal([]);
    set({ waits: wait('E_EVENT_BREAKS_HANDLER') });
    expect(look(6 * MINUTE_MS)).to.deep.equal(['mutt::partition_paused::n1:8090/partition-2/ingest']);
  });

  it('is more than may be within an hour, and over at half of it: what swings is one thing', () => {
    totals.quarantined = 10;
    expect(look()).to.deep.equal([]);
    totals.quarantined = 11;
    expect(look()).to.deep.equal(['mutt::events_quarantined::n1:8090']);
    look(40 * MINUTE_MS);
    totals.quarantined = 17;
    expect(look(25 * MINUTE_MS), '6 within the hour').to.deep.equal(['mutt::events_quarantined::n1:8090']);
    expect(look(45 * MINUTE_MS), 'none').to.deep.equal([]);
  });

  it('is every alert that was shed, until none was for an hour', () => {
    expect(look()).to.deep.equal([]);
    totals.shed = 1;
    expect(look()).to.deep.equal(['mutt::alerts_shed::n1:8090']);
    expect(look(50 * MINUTE_MS)).to.deep.equal(['mutt::alerts_shed::n1:8090']);
    expect(look(70 * MINUTE_MS)).to.deep.equal([]);
  });

  it('is a worker that restarts again and again, each by its name', () => {
    totals.restarts.set('match-0', 6).set('match-1', 5);
    expect(look(), 'from its first restart on').to.deep.equal(['mutt::worker_restarting::n1:8090/match-0']);
    look(2 * HOUR_MS);
    totals.restarts.set('match-0', 11).set('match-1', 11);
    expect(look()).to.deep.equal(['mutt::worker_restarting::n1:8090/match-1']);
  });

  it('is a mailbox near its bound, until it is well below', () => {
    const fills = (percent: number): void =>
      set({ books: { unbalanced: [], fills: new Map([['ingest', percent]]) } });
    for (const [percent, isWrong] of [
      [79, false],
      [80, true],
      [66, true],
      [64, false],
      [79, false],
    ] as const) {
      fills(percent);
      expect(look(), `${percent} %`).to.deep.equal(
        isWrong ? ['mutt::mailbox_near_bound::n1:8090/ingest'] : [],
      );
    }
  });

  it('is a clock that is set, forward or back, and not one that drifts or a process that was stopped', () => {
    for (let n = 0; n < 100; n++) {
      wallOffsetMs += 100;
      expect(look()).to.deep.equal([]);
    }
    nowMs += 40_000;
    wallOffsetMs += 60_000;
    expect(look()).to.deep.equal([]);
    wallOffsetMs -= 3_600_000;
    expect(look()).to.deep.equal(['mutt::clock_jump::n1:8090']);
    const [finding] = conditions.look(facts, () => true);
    expect(finding?.description).to.include('back by 3600 s');
  });

  it('is a rule that every node leaves out', () => {
    set({ suspendedRules: [{ id: 5, reason: 'over its budget' }] });
    expect(look()).to.deep.equal(['mutt::rule_suspended::rule-5']);
  });

  it('names the node where only it can have it, and not where all see it', () => {
    set({ lanes: lane('unauthorized'), redisTrouble: 'away', suspendedRules: [{ id: 5, reason: '' }] });
    nowMs += MINUTE_MS;
    look();
    nowMs += MINUTE_MS;
    const found = conditions.look(facts, () => false);
    const shared = found.filter(({ isShared }) => isShared).map(({ condition }) => condition);
    expect(shared).to.deep.equal(['destination_unauthorized', 'rule_suspended']);
    expect(found.find(({ condition }) => condition === 'redis_away')?.signature).to.include('n1:8090');
  });
});
