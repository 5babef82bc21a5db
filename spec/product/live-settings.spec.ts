/**
 * Every setting but the sizes of pools (../long/resize.spec.ts) changed up and down on a running node under traffic: each change
 * shows in what the node does, no thread is restarted for it, and every event is accounted for in the end.
 *
 * Matching is held back by a lock on the audit table, and delivery by a destination that fails, so that mailboxes fill.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { partitionOf } from '../../actors/ingest/partition.ts';
import type { SettingKey, SettingValue } from '../../actors/settings.ts';
import { until } from '../support/node-under-test.ts';
import { holdAuditRows, queryNode } from './node-database.ts';
import { NodeMailboxes } from './node-mailboxes.ts';
import type { MailboxView } from './node-mailboxes.ts';
import { DESTINATION, OrderedRun } from './ordered-run.ts';
import type { Answer } from './ordered-traffic.ts';
import { ONCE, orderedIn } from './ordered-traffic.ts';

const TIMEOUT_MS = 60_000;
const WAIT_MS = 20_000;
const PARTITIONS = 2;
/** Of the two partitions, the one whose mailbox of alerts is filled. */
const FULL = 0;
const OTHER = 1;
const ALERTS = `alert:${DESTINATION}`;
/** The least that both mailboxes can be bounded to. */
const BOUND_MIN = 1_000;
/** Requests of one event. */
const CALM = { eventsPerSecond: 60, eventsPerRequest: 1 };
/** As fast as the answers come. */
const BRISK = { eventsPerSecond: 100_000, eventsPerRequest: 1 };

