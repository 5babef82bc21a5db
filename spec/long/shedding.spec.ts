/**
 * A node whose destination is down while its mailbox and the outbox fill: what is worth least is deferred, what is
 * critical waits in order, a killed match thread doubles nothing, and all of it arrives when the destination is back.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { FaultInjector } from '../product/faults.ts';

const WAIT_MS = 60_000;
/** The least that a mailbox of alerts can be bounded to. */
const LANE_MAX = 1_000;
const OUTBOX_MAX = 1_000;
const BATCH = 250;
const INFORMATIONAL = 6;
const CRITICAL = 2;

interface LedgerBody {
  accepted: number;
  balanced: boolean;
  in_flight: number;
  terminal: Record<string, number>;
  alerts: Record<string, number>;
  partitions: { lanes: Record<string, { messages: number }>; problems: string[] }[];
}
interface FailureBody {
  items: { reason: string }[];
}

describe('A node that sheds', function () {
  this.timeout(180_000);
  let node: NodeUnderTest;
  let sink: Sink;
  let sent = 0;

  before(async () => {
    sink = await Sink.start();
    sink.mode = 'fail';
    node = await NodeUnderTest.start({ MUTT_PARTITIONS: '1' });
    const destination = {
      name: 'noc',
      kind: 'moogsoft',
      url: sink.url,
      rate_per_second: 5_000,
      concurrency: 16,
      timeout_ms: 2_000,
      collapse: false,
    };
    const rule = {
      name: 'numbered',
      match_string: 'number',
      prod_handling: 'Ticket_only',
      dev_handling: 'Ticket_only',
      team_assignment: 'SPEC',
    };
    const { status } = await fetch(`http://127.0.0.1:${node.ports.admin}/api/v2/destinations/local`, {
      method: 'DELETE',
      headers: { 'x-api-key': node.adminKey, 'if-match': '*' },
    });
    expect(status).to.equal(204);
    await change('/api/v2/rule-set', { rules: [rule], destinations: [destination] });
    for (const [key, value] of [
      ['match.batch.eventsMax', BATCH],
      ['mailbox.alert.alertsMax', LANE_MAX],
      ['mailbox.outbox.alertsMax', OUTBOX_MAX],
      ['forward.breaker.delayMaxMs', 1_000],
      ['remediation.retry.baseMs', 100],
      ['remediation.rate.perSecondMax', 10_000],
      ['remediation.rate.perSecondMin', 2_000],
      ['shed.thresholdPercent', 40],
      ['shed.mode', 'defer'],
    ] as const) {
      await change(`/api/v2/config/${key}`, { value });
    }
    await node.whenInForce();
  });
  after(async () => {
    await node?.close();
    await sink?.close();
  });

  async function change(path: string, body: object): Promise<void> {
    const answer = await node.admin(path, { method: 'PUT', headers: { 'if-match': '*' }, body });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200);
  }
  const ledger = async (): Promise<LedgerBody> => (await node.admin<LedgerBody>('/api/v2/ledger')).body;

  async function send(count: number, severity: number): Promise<void> {
    const timestamp = new Date().toISOString();
    const events = Array.from({ length: count }, () => {
      sent += 1;
      return { hostname: `host-${sent}`, message: `number ${sent};`, severity, timestamp };
    });
    const { status } = await node.post(JSON.stringify(events));
    expect(status).to.equal(200);
  }
  async function whenMatched(): Promise<LedgerBody> {
    let last: LedgerBody | undefined;
    await until(
      async () => {
        last = await ledger();
        const waiting = last.partitions.map(
          ({ lanes }) => (lanes['ingest']?.messages ?? 0) + (lanes['overflow']?.messages ?? 0),
        );
        return last.accepted === sent && waiting.every((messages) => messages === 0);
      },
      WAIT_MS,
      () => `${JSON.stringify(last)}\n${node.output}`,
    );
    return last as LedgerBody;
  }

  it('defers what is worth least, and goes on matching, also where its match thread is killed', async () => {
    for (let at = 0; at < LANE_MAX; at += BATCH) await send(BATCH, INFORMATIONAL);
    await whenMatched();
    const faults = new FaultInjector(node, sink);
    for (let at = 0; at < 4; at += 1) {
      await send(2 * BATCH, INFORMATIONAL);
      if (at === 1) await faults.inject('kill match-0');
      await send(BATCH / 2, CRITICAL);
    }
    await faults.heal();
    const { alerts, partitions } = await whenMatched();
    expect(alerts['deferred']).to.be.within(2 * BATCH, 8 * BATCH);
    expect(alerts).to.include({ shed: 0, dead: 0 });
    expect(partitions[0]?.problems).to.deep.equal([]);
    const { body } = await node.admin<FailureBody>('/api/v2/failures?kind=dead_letter&limit=200');
    expect(body.items).to.have.length(200);
    expect(new Set(body.items.map(({ reason }) => reason))).to.deep.equal(new Set(['deferred']));
    const { body: metrics } = await node.admin<string>('/metrics');
    expect(Number(/mutt_alerter_shed_events_total\{mode="defer"\} (\d+)/.exec(metrics)?.[1])).to.be.above(0);
  });

  it('delivers everything when the destination is back, and what is critical before what was deferred', async () => {
    sink.mode = 'take';
    await until(
      async () => (await ledger()).terminal['forwarded'] === sent,
      WAIT_MS,
      () => `${sink.received.length} of ${sent}\n${node.output}`,
    );
    const { balanced, in_flight: inFlight, terminal, partitions } = await ledger();
    expect({ balanced, inFlight }, JSON.stringify(partitions)).to.deep.equal({ balanced: true, inFlight: 0 });
    expect(terminal['shed']).to.equal(0);
    const numbers = sink.received.map(({ body }) =>
      Number(/number (\d+);/.exec(String(body['description']))?.[1]),
    );
    expect(new Set(numbers).size).to.equal(sent);
  });
});
