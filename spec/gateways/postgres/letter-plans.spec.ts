/**
 * How PostgreSQL finds the letters of a batch right after an outage, before it has counted what came: never by reading
 * every letter of a state besides.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { SERVER_TIMEOUT_MS, ownDatabase } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const LETTERS = 6_000;
/** With what stands for their parameters, and the condition that an index would have if it were written otherwise. */
const STATEMENTS: Record<string, { values: string[]; condition: string }> = {
  list_batch_letters: { values: ["'b1'"], condition: "state = 'leaving'" },
  finish_letter_batch: { values: ["'b1'"], condition: "state = 'leaving'" },
};

describe('the plans of statements over dead letters', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;

  before(async () => {
    database = await ownDatabase();
    await database.sql('ALTER TABLE dead_letters SET (autovacuum_enabled = false)');
    await database.sql(
      `INSERT INTO dead_letters (
         alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at
       )
       SELECT md5(n::text), n % 8, 'noc', jsonb_build_object(
         'signature', 's' || n % 600, 'event_ids', jsonb_build_array(n), 'description', repeat('x', 400)
       ), 'server', 'HTTP 500', 1, now(), now(), now() + n * interval '1 ms'
       FROM generate_series(1, ${LETTERS}) AS n`,
    );
    await database.sql(`UPDATE dead_letters SET state = 'queued', operation_id = 'op'`);
  });
  after(() => database.drop());

  async function planOf(statement: string, values: readonly string[]): Promise<string> {
    const given = values.reduce(
      (text, value, at) => text.replaceAll(`$${at + 1}::`, `${value}::`),
      statement,
    );
    const rows = await database.sql<{ 'QUERY PLAN': string }>(`EXPLAIN (COSTS off) ${given}`);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }

  for (const [name, { values, condition }] of Object.entries(STATEMENTS)) {
    it(`go by the batch alone: ${name}`, async () => {
      const text = readFileSync(new URL(`../../../sql/queries/${name}.sql`, import.meta.url), 'utf8');
      expect(await planOf(text, values)).to.not.include('BitmapAnd');
      const otherwise = text.replace(`(${condition}) IS TRUE`, condition);
      expect(otherwise).to.not.equal(text);
      expect(await planOf(otherwise, values)).to.include('BitmapAnd');
    });
  }
});