describe('Settings that are changed under traffic', function () {
  this.timeout(TIMEOUT_MS);
  let run: OrderedRun;
  let mailboxes: NodeMailboxes;
  let hosts = 0;
  /** Hosts of events that no rule matches, and of those that must have an audit row all the same. */
  const unmatched = new Set<string>();
  const audited = new Set<string>();

  before(async () => {
    run = await OrderedRun.start(
      { MUTT_PARTITIONS: String(PARTITIONS), MUTT_MATCH_THREADS: '2', MUTT_INGEST_THREADS: '2' },
      { connections: 16, hostsPerConnection: 2, ...CALM },
    );
    mailboxes = await NodeMailboxes.open(run.node.dir, PARTITIONS);
    await setAll(['audit.unmatched.policy', 'all']);
  });
  after(async () => {
    mailboxes?.close();
    await run?.close();
  });

  /** Names of new hosts whose events are in this partition. */
  function hostsIn(partition: number, count: number): string[] {
    const found: string[] = [];
    while (found.length < count) {
      hosts += 1;
      if (partitionOf(`${ONCE}${hosts}`, PARTITIONS) === partition) found.push(`${ONCE}${hosts}`);
    }
    return found;
  }

  /** An event of each host that no rule matches, in one request. */
  async function postUnmatched(from: readonly string[], isAudited = true): Promise<void> {
    const timestamp = new Date().toISOString();
    const events = from.map((hostname) => ({ hostname, message: 'nothing of note', timestamp }));
    const { status, body } = await run.node.post(JSON.stringify(events));
    expect({ status, accepted: body.accepted }).to.deep.equal({ status: 200, accepted: from.length });
    for (const host of from) {
      unmatched.add(host);
      if (isAudited) audited.add(host);
    }
  }

  /** In this order: what contradicts what is set already is refused. */
  async function setAll(...changes: readonly (readonly [SettingKey, SettingValue])[]): Promise<void> {
    for (const [key, value] of changes) await run.set(key, value);
    await run.whenInForce();
  }

  /** Looks until the mailboxes of all partitions are as they should be. */
  async function whenMailboxes(
    lane: string,
    areSo: (view: MailboxView, partition: number) => boolean,
  ): Promise<MailboxView[]> {
    let views: MailboxView[] = [];
    await until(
      async () => (views = await mailboxes.look(lane)).every(areSo),
      WAIT_MS,
      () => `${lane}: ${JSON.stringify(views)}`,
    );
    return views;
  }

  /** Hosts with an audit row of an unmatched event. */
  async function auditedUnmatched(): Promise<Set<string>> {
    const rows = await queryNode<{ hostname: string }>(
      run.node.dir,
      `SELECT hostname FROM event_audit_log WHERE handling_decision = 'Unmatched'`,
    );
    expect(new Set(rows.map(({ hostname }) => hostname)).size, 'rows that came twice').to.equal(rows.length);
    return new Set(rows.map(({ hostname }) => hostname));
  }

  describe('ingest.frame.eventsMax', () => {
    /** Of what was stored while every connection got some answers: events, and the frames they came in. */
    async function framed(): Promise<{ events: number; frames: number }> {
      // A frame that was cut before the change is stored when every connection has got the answer after its next.
      await run.traffic.whenEach(({ status }) => status === 200, 2, WAIT_MS);
      const earlier = await mailboxes.look('ingest');
      await run.traffic.whenEach(({ status }) => status === 200, 5, WAIT_MS);
      const later = await mailboxes.look('ingest');
      const sum = (field: 'messagesAdded' | 'entriesAdded'): number =>
        later.reduce((total, view, at) => total + view[field] - (earlier[at]?.[field] ?? 0), 0);
      return { events: sum('messagesAdded'), frames: sum('entriesAdded') };
    }

    before(() => (run.traffic.pace = BRISK));
    after(() => (run.traffic.pace = CALM));

    for (const eventsMax of [1, 1_000, 1]) {
      it(`at ${eventsMax}`, async () => {
        await setAll(['ingest.frame.eventsMax', eventsMax]);
        let { events, frames } = await framed();
        expect(events).to.be.at.least(80);
        if (eventsMax === 1) {
          expect(frames).to.equal(events);
          return;
        }
        // Events share a frame when they come together, which is up to the machine: at 1 it never happens.
        await until(
          async () => {
            if (frames < events * 0.9) return true;
            ({ events, frames } = await framed());
            return false;
          },
          WAIT_MS,
          () => `${events} events in ${frames} frames`,
        );
      });
    }
  });

  describe('match.batch.eventsMax', () => {
    for (const [eventsMax, backlog, isSo] of [
      [20_000, 60, (rows: number) => rows > 40],
      [1, 15, (rows: number) => rows === 1],
      [40, 80, (rows: number) => rows === 40],
    ] as const) {
      it(`at ${eventsMax}`, async () => {
        await setAll(['match.batch.eventsMax', eventsMax]);
        const heldAt = new Date();
        const release = await holdAuditRows(run.node.dir);
        try {
          run.traffic.pace = BRISK;
          await whenMailboxes('ingest', ({ entries }) => entries >= backlog);
        } finally {
          run.traffic.pace = CALM;
          await release();
        }
        await run.whenWorked();
        // A batch is stored by one statement: all its rows carry the number of one transaction.
        const [row] = await queryNode<{ rows: number }>(
          run.node.dir,
          `SELECT max(rows)::int AS rows FROM (
             SELECT count(*) AS rows FROM event_audit_log WHERE received_at > $1 GROUP BY xmin::text) AS batches`,
          [heldAt],
        );
        expect(row?.rows).to.satisfy(isSo);
      });
    }
  });

  describe('mailbox.ingest.eventsMax', () => {
    const isFull = ({ status, code }: Answer): boolean => status === 503 && code === 'E_MAILBOX_FULL';
    let release: (() => Promise<void>) | undefined;

    before(async () => {
      await setAll(['ingest.frame.eventsMax', 1_000], ['match.batch.eventsMax', 500]);
      release = await holdAuditRows(run.node.dir);
      for (const partition of [FULL, OTHER]) await postUnmatched(hostsIn(partition, 950));
    });
    after(() => release?.());

    it('at its minimum refuses what comes when matching is behind', async () => {
      await setAll(['mailbox.ingest.eventsMax', BOUND_MIN]);
      run.traffic.pace = BRISK;
      await run.traffic.whenEach(isFull, 1, WAIT_MS);
      run.traffic.pace = CALM;
      for (const { messages } of await mailboxes.look('ingest'))
        expect(messages).to.be.within(950, BOUND_MIN);
    });

    it('raised takes events again, with matching still behind', async () => {
      await setAll(['mailbox.ingest.eventsMax', 1_000_000]);
      await run.traffic.whenEach(({ status }) => status === 200, 1, WAIT_MS);
      await whenMailboxes('ingest', ({ messages }) => messages > BOUND_MIN);
    });

    it('lowered below what waits refuses again, and takes events when matching has caught up', async () => {
      await setAll(['mailbox.ingest.eventsMax', BOUND_MIN]);
      await run.traffic.whenEach(isFull, 1, WAIT_MS);
      await release?.();
      release = undefined;
      await run.traffic.whenEach(({ status }) => status === 200, 1, WAIT_MS);
      await run.whenWorked();
      await setAll(['mailbox.ingest.eventsMax', 1_000_000]);
    });
  });

  describe('mailbox.alert.alertsMax and forward.breaker, while the destination is down', () => {
    before(async () => {
      await setAll(['forward.breaker.baseMs', 20], ['forward.breaker.delayMaxMs', 20]);
      run.sink.mode = 'fail';
    });

    it('at its minimum, without an outbox, lets matching of the partition wait', async () => {
      await setAll(['mailbox.alert.alertsMax', BOUND_MIN], ['mailbox.outbox.alertsMax', 0]);
      await alert(500);
      await whenAlerts(FULL, ({ entries }) => entries >= 500);
      await alert(500);
      await alert(60);
      await whenOtherGoesOn();
      expect((await mailboxes.look(ALERTS))[FULL]?.entries).to.be.within(500, BOUND_MIN);
      expect((await mailboxes.look('ingest'))[FULL]?.messages).to.be.at.least(60);
    });

    it('raised lets it go on, with the destination still down', async () => {
      await setAll(['mailbox.alert.alertsMax', 1_000_000]);
      await whenAlerts(FULL, ({ entries }) => entries >= 1_060);
    });

    it('lowered below what waits lets it wait again', async () => {
      await setAll(['mailbox.alert.alertsMax', BOUND_MIN]);
      // A commit that was under way at the change has come in by then.
      await whenOtherGoesOn();
      const [{ entries }] = (await mailboxes.look(ALERTS)) as [MailboxView];
      await alert(20);
      await whenOtherGoesOn();
      expect((await mailboxes.look('ingest'))[FULL]?.messages).to.be.at.least(20);
      expect((await mailboxes.look(ALERTS))[FULL]?.entries).to.equal(entries);
    });

    it('with an outbox lets it go on all the same', async () => {
      await setAll(['mailbox.outbox.alertsMax', 1_000]);
      const outside = async (): Promise<number> =>
        (await queryNode(run.node.dir, 'SELECT FROM alert_outbox WHERE partition = $1', [FULL])).length;
      const waiting = (await mailboxes.look('ingest'))[FULL]?.messages ?? 0;
      let there = 0;
      await until(
        async () => (there = await outside()) >= waiting + 20,
        WAIT_MS,
        () => `${there} are in the outbox, ${waiting} waited`,
      );
      expect((await mailboxes.look(ALERTS))[FULL]?.entries).to.be.at.least(1_060);
    });

    for (const pauseMs of [400, 20]) {
      it(`probes with pauses of ${pauseMs} ms`, async () => {
        const lengths = [
          ['forward.breaker.baseMs', pauseMs],
          ['forward.breaker.delayMaxMs', pauseMs],
        ] as const;
        await setAll(...(pauseMs > 20 ? lengths.toReversed() : lengths));
        // The pause that was begun before the change is kept.
        const probes = await whenProbed(8);
        const gaps = probes.slice(2).map((atMs, at) => atMs - (probes[at + 1] ?? 0));
        const [shortest, , , median] = gaps.toSorted((a, b) => a - b);
        // A probe that comes late on a busy machine shortens the gap behind it.
        if (pauseMs === 400) expect(median).to.be.at.least(120);
        else expect(shortest).to.be.below(120);
      });
    }

    it('all of them arrive when the destination is back', async () => {
      run.sink.mode = 'take';
      await run.whenWorked();
      await setAll(['mailbox.alert.alertsMax', 1_000_000], ['mailbox.outbox.alertsMax', 1_000_000]);
    });

    /** That many events that become alerts, in the partition that is filled. */
    async function alert(count: number): Promise<void> {
      const answer = await run.traffic.sendOnce(hostsIn(FULL, count));
      expect(answer).to.include({ status: 200, accepted: count });
    }

    async function whenAlerts(partition: number, areSo: (view: MailboxView) => boolean): Promise<void> {
      await whenMailboxes(ALERTS, (view, at) => at !== partition || areSo(view));
    }

    /** The matching of the other partition has come further than it is now. */
    async function whenOtherGoesOn(): Promise<void> {
      const now = (await mailboxes.look(ALERTS))[OTHER]?.entriesAdded ?? 0;
      await whenAlerts(OTHER, ({ entriesAdded }) => entriesAdded >= now + 10);
    }

    /** When the next probes reached the destination. */
    async function whenProbed(count: number): Promise<number[]> {
      const probes: number[] = [];
      run.sink.judge = (body) => {
        // What MUTT says about itself meanwhile, such as that a mailbox is full, keeps no pace.
        if (body['type'] !== 'own') probes.push(performance.now());
        return undefined;
      };
      await until(
        async () => probes.length >= count,
        WAIT_MS,
        () => `${probes.length} probes`,
      );
      run.sink.judge = undefined;
      return probes;
    }
  });

  describe('forward.retry', () => {
    /** Waits of two alerts between their first three attempts. */
    async function waits(): Promise<{ first: number[]; second: number[] }> {
      const failing = hostsIn(0, 2);
      const attempts = new Map<string, number[]>(failing.map((host) => [host, []]));
      // Four failures in a row at most: five would open the breaker.
      run.sink.judge = ({ description }) => {
        const [host = ''] = orderedIn(String(description))?.split(' ') ?? [];
        const times = attempts.get(host);
        times?.push(performance.now());
        return times !== undefined && times.length < 3 ? 'fail' : undefined;
      };
      const answer = await run.traffic.sendOnce(failing);
      expect(answer).to.include({ status: 200, accepted: failing.length });
      await until(
        async () => [...attempts.values()].every(({ length }) => length === 3),
        WAIT_MS,
        () => JSON.stringify([...attempts]),
      );
      run.sink.judge = undefined;
      const between = (at: number): number[] =>
        [...attempts.values()].map((times) => (times[at + 1] ?? NaN) - (times[at] ?? NaN));
      return { first: between(0), second: between(1) };
    }

    /** Half of each wait is left to chance: the shortest of some tells. */
    async function shortest(which: 'first' | 'second', belowMs: number): Promise<void> {
      let least = Infinity;
      await until(
        async () => (least = Math.min(least, ...(await waits())[which])) < belowMs,
        WAIT_MS,
        () => `the shortest wait was ${least} ms`,
      );
    }

    it('waits 20 ms with both at 20', async () => {
      await setAll(['forward.retry.baseMs', 20], ['forward.retry.delayMaxMs', 20]);
      await shortest('first', 290);
    });

    it('waits longer with both raised', async () => {
      await setAll(['forward.retry.delayMaxMs', 60_000], ['forward.retry.baseMs', 600]);
      const { first, second } = await waits();
      expect(Math.min(...first)).to.be.at.least(290);
      expect(Math.min(...second)).to.be.at.least(590);
    });

    it('no longer than forward.retry.delayMaxMs, lowered', async () => {
      await setAll(['forward.retry.delayMaxMs', 600]);
      await shortest('second', 590);
    });

    it('waits 20 ms again with both lowered', async () => {
      await setAll(['forward.retry.baseMs', 20], ['forward.retry.delayMaxMs', 20]);
      await shortest('second', 290);
    });
  });

  describe('audit.unmatched.policy', () => {
    for (const policy of ['none', 'all', 'none'] as const) {
      it(`at ${policy}`, async () => {
        await setAll(['audit.unmatched.policy', policy]);
        const from = hostsIn(0, 20);
        await postUnmatched(from, policy === 'all');
        await until(
          async () => (await run.node.ledger()).terminal['unmatched'] === unmatched.size,
          WAIT_MS,
          () => `${unmatched.size} were expected to be unmatched`,
        );
        expect(await auditedUnmatched()).to.deep.equal(audited);
      });
    }
  });

  describe('log.level', () => {
    const lines = (): { level: string; source: string }[] =>
      readFileSync(join(run.node.dir, 'log', 'mutt.log'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { level: string; source: string });

    /** Every process says at `debug` that it has heard of a change. */
    async function saidSince(earlier: number): Promise<Set<string>> {
      await setAll(['guard.watch.maxSeconds', 60 + earlier]);
      return new Set(
        lines()
          .slice(earlier)
          .map(({ level, source }) => `${source} ${level}`),
      );
    }

    for (const [level, is] of [
      ['debug', true],
      ['warn', false],
      ['debug', true],
      ['error', false],
    ] as const) {
      it(`at ${level} ${is ? 'has' : 'leaves out'} what every process says at debug`, async () => {
        await setAll(['log.level', level]);
        const said = await saidSince(lines().length);
        if (is) expect([...said]).to.include.members(['supervisor debug', 'admin debug', 'gateway-0 debug']);
        else expect([...said]).to.deep.equal([]);
      });
    }
  });

  // A suite of its own, since those of a suite itself come before those of the suites in it.
  describe('all of them together', () => {
    it('restarted nothing, lost nothing, doubled nothing and kept the order of every host', async () => {
      await run.expectNothingLost({ unmatched: unmatched.size });
      const restarted = (await run.node.actors()).filter(({ restarts }) => restarts > 0);
      expect(restarted).to.deep.equal([]);
      expect(Object.keys(run.traffic.statuses).toSorted()).to.deep.equal(['200', '503']);
    });
  });
});
