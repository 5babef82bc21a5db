import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { PostgresOwnAlertStore } from '../../../gateways/postgres/own-alert-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const SIGNATURE = 'mutt::destination_down::größer\0';

describe('PostgresOwnAlertStore', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  const node = (name: string): PostgresOwnAlertStore => new PostgresOwnAlertStore(database.connection, name);
  /** As if so long had passed. */
  const age = (ms: number): Promise<unknown> =>
    database.sql(
      `UPDATE own_alerts SET seen_at = seen_at - $1 * interval '1 millisecond', observers = (
         SELECT coalesce(jsonb_object_agg(node, at::text::bigint - $1), '{}') FROM jsonb_each(observers) AS o (node, at))`,
      [ms],
    );

  before(async () => {
    database = await ownDatabase();
  });
  after(() => database.drop());
  beforeEach(() => database.sql('DELETE FROM own_alerts'));

  it('has exactly one first of many who see the same at once, each on a connection of its own', async () => {
    const seen = await Promise.all(Array.from({ length: 8 }, (_, n) => node(`n${n}`).observe(SIGNATURE)));
    expect(seen.filter((isFirst) => isFirst)).to.have.length(1);
  });

  it('does not call first who saw it before, in an earlier life say', async () => {
    expect(await node('n1').observe(SIGNATURE)).to.equal(true);
    expect(await node('n1').observe(SIGNATURE)).to.equal(false);
  });

  it('has exactly one last of many who see it no more', async () => {
    for (const name of ['n1', 'n2', 'n3']) await node(name).observe(SIGNATURE);
    const gone = await Promise.all(['n1', 'n2', 'n3'].map((name) => node(name).withdraw(SIGNATURE)));
    expect(gone.filter((isLast) => isLast)).to.have.length(1);
    expect(await node('n2').observe(SIGNATURE), 'it is over, and begins anew').to.equal(true);
  });

  it('counts a node that has vanished no more', async () => {
    await node('n1').observe(SIGNATURE);
    await age(50_000);
    expect(await node('n2').observe(SIGNATURE)).to.equal(false);
    await age(50_000);
    expect(await node('n2').observe(SIGNATURE), 'its own note is 50 s old').to.equal(false);
    expect(await node('n2').withdraw(SIGNATURE)).to.equal(true);
    await age(70_000);
    expect(await node('n3').observe(SIGNATURE)).to.equal(true);
  });

  it('says of what nobody noted that this node is the last, and forgets in time', async () => {
    await node('n1').observe(SIGNATURE);
    await node('n1').withdraw(SIGNATURE);
    await age(2 * 86_400_000);
    expect(await node('n1').withdraw('mutt::x::y')).to.equal(true);
    expect(await database.sql('SELECT signature FROM own_alerts')).to.deep.equal([]);
  });
});
