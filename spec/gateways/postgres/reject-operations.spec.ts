import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Reject } from '../../../actors/ports.ts';
import { verifyConfigAudit } from '../../../gateways/postgres/config-audit.ts';
import { PostgresRejectOperations } from '../../../gateways/postgres/reject-operations.ts';
import type { ResubmissionFrame } from '../../../gateways/postgres/reject-operations.ts';
import { PostgresRejectStore } from '../../../gateways/postgres/reject-store.ts';
import { SERVER_TIMEOUT_MS, ownDatabase, rejectionOf } from './own-database.ts';
import type { OwnDatabase } from './own-database.ts';

const AUTHOR = { changedBy: 'ana', reason: 'mended', correlationId: 'c-9' };
const writerId = (digit: string): string => digit.repeat(32);

describe('PostgresRejectOperations', function () {
  this.timeout(SERVER_TIMEOUT_MS);
  let database: OwnDatabase;
  let operations: PostgresRejectOperations;
  let store: PostgresRejectStore;
  let serial = 0;
  before(async () => {
    database = await ownDatabase();
    operations = new PostgresRejectOperations(database.connection);
    store = new PostgresRejectStore(database.connection);
  });
  beforeEach(() => database.sql('TRUNCATE rejects, reject_totals, resubmissions, resubmission_frames'));
  after(() => database.drop());

  async function parked(count: number, keyName = 'relay'): Promise<string[]> {
    const rejects = Array.from({ length: count }, (): Reject => {
      serial += 1;
      return {
        id: `r-${String(serial).padStart(6, '0')}`,
        receivedAtMs: 1_900_000_000_000 + serial,
        keyName,
        sender: 'rsyslog',
        correlationId: 'c-1',
        index: 0,
        code: 'E_FIELD_MISSING',
        message: 'is missing',
        body: Buffer.from('{}'),
      };
    });
    await store.park(rejects);
    return rejects.map(({ id }) => id);
  }

  const frame = (partition = 0): ResubmissionFrame => ({
    partition,
    sequence: 1,
    events: 1,
    frame: Buffer.from([0, 255, partition]),
  });

  function claim(
    ids: readonly string[],
    resubmissionId: string,
    framesOf: (ids: ReadonlySet<string>) => ResubmissionFrame[] = () => [frame()],
  ): Promise<ReadonlySet<string>> {
    const rejects = ids.map((id) => ({
      id,
      kind: 'reject' as const,
      oldValues: { state: 'parked' },
      newValues: { events: 1 },
    }));
    return operations.claim({ resubmissionId, store: 'here', rejects, framesOf }, AUTHOR);
  }

  it('writes a resubmission down with its frames and its audit, and finishes it once', async () => {
    const [first = '', second = ''] = await parked(2);
    expect([...(await claim([first, second], writerId('a'), () => [frame(3), frame(1)]))]).to.have.members([
      first,
      second,
    ]);
    expect((await operations.find([first])).get(first)).to.deep.equal({
      id: first,
      kind: 'reject',
      state: 'resubmitting',
      bodyBytes: 2,
      resubmissionId: writerId('a'),
      store: 'here',
    });
    expect(await operations.frames(writerId('a'), 'here')).to.deep.equal([frame(1), frame(3)]);
    expect(await operations.frames(writerId('a'), 'elsewhere')).to.deep.equal([]);
    expect(await operations.unfinished('here', 0, 10)).to.deep.equal([writerId('a')]);
    expect(await operations.unfinished('here', 60_000, 10)).to.deep.equal([]);
    expect(await operations.unfinished('elsewhere', 0, 10)).to.deep.equal([]);

    for (let times = 0; times < 2; times++) {
      await operations.finish(writerId('a'));
      expect((await operations.find([first])).get(first)).to.deep.include({
        state: 'resubmitted',
        resubmissionId: null,
      });
      expect(await operations.unfinished('here', 0, 10)).to.deep.equal([]);
      expect(await operations.frames(writerId('a'), 'here')).to.deep.equal([]);
      expect((await store.totals())[0]).to.include({ keptRows: 2, resubmittedRows: 2 });
    }
    const [audited] = await database.sql(
      `SELECT operation, resource, old_values, new_values, changed_by, reason, correlation_id FROM config_audit_log
       WHERE record_key = $1`,
      [second],
    );
    expect(audited).to.deep.equal({
      operation: 'UPDATE',
      resource: 'rejects',
      old_values: { state: 'parked' },
      new_values: { events: 1, resubmission_id: writerId('a') },
      changed_by: 'ana',
      reason: 'mended',
      correlation_id: 'c-9',
    });
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  it('gives a reject to one of many who claim it at once, and never again', async () => {
    const ids = await parked(30);
    const claims = await Promise.all(
      [...'0123456789'].map((digit) =>
        claim(
          [...ids].sort(() => Math.random() - 0.5),
          writerId(digit),
        ),
      ),
    );
    const claimed = claims.flatMap((each) => [...each]);
    expect(claimed.length).to.equal(new Set(claimed).size);
    // One that was in another's hands at that moment may be left; nobody lost it.
    const rest = await claim(ids, writerId('e'));
    expect([...claimed, ...rest].sort()).to.deep.equal([...ids].sort());
    expect((await claim(ids, writerId('f'))).size).to.equal(0);
    await operations.finish(writerId('0'));
    expect((await claim(ids, writerId('f'))).size).to.equal(0);
    expect(await operations.frames(writerId('f'), 'here')).to.deep.equal([]);
  });

  it('does nothing at all when its frames cannot be made', async () => {
    const ids = await parked(2);
    const boom = new Error('boom');
    const thrown = await rejectionOf(
      claim(ids, writerId('a'), () => {
        throw boom;
      }),
    );
    expect(thrown).to.equal(boom);
    expect((await operations.read(ids)).length).to.equal(2);
    expect(await operations.unfinished('here', 0, 10)).to.deep.equal([]);
  });

  it('discards what is not being resubmitted, counts it, and says so in the audit without the body', async () => {
    const [free = '', busy = ''] = await parked(2);
    await claim([busy], writerId('a'));
    expect([...(await operations.discard([free, busy, 'r-none'], AUTHOR))]).to.deep.equal([free]);
    expect((await store.totals())[0]).to.include({
      keptRows: 1,
      keptBytes: 2,
      discardedRows: 1,
      discardedBytes: 2,
    });
    const [audited] = await database.sql<{ old_values: Record<string, unknown>; new_values: unknown }>(
      'SELECT old_values, new_values FROM config_audit_log WHERE record_key = $1',
      [free],
    );
    expect(audited?.new_values).to.equal(null);
    expect(audited?.old_values).to.include({ state: 'parked', key_name: 'relay', body_bytes: 2 });
    expect(audited?.old_values['body_sha256']).to.match(/^[0-9a-f]{64}$/);
    await operations.finish(writerId('a'));
    expect((await operations.discard([busy], AUTHOR)).size).to.equal(1);
    expect((await operations.discard([busy], AUTHOR)).size).to.equal(0);
    expect((await operations.discard([], AUTHOR)).size).to.equal(0);
    expect((await store.totals())[0]).to.include({ keptRows: 0, resubmittedRows: 1, discardedRows: 2 });
  });

  it('never waits in a circle with those who park and evict, and counts every reject once', async () => {
    const tight = new PostgresRejectStore(database.connection, () => ({ keyRowsMax: 20, totalRowsMax: 50 }));
    let given = 0;
    const rounds = Array.from({ length: 6 }, async (_, nth) => {
      for (let round = 0; round < 6; round++) {
        const ids = [...(await parked(8, `k-${nth % 3}`)), ...(await parked(8, `k-${(nth + 1) % 3}`))];
        given += 16;
        const id =
          writerId(((nth * 6 + round) % 16).toString(16)).slice(2) + nth.toString() + round.toString();
        await Promise.all([
          claim(ids, id).then((claimed) => (claimed.size === 0 ? undefined : operations.finish(id))),
          operations.discard(ids.slice(4, 12), AUTHOR),
          tight.enforce(),
          tight.park([]),
        ]);
      }
    });
    await Promise.all(rounds);
    const totals = await store.totals();
    const counted = totals.reduce(
      (sum, { keptRows, droppedRows, discardedRows }) => sum + keptRows + droppedRows + discardedRows,
      0,
    );
    expect(counted).to.equal(given);
    const [{ rows } = { rows: -1 }] = await database.sql<{ rows: number }>(
      'SELECT count(*)::int AS rows FROM rejects',
    );
    expect(totals.reduce((sum, { keptRows }) => sum + keptRows, 0)).to.equal(rows);
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });

  it('tells rejects, quarantined events and nothing apart', async () => {
    const [id = ''] = await parked(1);
    await database.sql(
      `INSERT INTO quarantined_events (event_id, received_at, partition, attempts, reason, history, body)
       VALUES ('e-1', now(), 0, 3, 'E_BOOM', '[]', 'abc')`,
    );
    const found = await operations.find([id, 'e-1', 'nothing', "'; DROP TABLE rejects; --"]);
    expect([...found.values()].map(({ kind, state }) => [kind, state])).to.have.deep.members([
      ['reject', 'parked'],
      ['quarantine', 'parked'],
    ]);
    expect([...(await operations.discardQuarantined(['e-1', id], AUTHOR))]).to.deep.equal(['e-1']);
    expect((await operations.find(['e-1'])).size).to.equal(0);
    expect(await verifyConfigAudit(database.connection)).to.deep.equal([]);
  });
});
