/**
 * Resubmissions between a real PostgreSQL and a real Redis: whatever fails between the two, a reject becomes its events
 * once.
 */
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { decodeFrame } from '../../../actors/ingest/frame.ts';
import { INPUT_LANES, OVERFLOW_LANE } from '../../../actors/ingest/ingest-actor.ts';
import { hostnameHash, partitionOf } from '../../../actors/ingest/partition.ts';
import type { Reject } from '../../../actors/ports.ts';
import type { ResubmittedDocument } from '../../../gateways/admin/failure-documents.ts';
import { PostgresRejectOperations } from '../../../gateways/postgres/reject-operations.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { PostgresWitnessStore } from '../../../gateways/postgres/witness-store.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { START } from '../../../runtime/durable/durable-store.ts';
import type { Bounds } from '../../../runtime/durable/durable-store.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { Resubmitter, WRITER_MEMORY_MS } from '../../../supervisors/admin/resubmitter.ts';
import type { ResubmitterOptions } from '../../../supervisors/admin/resubmitter.ts';
import { ownDatabase } from '../../gateways/postgres/own-database.ts';
import type { OwnDatabase } from '../../gateways/postgres/own-database.ts';
import {
  appendOne,
  freshWriterId,
  openRedisStore,
  readAll,
  WIDE,
} from '../../runtime/durable/store-under-test.ts';
import type { OpenedStore } from '../../runtime/durable/store-under-test.ts';
import { specRedisUrl } from '../../support/servers.ts';

const AUTHOR = { changedBy: 'ana', reason: null, correlationId: 'c-op' };
const PARTITIONS = 4;
const GOOD = (host: string, message: string): string =>
  JSON.stringify({ hostname: host, message, timestamp: '2026-05-01T12:00:00Z' });

