import { expect } from 'chai';
import fc from 'fast-check';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Alert, AuditRow } from '../../../actors/event.ts';
import { createAuditMonths } from '../../../gateways/postgres/audit-months.ts';
import { PostgresAuditStore } from '../../../gateways/postgres/audit-store.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import type { Connection } from '../../../gateways/postgres/connection.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const NOW_MS = Date.now();
const LONG_AGO_MS = Date.UTC(1999, 11, 31, 23, 59, 59, 999);

function alertOf(eventId: string, changes: Partial<Alert> = {}): Alert {
  return {
    id: 'a'.repeat(32),
    destination: 'noc',
    event_ids: [eventId],
    rule_id: 7,
    rule_version: 3,
    decision: 'Page_only',
    environment: 'prod',
    team: 'NetOps',
    severity: null,
    signature: 'router-1::7::Gi0/1',
    hostname: 'router-1',
    event_time: '2031-05-01T00:00:00.000Z',
    received_at: '2031-05-01T00:00:00.123Z',
    description: 'Interface Gi0/1, changed state to down',
    correlation_id: 'c-1',
    count: 1,
    status: 'firing',
    ...changes,
  };
}

function rowOf(eventId: string, changes: Partial<AuditRow> = {}): AuditRow {
  return {
    receivedAtMs: NOW_MS,
    eventId,
    eventTimeMs: NOW_MS - 1500,
    clockSkewed: false,
    textRepaired: false,
    hostname: 'router-1',
    severity: 3,
    environment: 'prod',
    team: 'NetOps',
    ruleId: 7,
    ruleVersion: 3,
    ruleSetVersion: 12,
    decision: 'Page_only',
    matches: [{ rule_id: 7, rule_version: 3, handling: 'Page_only' }],
    alerts: [alertOf(eventId)],
    correlationId: 'c-1',
    raw: '{"hostname":"router-1"}',
    rawBytes: null,
    ...changes,
  };
}

