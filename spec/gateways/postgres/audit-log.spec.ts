import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { AuditRow } from '../../../actors/event.ts';
import { PostgresAuditLog } from '../../../gateways/postgres/audit-log.ts';
import type { AuditLogFilter, AuditLogPosition } from '../../../gateways/postgres/audit-log.ts';
import { PostgresAuditStore } from '../../../gateways/postgres/audit-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const NOW_MS = Date.now();
const MONTH_MS = 31 * 86_400_000;

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
    alerts: [],
    correlationId: 'c-1',
    raw: '{"hostname":"router-1"}',
    rawBytes: null,
    ...changes,
  };
}

describe('PostgresAuditLog', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let log: PostgresAuditLog;

  before(async () => {
    database = await ownDatabase();
    log = new PostgresAuditLog(database.connection);
    await new PostgresAuditStore(database.connection).insert([
      rowOf('a', { receivedAtMs: NOW_MS - 2 }),
      rowOf('b', { receivedAtMs: NOW_MS - 1, hostname: 'router-2', ruleId: 8 }),
      // Three of one millisecond: their order is that of their ids.
      rowOf('c'),
      rowOf('d', { decision: 'Unmatched', ruleId: null, ruleVersion: null, team: null, severity: null }),
      rowOf('e', { hostname: 'router-2', decision: 'Ignore' }),
      // Of other months: one with a table of its own, and one that lies in the default one.
      rowOf('next month', { receivedAtMs: NOW_MS + MONTH_MS }),
      rowOf('long ago', { receivedAtMs: Date.UTC(1999, 0, 1), eventTimeMs: -62_135_596_800_000 }),
    ]);
  });
  after(() => database.drop());

  const idsOf = async (filter: AuditLogFilter): Promise<string[]> =>
    (await log.search({ ...filter, limit: 100 })).items.map(({ eventId }) => eventId);

  it('gives a row back as it was stored', async () => {
    const { items } = await log.search({ limit: 1, fromMs: NOW_MS - 2, toMs: NOW_MS - 1 });
    expect(items).to.deep.equal([
      {
        receivedAtMs: NOW_MS - 2,
        eventId: 'a',
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
        forwarded: false,
        matches: [{ rule_id: 7, rule_version: 3, handling: 'Page_only' }],
        alerts: [],
        correlationId: 'c-1',
        raw: '{"hostname":"router-1"}',
        rawBytes: null,
      },
    ]);
    const [old] = (await log.search({ limit: 1, toMs: Date.UTC(2000, 0) })).items;
    expect(old).to.include({ receivedAtMs: Date.UTC(1999, 0, 1), eventTimeMs: -62_135_596_800_000 });
  });

  it('begins with the newest receipt, in all months', async () => {
    expect(await idsOf({})).to.deep.equal(['next month', 'e', 'd', 'c', 'b', 'a', 'long ago']);
  });

  for (const hostname of [undefined, 'router-1']) {
    it(`gives every row once, page by page${hostname === undefined ? '' : ', of one host'}`, async () => {
      for (const limit of [1, 2, 3]) {
        const seen: string[] = [];
        let after: AuditLogPosition | undefined;
        do {
          const { items, next } = await log.search({ limit, after, hostname });
          seen.push(...items.map(({ eventId }) => eventId));
          after = next ?? undefined;
        } while (after !== undefined);
        expect(seen).to.deep.equal(await idsOf({ hostname }));
      }
    });
  }

  it('finds by host, rule, decision and time, together and alone', async () => {
    expect(await idsOf({ hostname: 'router-2' })).to.deep.equal(['e', 'b']);
    expect(await idsOf({ hostname: 'ROUTER-2' })).to.deep.equal([]);
    expect(await idsOf({ ruleId: 8 })).to.deep.equal(['b']);
    expect(await idsOf({ decision: 'Unmatched' })).to.deep.equal(['d']);
    expect(await idsOf({ hostname: 'router-2', decision: 'Ignore', ruleId: 7 })).to.deep.equal(['e']);
    expect(await idsOf({ fromMs: NOW_MS - 1, toMs: NOW_MS })).to.deep.equal(['b']);
    expect(await idsOf({ fromMs: NOW_MS + 1 })).to.deep.equal(['next month']);
    expect(await idsOf({ hostname: `' OR true --` })).to.deep.equal([]);
  });

  for (const [what, filter] of [
    ['a NUL byte', { hostname: 'a\0' }],
    ['an endless name', { hostname: 'x'.repeat(300) }],
    ['a rule that is none', { ruleId: -1 }],
    ['a time that is none', { fromMs: Number.NaN }],
    ['a time beyond all time', { toMs: 1e300 }],
    ['a position that is none', { after: { receivedAtMs: 0.5, eventId: 'a' } }],
    ['a page of any size', { limit: 1e9 }],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const error = await rejectionOf(log.search({ limit: 10, ...filter }));
      expect(error).to.include({ code: 'E_ROW_INVALID', kind: 'permanent' });
    });
  }

  it('ends a search that takes too long, says so, and serves the next one', async () => {
    const impatient = new PostgresAuditLog(database.connection, 200);
    await database.connection.transaction(async (transaction) => {
      await transaction.script('LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE', 'lock');
      const error = await rejectionOf(impatient.search({ limit: 1 }));
      expect(error).to.include({ code: 'E_SEARCH_TOO_LONG', kind: 'permanent' });
    });
    expect((await impatient.search({ limit: 1 })).items).to.have.length(1);
  });
});
