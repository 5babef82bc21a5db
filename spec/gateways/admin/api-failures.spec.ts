/**
 * What was rejected, on a real node: found, shown, sent once more through the same mailbox, thrown away; and the rejects
 * of a quiet key while another one floods.
 */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { until } from '../../support/node-under-test.ts';
import { queryNode } from '../../product/node-database.ts';
import { API_TIMEOUT_MS, WAIT_MS, askingANode, items } from './api-asking.ts';
import type { Item } from './api-asking.ts';
import { HOSTILE } from './good-calls.ts';

const NOWHERE = '0190f000-0000-7000-8000-000000000000';
const event = (message: string): string =>
  JSON.stringify({ hostname: 'core-1', message, timestamp: new Date().toISOString() });

describe('The failures of the API', function () {
  this.timeout(API_TIMEOUT_MS);
  const asking = askingANode();
  const { ask, good, refused, all, newest } = asking;
  const keys: Record<string, string> = {};

  before(async () => {
    for (const [name, scope] of [
      ['quiet', 'ingest'],
      ['flood', 'ingest'],
      ['work', 'ingest'],
      ['viewer', 'read'],
      ['operator', 'operate'],
    ] as const) {
      const { body } = await good('createKey', { body: { name, scopes: [scope] } });
      keys[name] = String(body['key']);
    }
  });

  /** The ids of what was rejected, in the order it was sent. */
  async function rejected(
    key: string,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<string[]> {
    const correlationId = `c-${Math.random().toString(36).slice(2)}`;
    const reply = await asking.node.post(body, {
      'x-api-key': keys[key] ?? '',
      'x-correlation-id': correlationId,
      ...headers,
    });
    const found = await all('listFailures', 200, { key });
    const mine = found.filter((failure) => failure['correlation_id'] === correlationId);
    expect(mine.length, JSON.stringify(reply)).to.equal(reply.body.rejected ?? 1);
    return mine.sort((a, b) => Number(a['index']) - Number(b['index'])).map(({ id }) => String(id));
  }

  async function one(key: string, body: string | Buffer): Promise<string> {
    const [id = ''] = await rejected(key, body);
    return id;
  }

  const show = async (id: string, bytes = 1_000): Promise<Item> =>
    (await good('getFailure', { params: { id }, query: { bytes } })).body;
  const totals = async (key: string): Promise<Item> =>
    (await all('listRejectTotals', 2)).find((each) => each['key'] === key) ?? {};

  async function whenIn(key: string, value: number): Promise<void> {
    await good('putSetting', { params: { key }, body: { value }, headers: { 'if-match': '*' } });
    await asking.node.whenInForce();
    await until(
      async () => ((await good('getEffectiveSettings')).body['settings'] as Item)[key] === value,
      WAIT_MS,
      () => `${key} is not in effect`,
    );
  }

  it('show each reject with its reason and its body, as text and byte by byte', async () => {
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0x00, 0x22, 0x0d]);
    const [json = '', binary = ''] = [await one('work', '{"hostname":"r1"}'), await one('work', bytes)];
    expect(await show(json)).to.deep.include({
      kind: 'reject',
      state: 'parked',
      stage: 'ingest',
      partition: null,
      key: 'work',
      sender: 'unknown',
      index: 0,
      reason: 'E_FIELD_MISSING',
      attempts: 1,
      replays: 0,
      resubmitted_at: null,
      body_bytes: 17,
      history: [],
      body: {
        text: '{"hostname":"r1"}',
        base64: Buffer.from('{"hostname":"r1"}').toString('base64'),
        is_utf8: true,
        is_cut: false,
      },
    });
    const { body, body_bytes: size } = await show(binary);
    expect(size).to.equal(bytes.length);
    expect(body).to.deep.include({ base64: bytes.toString('base64'), is_utf8: false, is_cut: false });
    expect((await show(json, 5))['body']).to.deep.equal({
      text: '{"hos',
      base64: Buffer.from('{"hos').toString('base64'),
      is_utf8: true,
      is_cut: true,
    });
    expect((await show(json, 0))['body']).to.deep.include({ text: '', is_cut: true });
    await refused(ask('getFailure', { params: { id: NOWHERE } }), 404, 'E_NOT_FOUND');
    for (const [query, field] of [
      [{ bytes: 1_048_577 }, 'bytes'],
      [{ bytes: -1 }, 'bytes'],
    ] as const) {
      const reply = ask('getFailure', { params: { id: json }, query });
      await refused(reply, 400, 'E_PARAMETER_INVALID', field);
    }
  });

  it('are found by key, code, sender, state and time, page by page', async () => {
    await rejected('quiet', '{"hostname":"r1"}\n'.repeat(5));
    await rejected('quiet', '{"hostname":"r1","message":"m","timestamp":"never"}', {
      'user-agent': 'vector/1',
    });
    const ids = (found: readonly Item[]): unknown[] => found.map(({ id }) => id);
    const quiet = await all('listFailures', 200, { key: 'quiet' });
    expect(ids(await all('listFailures', 2, { key: 'quiet' }))).to.deep.equal(ids(quiet));
    expect(quiet.length).to.be.at.least(6);
    expect((await all('listFailures', 3)).filter(({ key }) => key === 'quiet').length).to.equal(quiet.length);
    for (const [query, wanted] of [
      [{ code: 'E_TIMESTAMP_INVALID' }, (each: Item) => each['reason'] === 'E_TIMESTAMP_INVALID'],
      [{ sender: 'vector' }, (each: Item) => each['sender'] === 'vector'],
      [{ state: 'resubmitted' }, () => false],
      [{ since: new Date(Date.now() + 60_000).toISOString() }, () => false],
      [{ since: new Date(Date.now() - 600_000).toISOString() }, () => true],
    ] as const) {
      const found = await all('listFailures', 4, { key: 'quiet', ...query });
      expect(ids(found), JSON.stringify(query)).to.deep.equal(ids(quiet.filter(wanted)));
    }
    for (const text of HOSTILE.filter((each) => each.trim() !== '')) {
      for (const field of ['key', 'code', 'sender']) {
        const reply = await ask('listFailures', { query: { [field]: text } });
        expect(reply.status, reply.text).to.be.oneOf([200, 400]);
        if (reply.status === 200) expect(items(reply)).to.deep.equal([]);
      }
    }
  });

  it('resubmit what is usable now; the ledger counts it, the audit knows who, and again does nothing', async () => {
    const bad = '{"hostname":"core-1","message":"resubmitted"}';
    const id = await one('work', bad);
    const before = await asking.node.settled();
    const problem = await refused(
      ask('resubmitFailure', { params: { id }, key: keys['operator'] ?? '' }),
      400,
      'E_REJECT_UNUSABLE',
      'records[0]',
    );
    expect((problem['errors'] as Item[])[0]).to.include({ code: 'E_FIELD_MISSING' });
    expect((await show(id))['state']).to.equal('parked');
    const corrected = event('resubmitted');
    const body = { body: corrected, reason: 'clock mended' };
    const dry = await good('resubmitFailure', { params: { id }, body: { ...body, dry_run: true } });
    expect(dry.body).to.include({ outcome: 'usable', events: 1 });
    expect((await asking.node.settled()).accepted).to.equal(before.accepted);

    const done = await good('resubmitFailure', { params: { id }, body, key: keys['operator'] ?? '' });
    expect(done.body).to.deep.equal({ id, outcome: 'resubmitted', events: 1, errors: [], detail: null });
    const audit = await newest({ resource: 'rejects', record_key: id });
    expect(audit).to.deep.include({ operation: 'UPDATE', changed_by: 'operator', reason: 'clock mended' });
    expect(audit['new_values']).to.deep.include({ is_edited: true, events: 1 });
    expect(JSON.stringify(audit)).to.not.include('core-1');

    for (const again of [body, {}, { body: event('another') }]) {
      const repeated = await good('resubmitFailure', { params: { id }, body: again });
      expect(repeated.body['outcome']).to.equal('already_resubmitted');
    }
    const after = await asking.node.settled();
    expect(after.accepted).to.equal(before.accepted + 1);
    expect(after.rejected).to.equal(before.rejected);
    const rows = await queryNode<{ correlation_id: string }>(
      asking.node.dir,
      `SELECT correlation_id FROM event_audit_log WHERE raw_message LIKE '%resubmitted%'`,
    );
    // Unmatched events are audited by sample, so there may be none; never two.
    expect(rows.length).to.be.at.most(1);
    const shown = await show(id);
    expect(shown).to.include({ state: 'resubmitted', replays: 1 });
    expect((shown['body'] as Item)['text']).to.equal(bad);
    expect((await totals('work'))['resubmitted']).to.equal(1);
  });

  it('take a body of bytes, or of several records, and refuse what is no body', async () => {
    const id = await one('work', '{"hostname":"core-1"}');
    const refuse = (body: Item, field: string): Promise<Item> =>
      refused(ask('resubmitFailure', { params: { id }, body }), 400, 'E_BODY_INVALID', field);
    await refuse({ body: 'x', body_base64: 'eA==' }, 'body_base64');
    await refuse({ body_base64: '*' }, 'body_base64');
    await refuse({ body: 'ä'.repeat(600_000) }, 'body');
    await refuse({ body: 'a\0b' }, 'body');
    await refuse({ body: 1 }, 'body');
    await refuse({ dry_run: 'yes' }, 'dry_run');
    for (const body of ['', '\n', `${event('good')}\n{"hostname":"r2"}`, '[]', '\u{1f600}']) {
      await refused(ask('resubmitFailure', { params: { id }, body: { body } }), 400, 'E_REJECT_UNUSABLE');
    }
    const { accepted } = await asking.node.settled();
    const three = Buffer.from(['a', 'b', 'c'].map(event).join('\n')).toString('base64');
    const done = await good('resubmitFailure', { params: { id }, body: { body_base64: three } });
    expect(done.body).to.include({ outcome: 'resubmitted', events: 3 });
    expect((await asking.node.settled()).accepted).to.equal(accepted + 3);
  });

  it('resubmit and discard many, each with its own outcome', async () => {
    const ids = await rejected('work', `${'{"hostname":"r1"}\n'.repeat(3)}not json`);
    const reply = await good('resubmitFailures', { body: { ids: [...ids, NOWHERE], reason: 'all' } });
    expect(items(reply).map(({ id, outcome }) => [id, outcome])).to.deep.equal([
      ...ids.map((id) => [id, 'unusable']),
      [NOWHERE, 'unknown'],
    ]);
    const before = await totals('work');
    const { rejected: counted } = await asking.node.ledger();
    const gone = await good('discardFailures', {
      body: { ids: [...ids.slice(1), NOWHERE], reason: 'a test' },
    });
    expect(items(gone).map(({ outcome }) => outcome)).to.deep.equal([
      ...ids.slice(1).map(() => 'discarded'),
      'unknown',
    ]);
    await good('discardFailure', { params: { id: ids[0] ?? '' } });
    await refused(ask('discardFailure', { params: { id: ids[0] ?? '' } }), 404, 'E_NOT_FOUND');
    await refused(ask('resubmitFailure', { params: { id: ids[0] ?? '' } }), 404, 'E_NOT_FOUND');
    const after = await totals('work');
    expect(Number(after['discarded']) - Number(before['discarded'])).to.equal(ids.length);
    expect(Number(before['kept']) - Number(after['kept'])).to.equal(ids.length);
    expect((await asking.node.ledger()).rejected).to.equal(counted);
    expect(await newest({ resource: 'rejects', operation: 'DELETE' })).to.include({ changed_by: 'admin' });

    for (const [body, field] of [
      [{ ids: [] }, 'ids'],
      [{ ids: Array.from({ length: 201 }, (_, nth) => `id-${nth}`) }, 'ids'],
      [{ ids: ['twice', 'twice'] }, 'ids'],
      [{ ids: ["'; DROP TABLE rejects; --"] }, 'ids[0]'],
      [{ ids: [1] }, 'ids[0]'],
      [{}, 'ids'],
    ] as const) {
      await refused(ask('resubmitFailures', { body }), 400, 'E_BODY_INVALID', field);
      await refused(ask('discardFailures', { body }), 400, 'E_BODY_INVALID', field);
    }
  });

  it('show quarantined events, send them once more, and throw them away', async () => {
    await queryNode(
      asking.node.dir,
      `INSERT INTO quarantined_events (event_id, received_at, partition, attempts, reason, history, body)
       SELECT 'e-' || n, now(), 1, 3, 'E_BOOM', '["E_BOOM: it broke"]', '\\x00ff' FROM generate_series(1, 5) AS n`,
    );
    const found = await all('listFailures', 2, { kind: 'quarantine' });
    expect(found.map(({ id }) => id)).to.deep.equal(['e-1', 'e-2', 'e-3', 'e-4', 'e-5']);
    expect(found[0]).to.deep.include({
      kind: 'quarantine',
      state: 'quarantined',
      stage: 'match',
      partition: 1,
      key: null,
      reason: 'E_BOOM',
      error: 'E_BOOM: it broke',
    });
    expect((await show('e-1'))['history']).to.deep.equal(['E_BOOM: it broke']);
    const params = { id: 'e-1' };
    await refused(ask('resubmitFailure', { params }), 400, 'E_REJECT_UNUSABLE');
    const mended = { body: event('out of quarantine') };
    expect((await good('resubmitFailure', { params, body: mended })).body['outcome']).to.equal('resubmitted');
    expect((await show('e-1'))['state']).to.equal('resubmitted');
    await good('discardFailure', { params: { id: 'e-2' }, body: { reason: 'a test' } });
    await refused(ask('getFailure', { params: { id: 'e-2' } }), 404, 'E_NOT_FOUND');
    expect((await newest({ resource: 'quarantined_events' }))['record_key']).to.equal('e-2');
    const filtered = ask('listFailures', { query: { kind: 'quarantine', key: 'work' } });
    await refused(filtered, 400, 'E_PARAMETER_INVALID', 'key');
    const first = await good('listFailures', { query: { kind: 'quarantine', limit: 1 } });
    const cursor = String(first.body['next']);
    await refused(ask('listFailures', { query: { cursor } }), 400, 'E_CURSOR_INVALID');
  });

  it('let nobody act who may only look', async () => {
    const id = await one('work', '{"hostname":"r1"}');
    const key = keys['viewer'] ?? '';
    await good('getFailure', { params: { id }, key });
    for (const [operationId, asked] of [
      ['resubmitFailure', { params: { id } }],
      ['discardFailure', { params: { id } }],
      ['resubmitFailures', { body: { ids: [id] } }],
      ['discardFailures', { body: { ids: [id] } }],
    ] as const) {
      await refused(ask(operationId, { ...asked, key }), 403, 'E_SCOPE_MISSING');
      await refused(ask(operationId, { ...asked, key: keys['work'] ?? '' }), 403, 'E_SCOPE_MISSING');
    }
    expect((await show(id))['state']).to.equal('parked');
  });

  it('lose none and double none when the admin process is killed over and over', async () => {
    // Usable the second time only: their table says that they were not.
    const ids = await rejected('work', '{"hostname":"core-1"}\n'.repeat(120));
    await queryNode(
      asking.node.dir,
      `UPDATE rejects SET body = convert_to(replace($1, 'N', id), 'UTF8') WHERE id = ANY ($2)`,
      [event('N'), ids],
    );
    await queryNode(
      asking.node.dir,
      `UPDATE reject_totals SET kept_bytes = (SELECT sum(body_bytes) FROM rejects WHERE key_name = 'work')
       WHERE key_name = 'work'`,
    );
    const { accepted } = await asking.node.settled();
    const restartsBefore = (await asking.node.actor('admin')).restarts;
    let isDone = false;
    const killing = (async () => {
      for (let times = 0; times < 4 && !isDone; times++) {
        await new Promise((resolve) => setTimeout(resolve, 40 + 60 * times));
        const pid = (await asking.node.actor('admin').catch(() => undefined))?.pid;
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
      }
    })();
    const outcomes = new Map<string, unknown>();
    for (let at = 0; at < ids.length;) {
      const some = ids.slice(at, at + 4);
      // As an operator who does not know what became of the last request.
      const reply = await ask('resubmitFailures', { body: { ids: some } }).catch(() => undefined);
      if (reply?.status !== 200) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      for (const { id, outcome } of items(reply)) outcomes.set(String(id), outcome);
      if (some.every((id) => String(outcomes.get(id)).endsWith('resubmitted'))) at += some.length;
    }
    isDone = true;
    await killing;
    await until(
      async () => (await ask('getStatus').catch(() => undefined))?.status === 200,
      WAIT_MS,
      () => 'the admin process is not back',
    );
    expect((await asking.node.actor('admin')).restarts).to.be.greaterThan(restartsBefore);
    const ledger = await asking.node.settled();
    expect(ledger.accepted).to.equal(accepted + ids.length);
    const [left] = await queryNode<{ rows: number }>(
      asking.node.dir,
      'SELECT count(*)::int AS rows FROM resubmissions',
    );
    expect(left?.rows).to.equal(0);
    expect((await good('verifyConfigAudit')).body['intact']).to.equal(true);
  });

  it('keep what a quiet key sent while another one floods, and count what goes', async () => {
    const quiet = await rejected('quiet', '{"hostname":"quiet"}\n'.repeat(9));
    await whenIn('rejects.key.rejectsMax', 100);
    const flood = await asking.node.post('{"hostname":"flood"}\n'.repeat(2_000), {
      'x-api-key': keys['flood'] ?? '',
    });
    expect(flood.body.rejected).to.equal(2_000);
    const ofKey = await totals('flood');
    expect(Number(ofKey['kept'])).to.be.within(1, 100);
    expect(Number(ofKey['kept']) + Number(ofKey['evicted'])).to.equal(2_000);

    // And when the bound of all is reached, it is the flood that makes room.
    await whenIn('rejects.key.rejectsMax', 60);
    await whenIn('rejects.total.rejectsMax', 110);
    await asking.node.post('{"hostname":"flood"}\n'.repeat(60), { 'x-api-key': keys['flood'] ?? '' });
    await asking.node.post('{"hostname":"work"}\n'.repeat(60), { 'x-api-key': keys['work'] ?? '' });
    const kept = await all('listRejectTotals', 100);
    expect(kept.reduce((sum, each) => sum + Number(each['kept']), 0)).to.be.at.most(110);
    const stillThere = (await all('listFailures', 200, { key: 'quiet' })).map(({ id }) => id);
    expect(stillThere).to.include.members(quiet);

    // The counters of a gateway's threads come to the supervisor now and then.
    const counted = [
      ...['key', 'all'].map((bound) => `mutt_ingest_evicted_rejects_total{bound="${bound}"}`),
      ...['evicted', 'resubmitted', 'discarded'].map(
        (outcome) => `mutt_rejects_handled_total{outcome="${outcome}"}`,
      ),
    ];
    let missing = counted;
    await until(
      async () => {
        const lines = (await ask('getMetrics')).text.split('\n');
        missing = counted.filter(
          (name) => !lines.some((line) => line.startsWith(`${name} `) && !line.endsWith(' 0')),
        );
        return missing.length === 0;
      },
      WAIT_MS,
      () => `not counted: ${missing.join()}`,
    );
    await refused(
      ask('putSetting', {
        params: { key: 'rejects.key.rejectsMax' },
        body: { value: 111 },
        headers: { 'if-match': '*' },
      }),
      409,
      'E_SETTINGS_CONTRADICT',
    );
  });
});