describe('PostgresAuditStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresAuditStore;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresAuditStore(database.connection);
  });
  beforeEach(() => database.sql('DELETE FROM event_audit_log'));
  after(() => database.drop());

  it('stores every column as it was given', async () => {
    await store.insert([rowOf('e-0', { clockSkewed: true })]);
    const [row] = await database.sql(
      `SELECT (extract(epoch FROM received_at) * 1000)::float8 AS received_ms, event_id,
         (extract(epoch FROM event_time) * 1000)::float8 AS event_ms, clock_skewed, hostname, severity, environment,
         team, matched_rule_id, rule_version, rule_set_version::int, handling_decision, forwarded, matches, alerts,
         correlation_id, raw_message
       FROM event_audit_log`,
    );
    expect(row).to.deep.equal({
      received_ms: NOW_MS,
      event_id: 'e-0',
      event_ms: NOW_MS - 1500,
      clock_skewed: true,
      hostname: 'router-1',
      severity: 3,
      environment: 'prod',
      team: 'NetOps',
      matched_rule_id: 7,
      rule_version: 3,
      rule_set_version: 12,
      handling_decision: 'Page_only',
      forwarded: true,
      matches: [{ rule_id: 7, rule_version: 3, handling: 'Page_only' }],
      alerts: [alertOf('e-0')],
      correlation_id: 'c-1',
      raw_message: '{"hostname":"router-1"}',
    });
  });

  it('stores an unmatched event with its gaps', async () => {
    const gaps = { severity: null, team: null, ruleId: null, ruleVersion: null, matches: [], alerts: [] };
    await store.insert([rowOf('e-0', { ...gaps, decision: 'Unmatched' })]);
    const [row] = await database.sql(
      `SELECT severity, team, matched_rule_id, rule_version, matches, alerts, forwarded, handling_decision
       FROM event_audit_log`,
    );
    expect(row).to.deep.equal({
      severity: null,
      team: null,
      matched_rule_id: null,
      rule_version: null,
      matches: [],
      alerts: [],
      forwarded: false,
      handling_decision: 'Unmatched',
    });
  });

  it('takes an empty batch, and one of several statements, answering in order', async () => {
    expect(await store.insert([])).to.deep.equal([]);
    const rows = Array.from({ length: 2_345 }, (_, i) => rowOf(`e-${i}`, { alerts: [] }));
    const standing = await store.insert(rows);
    expect(standing.map((decision) => decision.eventId)).to.deep.equal(rows.map((row) => row.eventId));
    expect(standing.every((decision) => decision.isFirst)).to.equal(true);
    expect(await database.sql('SELECT count(*)::int FROM event_audit_log')).to.deep.equal([{ count: 2_345 }]);
  });

  it('keeps each month of receipt, and any other receipt time, whatever the event says of its own', async () => {
    const times = [NOW_MS, LONG_AGO_MS, Date.UTC(2999, 0, 1), 0];
    const events = [NaN, Infinity, -Infinity, -8.64e15];
    await store.insert(
      times.map((receivedAtMs, i) => rowOf(`e-${i}`, { receivedAtMs, eventTimeMs: events[i] ?? 0 })),
    );
    const kept = await database.sql(
      `SELECT event_id, (extract(epoch FROM received_at) * 1000)::float8 AS ms,
         tableoid::regclass::text = 'event_audit_log_default' AS is_default
       FROM event_audit_log ORDER BY event_id`,
    );
    expect(kept.map((row) => row['ms'])).to.deep.equal(times);
    expect(kept.map((row) => row['is_default'])).to.deep.equal([false, true, true, true]);
  });

  it('keeps raw text of 64 KiB, with unicode, quotes and NUL', async () => {
    const raw = `${'ü"\\{}\n\u{1f525}'.repeat(8_000)}\0end`;
    expect(Buffer.byteLength(raw)).to.be.above(65_536);
    await store.insert([rowOf('e-0', { raw, hostname: 'rüter\0' })]);
    const [row] = await database.sql('SELECT raw_message, hostname FROM event_audit_log');
    expect(row).to.deep.equal({ raw_message: raw.replace('\0', '\ufffd'), hostname: 'rüter\ufffd' });
  });

  it('keeps the bytes of an event whose text is another, and says that it was repaired', async () => {
    const bytes = Buffer.from([0, 0xff, 0x22, 0x5c, 0x7b, 0x0a]);
    await store.insert([
      rowOf('e-0', { textRepaired: true, rawBytes: bytes }),
      rowOf('e-1'),
      rowOf('e-2', { textRepaired: true }),
    ]);
    const rows = await database.sql('SELECT text_repaired, raw_bytes FROM event_audit_log ORDER BY event_id');
    expect(rows).to.deep.equal([
      { text_repaired: true, raw_bytes: bytes },
      { text_repaired: false, raw_bytes: null },
      { text_repaired: true, raw_bytes: null },
    ]);
  });

  it('answers with exactly the alerts that are stored, whatever text they hold', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }),
        async (texts) => {
          await database.sql('DELETE FROM event_audit_log');
          const rows = texts.map((description, i) =>
            rowOf(`e-${i}`, { alerts: [alertOf(`e-${i}`, { description: `${description}\0` })] }),
          );
          const first = await store.insert(rows);
          const again = await store.insert(rows);
          expect(first.map((decision) => decision.alerts)).to.deep.equal(
            again.map((decision) => decision.alerts),
          );
          expect(first[0]?.alerts[0]?.description).to.match(/\ufffd$/);
        },
      ),
      { numRuns: 30 },
    ));

  describe('whether rows are copied in or inserted', () => {
    /** Counts how batches are stored; `isCopyRefused` leaves only the insert. */
    function storeOf(isCopyRefused = false): { store: PostgresAuditStore; ways: string[] } {
      const ways: string[] = [];
      const { connection } = database;
      const watched: Connection = {
        ...connection,
        async copyIn(name, rows) {
          if (isCopyRefused) throw new RangeError('not now');
          ways.push('copy');
          await connection.copyIn(name, rows);
        },
        rows<Row>(name: string, values?: readonly unknown[]) {
          ways.push(name.split('_')[0]!);
          return connection.rows<Row>(name, values);
        },
      };
      return { store: new PostgresAuditStore(watched), ways };
    }

    it('stores the same', () => {
      const text = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 20 }),
        fc.constantFrom('', '\\', '\\N', '"', "'", '\t', '\r\n', '{}', 'NULL', '\0', '\u{1f525}'),
      );
      const orNull = <T>(given: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(given);
      const integer = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
      const changes = fc.record<Partial<AuditRow>>({
        receivedAtMs: fc.integer({ min: 0, max: Date.UTC(2199, 11, 31) }),
        eventTimeMs: fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(2199, 11, 31) }),
        clockSkewed: fc.boolean(),
        textRepaired: fc.boolean(),
        hostname: text,
        severity: orNull(fc.nat(7)),
        environment: fc.constantFrom('prod', 'dev'),
        team: orNull(text),
        ruleId: orNull(integer),
        ruleVersion: orNull(integer),
        ruleSetVersion: fc.maxSafeNat(),
        decision: fc.constantFrom('Page_and_ticket', 'Ignore', 'Unmatched'),
        matches: fc.array(fc.constant({ rule_id: 1, rule_version: 2, handling: 'Ignore' as const }), {
          maxLength: 2,
        }),
        alerts: fc.array(
          text.map((description) => alertOf('e', { description })),
          { maxLength: 2 },
        ),
        correlationId: text,
        raw: fc.oneof(text, fc.constant('x\u{10400}'.repeat(20_000))),
        rawBytes: orNull(fc.uint8Array({ maxLength: 40 })),
      });
      return fc.assert(
        fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 4 }), async (all) => {
          const rows = all.map((change, at) => rowOf(`e-${at}`, change));
          const kept = [];
          for (const isCopyRefused of [false, true]) {
            await database.sql('DELETE FROM event_audit_log');
            const { store: one, ways } = storeOf(isCopyRefused);
            const standing = await one.insert(rows);
            expect(ways).to.deep.equal([isCopyRefused ? 'insert' : 'copy']);
            kept.push({
              standing,
              rows: await database.sql('SELECT * FROM event_audit_log ORDER BY event_id'),
            });
          }
          expect(kept[0]).to.deep.equal(kept[1]);
        }),
        { numRuns: 60 },
      );
    });

    it('inserts a batch of which something is there, and the next, and copies again when all is new', async () => {
      const { store: one, ways } = storeOf();
      const batch = (from: number): AuditRow[] =>
        Array.from({ length: 3 }, (_, at) => rowOf(`e-${from + at}`));
      await one.insert(batch(0));
      expect(ways.splice(0)).to.deep.equal(['copy']);
      const standing = await one.insert(batch(2));
      expect(standing.map(({ isFirst }) => isFirst)).to.deep.equal([false, true, true]);
      expect(ways.splice(0)).to.deep.equal(['copy', 'insert', 'find']);
      await one.insert(batch(10));
      expect(ways.splice(0)).to.deep.equal(['insert']);
      await one.insert(batch(20));
      expect(ways.splice(0)).to.deep.equal(['copy']);
      expect(await database.sql('SELECT count(*)::int FROM event_audit_log')).to.deep.equal([{ count: 11 }]);
    });

    it('says of a row that cannot be stored what is wrong, and keeps none of its batch', async () => {
      const { store: one } = storeOf();
      const broken: Partial<AuditRow>[] = [{ ruleId: 2 ** 40 }, { environment: 'test' as never }];
      for (const change of broken) {
        const error = await rejectionOf(one.insert([rowOf('e-0'), rowOf('e-1', change)]));
        expect(error).to.include({ code: 'E_ROW_INVALID', kind: 'permanent' });
      }
      expect(await database.sql('SELECT 1 FROM event_audit_log')).to.deep.equal([]);
    });

    it('knows a row again at any time of receipt', async () => {
      const times = [
        0,
        1,
        NOW_MS,
        LONG_AGO_MS,
        Date.UTC(2199, 11, 31, 23, 59, 59, 999),
        Date.UTC(2200, 0, 1),
        Date.UTC(9999, 0, 1, 0, 0, 0, 7),
      ];
      for (const receivedAtMs of times) {
        const { store: one } = storeOf();
        const standing = [
          ...(await one.insert([rowOf('e-0', { receivedAtMs })])),
          ...(await one.insert([rowOf('e-0', { receivedAtMs })])),
        ];
        expect(
          standing.map(({ isFirst }) => isFirst),
          String(receivedAtMs),
        ).to.deep.equal([true, false]);
      }
    });
  });

  describe('when an event was decided before', () => {
    it('gives back the decision that stands, beside the new ones, in order', async () => {
      await store.insert([rowOf('e-1')]);
      const late = { decision: 'Ignore', alerts: [] } as const;
      const standing = await store.insert([
        rowOf('e-0', { ...late, alerts: [] }),
        rowOf('e-1', { ...late, alerts: [] }),
        rowOf('e-2', { ...late, alerts: [] }),
      ]);
      expect(standing).to.deep.equal([
        { eventId: 'e-0', decision: 'Ignore', alerts: [], isFirst: true },
        { eventId: 'e-1', decision: 'Page_only', alerts: [alertOf('e-1')], isFirst: false },
        { eventId: 'e-2', decision: 'Ignore', alerts: [], isFirst: true },
      ]);
    });

    it('lets the first win within one batch too', async () => {
      const standing = await store.insert([rowOf('e-0'), rowOf('e-0', { decision: 'Ignore', alerts: [] })]);
      expect(standing.map((decision) => [decision.decision, decision.isFirst])).to.deep.equal([
        ['Page_only', true],
        ['Page_only', false],
      ]);
    });

    it('gives everyone the same answer when eight decide differently at once', async () => {
      const decisions = ['Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore'] as const;
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, writer) => {
          const decision = decisions[writer % 4] ?? 'Ignore';
          const rows = Array.from({ length: 500 }, (_, i) =>
            rowOf(`e-${i}`, { decision, alerts: [alertOf(`e-${i}`, { description: `writer ${writer}` })] }),
          );
          return store.insert(rows);
        }),
      );
      const stored = await database.sql<{ event_id: string; decision: string; alerts: Alert[] }>(
        'SELECT event_id, handling_decision AS decision, alerts FROM event_audit_log',
      );
      expect(stored).to.have.length(500);
      const byId = new Map(stored.map((row) => [row.event_id, row]));
      for (const answer of answers) {
        for (const { eventId, decision, alerts } of answer) {
          expect({ decision, alerts }).to.deep.equal({
            decision: byId.get(eventId)?.decision,
            alerts: byId.get(eventId)?.alerts,
          });
        }
      }
      for (let i = 0; i < 500; i++) {
        expect(answers.filter((answer) => answer[i]?.isFirst === true)).to.have.length(1);
      }
    });
  });
});

