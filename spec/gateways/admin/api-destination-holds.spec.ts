/**
 * A destination that is paused and muted on a real node: its alerts wait, or end unsent, and everything that is asked
 * says so.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { until } from '../../support/node-under-test.ts';
import { Sink } from '../../support/sink.ts';
import { API_TIMEOUT_MS, WAIT_MS, askingANode, items } from './api-asking.ts';
import type { Item } from './api-asking.ts';
import { DESTINATION, RULE } from './good-calls.ts';

describe('Pause and mute of a destination', function () {
  this.timeout(API_TIMEOUT_MS);
  const { ask, good, refused, newest, all, ...asking } = askingANodeWithSink();
  const params = { name: 'noc' };

  /** One event that the rule matches; gives its id in the audit. */
  async function send(host: string): Promise<string> {
    const event = { hostname: host, message: 'held says one', timestamp: new Date().toISOString() };
    expect((await asking.node().post(JSON.stringify(event))).status).to.equal(200);
    let id = '';
    await until(
      async () => {
        const [row] = items(await good('listAuditLogs', { query: { hostname: host, limit: 1 } })) as {
          event_id?: string;
        }[];
        id = row?.event_id ?? '';
        return id !== '';
      },
      WAIT_MS,
      () => `no decision about the event of ${host}`,
    );
    return id;
  }
  const statusOf = async (): Promise<Item | undefined> =>
    ((await good('getStatus')).body['destinations'] as Item[]).find(({ name }) => name === 'noc');
  const stateOf = async (id: string): Promise<Item> => (await good('getEvent', { params: { id } })).body;
  async function untilState(id: string, state: string): Promise<Item> {
    let found: Item = {};
    await until(
      async () => (found = await stateOf(id))['state'] === state,
      WAIT_MS,
      () => JSON.stringify(found),
    );
    return found;
  }

  it('paused: alerts wait until its time, and status, partitions and lineage say why and until when', async () => {
    const until1 = new Date(Date.now() + 6_000).toISOString();
    const held = await good('pauseDestination', { params, body: { reason: 'upgrade', until: until1 } });
    expect(held.body['hold']).to.include({ kind: 'pause', until: until1, reason: 'upgrade', by: 'admin' });
    expect(await newest({ resource: 'destinations' })).to.include({
      operation: 'UPDATE',
      record_key: 'noc',
      reason: 'upgrade',
    });
    await asking.node().whenInForce();
    const id = await send('paused-host');
    expect(await statusOf()).to.include({ state: 'paused', last_error: 'admin: upgrade', until: until1 });
    const partitions = items(await good('listPartitions'));
    const lanes = partitions.flatMap(({ mailboxes }) => mailboxes as Item[]);
    const paused = lanes
      .filter(({ mailbox }) => mailbox === 'alert:noc')
      .map((lane) => lane['paused'] as Item);
    for (const pause of paused) expect(pause).to.include({ reason: 'destination_paused', until: until1 });
    expect((await stateOf(id))['explanation']).to.include('paused by admin: upgrade');
    expect(asking.sink().alertIds).to.deep.equal([]);
    await untilState(id, 'forwarded');
    expect(Date.now()).to.be.at.least(Date.parse(until1));
    expect(asking.sink().alertIds).to.have.length(1);
    const shown = await good('getDestination', { params });
    expect([shown.body['hold'], await statusOf()]).to.deep.equal([null, undefined]);
  });

  it('muted: alerts end as suppressed, in the ledger and in the lineage, until it is resumed', async () => {
    const before = asking.sink().alertIds.length;
    await good('muteDestination', { params, body: { reason: 'noise' } });
    await asking.node().whenInForce();
    const id = await send('muted-host');
    const traced = await untilState(id, 'suppressed');
    expect(traced['explanation']).to.include('It was not sent to noc: it was muted.');
    const [alert] = (traced['event'] as { alerts: Item[] }).alerts;
    expect(alert).to.include({ state: 'suppressed', receipt: null });
    expect(alert?.['unsent']).to.include({ reason: 'muted' });
    expect(await statusOf()).to.include({ state: 'muted', until: null });
    const ledger = (await good('getLedger')).body;
    expect(ledger['terminal']).to.include({ suppressed: 1, forwarded: 1 });
    expect(ledger['alerts']).to.include({ suppressed: 1, superseded: 0, delivered: 1 });
    expect(ledger['balanced']).to.equal(true);
    const metrics = (await good('getMetrics')).text;
    expect(metrics).to.match(/mutt_forward_unsent_alerts_total\{reason="muted"[^}]*\} 1\n/);
    await good('resumeDestination', { params, body: { reason: 'quiet again' } });
    await asking.node().whenInForce();
    await untilState(await send('resumed-host'), 'forwarded');
    expect(asking.sink().alertIds).to.have.length(before + 1);
  });

  it('is refused with what is wrong, and to those who may not', async () => {
    const hold = { reason: 'x' };
    await refused(ask('pauseDestination', { params: { name: 'nobody' }, body: hold }), 404, 'E_NOT_FOUND');
    await refused(ask('resumeDestination', { params: { name: 'nobody' } }), 404, 'E_NOT_FOUND');
    const past = { ...hold, until: '2020-01-01T00:00:00Z' };
    await refused(ask('muteDestination', { params, body: past }), 400, 'E_PARAMETER_INVALID', 'until');
    await refused(ask('muteDestination', { params, body: {} }), 400, 'E_BODY_INVALID', 'reason');
    const made = await good('createKey', { body: { name: 'reader', scopes: ['read'] } });
    const key = String(made.body['key']);
    await until(
      async () => (await ask('listDestinations', { key })).status === 200,
      WAIT_MS,
      () => 'the key is not taken',
    );
    await refused(ask('pauseDestination', { params, key, body: hold }), 403, 'E_SCOPE_MISSING');
    expect(await all('listDestinations', 10)).to.have.length(1);
  });

  it('stays when the destination is replaced with what was shown', async () => {
    const held = await good('pauseDestination', { params, body: { reason: 'long work' } });
    const put = await good('putDestination', {
      params,
      headers: { 'if-match': held.headers.get('etag') ?? '' },
      body: { ...held.body, concurrency: 3 },
    });
    expect(put.body['hold']).to.deep.equal(held.body['hold']);
    expect((await good('resumeDestination', { params })).body).to.include({ hold: null, concurrency: 3 });
  });

  /** With one destination and a rule for it. */
  function askingANodeWithSink() {
    const node = askingANode();
    let sink: Sink;
    before(async () => {
      sink = await Sink.start();
      for (const { name } of await node.all('listDestinations', 200))
        await node.good('deleteDestination', {
          params: { name: String(name) },
          headers: { 'if-match': '*' },
        });
      const body = { ...DESTINATION, url: sink.url, rate_per_second: 500 };
      await node.good('putDestination', { params: { name: 'noc' }, body });
      const rule = { ...RULE, name: 'held', match_string: 'held says', dev_handling: 'Page_only' };
      await node.good('createRule', { body: { ...rule, prod_handling: 'Page_only' } });
      await node.node.whenInForce();
    });
    after(() => sink.close());
    return {
      ask: node.ask,
      good: node.good,
      refused: node.refused,
      newest: node.newest,
      all: node.all,
      node: () => node.node,
      sink: () => sink,
    };
  }
});
