/**
 * Items of the API on a real node: versions that keep people from undoing each other's changes, and lists in pages.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { partitionOf } from '../../../actors/ingest/partition.ts';
import { until } from '../../support/node-under-test.ts';
import { Sink } from '../../support/sink.ts';
import { API_TIMEOUT_MS, WAIT_MS, askingANode, items } from './api-asking.ts';
import { DESTINATION, RULE } from './good-calls.ts';

describe('The items of the API', function () {
  this.timeout(API_TIMEOUT_MS);
  const asking = askingANode();
  const { ask, good, refused, all } = asking;

  describe('versions', () => {
    it('of a rule: asked for, compared, raised; and nothing of a stale change is done', async () => {
      const made = await good('createRule', { body: { ...RULE, name: 'versions' } });
      const params = { id: Number(made.body['id']) };
      expect(made.headers.get('location')).to.equal(`/api/v2/rules/${params.id}`);
      const first = made.headers.get('etag') ?? '';
      await refused(ask('replaceRule', { params, body: RULE }), 428, 'E_IF_MATCH_REQUIRED');
      await refused(ask('deleteRule', { params }), 428, 'E_IF_MATCH_REQUIRED');
      const body = { ...RULE, name: 'versions', priority: 3 };
      const second = await good('replaceRule', { params, body, headers: { 'if-match': first } });
      expect(second.headers.get('etag')).to.not.equal(first);
      const stale = await refused(
        ask('replaceRule', { params, body: { ...body, priority: 4 }, headers: { 'if-match': first } }),
        412,
        'E_VERSION_STALE',
      );
      expect(stale['current_version']).to.equal(second.body['version']);
      await refused(ask('deleteRule', { params, headers: { 'if-match': first } }), 412, 'E_VERSION_STALE');
      expect((await good('getRule', { params })).body['priority']).to.equal(3);
      const fresh = await ask('getRule', {
        params,
        headers: { 'if-none-match': `"0", ${second.headers.get('etag')}` },
      });
      expect(fresh.status).to.equal(304);
      await good('deleteRule', { params, headers: { 'if-match': '*' } });
      await refused(ask('deleteRule', { params, headers: { 'if-match': '*' } }), 404, 'E_NOT_FOUND');
      await refused(ask('deleteRule', { params, headers: { 'if-match': '"1"' } }), 404, 'E_NOT_FOUND');
      await refused(ask('getRule', { params }), 404, 'E_NOT_FOUND');
    });

    it('of two who write at once: one wins', async () => {
      const made = await good('createRule', { body: { ...RULE, name: 'race' } });
      const params = { id: Number(made.body['id']) };
      const headers = { 'if-match': made.headers.get('etag') ?? '' };
      const replies = await Promise.all(
        [1, 2, 3, 4, 5].map((priority) =>
          ask('replaceRule', { params, headers, body: { ...RULE, name: 'race', priority } }),
        ),
      );
      expect(replies.map(({ status }) => status).sort()).to.deep.equal([200, 412, 412, 412, 412]);
      const winner = replies.find(({ status }) => status === 200);
      expect((await good('getRule', { params })).body).to.deep.equal(winner?.body);
    });

    for (const [what, one, put, get, remove, body, other] of [
      ['a team', { hostname: 'h-1' }, 'putTeam', 'getTeam', 'deleteTeam', { team: 'A' }, { team: 'B' }],
      [
        'a destination',
        { name: 'd-1' },
        'putDestination',
        'getDestination',
        'deleteDestination',
        DESTINATION,
        { ...DESTINATION, concurrency: 2 },
      ],
      [
        'a setting',
        { key: 'forward.breaker.baseMs' },
        'putSetting',
        'getSetting',
        'unsetSetting',
        { value: 700 },
        { value: 800 },
      ],
    ] as const) {
      it(`of ${what}: made without one, changed only with it, never the same again`, async () => {
        const params = one as Record<string, string>;
        const isSetting = put === 'putSetting';
        const made = await good(put, { params, body });
        expect(made.status).to.equal(isSetting ? 200 : 201);
        await refused(ask(put, { params, body: other }), 428, 'E_IF_MATCH_REQUIRED');
        await refused(
          ask(put, { params, body: other, headers: { 'if-none-match': '*' } }),
          412,
          'E_VERSION_STALE',
        );
        const changed = await good(put, {
          params,
          body: other,
          headers: { 'if-match': made.headers.get('etag') ?? '' },
        });
        expect(changed.status).to.equal(200);
        await refused(
          ask(put, { params, body, headers: { 'if-match': made.headers.get('etag') ?? '' } }),
          412,
          'E_VERSION_STALE',
        );
        const shown = await good(get, { params });
        expect(shown.body).to.deep.equal(changed.body);
        await refused(ask(remove, { params, headers: { 'if-match': '"9999"' } }), 412, 'E_VERSION_STALE');
        await good(remove, { params, headers: { 'if-match': shown.headers.get('etag') ?? '' } });
        await refused(ask(remove, { params, headers: { 'if-match': '*' } }), 404, 'E_NOT_FOUND');
        if (!isSetting) {
          await refused(ask(put, { params, body, headers: { 'if-match': '*' } }), 412, 'E_VERSION_STALE');
        }
        const again = await good(put, { params, body });
        const versions = [made, changed, again].map((reply) => Number(reply.body['version']));
        expect(versions).to.deep.equal([...new Set(versions)].sort((a, b) => a - b));
      });
    }
  });

  describe('lists', () => {
    it('come in pages that hold every item once, whatever is added and removed meanwhile', async () => {
      const hosts = Array.from({ length: 23 }, (_, at) => `page-${String(at).padStart(2, '0')}`);
      await good('applyRuleSet', { body: { development_hosts: hosts } });
      const paged = (await all('listDevHosts', 5)).map(({ hostname }) => hostname);
      expect(paged.filter((name) => String(name).startsWith('page-'))).to.deep.equal(hosts);
      const first = await good('listDevHosts', { query: { limit: 10 } });
      await good('removeDevHost', { params: { hostname: String(items(first).at(-1)?.['hostname']) } });
      await good('addDevHost', { body: { hostname: 'aaa-first' } });
      const second = await good('listDevHosts', {
        query: { limit: 200, cursor: String(first.body['next']) },
      });
      const overlap = items(second).filter(({ hostname }) =>
        items(first).some((item) => item['hostname'] === hostname),
      );
      expect(overlap).to.deep.equal([]);
    });

    it('of rules are in the order they are tried, and filtered', async () => {
      for (const [name, priority] of [
        ['z', 2],
        ['a', 2],
        ['m', 1],
      ] as const) {
        await good('createRule', {
          body: { ...RULE, name: `sort-${name}`, priority, team_assignment: 'SORT' },
        });
      }
      const sorted = await all('listRules', 1, { team: 'SORT' });
      expect(sorted.map(({ name }) => name)).to.deep.equal(['sort-m', 'sort-z', 'sort-a']);
      const found = await all('listRules', 200, { q: 'SORT-M' });
      expect(found.map(({ name }) => name)).to.deep.equal(['sort-m']);
      expect(await all('listRules', 200, { team: 'SORT', is_active: 'false' })).to.deep.equal([]);
    });

    for (const operationId of [
      'listTeams',
      'listDestinations',
      'listSettings',
      'listConfigAudit',
      'listKeys',
    ]) {
      it(`${operationId} says the same page by page and at once`, async () => {
        expect(await all(operationId, 2)).to.deep.equal(await all(operationId, 200));
      });
    }

    it('of settings name every key with its type, range and who reacts', async () => {
      const settings = await all('listSettings', 200);
      expect(settings.map(({ key }) => key)).to.include.members([
        'pool.match.size',
        'log.level',
        'api.rate.burst',
      ]);
      for (const { description, reacts } of settings) expect([description, reacts]).to.not.include('');
    });
  });

  describe('partitions', () => {
    const HOST = 'paused-host';
    /** More than the mailbox of a destination is told to hold. */
    const EVENTS = 1_100;
    let sink: Sink;
    before(async () => {
      sink = await Sink.start();
    });
    after(() => sink.close());

    interface Mailbox {
      mailbox: string;
      worker: string | null;
      depth: number;
      oldest_at: string | null;
      paused: { reason: string; detail: string; since: string | null } | null;
      eta_seconds: number | null;
    }
    type Progress = Omit<Mailbox, 'mailbox'> & { partition: number; mailboxes: Mailbox[] };
    let partition = 0;
    const progress = async (): Promise<Progress> =>
      (await good('getPartition', { params: { n: partition } })).body as unknown as Progress;
    const mailbox = async (name: string): Promise<Mailbox> => {
      const found = (await progress()).mailboxes.find((each) => each.mailbox === name);
      if (found === undefined) throw new Error(`no mailbox ${name}`);
      return found;
    };
    const untilOf = (name: string, isSo: (found: Mailbox) => boolean): Promise<void> => {
      let last: Mailbox | undefined;
      return until(
        async () => isSo((last = await mailbox(name))),
        WAIT_MS,
        () => JSON.stringify(last),
      );
    };

    it('are read on while all is well, and empty at once', async () => {
      for (const each of items(await good('listPartitions')) as unknown as Progress[]) {
        expect(each).to.include({ paused: null, eta_seconds: 0, oldest_at: null });
        expect(each.mailboxes[0]).to.include({ mailbox: 'ingest', worker: 'match-0', depth: 0 });
        expect(each.mailboxes.at(-1)).to.include({ mailbox: 'dead', worker: 'remediation-0', depth: 0 });
        for (const { paused, eta_seconds } of each.mailboxes)
          expect([paused, eta_seconds]).to.deep.equal([null, 0]);
      }
    });

    it('say that a destination refuses the credential, and that matching waits when its mailbox is full', async () => {
      for (const { name } of await all('listDestinations', 200))
        await good('deleteDestination', { params: { name: String(name) }, headers: { 'if-match': '*' } });
      for (const key of ['match.batch.eventsMax', 'mailbox.alert.alertsMax'])
        await good('putSetting', { params: { key }, body: { value: 1_000 } });
      await good('putSetting', { params: { key: 'mailbox.outbox.alertsMax' }, body: { value: 0 } });
      // The next probe is never far away.
      await good('putSetting', { params: { key: 'forward.breaker.delayMaxMs' }, body: { value: 1_000 } });
      sink.mode = 'unauthorized';
      await good('putDestination', {
        params: { name: 'slow' },
        body: { ...DESTINATION, url: sink.url, rate_per_second: 500, collapse: false },
      });
      const rule = { ...RULE, name: 'paused', match_string: 'paused says', dev_handling: 'Page_only' };
      await good('createRule', { body: rule });
      await asking.node.whenInForce();
      const timestamp = new Date().toISOString();
      const events = Array.from({ length: EVENTS }, (_, n) => ({
        hostname: HOST,
        message: `paused says ${n}`,
        timestamp,
      }));
      expect((await asking.node.post(JSON.stringify(events))).status).to.equal(200);
      partition = partitionOf(HOST, items(await good('listPartitions')).length);
      await untilOf('alert:slow', ({ paused }) => paused?.reason === 'destination_unauthorized');
      await untilOf('ingest', ({ paused }) => paused?.reason === 'mailbox_full');
      const [lane, ingest] = [await mailbox('alert:slow'), await mailbox('ingest')];
      expect(lane.depth).to.be.within(1, 1_000);
      expect(lane.depth + ingest.depth).to.equal(EVENTS);
      expect(lane.paused?.detail).to.include('slow').and.include('HTTP 401');
      expect(ingest.paused?.detail).to.include('alert:slow');
      for (const { worker, oldest_at, paused, eta_seconds } of [lane, ingest]) {
        expect(worker).to.match(/^(forward|match)-0$/);
        expect(Date.parse(oldest_at ?? '')).to.be.within(Date.parse(timestamp) - 1_000, Date.now());
        expect(Date.parse(paused?.since ?? '')).to.be.within(Date.parse(timestamp), Date.now());
        expect(eta_seconds).to.equal(null);
      }
      const { mailboxes: _, ...whole } = await progress();
      expect(whole).to.include({ oldest_at: ingest.oldest_at, eta_seconds: null });
      expect(whole.paused?.reason).to.equal('mailbox_full');
    });

    it('say how long a backlog will take while it gets less, and 0 after that', async () => {
      sink.mode = 'take';
      const seen: number[] = [];
      await untilOf('alert:slow', ({ depth, paused, eta_seconds }) => {
        if (depth > 0 && eta_seconds !== null) {
          expect(paused).to.equal(null);
          seen.push(eta_seconds);
        }
        return depth === 0 && sink.received.length >= EVENTS;
      });
      expect(seen.length).to.be.greaterThan(0);
      expect(Math.min(...seen)).to.be.within(1, 60);
      await untilOf('alert:slow', ({ eta_seconds, oldest_at }) => eta_seconds === 0 && oldest_at === null);
      expect(await progress()).to.include({ paused: null, eta_seconds: 0 });
    });

    it('say that the thread that has them does not run', async () => {
      let seen: Mailbox['paused'] = null;
      await until(
        async () => {
          await good('restartActor', { params: { id: 'match-0' }, body: { how: 'kill' } }).catch(
            () => undefined,
          );
          const { paused } = await mailbox('ingest');
          if (paused?.reason === 'worker_down') seen = paused;
          return seen !== null;
        },
        WAIT_MS,
        () => 'nothing is said',
      );
      expect((seen as Mailbox['paused'])?.detail).to.match(/^match-0 .*killed: asked for with the key admin/);
      expect(await mailbox('alert:slow')).to.include({ paused: null });
      await untilOf('ingest', ({ paused }) => paused === null);
    });

    it('say that alerts wait for a destination that was removed', async () => {
      sink.mode = 'unauthorized';
      expect(
        (
          await asking.node.post(
            JSON.stringify({ hostname: HOST, message: 'paused says', timestamp: new Date().toISOString() }),
          )
        ).status,
      ).to.equal(200);
      await untilOf('alert:slow', ({ depth }) => depth === 1);
      await good('deleteDestination', { params: { name: 'slow' }, headers: { 'if-match': '*' } });
      await untilOf(
        'alert:slow',
        ({ depth, paused }) => depth === 1 && paused?.reason === 'destination_removed',
      );
    });
  });
});
