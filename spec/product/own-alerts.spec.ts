/**
 * A node that is in trouble says so by itself, by a way that is not the troubled one: a destination that refuses the
 * credential, Redis that does not answer, both stores at once. And a service elsewhere hears it live, or no more.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';
import { Sink } from '../support/sink.ts';
import { signalActor } from './faults.ts';

const TIMEOUT_MS = 120_000;
const SETTINGS = {
  'alerts.own.storeAwayMs': 1_000,
  'alerts.own.resolveAfterMs': 1_000,
  'alerts.own.team': 'MUTT-OPS',
  'forward.breaker.baseMs': 100,
  'forward.breaker.delayMaxMs': 500,
};

describe('A node in trouble', function () {
  this.timeout(TIMEOUT_MS);
  let node: NodeUnderTest;
  let one: Sink;
  let two: Sink;
  let ping: Sink;

  before(async () => {
    [one, two, ping] = await Promise.all([Sink.start(), Sink.start(), Sink.start()]);
    node = await NodeUnderTest.start({ MUTT_BEAT_URL: ping.url, MUTT_BEAT_EVERY_MS: '1000' });
    for (const [key, value] of Object.entries(SETTINGS)) {
      const { status, body } = await node.admin(`/api/v2/config/${key}`, { method: 'PUT', body: { value } });
      expect(status, JSON.stringify(body)).to.equal(200);
    }
    const { status, body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: {
        rules: [
          {
            name: 'all',
            match_string: 'ALERT',
            prod_handling: 'Page_and_ticket',
            dev_handling: 'Ticket_only',
            team_assignment: 'NOC',
          },
        ],
        destinations: [
          { name: 'one', kind: 'moogsoft', url: one.url, timeout_ms: 2_000 },
          { name: 'two', kind: 'webhook', url: two.url, timeout_ms: 2_000 },
        ],
      },
    });
    expect(status, JSON.stringify(body)).to.equal(200);
    await node.whenApplied(body.snapshot_version);
  });
  after(async () => {
    await node.close();
    await Promise.all([one.close(), two.close(), ping.close()]);
  });

  const send = async (): Promise<void> => {
    const event = { hostname: 'edge-1', message: 'ALERT', timestamp: new Date().toISOString() };
    expect((await node.post(JSON.stringify(event))).status).to.equal(200);
  };
  const statusesOf = (sink: Sink, condition: string): string[] =>
    sink.own
      .filter(({ body }) => String(body['signature']).startsWith(`mutt::${condition}::`))
      .map(({ body }) => String(body['status'] ?? body.custom_info?.['status']));
  const told = (sink: Sink, condition: string, ...statuses: string[]): Promise<void> =>
    until(
      async () => JSON.stringify(statusesOf(sink, condition)) === JSON.stringify(statuses),
      20_000,
      () =>
        `${condition}: ${statusesOf(sink, condition).join()} instead of ${statuses.join()}\n${node.output}`,
    );

  it('knows how long each stage of the way took, and how it stands against its objectives', async () => {
    await send();
    await until(
      async () => one.received.length > 0 && two.received.length > 0,
      20_000,
      () => 'the alert does not come',
    );
    type Figures = { count: number; p50_ms: number | null; p99_ms: number | null };
    let stages: Record<string, Figures> = {};
    // A gateway reports its counters four times a second.
    await until(
      async () => {
        const { body } = await node.admin<{ latency: { stages: typeof stages } }>('/api/v2/metrics');
        ({ stages } = body.latency);
        // To the two and to the local sink.
        return (
          stages['sent_to_accepted']?.count === 3 && Object.values(stages).every(({ count }) => count > 0)
        );
      },
      5_000,
      () => JSON.stringify(stages),
    );
    expect(Object.keys(stages)).to.have.length(6);
    expect(stages['received_to_accepted']?.p99_ms).to.be.within(0.001, 20_000);
    expect(stages['stored_to_matched']).to.include({ count: 1 });
    const { body: text } = await node.admin<string>('/metrics');
    expect(text).to.match(/^mutt_matched_to_committed_seconds_bucket\{le="\+Inf"\} 1$/m);
    expect(text).to.match(/^# TYPE mutt_received_to_stored_seconds histogram$/m);
    const { body } = await node.admin<{ components: Record<string, unknown> }>('/api/v2/slo');
    expect(body.components['ingestor']).to.include({ target: 0.999, state: 'no_data' });
  });

  it('tells another destination that one refuses the credential, once, and when it takes it again', async () => {
    one.mode = 'unauthorized';
    await send();
    await told(two, 'destination_unauthorized', 'firing');
    const { body } = await node.admin<{ own_alerts: { signature: string }[] }>('/api/v2/status');
    expect(body.own_alerts.map(({ signature }) => signature)).to.deep.equal([
      'mutt::destination_unauthorized::one',
    ]);
    expect(two.own[0]?.body).to.include({ team: 'MUTT-OPS', severity: 2, rule_id: -1 });
    one.mode = 'take';
    await told(two, 'destination_unauthorized', 'firing', 'resolved');
    expect(one.own, 'the troubled one was not told').to.deep.equal([]);
  });

  it('tells that Redis does not answer, while it does not, and when it does again', async () => {
    const resume = await signalActor(node, 'redis', 'SIGSTOP');
    try {
      await told(one, 'redis_away', 'firing');
      await told(two, 'redis_away', 'firing');
    } finally {
      resume();
    }
    await told(one, 'redis_away', 'firing', 'resolved');
  });

  it('tells it while both stores are away, though the thread that tells has just died', async () => {
    const killed = await node.admin('/api/v2/actors/own-alerts/restart', {
      method: 'POST',
      body: { how: 'kill' },
    });
    expect(killed.status).to.equal(200);
    const resumes = [
      await signalActor(node, 'redis', 'SIGSTOP'),
      await signalActor(node, 'postgres', 'SIGSTOP'),
    ];
    try {
      await told(two, 'postgres_away', 'firing');
      await told(two, 'redis_away', 'firing', 'resolved', 'firing');
    } finally {
      for (const resume of resumes) resume();
    }
    await told(two, 'postgres_away', 'firing', 'resolved');
    await told(two, 'redis_away', 'firing', 'resolved', 'firing', 'resolved');
  });

  it('tells of a process that restarts more often than it may, and not of one that was asked to', async () => {
    const key = '/api/v2/config/alerts.own.restartsPerHourMax';
    expect((await node.admin(key, { method: 'PUT', body: { value: 0 } })).status).to.equal(200);
    await signalActor(node, 'gateway-0', 'SIGKILL');
    const workers = (): string[] =>
      two.own.flatMap(
        ({ body }) => /^mutt::worker_restarting::.*\/(.+)$/.exec(String(body['signature']))?.[1] ?? [],
      );
    await until(
      async () => workers().includes('gateway-0'),
      20_000,
      () => `told of ${workers().join()}`,
    );
    expect(workers()).not.to.include('own-alerts');
    await node.whenReady();
  });

  it('has counted nothing of that among its events', async () => {
    await node.whenReady();
    const { accepted, balanced, in_flight, alerts } = await node.settled();
    expect({ accepted, balanced, in_flight }).to.deep.equal({ accepted: 2, balanced: true, in_flight: 0 });
    expect(alerts).to.include({ opened: 6, delivered: 6, dead: 0 });
  });

  it('is heard elsewhere while it lives, and not while its supervisor hangs', async () => {
    const beats = (): number => ping.received.length;
    await until(
      async () => ping.received.at(-1)?.body['ready'] === true,
      10_000,
      () => `it says ${JSON.stringify(ping.received.at(-1)?.body)}`,
    );
    node.kill('SIGSTOP');
    try {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const before = beats();
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      expect(beats() - before).to.equal(0);
    } finally {
      node.kill('SIGCONT');
    }
    const before = beats();
    await until(
      async () => beats() > before,
      10_000,
      () => 'it is not heard again',
    );
  });
});
