import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { OwnAlertQueue, WAITING_MAX } from '../../../actors/own-alerts/post.ts';
import type { ToldAlert, ToldRecord } from '../../../actors/own-alerts/own-alerts.ts';
import type { DeliveryOutcome, Destination } from '../../../actors/ports.ts';
import { effectiveSettings } from '../../../actors/settings.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const DELIVERED: DeliveryOutcome = { kind: 'delivered', status: 200 };
const FAILED: DeliveryOutcome = { kind: 'retry', reason: 'server', error: 'HTTP 500' };
const destination = (name: string, team?: string): Destination =>
  ({ name, routes: team === undefined ? [] : [{ team }] }) as unknown as Destination;

describe('Own alerts on their way', () => {
  let clock: FakeClock;
  let queue: OwnAlertQueue;
  let posted: { to: string; alert: Alert }[];
  let destinations: Destination[];
  let broken: Set<string>;
  let troubled: Set<string>;
  let postsPerMinuteMax: number;
  let givenUp: string[];
  let records: readonly ToldRecord[];

  const told = (more: Partial<ToldAlert> = {}): ToldAlert => ({
    signature: 'mutt::redis_away::n1',
    status: 'firing',
    description: 'Redis does not answer',
    raisedAtMs: clock.wallMs(),
    atMs: clock.wallMs(),
    isShared: false,
    ...more,
  });
  const pass = async (ms: number): Promise<void> => {
    await clock.pass(ms);
    await settle();
  };
  const to = (): string[] => posted.map((post) => post.to);

  beforeEach(() => {
    clock = new FakeClock();
    posted = [];
    broken = new Set();
    troubled = new Set();
    givenUp = [];
    records = [];
    postsPerMinuteMax = 1_000;
    destinations = [destination('a'), destination('b'), destination('other', 'STORAGE')];
    queue = open();
  });
  const open = (remembered: readonly ToldRecord[] = []): OwnAlertQueue =>
    new OwnAlertQueue({
      clock,
      remembered,
      onTold: (told) => {
        records = told;
      },
      node: 'n1',
      settings: () => effectiveSettings({ 'alerts.own.postsPerMinuteMax': postsPerMinuteMax }),
      destinations: () => destinations,
      troubled: () => troubled,
      deliver: async (alert, { name }) => {
        posted.push({ to: name, alert });
        return broken.has(name) ? FAILED : DELIVERED;
      },
      onPosted: () => undefined,
      onGivenUp: ({ status }) => givenUp.push(status),
    });
  afterEach(() => queue.stop());

  it('leave behind who was told, as soon as one was, until those hear that it is over', async () => {
    broken.add('b');
    queue.offer(told());
    await pass(100);
    const [record] = records;
    expect(record).to.include({ signature: 'mutt::redis_away::n1', isShared: false });
    expect(record?.toldTo).to.deep.equal(['a']);
    queue.stop();

    // Whom else it would go to by now does not know of it.
    posted = [];
    broken.clear();
    queue = open(records);
    queue.offer(told({ status: 'resolved' }));
    await pass(100);
    expect(to()).to.deep.equal(['a']);
    expect(records).to.deep.equal([]);
  });

  it('go to every destination whose routes take them, as alerts of no event', async () => {
    queue.offer(told());
    await pass(100);
    expect(to()).to.deep.equal(['a', 'b']);
    const [{ alert } = { alert: {} as Alert }] = posted;
    expect(alert).to.deep.include({
      signature: 'mutt::redis_away::n1',
      event_ids: [],
      rule_id: -1,
      status: 'firing',
      team: 'NETO',
      severity: 2,
      destination: 'a',
    });
    expect(queue.waiting).to.equal(0);
  });

  it('never go to the destination in trouble, and to others when nobody else is routed', async () => {
    destinations = [destination('a'), destination('other', 'STORAGE')];
    queue.offer(told({ signature: 'mutt::destination_down::a', destination: 'a' }));
    await pass(100);
    expect(to()).to.deep.equal(['other']);
  });

  it('go to one that is not routed when those that are do not take them', async () => {
    broken = new Set(['a', 'b']);
    queue.offer(told());
    await pass(100);
    expect(to()).to.deep.equal(['a', 'b', 'other']);
    await pass(10 * 60_000);
    expect(queue.waiting).to.equal(0);
    expect(to().filter((name) => name === 'other')).to.deep.equal(['other']);
    expect(to().filter((name) => name === 'a')).to.have.length(5);
  });

  it('are tried ever later while nobody takes them, and given up after a day', async () => {
    broken = new Set(['a', 'b', 'other']);
    queue.offer(told());
    await pass(60_000);
    const rounds = to().filter((name) => name === 'a').length;
    expect(rounds).to.be.within(5, 8);
    await pass(25 * 3_600_000);
    expect(givenUp).to.deep.equal(['firing']);
    expect(queue.waiting).to.equal(0);
  });

  it('go first to those that are well', async () => {
    troubled = new Set(['a']);
    queue.offer(told());
    await pass(100);
    expect(to()).to.deep.equal(['b', 'a']);
  });

  it('are told to be over to those who took them, after they took them, under another id', async () => {
    broken = new Set(['b']);
    queue.offer(told());
    queue.offer(told({ status: 'resolved' }));
    await pass(10 * 60_000);
    const of = (name: string): string[] =>
      posted.filter((post) => post.to === name).map(({ alert }) => alert.status);
    expect(of('a')).to.deep.equal(['firing', 'resolved']);
    expect(of('b')).not.to.include('resolved');
    const ids = posted.filter((post) => post.to === 'a').map(({ alert }) => alert.id);
    expect(new Set(ids).size).to.equal(2);
  });

  it('that nobody has heard of are dropped with their end', async () => {
    broken = new Set(['a', 'b', 'other']);
    queue.offer(told());
    await pass(1_500);
    queue.offer(told({ status: 'resolved' }));
    expect(queue.waiting).to.equal(0);
  });

  it('are no more posts a minute than may be, and late rather than lost', async () => {
    postsPerMinuteMax = 3;
    for (let n = 0; n < 4; n++) queue.offer(told({ signature: `mutt::x::${n}` }));
    await pass(30_000);
    expect(posted).to.have.length(3);
    await pass(10 * 60_000);
    const taken = new Set(posted.map((post) => `${post.to} ${post.alert.signature}`));
    expect(taken.size).to.equal(8);
    expect(queue.waiting).to.equal(0);
  });

  it('have the same id on every node that tells within the same minute', async () => {
    queue.offer(told());
    await pass(100);
    const first = posted.map(({ alert }) => alert.id);
    posted = [];
    queue.offer(told());
    await pass(100);
    expect(posted.map(({ alert }) => alert.id)).to.deep.equal(first);
  });

  it('are refused when so many wait', () => {
    broken = new Set(['a', 'b', 'other']);
    const taken = Array.from({ length: WAITING_MAX + 5 }, (_, n) =>
      queue.offer(told({ signature: `mutt::x::${n}` })),
    );
    expect(taken.filter((isTaken) => isTaken)).to.have.length(WAITING_MAX);
  });
});
