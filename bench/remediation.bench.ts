/**
 * Dead letters of a destination that takes everything again: how fast they are put back and delivered, whole node, beside
 * the same documents posted by the same client with nothing around it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pgPromise from 'pg-promise';
import { SecretSource } from '../gateways/secrets/secret-source.ts';
import { HttpWebhookClient } from '../gateways/webhook/webhook-client.ts';
import { systemClock } from '../runtime/clock.ts';
import { NodeUnderTest, until } from '../spec/support/node-under-test.ts';
import { Sink } from '../spec/support/sink.ts';
import type { BenchRun } from './support/bench.ts';

const CONCURRENCY = 64;
const BARE_DELIVERIES = 5_000;
const DRAIN_MS_MAX = 540_000;
/** As the command has it: all letters are given to the operation in one statement. */
const REQUEST_MS_MAX = 60_000;
const SIGNATURES = 10_000;

interface Operation {
  id: string;
  state: string;
  delivered: number;
}

export default async function remediation(run: BenchRun): Promise<void> {
  const letters = run.parameter('letters', 200, 100_000);
  const bareDeliveries = run.parameter('bareDeliveries', 100, BARE_DELIVERIES);
  const sink = await Sink.start();
  const node = await NodeUnderTest.start();
  try {
    const destination = {
      kind: 'moogsoft',
      url: sink.url,
      rate_per_second: 100_000,
      concurrency: CONCURRENCY,
    };
    const { body } = await node.admin<{ snapshot_version: number }>('/api/v2/rule-set', {
      method: 'PUT',
      body: { destinations: [{ name: 'noc', ...destination }] },
    });
    await node.whenApplied(body.snapshot_version);
    await makeLetters(node, letters);
    const bare = await barePerSecond(sink, bareDeliveries);
    const already = sink.received.length;
    const startedMs = performance.now();
    const begun = await node.admin<Operation>('/api/v2/failures/replays', {
      method: 'POST',
      body: { destination: 'noc', per_second: 10_000 },
      timeoutMs: REQUEST_MS_MAX,
    });
    let last = begun.body;
    await until(
      async () => {
        last = (await node.admin<Operation>(`/api/v2/failures/replays/${begun.body.id}`)).body;
        return last.state === 'done';
      },
      DRAIN_MS_MAX,
      () => `the replay does not end: ${JSON.stringify(last)}`,
    );
    const seconds = (performance.now() - startedMs) / 1_000;
    const ledger = await node.ledger();
    run.report({
      what: 'remediation, dead letters delivered',
      value: letters / seconds,
      unit: '1/s',
      baseline: { what: 'the client alone', value: bare },
      details: {
        seconds: Math.round(seconds * 10) / 10,
        posts: sink.received.length - already,
        delivered: last.delivered,
        balanced: String(ledger.balanced),
        'in flight': ledger.in_flight,
      },
    });
  } finally {
    await node.close();
    await sink.close();
  }
}

/** As those of an installation that has lost its Redis: their events are booked as replayed. */
async function makeLetters(node: NodeUnderTest, letters: number): Promise<void> {
  const database = pgPromise({ noWarnings: true })(databaseUrlOf(node.dir));
  await database.none(
    `INSERT INTO dead_letters (
       alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at
     )
     SELECT md5(n::text), n % 8, 'noc', jsonb_build_object(
       'id', md5(n::text), 'destination', 'noc', 'event_ids', jsonb_build_array('bench-' || n), 'rule_id', 1,
       'rule_version', 1, 'decision', 'Page_only', 'environment', 'prod', 'team', 'NETO', 'severity', 3,
       'signature', 'host-' || (n % $2::integer) || '::1::x', 'hostname', 'host-' || (n % $2::integer),
       'event_time', '2026-05-01T12:00:00.000Z', 'received_at',
       to_char(timestamp '2026-05-01 12:00:00' + n * interval '1 millisecond', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       'description', 'link down on interface ' || n, 'correlation_id', 'c', 'count', 1, 'status', 'firing'
     ), 'rejected', 'HTTP 422', 1, now(), now(), timestamptz '2026-05-01 12:00:00Z' + n * interval '1 millisecond'
     FROM generate_series(1, $1::integer) AS n`,
    [letters, SIGNATURES],
  );
  await database.$pool.end();
}

function databaseUrlOf(dir: string): string {
  const password = readFileSync(join(dir, 'postgres', 'password'), 'utf8').trim();
  const settings = readFileSync(join(dir, 'postgres', 'postgresql.conf'), 'utf8');
  const port = /^port = (\d+)$/m.exec(settings)?.[1] ?? '';
  return `postgres://mutt:${encodeURIComponent(password)}@127.0.0.1:${port}/mutt`;
}

async function barePerSecond(sink: Sink, deliveries: number): Promise<number> {
  const client = new HttpWebhookClient({
    secrets: new SecretSource(() => systemClock.monotonicMs(), { directory: '/nowhere', files: [] }),
    connectionsMax: CONCURRENCY,
  });
  const body = JSON.stringify({ description: 'x'.repeat(400), custom_info: { alert_id: 'bare' } });
  const compose = () => ({ headers: { 'content-type': 'application/json' }, body });
  const post = () => client.post({ url: sink.url, timeoutMs: 10_000, secretRef: null, compose });
  let left = deliveries;
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (left-- > 0) await post();
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  client.close();
  return deliveries / seconds;
}