describe('createAuditMonths', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresAuditStore;

  before(async () => {
    database = await ownDatabase();
    store = new PostgresAuditStore(database.connection);
  });
  after(() => database.drop());

  it('moves the rows of a month out of the default partition, and only those', async () => {
    const inMonth = Date.UTC(2040, 4, 31, 23, 59, 59, 999);
    const edges = [inMonth, inMonth + 1, Date.UTC(2040, 4, 1), Date.UTC(2040, 4, 1) - 1];
    await store.insert(edges.map((receivedAtMs, i) => rowOf(`e-${i}`, { receivedAtMs })));
    const [may, june] = await createAuditMonths(database.connection, inMonth);
    expect(may).to.deep.equal({ month: '2040-05', isNew: true, moved: 2 });
    expect(june).to.deep.equal({ month: '2040-06', isNew: true, moved: 1 });
    const places = await database.sql(
      'SELECT event_id, tableoid::regclass::text AS place FROM event_audit_log ORDER BY event_id',
    );
    expect(places.map((row) => row['place'])).to.deep.equal([
      'event_audit_log_2040_05',
      'event_audit_log_2040_06',
      'event_audit_log_2040_05',
      'event_audit_log_default',
    ]);
  });

  it('still knows a moved row as decided before', async () => {
    const receivedAtMs = Date.UTC(2042, 0, 15);
    await store.insert([rowOf('moved', { receivedAtMs })]);
    await createAuditMonths(database.connection, receivedAtMs);
    const [standing] = await store.insert([rowOf('moved', { receivedAtMs, decision: 'Ignore', alerts: [] })]);
    expect(standing).to.include({ decision: 'Page_only', isFirst: false });
  });

  it('does nothing for months that are there', async () => {
    const nowMs = Date.UTC(2044, 0, 1);
    await createAuditMonths(database.connection, nowMs);
    const again = await createAuditMonths(database.connection, nowMs);
    expect(again.map((month) => month.isNew)).to.deep.equal([false, false, false, false]);
  });

  it('gives the months the indexes and checks of the whole', async () => {
    const problems = await database.sql(
      `SELECT relid::text FROM pg_partition_tree('event_audit_log') AS part
       WHERE isleaf AND (SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
                         WHERE indrelid = part.relid) <> 3`,
    );
    expect(problems).to.deep.equal([]);
  });

  it('loses and refuses no insert that runs while months appear, whoever creates them', async () => {
    const writer = openConnection({ url: database.url, connectionsMax: 3 });
    const auditStore = new PostgresAuditStore(writer);
    const start = Date.UTC(2050, 0, 1);
    const monthMs = 31 * 86_400_000;
    const inserts = Array.from({ length: 60 }, (_, batch) =>
      auditStore.insert(
        Array.from({ length: 50 }, (_, i) =>
          rowOf(`busy-${batch}-${i}`, { receivedAtMs: start + ((batch * 50 + i) % 12) * monthMs }),
        ),
      ),
    );
    const creations = [0, 3, 6, 9, 0, 6].map((month) =>
      createAuditMonths(database.connection, Date.UTC(2050, month, 1)),
    );
    await Promise.all([...inserts, ...creations]);
    await writer.close();
    const [row] = await database.sql(
      `SELECT count(*)::int, count(*) FILTER (WHERE tableoid = 'event_audit_log_default'::regclass)::int AS waiting
       FROM event_audit_log WHERE event_id LIKE 'busy-%'`,
    );
    expect(row).to.deep.equal({ count: 3_000, waiting: 0 });
  });
});
