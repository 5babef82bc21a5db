import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import type { AlertReceipt } from '../../../actors/ports.ts';
import { ReceiptQueue } from '../../../actors/forward/receipt-queue.ts';
import { openConnection } from '../../../gateways/postgres/connection.ts';
import { PostgresReceiptStore } from '../../../gateways/postgres/receipt-store.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { delay } from '../../runtime/durable/store-under-test.ts';
import { BreakableNetwork } from '../../support/breakable-network.ts';
import { until } from '../../support/node-under-test.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const NOW_MS = Date.now();
const RECEIPT: AlertReceipt = {
  alertId: 'a'.repeat(32),
  receivedAtMs: NOW_MS,
  eventIds: ['e-0', 'e "1"\\'],
  destination: 'größer\0',
  partition: 3,
  status: 202,
  attempts: 2,
  deliveredAtMs: NOW_MS + 5,
  signature: 'h::1::x',
  unsentReason: null,
};

describe('PostgresReceiptStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let store: PostgresReceiptStore;
  before(async () => {
    database = await ownDatabase();
    store = new PostgresReceiptStore(database.connection);
  });
  after(() => database.drop());

  const stored = (): Promise<Record<string, unknown>[]> =>
    database.sql(`SELECT alert_id AS "alertId", event_ids AS "eventIds", destination, partition, status, attempts,
      unsent_reason AS "unsentReason", (extract(epoch FROM received_at) * 1000)::float8 AS "receivedAtMs",
      (extract(epoch FROM delivered_at) * 1000)::float8 AS "deliveredAtMs",
      tableoid::regclass::text AS "table" FROM alert_receipts ORDER BY alert_id`);

  it('keeps a receipt whole, and the first one of an alert', async () => {
    expect(await store.keep([])).to.equal(0);
    expect(await store.keep([RECEIPT, { ...RECEIPT, attempts: 9 }])).to.equal(1);
    expect(await store.keep([{ ...RECEIPT, status: 204, deliveredAtMs: NOW_MS + 9 }])).to.equal(0);
    const [{ table, ...kept } = {}, ...others] = await stored();
    const { signature, ...shown } = RECEIPT;
    expect(kept).to.deep.equal({ ...shown, destination: 'größer\ufffd' });
    const ofSignature = await database.sql(
      'SELECT FROM alert_receipts WHERE signature_hash = hashtextextended($1, 0)',
      [signature],
    );
    expect(ofSignature).to.have.length(1);
    expect(table).to.match(/^alert_receipts_\d{4}_\d{2}$/);
    expect(others).to.deep.equal([]);
  });

  it('keeps how an alert ended that was not sent', async () => {
    const ended: AlertReceipt = {
      ...RECEIPT,
      alertId: 'c'.repeat(32),
      status: 0,
      attempts: 0,
      unsentReason: 'superseded',
    };
    expect(await store.keep([ended])).to.equal(1);
    const found = (await stored()).find(({ alertId }) => alertId === ended.alertId);
    expect(found).to.include({ status: 0, attempts: 0, unsentReason: 'superseded' });
    // What a destination was not to hear of is not followed by what came before it.
    const { signature, destination } = ended;
    const at = (ms: number): Alert =>
      ({
        signature,
        destination,
        event_ids: [],
        received_at: new Date(ms).toISOString(),
      }) as unknown as Alert;
    expect(await store.isSuperseded(at(NOW_MS - 1_000))).to.equal(true);
    expect(await store.isSuperseded(at(NOW_MS + 1_000))).to.equal(false);
    await database.sql(`DELETE FROM alert_receipts WHERE alert_id = '${ended.alertId}'`);
  });

  it('comes late when PostgreSQL was away, and is not lost', async () => {
    const network = await BreakableNetwork.to(database.url);
    const connection = openConnection({ url: network.through(database.url), connectionsMax: 1 });
    let kept = 0;
    const dropped: number[] = [];
    const queue = new ReceiptQueue({
      store: new PostgresReceiptStore(connection),
      clock: systemClock,
      onKept: (count) => (kept += count),
      onDropped: (count) => dropped.push(count),
    });
    try {
      queue.add({ ...RECEIPT, alertId: 'before' });
      await until(
        async () => kept === 1,
        10_000,
        () => 'it is not kept',
      );
      const mend = network.cut();
      for (let n = 0; n < 1_500; n++) queue.add({ ...RECEIPT, alertId: `meanwhile-${n}` });
      await delay(400);
      expect([kept, queue.waiting]).to.deep.equal([1, 1_500]);
      await mend();
      await until(
        async () => kept === 1_501,
        10_000,
        () => `${kept} are kept`,
      );
      expect(
        (await stored()).filter(({ alertId }) => String(alertId).startsWith('meanwhile-')),
      ).to.have.length(1_500);
      expect(dropped).to.deep.equal([]);
    } finally {
      await queue.close();
      await connection.close();
      await network.close();
    }
  });

  it('lies in the month of its event, and has a place when there is no such month', async () => {
    await store.keep([{ ...RECEIPT, alertId: 'b', receivedAtMs: Date.UTC(1999, 0, 1) }]);
    const rows = await stored();
    expect(rows.find(({ alertId }) => alertId === 'b')?.['table']).to.equal('alert_receipts_default');
    await database.sql(`SELECT * FROM create_event_audit_month('1999-01-15')`);
    const [moved] = (await stored()).filter(({ alertId }) => alertId === 'b');
    expect(moved?.['table']).to.equal('alert_receipts_1999_01');
  });
});