describe('Resubmitter', function () {
  this.timeout(60_000);
  let database: OwnDatabase;
  let redis: OpenedStore;
  let bounds: Bounds;
  let serial = 0;
  let warned: unknown[];
  before(async () => {
    database = await ownDatabase();
  });
  beforeEach(async () => {
    await database.sql(
      'TRUNCATE rejects, reject_totals, resubmissions, resubmission_frames, witness, quarantined_events',
    );
    redis = await openRedisStore(await specRedisUrl(), { writerTtlMs: WRITER_MEMORY_MS });
    bounds = WIDE;
    warned = [];
  });
  afterEach(() => redis.close());
  after(() => database.drop());

  function resubmitter(changes: Partial<ResubmitterOptions> = {}): Resubmitter {
    return new Resubmitter({
      operations: new PostgresRejectOperations(database.connection),
      witness: new PostgresWitnessStore(database.connection, 'here'),
      store: async () => redis.store,
      storeName: 'here',
      partitions: PARTITIONS,
      bounds: () => bounds,
      clock: systemClock,
      log: { warn: (...said: unknown[]) => void warned.push(said) } as ResubmitterOptions['log'],
      ...changes,
    });
  }

  async function park(bodies: readonly string[], changes: Partial<Reject> = {}): Promise<string[]> {
    const rejects = bodies.map((body): Reject => {
      serial += 1;
      return {
        id: `r-${String(serial).padStart(6, '0')}`,
        receivedAtMs: 1_900_000_000_000 + serial,
        keyName: 'relay',
        sender: 'rsyslog',
        correlationId: `c-${serial}`,
        index: 0,
        code: 'E_TIMESTAMP_INVALID',
        message: 'no',
        body: Buffer.from(body),
        ...changes,
      };
    });
    await new PostgresRejectStore(database.connection).park(rejects);
    return rejects.map(({ id }) => id);
  }

  const asked = (ids: readonly string[]): { id: string }[] => ids.map((id) => ({ id }));
  const outcomes = (documents: readonly ResubmittedDocument[]): string[] =>
    documents.map(({ outcome }) => outcome);

  /** Every event of the mailbox, by message. */
  async function stored(): Promise<string[]> {
    const positions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      lane: OVERFLOW_LANE,
      afterId: START,
    }));
    const entries = await redis.store.read(positions, { entriesMax: 10_000, blockMs: 0 });
    return entries
      .flatMap(({ payload, partition }) =>
        decodeFrame(payload).records.map(({ bytes }) => {
          const { hostname, message } = JSON.parse(bytes.toString()) as Record<string, string>;
          expect(partitionOf(String(hostname), PARTITIONS)).to.equal(partition);
          return String(message);
        }),
      )
      .sort();
  }

  async function accepted(): Promise<number> {
    const question = { terminal: [], inputLanes: INPUT_LANES };
    const ledgers = await Promise.all(
      Array.from({ length: PARTITIONS }, (_, partition) => redis.store.ledger(partition, question)),
    );
    for (const ledger of ledgers) expect(ledger.problems).to.deep.equal([]);
    return ledgers.reduce((sum, ledger) => sum + ledger.accepted, 0);
  }

  async function unfinished(): Promise<number> {
    const [row] = await database.sql<{ rows: number }>('SELECT count(*)::int AS rows FROM resubmissions');
    return row?.rows ?? -1;
  }

  /** So that it counts as left over. */
  const age = (): Promise<unknown> =>
    database.sql(`UPDATE resubmissions SET begun_at = begun_at - interval '1 minute'`);

  it('keeps them in order with what comes of their hosts, which are diverted until they are matched', async () => {
    await resubmitter().resubmit(asked(await park([GOOD('host-a', 'm1'), GOOD('HOST-A', 'm2')])), AUTHOR);
    const partition = partitionOf('host-a', PARTITIONS);
    const [entry] = await readAll(redis.store, OVERFLOW_LANE, partition);
    const host = hostnameHash('host-a') | 0;
    expect(entry?.overflow).to.deep.equal({ keys: `${host} 2 `, after: 0 });
    const diversion = { version: 0, fairMessages: 1 };
    const later = { partition, writerId: freshWriterId(), sequence: 1, diversion };
    expect(await appendOne(redis.store, later)).to.deep.equal({
      status: 'rerouted',
      version: 1,
      keys: [host],
    });
  });

  it('stores the events of many rejects once, and says of each what became of it', async () => {
    const good = await park(Array.from({ length: 50 }, (_, nth) => GOOD(`h${nth}`, `m${nth + 10}`)));
    const [bad = ''] = await park(['{"hostname":"h1"}']);
    await database.sql(
      `INSERT INTO quarantined_events (event_id, received_at, partition, attempts, reason, history, body)
       VALUES ('e-1', now(), 0, 3, 'E_BOOM', '[]', convert_to($1, 'UTF8')), ('e-2', now(), 0, 3, 'E_BOOM', '[]', 'x')`,
      [GOOD('q1', 'from quarantine')],
    );
    const done = await resubmitter().resubmit(
      asked([...good.slice(0, 25), bad, 'nothing', 'e-1', 'e-2', ...good.slice(25)]),
      AUTHOR,
    );
    expect(outcomes(done)).to.deep.equal([
      ...good.slice(0, 25).map(() => 'resubmitted'),
      'unusable',
      'unknown',
      'resubmitted',
      'unusable',
      ...good.slice(25).map(() => 'resubmitted'),
    ]);
    expect(done[25]?.errors[0]).to.include({ index: 0, code: 'E_FIELD_MISSING' });
    const all = ['from quarantine', ...Array.from({ length: 50 }, (_, nth) => `m${nth + 10}`)];
    expect(await stored()).to.deep.equal(all);
    expect(await accepted()).to.equal(51);
    expect(await unfinished()).to.equal(0);
    const [event] = await database.sql(
      `SELECT state, replays FROM quarantined_events WHERE event_id = 'e-1'`,
    );
    expect(event).to.deep.equal({ state: 'resubmitted', replays: 1 });
    const witness = await new PostgresWitnessStore(database.connection, 'here').list();
    expect(witness.reduce((sum, { sequence }) => sum + sequence, 0)).to.equal(51);
    const again = await resubmitter().resubmit(asked([...good, 'e-1']), AUTHOR);
    expect(new Set(outcomes(again))).to.deep.equal(new Set(['already_resubmitted']));
    expect(await accepted()).to.equal(51);
  });

  it('sends another body instead, with all of its records, under the id of the old request', async () => {
    const [id = ''] = await park(['{"hostname":"h1"}'], { correlationId: 'c-old' });
    const body = Buffer.from(`${GOOD('h1', 'one')}\n${GOOD('h2', 'two')}`);
    expect(await resubmitter().judge({ id, body })).to.deep.include({ outcome: 'usable', events: 2 });
    expect(await accepted()).to.equal(0);
    const [done] = await resubmitter().resubmit([{ id, body }], AUTHOR);
    expect(done).to.deep.equal({ id, outcome: 'resubmitted', events: 2, errors: [], detail: null });
    expect(await stored()).to.deep.equal(['one', 'two']);
    // The other body of a request that comes too late is not sent.
    const late = Buffer.from(GOOD('h3', 'three'));
    expect(outcomes(await resubmitter().resubmit([{ id, body: late }], AUTHOR))).to.deep.equal([
      'already_resubmitted',
    ]);
    expect(await accepted()).to.equal(2);
    const [row] = await database.sql<{ body: Buffer; replays: number }>('SELECT body, replays FROM rejects');
    expect(row?.body.toString()).to.equal('{"hostname":"h1"}');
    expect(row?.replays).to.equal(1);
  });

  it('makes one of many requests at once the one that sends', async () => {
    const ids = await park(Array.from({ length: 20 }, (_, nth) => GOOD(`h${nth}`, `m${nth + 10}`)));
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => resubmitter().resubmit(asked(ids), AUTHOR)),
    );
    for (const reply of replies) {
      for (const { outcome } of reply)
        expect(outcome).to.be.oneOf(['resubmitted', 'already_resubmitted', 'pending', 'busy']);
    }
    expect(outcomes(await resubmitter().resubmit(asked(ids), AUTHOR))).to.deep.equal(
      ids.map(() => 'already_resubmitted'),
    );
    expect(await accepted()).to.equal(20);
    expect((await stored()).length).to.equal(20);
  });

  it('is pending while Redis is away, and finished by whoever comes next', async () => {
    const ids = await park([GOOD('h1', 'a'), GOOD('h2', 'b')]);
    const away = resubmitter({
      store: async () => {
        throw new CodedError('E_STORE_AWAY', 'away', { kind: 'transient' });
      },
    });
    const [first] = await away.resubmit(asked(ids), AUTHOR);
    expect(first).to.include({ outcome: 'pending', events: 1 });
    expect(first?.detail).to.include('E_STORE_AWAY');
    expect(outcomes(await away.resubmit(asked(ids), AUTHOR))).to.deep.equal(['pending', 'pending']);
    await age();
    expect(await away.finishOld()).to.equal(1);
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(await stored()).to.deep.equal(['a', 'b']);
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(outcomes(await resubmitter().resubmit(asked(ids), AUTHOR))).to.deep.equal([
      'already_resubmitted',
      'already_resubmitted',
    ]);
    expect(await accepted()).to.equal(2);
    expect(warned).to.deep.equal([]);
  });

  it('stores nothing twice when the answer of Redis is lost, or it dies before the mark', async () => {
    const ids = await park([GOOD('h1', 'a'), GOOD('h2', 'b'), GOOD('h3', 'c')]);
    const lost = resubmitter({
      store: async () => ({
        append: async (requests) => {
          await redis.store.append(requests);
          const error = new CodedError('E_STORE_TIMEOUT', 'late', { kind: 'transient' });
          return requests.map(() => ({ status: 'error', error }));
        },
      }),
    });
    expect(outcomes(await lost.resubmit(asked(ids), AUTHOR))).to.deep.equal(ids.map(() => 'pending'));
    expect(await accepted()).to.equal(3);

    const unmarked = new PostgresRejectOperations(database.connection);
    unmarked.finish = async () => {
      throw new CodedError('E_DATABASE_AWAY', 'away', { kind: 'transient' });
    };
    for (let times = 0; times < 3; times++) {
      const dying = resubmitter({ operations: unmarked });
      expect(outcomes(await dying.resubmit(asked(ids), AUTHOR))).to.deep.equal(ids.map(() => 'pending'));
    }
    expect(outcomes(await resubmitter().resubmit(asked(ids), AUTHOR))).to.deep.equal(
      ids.map(() => 'already_resubmitted'),
    );
    expect(await accepted()).to.equal(3);
    expect(await stored()).to.deep.equal(['a', 'b', 'c']);
    expect(await unfinished()).to.equal(0);
  });

  it('goes on where it was when a part of it found its mailbox full', async () => {
    const hosts = Array.from({ length: 12 }, (_, nth) => `h${nth}`);
    // Something is in every lane already, so that the bound counts.
    await resubmitter().resubmit(asked(await park(hosts.map((host) => GOOD(host, 'before')))), AUTHOR);
    const [id = ''] = await park(['{}']);
    const body = Buffer.from(hosts.map((host, nth) => GOOD(host, `m${nth + 10}`)).join('\n'));
    bounds = { ...WIDE, entriesMax: 1 };
    const [full] = await resubmitter().resubmit([{ id, body }], AUTHOR);
    expect(full).to.include({ outcome: 'pending', events: 12 });
    expect(full?.detail).to.include('full');
    bounds = WIDE;
    await age();
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(await accepted()).to.equal(24);
    expect((await stored()).filter((message) => message !== 'before').length).to.equal(12);
  });

  it('waits for a Redis that came back older than what was answered for', async () => {
    const [id = ''] = await park([GOOD('h1', 'a')]);
    const partition = partitionOf('h1', PARTITIONS);
    await new PostgresWitnessStore(database.connection, 'here').report([
      { partition, sequence: 100, reportedAtMs: Date.now() },
    ]);
    const [older] = await resubmitter().resubmit(asked([id]), AUTHOR);
    expect(older?.outcome).to.equal('pending');
    expect(older?.detail).to.include('older');
    expect(await accepted()).to.equal(0);
    await redis.store.raiseSequence(partition, 100);
    await age();
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(await stored()).to.deep.equal(['a']);
  });

  it('leaves alone what another node is at', async () => {
    const [id = ''] = await park([GOOD('h1', 'a')]);
    const other = resubmitter({
      storeName: 'there',
      store: async () => {
        throw new CodedError('E_STORE_AWAY', 'away', { kind: 'transient' });
      },
    });
    expect(outcomes(await other.resubmit(asked([id]), AUTHOR))).to.deep.equal(['pending']);
    await age();
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(outcomes(await resubmitter().resubmit(asked([id]), AUTHOR))).to.deep.equal(['busy']);
    expect(outcomes([await resubmitter().judge({ id })])).to.deep.equal(['busy']);
    expect(await accepted()).to.equal(0);
    expect(await unfinished()).to.equal(1);
  });

  it('sends what was evicted meanwhile all the same', async () => {
    const [id = ''] = await park([GOOD('h1', 'a')]);
    const away = resubmitter({
      store: async () => {
        throw new CodedError('E_STORE_AWAY', 'away', { kind: 'transient' });
      },
    });
    await away.resubmit(asked([id]), AUTHOR);
    const tight = new PostgresRejectStore(database.connection, () => ({ keyRowsMax: 0 }));
    expect(await tight.enforce()).to.equal(1);
    await age();
    expect(await resubmitter().finishOld()).to.equal(0);
    expect(await stored()).to.deep.equal(['a']);
    expect(await unfinished()).to.equal(0);
  });

  it('takes large rejects one after the other', async () => {
    const large = (nth: number): string => `${GOOD(`h${nth}`, 'x'.repeat(60_000))}\n`.repeat(10);
    const ids = await park(Array.from({ length: 6 }, (_, nth) => large(nth)));
    expect(outcomes(await resubmitter().resubmit(asked(ids), AUTHOR))).to.deep.equal(
      ids.map(() => 'resubmitted'),
    );
    expect(await accepted()).to.equal(60);
  });
});
