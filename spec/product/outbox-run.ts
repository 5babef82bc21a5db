/**
 * A node whose one destination is down for long, with mailboxes as small as they can be: what does not fit waits in the
 * outbox, the other destination gets everything at once, and whatever is killed meanwhile, by itself or all together,
 * nothing is lost and everything comes in order when the destination is back.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { FaultInjector } from './faults.ts';
import type { FaultName } from './faults.ts';
import { queryNode } from './node-database.ts';

const TIMEOUT_MS = 200_000;
const KILL_TIMEOUT_MS = 60_000;
const WAIT_MS = 60_000;
/** The least that a mailbox of alerts can be bounded to. */
const BOUND = 1_000;
const EVENTS_AT_FIRST = 2_500;
const HOSTS = 7;
const EVENTS_AROUND_KILL = 150;

interface Partition {
  outbox: Record<string, { alerts: number; bytes: number }>;
  problems: string[];
  mailboxes: { mailbox: string; depth: number; outbox: number; paused: { reason: string } | null }[];
}

/** What is killed while it spills, and while it comes back. */
export interface OutboxKills {
  spilling: readonly FaultName[];
  returning: readonly FaultName[];
}

export function describeOutbox(kills: OutboxKills): void {
  describe('A node whose destination is down for long', function () {
    this.timeout(TIMEOUT_MS + (kills.spilling.length + kills.returning.length) * KILL_TIMEOUT_MS);
    outboxSpecs(kills);
  });
}

