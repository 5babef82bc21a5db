/**
 * The live stream of a whole node: what really happens in its threads and processes is what a client sees.
 */
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../../../support/node-under-test.ts';
import { RawWebSocket } from './raw-websocket.ts';

describe('The live stream of a node', function () {
  this.timeout(180_000);
  let node: NodeUnderTest;
  const clients: RawWebSocket[] = [];

  before(async () => {
    node = await NodeUnderTest.start({ MUTT_MATCH_THREADS: '2' });
  });
  after(() => node.close());
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  async function subscribed(message: object): Promise<RawWebSocket> {
    const client = await RawWebSocket.open(node.ports.admin, { 'x-api-key': node.adminKey });
    clients.push(client);
    expect(client.status).to.equal(101);
    client.send(message);
    await client.next('subscribed');
    return client;
  }
  const eventOf = (hostname: string, message: string): object => ({
    hostname,
    message,
    timestamp: new Date().toISOString(),
  });
  async function post(...events: object[]): Promise<void> {
    expect((await node.post(JSON.stringify(events))).status).to.equal(200);
  }

  it('shows counters once a second that add up to what was sent', async () => {
    const client = await subscribed({ subscribe: ['counters'] });
    const first = (await client.next('counters')) as never as { totals: { accepted: number } };
    await post(...Array.from({ length: 50 }, (_, at) => eventOf(`counted-${at}`, 'nothing of interest')));
    await until(
      async () => {
        const { totals } = client.ofType('counters').at(-1) as never as { totals: Record<string, number> };
        return totals['accepted'] === first.totals.accepted + 50 && totals['unmatched'] !== 0;
      },
      20_000,
      () => JSON.stringify(client.ofType('counters').at(-1)),
    );
    const shown = client.ofType('counters') as never as { at: string; rates: Record<string, number> }[];
    expect(Math.max(...shown.map(({ rates }) => rates['accepted'] ?? 0))).to.be.greaterThan(0);
    const gapsMs = shown
      .slice(1)
      .map(({ at }, before) => Date.parse(at) - Date.parse(shown[before]?.at ?? ''));
    expect(Math.min(...gapsMs)).to.be.greaterThan(500);
    await until(
      async () => {
        const { mailboxes } = client.ofType('counters').at(-1) as never as { mailboxes: unknown };
        return JSON.stringify(mailboxes) === '{"ingest_events":0,"alerts":0,"in_flight":0}';
      },
      20_000,
      () => JSON.stringify(client.ofType('counters').at(-1)),
    );
  });

  it('shows what is decided, on every match thread, and only what passes the filter', async () => {
    const all = await subscribed({ subscribe: ['tap'] });
    const some = await subscribed({ subscribe: ['tap'], filter: { host: '*-1*', decision: 'Unmatched' } });
    const shownBy = (client: RawWebSocket, prefix: string): string[] => {
      const hosts = client.ofType('tap').map(({ event }) => (event as { hostname: string }).hostname);
      return [...new Set(hosts)].filter((host) => host.startsWith(prefix)).sort();
    };
    const hostsOf = (prefix: string): string[] =>
      Array.from({ length: 20 }, (_, at) => `${prefix}-${at}.example.net`).sort();
    const withOne = (hosts: string[]): string[] => hosts.filter((host) => host.includes('-1'));
    // Threads hear of a tap a moment after the client does.
    await until(
      async () => {
        await post(...hostsOf('probe').map((host) => eventOf(host, 'hello')));
        return shownBy(all, 'probe').length === 20 && shownBy(some, 'probe').length === 11;
      },
      30_000,
      () => 'nothing is shown',
    );
    // A new second, in which nothing is over the rate.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await post(...hostsOf('tapped').map((host) => eventOf(host, 'nothing of interest')));
    await until(
      async () => shownBy(all, 'tapped').length === 20 && shownBy(some, 'tapped').length === 11,
      30_000,
      () => `${shownBy(all, 'tapped').join()} and ${shownBy(some, 'tapped').join()}`,
    );
    expect(shownBy(all, 'tapped')).to.deep.equal(hostsOf('tapped'));
    expect(shownBy(some, '')).to.deep.equal([...withOne(hostsOf('probe')), ...withOne(hostsOf('tapped'))]);
    const { event } = all.ofType('tap').at(-1) as never as { event: Record<string, unknown> };
    expect(Object.keys(event)).to.have.members([
      'received_at',
      'hostname',
      'program',
      'severity',
      'message',
      'decision',
      'rule_id',
      'rule_version',
      'team',
      'correlation_id',
      'event_id',
    ]);
  });

  it('shows a thread that dies and comes back, and goes on tapping it', async () => {
    const client = await subscribed({ subscribe: ['tree', 'tap'], filter: { host: 'after-*' } });
    for (const id of ['match-0', 'match-1']) {
      await node.admin(`/api/v2/actors/${id}/restart`, { method: 'POST', body: { how: 'kill' } });
    }
    const eventsOf = (child: string): unknown[] =>
      client
        .ofType('tree')
        .map(({ event }) => event as { child?: string; event: string; supervisor: string })
        .filter((event) => event.child === child && event.supervisor === 'node/match')
        .map(({ event }) => event);
    for (const child of ['match-0', 'match-1']) {
      await until(
        async () => eventsOf(child).includes('childStarted'),
        30_000,
        () => JSON.stringify(client.ofType('tree')),
      );
      expect(eventsOf(child)).to.include('childExited');
    }
    let sent = 0;
    await until(
      async () => {
        await post(...Array.from({ length: 8 }, () => eventOf(`after-${sent++}`, 'hello')));
        return client.ofType('tap').length >= 8;
      },
      30_000,
      () => 'nothing is shown any more',
    );
  });

  it('comes back after the admin process was killed; its taps end without a word', async () => {
    const client = await subscribed({ subscribe: ['tap'] });
    const { pid } = await node.actor('admin');
    process.kill(pid as number, 'SIGKILL');
    await client.closed();
    await until(
      async () => (await node.admin('/api/v2/version').catch(() => ({ status: 0 }))).status === 200,
      30_000,
      () => node.output,
    );
    const again = await subscribed({ subscribe: ['tap'], filter: { host: 'again' } });
    await until(
      async () => {
        await post(eventOf('again', 'hello'));
        return again.ofType('tap').length > 0;
      },
      30_000,
      () => 'nothing is shown',
    );
  });

  it('ends with its key: one that is revoked through the API', async () => {
    const made = await node.admin<{ key: string }>('/api/v2/keys', {
      method: 'POST',
      body: { name: 'watcher', scopes: ['read'] },
    });
    expect(made.status).to.equal(201);
    let client: RawWebSocket | undefined;
    await until(
      async () => {
        client = await RawWebSocket.open(node.ports.admin, { 'x-api-key': made.body.key });
        clients.push(client);
        return client.status === 101;
      },
      20_000,
      () => client?.answer ?? '',
    );
    const began = performance.now();
    await node.admin('/api/v2/keys/watcher', { method: 'DELETE' });
    await client?.closed();
    // A second is promised; the machine of a spec may be slow.
    expect(performance.now() - began).to.be.lessThan(5_000);
    expect(client?.closeCode).to.equal(1008);
  });

  it('says rates per minute that outlive the admin process', async () => {
    const rates = async (): Promise<{
      summary: Record<string, number>;
      chart_24h: { labels: string[]; data: number[] };
    }> => (await node.admin<never>('/api/v2/metrics')).body;
    await post(...Array.from({ length: 30 }, (_, at) => eventOf(`rated-${at}`, 'hello')));
    await until(
      async () => ((await rates()).summary['current_rate_1m'] ?? 0) >= 30,
      20_000,
      () => 'no rate',
    );
    const { accepted } = await node.ledger();
    const before = await rates();
    expect(before.chart_24h.labels).to.have.length(24);
    expect(before.chart_24h.data).to.have.length(24);
    expect(before.summary['avg_rate_1h']).to.be.within(1, accepted);
    const { pid } = await node.actor('admin');
    process.kill(pid as number, 'SIGKILL');
    await until(
      async () => ((await rates().catch(() => undefined))?.summary['avg_rate_1h'] ?? 0) > 0,
      30_000,
      () => 'no rates any more',
    );
  });
});
