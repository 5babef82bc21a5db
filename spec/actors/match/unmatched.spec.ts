/** Counting and alerting over a store in memory; the real one is in spec/gateways/postgres/unmatched-store.spec.ts. */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { decisionBasis } from '../../../actors/match/decide.ts';
import { FLUSH_EVERY_MS } from '../../../actors/match/unmatched.ts';
import type { UnmatchedSettings, UnmatchedWatch } from '../../../actors/match/unmatched.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { destinationOf } from '../forward/alerts.ts';
import { eventOf } from './fixtures.ts';
import { MemoryTemplateStore, UNMATCHED_SETTINGS, unmatchedWatch } from './template-store.ts';

const basis = decisionBasis(
  {
    version: 1,
    developmentHosts: ['lab-1'],
    teams: { 'core-1': 'NET' },
    destinations: [destinationOf(), destinationOf({ name: 'lab', routes: [{ environment: 'dev' }] })],
  },
  () => undefined,
);

/** Events of one frame: messages, with their hosts. */
interface Frame {
  id: string;
  /** Of the lane up to and with this one. */
  upTo: number;
  messages: string[];
  hostname?: string;
  atMs?: number;
}

describe('UnmatchedWatch', () => {
  let store: MemoryTemplateStore;
  let clock: FakeClock;
  let settings: UnmatchedSettings;
  let counts: Record<string, number>;
  let events: number;

  beforeEach(() => {
    store = new MemoryTemplateStore();
    clock = new FakeClock();
    settings = UNMATCHED_SETTINGS;
    counts = {};
    events = 0;
  });

  const watchOf = (): UnmatchedWatch =>
    unmatchedWatch({
      store,
      clock,
      settings: () => settings,
      count: (what, n) => (counts[what] = (counts[what] ?? 0) + n),
    });

  async function handle(watch: UnmatchedWatch, ...frames: Frame[]): Promise<Alert[]> {
    const turn = watch.open({ partition: 2, lane: 'ingest' });
    for (const { id, upTo, messages, hostname = 'core-1', atMs = clock.wallMs() } of frames) {
      turn.enter({ id: `${upTo}-${messages.length}` }, id, 0);
      messages.forEach((message, index) => {
        turn.take(eventOf({ id: `${id}-${(events += 1)}`, message, hostname, receivedAtMs: atMs }), index);
      });
    }
    return turn.alerts(basis);
  }
  const lines = (n: number, from = 0): string[] =>
    Array.from({ length: n }, (_, at) => `port ${from + at} down`);

  it('raises one alert when a template comes as often as the threshold, and no other while it goes on', async () => {
    const watch = watchOf();
    expect(await handle(watch, { id: 'a', upTo: 2, messages: lines(2) })).to.deep.equal([]);
    const [alert, ...others] = await handle(watch, { id: 'b', upTo: 3, messages: lines(1, 2) });
    expect(others).to.deep.equal([]);
    expect(alert).to.include({
      destination: 'noc',
      rule_id: 0,
      rule_version: 0,
      decision: 'Ticket_only',
      team: 'NET',
      environment: 'prod',
      severity: 4,
      hostname: 'core-1',
      count: 3,
      description: '3 events within 1 h that no rule matches: port # down',
    });
    expect(alert?.event_ids).to.deep.equal([]);
    expect(alert?.signature).to.match(/^core-1::unmatched::[0-9a-f]{16}$/);
    for (let n = 0; n < 20; n++) {
      clock.advance(600_000);
      const more = await handle(watch, { id: `c${n}`, upTo: 3 + (n + 1) * 100, messages: lines(100) });
      expect(more).to.deep.equal([]);
    }
    clock.advance(3_600_001);
    const again = await handle(watch, { id: 'd', upTo: 2_006, messages: lines(3) });
    expect(again.map(({ signature }) => signature)).to.deep.equal([alert?.signature]);
    expect(again[0]?.id).not.to.equal(alert?.id);
    expect(counts).to.include({ metaAlerts: 2 });
  });

  it('goes by host, sends to those who take it, and has a team for hosts of none', async () => {
    const watch = watchOf();
    const at = (id: string, upTo: number, hostname: string): Frame => ({
      id,
      upTo,
      messages: lines(2),
      hostname,
    });
    expect(await handle(watch, at('a', 2, 'x'), at('b', 4, 'y'))).to.deep.equal([]);
    const alerts = await handle(watch, at('c', 6, 'x'), { ...at('d', 10, 'lab-1'), messages: lines(4) });
    expect(alerts.map(({ hostname, destination, team }) => [hostname, destination, team])).to.deep.equal([
      ['x', 'noc', 'NETO'],
      ['lab-1', 'noc', 'NETO'],
      ['lab-1', 'lab', 'NETO'],
    ]);
  });

  it('counts a batch once that is tried again, and sends its alert again, the same', async () => {
    const watch = watchOf();
    const frames: Frame[] = [
      { id: 'a', upTo: 2, messages: lines(2) },
      { id: 'b', upTo: 4, messages: lines(2) },
    ];
    const alerts = await handle(watch, ...frames);
    expect(alerts).to.have.length(1);
    expect(await handle(watch, ...frames)).to.deep.equal(alerts);
    expect(await handle(watch, ...frames.slice(0, 1))).to.deep.equal(alerts);
    expect(watch.templates.map(({ windowCount }) => windowCount)).to.deep.equal([4]);
    // What comes after it says that it is committed.
    expect(await handle(watch, { id: 'c', upTo: 6, messages: lines(2) })).to.deep.equal([]);
    expect(await handle(watch, { id: 'd', upTo: 8, messages: lines(2) })).to.deep.equal([]);
  });

  it('sends the alert of an entry that is handled in pieces with the piece it belongs to', async () => {
    const watch = watchOf();
    const piece = async (from: number, to: number): Promise<Alert[]> => {
      const turn = watch.open({ partition: 2, lane: 'ingest' });
      turn.enter({ id: '6-6' }, 'a', from);
      for (let at = from; at < to; at++) turn.take(eventOf({ message: 'port 1 down' }), at);
      return turn.alerts(basis);
    };
    const first = await piece(0, 3);
    expect(first).to.have.length(1);
    expect(await piece(3, 6)).to.deep.equal([]);
    expect(await piece(0, 6)).to.deep.equal(first);
  });

  it('sends the same alert when the thread dies before the commit, and none when it dies after it', async () => {
    const frames: Frame[] = [{ id: 'a', upTo: 5, messages: lines(5) }];
    const alerts = await handle(watchOf(), ...frames);
    expect(alerts).to.have.length(1);
    // Nothing was flushed: only the latch is known.
    const before = watchOf();
    expect(await handle(before, ...frames)).to.deep.equal(alerts);
    expect(await handle(before, { id: 'b', upTo: 50, messages: lines(45) })).to.deep.equal([]);
    const after = watchOf();
    expect(await handle(after, { id: 'b', upTo: 50, messages: lines(45) })).to.deep.equal([]);
    expect(counts).to.include({ metaAlerts: 1 });
  });

  it('sends it again when only the consumer began anew', async () => {
    const watch = watchOf();
    const alerts = await handle(watch, { id: 'a', upTo: 5, messages: lines(5) });
    watch.begin();
    expect(await handle(watch, { id: 'a', upTo: 5, messages: lines(5) })).to.deep.equal(alerts);
  });

  it('goes on counting where the last thread stopped', async () => {
    const watch = watchOf();
    await handle(watch, { id: 'a', upTo: 2, messages: lines(2) });
    await watch.close();
    expect(await handle(watchOf(), { id: 'b', upTo: 3, messages: lines(1) })).to.have.length(1);
  });

  it('keeps everything while the store is away, and raises the alert when it is back', async () => {
    store.isAway = true;
    const watch = watchOf();
    expect(await handle(watch, { id: 'a', upTo: 5, messages: lines(5) })).to.deep.equal([]);
    clock.advance(2 * FLUSH_EVERY_MS);
    await watch.close();
    expect(store.rows.size).to.equal(0);
    store.isAway = false;
    // No further event of it is needed.
    const [alert] = await handle(watch, { id: 'b', upTo: 6, messages: ['all quiet'] });
    expect(alert).to.include({ count: 5 });
    await watch.close();
    expect([...store.rows.values()].map(({ count, template }) => [template, count])).to.deep.equal([
      ['port # down', 5],
      ['all quiet', 1],
    ]);
    expect(counts['templateFaults']).to.be.greaterThan(0);
  });

  it('raises no more in a minute than it may; the others wait, and one alert says so', async () => {
    settings = { ...UNMATCHED_SETTINGS, alertsPerMinuteMax: 2 };
    const watch = watchOf();
    const words = ['fan', 'psu', 'bgp', 'lag', 'vpn'];
    const flood: Frame = { id: 'a', upTo: 15, messages: words.flatMap((word) => [word, word, word]) };
    const first = await handle(watch, flood);
    expect(first.map(({ signature, count }) => [signature.split('::')[0], count])).to.deep.equal([
      ['core-1', 3],
      ['core-1', 3],
      ['mutt', 3],
    ]);
    expect(await handle(watch, flood)).to.deep.equal(first);
    expect(await handle(watch, { id: 'b', upTo: 18, messages: lines(3) })).to.deep.equal([]);
    const later: Alert[] = [];
    for (let minute = 1; minute <= 3; minute++) {
      clock.advance(60_000);
      later.push(
        ...(await handle(watch, {
          id: `c${minute}`,
          upTo: 18 + minute,
          messages: [`quiet ${'xyzw'[minute]}`],
        })),
      );
    }
    expect(later.map(({ description }) => description.split(': ')[1])).to.include.members([
      'bgp',
      'lag',
      'vpn',
    ]);
    expect(counts).to.include({ metaAlerts: 6, floodAlerts: 1, heldMetaAlerts: 4 });
  });

  it('raises none with a threshold of 0, and at once when it is lowered', async () => {
    settings = { ...UNMATCHED_SETTINGS, threshold: 0 };
    const watch = watchOf();
    expect(await handle(watch, { id: 'a', upTo: 50, messages: lines(50) })).to.deep.equal([]);
    settings = { ...UNMATCHED_SETTINGS, threshold: 10 };
    expect(await handle(watch, { id: 'b', upTo: 51, messages: lines(1) })).to.have.length(1);
  });

  it('stores what was counted every few seconds, in statements of bounded size, and forgets what was forgotten', async () => {
    const watch = watchOf();
    const word = (n: number): string =>
      n.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);
    const many = Array.from({ length: 2_500 }, (_, n) => word(n));
    await handle(watch, { id: 'a', upTo: 2_503, messages: [...many, ...lines(3)] });
    await watch.close();
    await watch.close();
    await watch.close();
    expect(store.calls.every((rows) => rows <= 1_000)).to.equal(true);
    expect(store.rows.size).to.equal(2_501);

    for (const key of store.rows.keys()) store.rows.delete(key);
    expect(await handle(watch, { id: 'b', upTo: 2_504, messages: lines(1) })).to.deep.equal([]);
    await watch.close();
    expect(store.rows.size).to.equal(1);
    expect(await handle(watch, { id: 'c', upTo: 2_507, messages: lines(3) })).to.have.length(1);
  });
});
