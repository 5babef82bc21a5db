/** The way of an event as the API tells it, from a real PostgreSQL and Redis: states that the actors' own writes reach. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { Compile } from 'typebox/compile';
import type { Alert, AuditRow } from '../../../actors/event.ts';
import { encodeFrame } from '../../../actors/ingest/frame.ts';
import { INGEST_LANE, OVERFLOW_LANE } from '../../../actors/ingest/ingest-actor.ts';
import { partitionOf } from '../../../actors/ingest/partition.ts';
import { RECORD_JSON } from '../../../actors/ingest/split-records.ts';
import { formatUuid, uuidV7Maker } from '../../../actors/ingest/uuid-v7.ts';
import type { AlertReceipt, DeadLetter, Reject } from '../../../actors/ports.ts';
import type { LineageDocument } from '../../../gateways/admin/lineage-documents.ts';
import { lineageDocument } from '../../../gateways/admin/lineage-documents.ts';
import { PostgresAlertOutbox } from '../../../gateways/postgres/alert-outbox.ts';
import { PostgresAuditStore } from '../../../gateways/postgres/audit-store.ts';
import { PostgresDeadLetterStore } from '../../../gateways/postgres/dead-letter-store.ts';
import { PostgresLineageLog } from '../../../gateways/postgres/lineage-log.ts';
import { PostgresQuarantineStore } from '../../../gateways/postgres/quarantine-store.ts';
import { PostgresReceiptStore } from '../../../gateways/postgres/receipt-store.ts';
import { storeAway } from '../../../runtime/durable/store-errors.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { lineagePort } from '../../../supervisors/admin/lineage-port.ts';
import type { LineagePortOptions } from '../../../supervisors/admin/lineage-port.ts';
import { alertOf } from '../../actors/forward/alerts.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import { freshWriterId, openRedisStore, own, WIDE } from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';

const PARTITIONS = 4;
const HOST = 'core-rtr-01';
const HERE = partitionOf(HOST, PARTITIONS);
const NOW_MS = Date.now();
const RAW = JSON.stringify({
  hostname: HOST,
  message: 'link down',
  timestamp: '2026-05-01T12:00:00Z',
  syslog_severity: 3,
});
const lineageCheck = Compile(lineageDocument);

const NEAR = {
  rule_id: 8,
  rule_version: 1,
  name: null,
  candidate: null,
  why: 'criteria',
  criteria: [],
} as const;
const BROKEN = { attempts: 5, reason: 'E_EVENT_BREAKS_HANDLER', history: ['one'] };
const NOTE = { ...BROKEN, receivedAtMs: NOW_MS, partition: 2, body: Buffer.from('x') };

describe('The way of an event', function () {
  this.timeout(60_000);
  let database: OwnDatabase;
  let redis: OpenedStore;
  let policy: 'none' | 'sample' | 'all';
  let pausedBy: string | null;
  let wallMs: number;
  const newFrameId = uuidV7Maker({ wallMs: () => wallMs }, (bytes) => randomFillSync(bytes));

  before(async () => {
    database = await ownDatabase();
  });
  beforeEach(async () => {
    await database.sql(
      'TRUNCATE event_audit_log, alert_receipts, dead_letters, dead_letter_replays, quarantined_events, rejects, reject_totals',
    );
    redis = await openRedisStore(await specRedisUrl());
    policy = 'sample';
    pausedBy = null;
    wallMs = NOW_MS;
  });
  afterEach(() => redis.close());
  after(() => database.drop());

  async function trace(id: string, changes: Partial<LineagePortOptions> = {}): Promise<LineageDocument> {
    const port = lineagePort({
      log: new PostgresLineageLog(database.connection),
      store: redis.store,
      outbox: new PostgresAlertOutbox(database.connection, 'spec'),
      partitions: PARTITIONS,
      clock: { wallMs: () => NOW_MS } as LineagePortOptions['clock'],
      auditPolicy: () => policy,
      rule: async (ruleId) => (ruleId === 4 ? ({ name: 'links', version: 3 } as never) : undefined),
      nearest: async () => [{ ...NEAR, criteria: [] }],
      partitionList: async () =>
        [
          {
            partition: HERE,
            mailboxes: [
              {
                mailbox: 'alert:noc',
                depth: 7,
                oldest_at: null,
                paused: pausedBy === null ? null : { detail: pausedBy },
              },
            ],
          },
        ] as never,
      ...changes,
    });
    const document = await port.trace(id, new AbortController().signal);
    expect([...lineageCheck.Errors(document)]).to.deep.equal([]);
    return document;
  }

  const newId = (atMs = NOW_MS): string => {
    wallMs = Math.max(wallMs, atMs);
    return `${formatUuid(newFrameId())}-0`;
  };

  async function decide(eventId: string, changes: Partial<AuditRow> = {}): Promise<void> {
    await new PostgresAuditStore(database.connection).insert([
      {
        receivedAtMs: NOW_MS,
        eventId,
        eventTimeMs: NOW_MS,
        clockSkewed: false,
        textRepaired: false,
        hostname: HOST,
        severity: 3,
        environment: 'prod',
        team: 'NetOps',
        ruleId: 4,
        ruleVersion: 2,
        ruleSetVersion: 12,
        decision: 'Page_only',
        matches: [
          { rule_id: 4, rule_version: 2, handling: 'Page_only' },
          { rule_id: 9, rule_version: 1, handling: 'Ignore' },
        ],
        alerts: [],
        correlationId: 'c-1',
        origin: { apiKey: 'edge', sender: '192.0.2.7 rsyslog otlp_json' },
        raw: RAW,
        rawBytes: null,
        ...changes,
      },
    ]);
  }

  /** Decided with alerts to these destinations, as the match actor commits it. */
  async function forward(eventId: string, ...destinations: string[]): Promise<Alert[]> {
    const alerts = destinations.map((destination) =>
      alertOf(randomBytes(16).toString('hex'), {
        destination,
        event_ids: [eventId],
        received_at: new Date(NOW_MS).toISOString(),
      }),
    );
    await decide(eventId, { alerts });
    const token = await own(redis.store, HERE, 'match');
    await redis.store.commit({
      partition: HERE,
      token,
      openGroups: [{ id: eventId, parts: alerts.length }],
    });
    return alerts;
  }

  /** As the forward actor: the receipt, unless it was lost, and the commit. */
  async function deliver(alert: Alert, { isReceiptKept = true } = {}): Promise<void> {
    const [eventId = ''] = alert.event_ids;
    const receipt: AlertReceipt = {
      alertId: alert.id,
      receivedAtMs: NOW_MS,
      eventIds: alert.event_ids,
      destination: alert.destination,
      partition: HERE,
      status: 202,
      attempts: 3,
      deliveredAtMs: NOW_MS + 50,
      signature: alert.signature,
      unsentReason: null,
    };
    if (isReceiptKept) await new PostgresReceiptStore(database.connection).keep([receipt]);
    await redis.store.commit({
      partition: HERE,
      token: await own(redis.store, HERE, 'match'),
      settleGroups: [{ id: eventId, counter: 'forwarded' }],
    });
  }

  async function putFrames(partition: number, lane: string, count: number, receivedAtMs: number) {
    const ids: string[] = [];
    const writerId = freshWriterId();
    for (let sequence = 1; sequence <= count; sequence++) {
      wallMs = Math.max(wallMs, receivedAtMs);
      const id = newFrameId();
      const body = Buffer.from(RAW);
      const records = [
        { kind: RECORD_JSON, correlationId: 'c-1', body, start: 0, end: body.length },
      ] as const;
      const payload = encodeFrame(id, receivedAtMs, records);
      const [result] = await redis.store.append([
        { partition, lane, writerId, sequence, count: 1, payload, bounds: WIDE },
      ]);
      expect(result?.status).to.equal('stored');
      ids.push(`${formatUuid(id)}-0`);
    }
    return ids;
  }

  it('is told from receipt to receipt', async () => {
    const id = newId();
    const [first, second] = (await forward(id, 'noc', 'mail')) as [Alert, Alert];
    pausedBy = 'noc does not answer.';
    const going = await trace(id);
    expect(going).to.include({ id, kind: 'event', state: 'forwarding', is_complete: true });
    expect(going.explanation).to.equal(
      'It was decided as Page_only; its alert for noc, mail is on its way. noc does not answer.',
    );
    expect(going.event).to.deep.include({
      event_id: id,
      partition: HERE,
      correlation_id: 'c-1',
      sender: { api_key: 'edge', address: '192.0.2.7', program: 'rsyslog', protocol: 'otlp_json' },
      matches: [
        { rule_id: 4, rule_version: 2, handling: 'Page_only', name: 'links', current_version: 3 },
        { rule_id: 9, rule_version: 1, handling: 'Ignore', name: null, current_version: null },
      ],
    });
    expect(going.event?.nearest).to.deep.equal([]);
    expect(going.event?.normalized).to.deep.include({
      hostname: HOST,
      message: 'link down',
      severity: 3,
    });
    expect(going.event?.audit?.raw_message).to.equal(RAW);
    expect(going.event?.alerts.map(({ state, mailbox }) => [state, mailbox])).to.deep.equal([
      ['waiting', { depth: 7, oldest_at: null, paused: 'noc does not answer.', waits_behind: null }],
      ['waiting', null],
    ]);

    await deliver(first);
    const half = await trace(first.id);
    expect(half).to.include({ kind: 'alert', state: 'forwarding' });
    expect(half.event?.alerts[0]).to.deep.include({
      state: 'delivered',
      receipt: { status: 202, attempts: 3, delivered_at: new Date(NOW_MS + 50).toISOString() },
    });
    // One whose receipt is not stored yet is found by a search.
    expect((await trace(second.id)).event?.event_id).to.equal(id);

    await deliver(second, { isReceiptKept: false });
    const done = await trace(id);
    expect(done.state).to.equal('forwarded');
    expect(done.explanation).to.equal(
      'It was decided as Page_only, and taken by noc, mail. The receipt of mail is not stored, or not yet.',
    );
    expect(done.event?.alerts.map(({ state, receipt }) => [state, receipt === null])).to.deep.equal([
      ['delivered', false],
      ['delivered', true],
    ]);
    expect((await trace('c-1')).event?.event_id).to.equal(id);
  });

  it('ends where a destination refuses it, where nothing is sent, and where nothing matches', async () => {
    const refused = newId();
    const [alert, other] = (await forward(refused, 'noc', 'mail')) as [Alert, Alert];
    await deliver(other);
    const letter: DeadLetter = {
      alert,
      partition: HERE,
      destination: 'noc',
      reason: 'rejected',
      error: 'HTTP 422',
      attempts: 1,
      firstFailedAtMs: NOW_MS,
      lastFailedAtMs: NOW_MS,
      replays: 0,
    };
    await new PostgresDeadLetterStore(database.connection, 'here').keep([letter]);
    const dead = await trace(alert.id);
    expect(dead).to.include({
      state: 'dead_lettered',
      explanation: 'It was decided as Page_only; noc refused its alert for good; mail took it.',
    });
    expect(dead.event?.alerts.map(({ state }) => state)).to.deep.equal(['dead_lettered', 'delivered']);
    expect(dead.event?.alerts[0]?.dead_letter).to.include({ reason: 'rejected', ended_at: null });
    const endedAt = new Date(NOW_MS + 60_000).toISOString();
    await database.sql(`UPDATE dead_letters SET state = 'discarded', ended_at = $1`, [endedAt]);
    const { state, event } = await trace(alert.id);
    expect([state, event?.alerts[0]?.dead_letter?.ended_at]).to.deep.equal(['discarded', endedAt]);

    const ignored = newId();
    await decide(ignored, { decision: 'Ignore' });
    expect(await trace(ignored)).to.include({ state: 'handled' });
    const unmatched = newId();
    await decide(unmatched, {
      decision: 'Unmatched',
      matches: [],
      ruleId: null,
      ruleVersion: null,
      origin: undefined,
    });
    const kept = await trace(unmatched);
    expect(kept.state).to.equal('unmatched');
    expect(kept.event?.sender).to.equal(null);
    expect(kept.event?.nearest).to.deep.equal([NEAR]);
  });

  it('says what waits, and where', async () => {
    const [first, second] = (await putFrames(2, INGEST_LANE, 2, NOW_MS)) as [string, string];
    expect(await trace(first)).to.include({ state: 'waiting' });
    const behind = await trace(second);
    expect(behind.explanation).to.equal(
      'It waits in the ingest mailbox of partition 2, behind 1 frames, or is being matched.',
    );
    expect(behind.event?.waiting).to.deep.equal({
      partition: 2,
      mailbox: 'ingest',
      frames_before: 1,
      oldest_at: new Date(NOW_MS).toISOString(),
    });
    const [diverted = ''] = await putFrames(1, OVERFLOW_LANE, 1, NOW_MS);
    expect((await trace(diverted)).event?.waiting).to.include({ mailbox: 'overflow', frames_before: 0 });
  });

  it('does not call an event gone while a backlog is as old as it', async () => {
    const ids = await putFrames(3, INGEST_LANE, 70, NOW_MS);
    const last = await trace(ids.at(-1) ?? '');
    expect(last.state).to.equal('waiting');
    expect(last.event?.waiting).to.include({ partition: 3, mailbox: 'ingest', frames_before: null });
    expect(last.explanation).to.match(/^It is not decided as far as is known, .* partition 3 among others/);
    // What was received long before the backlog began has been decided.
    const older = `${formatUuid(uuidV7Maker({ wallMs: () => NOW_MS - 600_000 }, (bytes) => randomFillSync(bytes))())}-0`;
    expect(await trace(older)).to.include({ state: 'not_kept' });
  });

  it('does not call an event gone that is set aside while it is looked for', async () => {
    const id = newId();
    const quarantine = new PostgresQuarantineStore(database.connection);
    const store: LineagePortOptions['store'] = {
      ...redis.store,
      read: async (positions, options) => {
        await quarantine.quarantine([{ ...NOTE, eventId: id }]);
        return redis.store.read(positions, options);
      },
    };
    expect(await trace(id, { store })).to.include({ state: 'quarantined' });
  });

  it('does not call an alert taken of which it is not known', async () => {
    const id = newId();
    const [first, second, third] = (await forward(id, 'noc', 'desk', 'mail')) as [Alert, Alert, Alert];
    await deliver(first);
    // Its receipt is lost: nobody can say which of the two others was taken.
    await deliver(second, { isReceiptKept: false });
    const { event } = await trace(id);
    expect(event?.alerts.map(({ state }) => state)).to.deep.equal(['delivered', 'unknown', 'unknown']);
    await deliver(third, { isReceiptKept: false });
    expect(await trace(id)).to.include({ state: 'forwarded' });
    // Decided, and its commit may be still to come behind a backlog.
    await putFrames(HERE, INGEST_LANE, 70, NOW_MS);
    const open = newId();
    await decide(open, { alerts: [alertOf('b'.repeat(32), { event_ids: [open] })] });
    expect((await trace(open)).event?.alerts[0]?.state).to.equal('unknown');
  });

  it('knows alerts that are about unmatched events and of no single one', async () => {
    const id = 'c'.repeat(32);
    const receipt = {
      receivedAtMs: NOW_MS,
      deliveredAtMs: NOW_MS,
      partition: HERE,
      status: 202,
      attempts: 1,
    };
    const about = { alertId: id, eventIds: [], destination: 'noc', signature: 's', unsentReason: null };
    await new PostgresReceiptStore(database.connection).keep([{ ...receipt, ...about }]);
    const { kind, state, explanation } = await trace(id);
    expect([kind, state]).to.deep.equal(['alert', 'forwarded']);
    expect(explanation).to.match(/about unmatched events .* noc took it\.$/);
  });

  it('counts an alert as open from the decision on, though its commit is still to come', async () => {
    const [id = ''] = await putFrames(HERE, INGEST_LANE, 1, NOW_MS);
    await decide(id, { alerts: [alertOf('a'.repeat(32), { event_ids: [id] })] });
    const { state, event } = await trace(id);
    expect([state, event?.alerts[0]?.state]).to.deep.equal(['forwarding', 'waiting']);
  });

  it('tells what is not kept from what is unknown', async () => {
    const id = newId();
    const gone = await trace(id);
    expect(gone).to.include({ state: 'not_kept' });
    expect(gone.explanation).to.match(
      /^Not kept by policy: .*only a sample of them is kept \(audit\.unmatched\.policy is sample\)/,
    );
    policy = 'none';
    expect((await trace(id)).explanation).to.contain('none of them is kept');
    policy = 'all';
    expect(await trace(id)).to.include({ state: 'unknown' });
    policy = 'sample';
    await decide(newId());
    expect((await trace('018f3e2a-7b1c-7d5e-9f00-1234567890ab-3')).explanation).to.match(
      /its id is from before/,
    );
    expect((await trace('7fffffff-7b1c-7d5e-9f00-1234567890ab-3')).explanation).to.match(/yet to come/);
    expect(await trace('nothing-of-this-name')).to.include({
      kind: 'correlation_id',
      state: 'unknown',
      event: null,
    });
    expect(await trace('f'.repeat(32))).to.include({ kind: 'alert', state: 'unknown' });
    // The index of no frame, and of none in a frame that waits: nothing that could be an event.
    const [there = ''] = await putFrames(1, INGEST_LANE, 1, NOW_MS);
    expect(await trace(there.replace(/0$/, '1'))).to.include({ state: 'unknown', event: null });
    expect(await trace(id.replace(/0$/, '65535'))).to.include({ state: 'unknown' });
  });

  it('shows quarantined events and rejects', async () => {
    const id = newId();
    await new PostgresQuarantineStore(database.connection).quarantine([
      { ...NOTE, eventId: id },
      { ...NOTE, eventId: 'entry-20-20-3' },
    ]);
    for (const each of [id, 'entry-20-20-3']) {
      const { state, event } = await trace(each);
      expect(state).to.equal('quarantined');
      expect(event).to.deep.include({ event_id: each, partition: 2 });
      expect(event?.quarantine).to.deep.include({ attempts: 5, history: ['one'] });
    }
    const reject: Reject = {
      id: 'r-1',
      receivedAtMs: NOW_MS,
      keyName: 'edge',
      sender: 'rsyslog',
      correlationId: 'c-2',
      index: 0,
      code: 'E_FIELD_MISSING',
      message: 'no',
      body: Buffer.from('{}'),
    };
    await new PostgresRejectStore(database.connection).park([reject]);
    for (const each of ['c-2', 'r-1']) {
      const { state, rejects } = await trace(each);
      expect(state).to.equal('rejected');
      expect(rejects).to.deep.equal([
        {
          id: 'r-1',
          received_at: new Date(NOW_MS).toISOString(),
          key: 'edge',
          sender: 'rsyslog',
          reason: 'E_FIELD_MISSING',
          error: 'no',
          state: 'parked',
        },
      ]);
    }
    await decide(newId(), { correlationId: 'c-2' });
    const both = await trace('c-2');
    expect(both).to.include({ state: 'several', event: null });
    expect(both.explanation).to.match(/^It is a request with 1 decided event and 1 reject\./);
  });

  it('lists the events of a request up to a bound, and says that there are more', async () => {
    for (let n = 0; n < 103; n++) await decide(newId(), { correlationId: 'c-many' });
    const { state, events, is_complete } = await trace('c-many');
    expect([state, events.length, is_complete]).to.deep.equal(['several', 100, false]);
  });

  it('does not say that a search found nothing when it was ended', async () => {
    const impatient = new PostgresLineageLog(
      {
        ...database.connection,
        rows: (name, values) => database.connection.rows(name, values),
        transaction: (work, options) =>
          database.connection.transaction(async (transaction) => {
            await transaction.rows('limit_statement_time', ['1']);
            await transaction.script('SELECT pg_sleep(0.05)', 'slow');
            return work(transaction);
          }, options),
      },
      1,
    );
    const { state, is_complete, explanation } = await trace('f'.repeat(32), { log: impatient });
    expect([state, is_complete]).to.deep.equal(['unknown', false]);
    expect(explanation).to.match(/the search was ended/);
  });

  it('answers what PostgreSQL knows while Redis is away', async () => {
    const id = newId();
    const [alert] = (await forward(id, 'noc')) as [Alert];
    const away = (): Promise<never> => Promise.reject(storeAway('gone', 'no'));
    const store = { read: away, partsLeft: away, ledger: away, listDelayed: away };
    const during = await trace(id, { store });
    expect(during.state).to.equal('forwarding');
    expect(during.explanation).to.match(/cannot be told now/);
    expect(during.event?.alerts[0]?.state).to.equal('unknown');
    await deliver(alert);
    expect((await trace(id, { store })).state).to.equal('forwarded');
  });
});
