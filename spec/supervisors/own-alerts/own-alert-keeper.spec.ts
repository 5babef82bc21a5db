import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { LaneReport } from '../../../actors/forward/lane-watch.ts';
import type { Snapshot } from '../../../actors/ports.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import type { Ledger } from '../../../runtime/durable/durable-store.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { CounterSample } from '../../../runtime/shared/counters.ts';
import { mailboxBounds } from '../../../supervisors/mailbox-bounds.ts';
import { booksRead } from '../../../supervisors/own-alerts/books-read.ts';
import { OwnAlertKeeper } from '../../../supervisors/own-alerts/own-alert-keeper.ts';
import { destinationOf } from '../../actors/forward/alerts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const BOUNDS = mailboxBounds({ maxmemoryBytes: 1024 ** 3, partitions: 2, destinations: 4 });
const LANE = { entries: 0, messages: 0, bytes: 0 };

describe('The keeper of own alerts', () => {
  let clock: FakeClock;
  let keeper: OwnAlertKeeper;
  let file: string;
  let lost: number;
  let policy: 'on' | 'off';
  let lanes: LaneReport[];
  let destinations: Snapshot['destinations'];
  const quarantined: CounterSample = {
    name: 'mutt_alerter_events_processed_total',
    kind: 'counter',
    help: '',
    values: [
      { labels: { status: 'handled' }, value: 1_000_000 },
      { labels: { status: 'quarantined' }, value: 0 },
    ],
  };

  beforeEach(() => {
    clock = new FakeClock();
    lost = 0;
    policy = 'on';
    lanes = [];
    destinations = [];
    for (const value of quarantined.values) if (value.labels['status'] === 'quarantined') value.value = 0;
    file = join(mkdtempSync(join(tmpdir(), 'mutt-own-alerts-')), 'own-alerts.json');
    open();
  });
  afterEach(() => rmSync(dirname(file), { recursive: true, force: true }));

  function open(): void {
    keeper = new OwnAlertKeeper({
      file,
      clock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined } as never,
      node: 'n1',
      version: '3.0.0',
      settings: () => effectiveSettings({ 'alerts.own.policy': policy, 'alerts.own.imbalanceMs': 0 }),
      snapshot: () => ({ destinations, rules: [] }) as unknown as Snapshot,
      stores: () => ({ redisTrouble: undefined, isDatabaseThere: true, bounds: BOUNDS }),
      claims: { observe: async () => true, withdraw: async () => true },
      reports: () => ({ lanes, waits: [] }),
      samples: () => [quarantined],
      lostEvents: () => lost,
      readiness: () => ({ ready: true, reasons: [] }),
      beat: undefined,
      secretPlaces: { directory: '/run/secrets', files: [] },
      hangAfterMs: 5_000,
    });
    look();
  }

  function look(ms = 1_000): string[] {
    clock.advance(ms);
    keeper.look();
    return keeper.open.map(({ signature }) => signature.replace(/^mutt::/, ''));
  }
  const exits = (child: string, reason: ExitReason, times: number): void => {
    for (let n = 0; n < times; n++) {
      keeper.noteTreeEvent({ type: 'childExited', supervisor: 'node', atMs: 0, child, epoch: n, reason });
    }
  };
  const books = (lanes: Record<string, Partial<typeof LANE>>, balanced = true): void => {
    const full = Object.fromEntries(
      Object.entries(lanes).map(([lane, cells]) => [lane, { ...LANE, ...cells }]),
    );
    const empty = { balanced: true, measured: { lanes: { ingest: LANE } } };
    keeper.noteBooks(booksRead([empty, { balanced, measured: { lanes: full } }] as unknown as Ledger[]));
  };

  it('goes on after a restart with what was told before it, as the same trouble', () => {
    const signature = 'mutt::destination_down::noc';
    const raisedAtMs = clock.wallMs() - 600_000;
    const record = { signature, description: 'down', raisedAtMs, isShared: true, destination: 'noc' };
    writeFileSync(file, JSON.stringify([{ ...record, toldTo: ['chat'] }, { signature }]));
    lanes = [{ name: 'noc', state: 'down', reason: 'network', last_error: 'ECONNREFUSED', since: '' }];
    open();
    // It need not be down for five minutes once more, in which it would have been told to be over.
    for (let minute = 0; minute < 4; minute++) expect(look(60_000)).to.deep.equal(['destination_down::noc']);
    expect(keeper.open[0]?.since).to.equal(new Date(raisedAtMs).toISOString());
    writeFileSync(file, 'torn [');
    open();
    expect(look()).to.deep.equal([]);
  });

  it('knows a mailbox near its bound by whichever bound is reached first, in any partition', () => {
    books({
      ingest: { messages: 8_100_000 },
      overflow: { bytes: Math.ceil(BOUNDS.overflow.bytesMax * 0.9) },
      'alert:noc': { entries: Math.ceil(BOUNDS.alert.entriesMax * 0.79) },
      dead: { bytes: Math.ceil(BOUNDS.dead.bytesMax * 0.95) },
    });
    expect(look()).to.deep.equal([
      'mailbox_near_bound::n1/ingest',
      'mailbox_near_bound::n1/overflow',
      'mailbox_near_bound::n1/dead',
    ]);
  });

  it('knows books that do not balance, and nothing of books that are old', () => {
    books({}, false);
    expect(look()).to.deep.equal(['ledger_imbalance::n1']);
    look(40_000);
    expect(look(70_000)).to.deep.equal([]);
  });

  it('counts restarts by a fault of their own or of a message, and not those that a person asked for', () => {
    exits('admin', { kind: 'killed', by: 'asked for with the key admin' }, 50);
    exits('forward-0', { kind: 'shutdown' }, 50);
    exits('match-0', { kind: 'outOfMemory', doing: '0 ingest 1-0 1-0 0 1' }, 6);
    exits('gateway-0', { kind: 'exited', signal: 'SIGABRT' }, 5);
    expect(look()).to.deep.equal(['worker_restarting::n1/match-0']);
  });

  it('knows losses and quarantined events', () => {
    lost = 3;
    for (const value of quarantined.values) value.value += 11;
    expect(look()).to.deep.equal(['events_lost::n1', 'events_quarantined::n1']);
  });

  it('takes it for no trouble that somebody holds a destination, until that ends', () => {
    const since = new Date(clock.wallMs()).toISOString();
    lanes = [{ name: 'noc', state: 'unauthorized', reason: 'auth', last_error: 'HTTP 401', since }];
    const untilMs = clock.wallMs() + 60_000;
    const hold = { kind: 'pause', untilMs, reason: 'new key', sinceMs: clock.wallMs(), by: 'spec' } as const;
    destinations = [destinationOf({ hold })];
    expect(look(50_000)).to.deep.equal([]);
    expect(look(20_000)).to.deep.equal(['destination_unauthorized::noc']);
  });

  it('ends everything when it is switched off', () => {
    lost = 3;
    expect(look()).to.have.length(1);
    policy = 'off';
    look();
    expect(look(60_000)).to.deep.equal([]);
  });
});