function outboxSpecs(kills: OutboxKills): void {
  let node: NodeUnderTest;
  let slow: Sink;
  let other: Sink;
  let sent = 0;
  /** Sent around a kill, and not answered: they may be there. */
  const unanswered = new Set<number>();

  before(async () => {
    [slow, other] = [await Sink.start(), await Sink.start()];
    slow.mode = 'fail';
    node = await NodeUnderTest.start({ MUTT_PARTITIONS: '1' });
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        rules: [
          {
            name: 'numbered',
            match_string: 'number',
            prod_handling: 'Ticket_only',
            dev_handling: 'Ticket_only',
            team_assignment: 'SPEC',
            signature: '{host}',
          },
        ],
        destinations: [destination('slow', slow), destination('other', other)],
      },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    await set('match.batch.eventsMax', 500);
    await set('mailbox.alert.alertsMax', BOUND);
    await set('forward.breaker.delayMaxMs', 1_000);
  });
  after(async () => {
    await node?.close();
    await Promise.all([slow?.close(), other?.close()]);
  });

  function destination(name: string, sink: Sink): Record<string, unknown> {
    return {
      name,
      kind: 'moogsoft',
      url: sink.url,
      rate_per_second: 5_000,
      concurrency: 16,
      timeout_ms: 2_000,
      collapse: false,
    };
  }

  async function set(key: string, value: number): Promise<void> {
    const path = `/api/v2/config/${key}`;
    const { status, body } = await node.admin<{ snapshot_version?: number }>(path, {
      method: 'PUT',
      headers: { 'if-match': '*' },
      body: { value },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    const now = await node.admin<{ snapshot: { version: number } }>('/api/v2/status');
    await node.whenApplied(now.body.snapshot.version);
  }

  /** In one request. */
  async function send(count: number): Promise<void> {
    const timestamp = new Date().toISOString();
    const numbers = Array.from({ length: count }, () => (sent += 1));
    const events = numbers.map((n) => ({
      hostname: `host-${n % HOSTS}`,
      message: `number ${n};`,
      timestamp,
    }));
    const reply = await node.post(JSON.stringify(events)).catch(() => undefined);
    if (reply?.status !== 200) for (const n of numbers) unanswered.add(n);
  }

  async function partition(): Promise<Partition> {
    const { body } = await node.admin<{ items: Partition[] }>('/api/v2/partitions');
    return body.items[0] as Partition;
  }
  const numbersAt = (sink: Sink): number[] =>
    sink.received.map(({ body }) => Number(/number (\d+);/.exec(String(body['description']))?.[1]));
  const answered = (): number[] =>
    Array.from({ length: sent }, (_, at) => at + 1).filter((n) => !unanswered.has(n));
  async function whenOtherHasAll(): Promise<void> {
    await until(
      async () => {
        const there = new Set(numbersAt(other));
        return answered().every((n) => there.has(n));
      },
      WAIT_MS,
      () => `${other.received.length} of ${sent}\n${node.output}`,
    );
  }

  it('goes on with the others, and says where the alerts are', async () => {
    for (let at = 0; at < EVENTS_AT_FIRST; at += 500) await send(500);
    expect([...unanswered]).to.deep.equal([]);
    await whenOtherHasAll();
    let last: Partition | undefined;
    const spilled = EVENTS_AT_FIRST - BOUND;
    await until(
      async () => {
        last = await partition();
        const lane = last.mailboxes.find(({ mailbox }) => mailbox === 'alert:slow');
        return lane?.depth === EVENTS_AT_FIRST && lane.outbox >= spilled && lane.paused !== null;
      },
      WAIT_MS,
      () => JSON.stringify(last),
    );
    expect(last?.outbox['alert:slow']?.bytes).to.be.above(spilled * 100);
    expect(last?.mailboxes.find(({ mailbox }) => mailbox === 'ingest')?.paused).to.equal(null);
    const ledger = await node.ledger();
    expect(ledger).to.include({
      accepted: EVENTS_AT_FIRST,
      in_flight: EVENTS_AT_FIRST,
      balanced: true,
      lost: 0,
    });

    const [row] = await queryNode<{ id: string; number: number; event: string }>(
      node.dir,
      `SELECT alert_id AS id, number::int,
              convert_from(payload, 'UTF8')::jsonb #>> '{alert,event_ids,0}' AS event
         FROM alert_outbox ORDER BY number DESC LIMIT 1`,
    );
    const trace = await node.admin<{ explanation: string; event: { alerts: Record<string, unknown>[] } }>(
      `/api/v2/events/${row?.event}`,
    );
    expect(trace.body.explanation).to.include('waits in the outbox, behind');
    const traced = trace.body.event.alerts.find(({ alert_id }) => alert_id === row?.id);
    expect(traced).to.include({ destination: 'slow', state: 'waiting' });
    expect((traced?.['outbox'] as { alerts_before: number }).alerts_before).to.equal((row?.number ?? 0) - 1);

    const metrics = await node.admin<string>('/metrics');
    const text = typeof metrics.body === 'string' ? metrics.body : JSON.stringify(metrics.body);
    expect(Number(/mutt_alerter_outbox_alerts{partition="0"} (\d+)/.exec(text)?.[1])).to.be.at.least(spilled);
    expect(Number(/mutt_alerter_spilled_alerts_total (\d+)/.exec(text)?.[1])).to.be.at.least(spilled);
  });

  it('says so when PostgreSQL has less than is booked', async () => {
    const gone = await queryNode<{ number: string }>(
      node.dir,
      `UPDATE alert_outbox SET store = 'elsewhere' WHERE number = (SELECT max(number) FROM alert_outbox) RETURNING number`,
    );
    expect(gone).to.have.length(1);
    let last: Partition | undefined;
    const whenProblems = (count: number): Promise<void> =>
      until(
        async () => (last = await partition()).problems.length === count,
        WAIT_MS,
        () => JSON.stringify(last),
      );
    await whenProblems(1);
    expect(last?.problems.join()).to.match(/the outbox of alert:slow holds \d+ alerts where \d+ are booked/);
    expect((await node.ledger()).balanced).to.equal(false);
    const name = await queryNode<{ store: string }>(
      node.dir,
      "SELECT DISTINCT store FROM alert_outbox WHERE store <> 'elsewhere'",
    );
    await queryNode(node.dir, "UPDATE alert_outbox SET store = $1 WHERE store = 'elsewhere'", [
      name[0]?.store,
    ]);
    await whenProblems(0);
  });

  it('keeps what waits for a destination that is removed, until there is one of its name again', async () => {
    const path = '/api/v2/destinations/slow';
    const { name: _, ...document } = destination('slow', slow);
    // Its answer has no body.
    await node.admin(path, { method: 'DELETE', headers: { 'if-match': '*' } }).catch(() => undefined);
    const laneIs = (isSo: (lane: Partition['mailboxes'][number]) => boolean): Promise<void> =>
      until(
        async () => (await partition()).mailboxes.some((each) => each.mailbox === 'alert:slow' && isSo(each)),
        WAIT_MS,
        () => node.output,
      );
    const isWhole = ({ depth, outbox }: { depth: number; outbox: number }): boolean =>
      depth === EVENTS_AT_FIRST && outbox >= EVENTS_AT_FIRST - BOUND;
    await laneIs((lane) => isWhole(lane) && lane.paused?.reason === 'destination_removed');
    const again = await node.admin(path, { method: 'PUT', body: document });
    expect(again.status, JSON.stringify(again.body)).to.equal(201);
    await laneIs((lane) => isWhole(lane) && lane.paused?.reason === 'destination_down');
  });

  it('loses nothing and keeps the order, whatever is killed while it spills and while it comes back', async () => {
    const injector = new FaultInjector(node, slow);
    const kill = async (name: FaultName): Promise<void> => {
      const killing = injector.inject(name);
      // Into the kill: some of it may get no answer.
      await Promise.all([send(EVENTS_AROUND_KILL), send(EVENTS_AROUND_KILL)]);
      expect((await killing).missed, name).to.equal(undefined);
      await node.whenReady();
      await send(EVENTS_AROUND_KILL);
    };
    for (const name of kills.spilling) await kill(name);
    await whenOtherHasAll();
    expect(Object.keys((await partition()).outbox)).to.deep.equal(['alert:slow']);
    slow.mode = 'take';
    for (const name of kills.returning) {
      const before = slow.received.length;
      await until(
        async () => slow.received.length > before + 50,
        WAIT_MS,
        () => `nothing comes\n${node.output}`,
      );
      await kill(name);
    }
    await injector.heal();
    const ledger = await node.settled(WAIT_MS);
    expect(ledger).to.include({ balanced: true, lost: 0, in_flight: 0 });
    expect(ledger.terminal['forwarded']).to.equal(ledger.accepted);
    await until(
      async () => (await queryNode(node.dir, 'SELECT FROM alert_outbox')).length === 0,
      WAIT_MS,
      () => 'the outbox is not empty',
    );
    for (const sink of [slow, other]) {
      const first = [...new Set(numbersAt(sink))];
      const there = new Set(first);
      expect(
        answered().filter((n) => !there.has(n)),
        'lost',
      ).to.deep.equal([]);
      expect(there.size, 'alerts of every event').to.equal(ledger.accepted);
      // Of what was sent again after a kill, the first time counts.
      for (let host = 0; host < HOSTS; host += 1) {
        const ofHost = first.filter((n) => n % HOSTS === host && !isConcurrent(n));
        expect(ofHost, `host-${host}`).to.deep.equal(ofHost.toSorted((a, b) => a - b));
      }
    }
    console.log(
      `      ${ledger.accepted} events, ${unanswered.size} without an answer, ${slow.received.length - ledger.accepted} repeats`,
    );
  });

  /** Sent beside another request, so that none of the two was the first. */
  function isConcurrent(number: number): boolean {
    const place = number - EVENTS_AT_FIRST - 1;
    return place >= 0 && place % (3 * EVENTS_AROUND_KILL) < 2 * EVENTS_AROUND_KILL;
  }
}
