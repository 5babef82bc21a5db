import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { AuditRow } from '../../../actors/event.ts';
import { decodeStoredAlert } from '../../../actors/forward/messages.ts';
import { encodeFrame } from '../../../actors/ingest/frame.ts';
import { RECORD_JSON } from '../../../actors/ingest/split-records.ts';
import { MatchHandler } from '../../../actors/match/match-handler.ts';
import type { MatchOptions } from '../../../actors/match/match-handler.ts';
import type { QuarantinedEvent, RuleRow, Snapshot, StandingDecision } from '../../../actors/ports.ts';
import type { Batch, Piece } from '../../../runtime/durable/consumer.ts';
import type { StrikeRecord } from '../../../runtime/durable/durable-store.ts';
import { WIDE } from '../../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { destinationOf } from '../forward/alerts.ts';
import { decisionsOf, receivedAtMs, ruleOf } from './fixtures.ts';
import { randomOf } from './regex/random-expressions.ts';
import { unmatchedWatch } from './template-store.ts';

const FRAME_ID = Buffer.from('017f22e279b07cc398c4dc0c0c07398f', 'hex');
const FRAME_NAME = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';

describe('MatchHandler', () => {
  /** The first row for an event stands, as in the real store. */
  let rows: Map<string, AuditRow>;
  let inserts: number;
  let quarantined: QuarantinedEvent[];
  let counts: Record<string, number>;
  let isAway: boolean;
  let trace: string[];

  beforeEach(() => {
    rows = new Map();
    inserts = 0;
    quarantined = [];
    counts = {};
    isAway = false;
    trace = [];
  });

  const snapshotOf = (rules: RuleRow[], version = 1): Snapshot => ({
    version,
    rules,
    developmentHosts: [],
    teams: {},
    destinations: [destinationOf(), destinationOf({ name: 'b', routes: [{ team: 'SYS' }] })],
    settings: {},
    keys: [],
  });
  const LINK = ruleOf({ id: 1, match_string: 'link down' });
  function handlerOf(rules: RuleRow[] = [LINK], options: Partial<MatchOptions> = {}): MatchHandler {
    return new MatchHandler(
      {
        audit: {
          insert: async (given) => {
            trace.push('insert');
            inserts += 1;
            if (isAway) throw Object.assign(new Error('away'), { kind: 'transient' });
            return given.map((row): StandingDecision => {
              const isFirst = !rows.has(row.eventId);
              if (isFirst) rows.set(row.eventId, row);
              const { eventId, decision, alerts } = rows.get(row.eventId) as AuditRow;
              return { eventId, decision, alerts, isFirst };
            });
          },
        },
        quarantine: { quarantine: async (events) => void quarantined.push(...events) },
        auditUnmatched: () => 'none',
        unmatched: unmatchedWatch(),
        alertBounds: WIDE,
        count: (what, n) => (counts[what] = (counts[what] ?? 0) + n),
        onDecided: () => trace.push('decided'),
        ...options,
      },
      decisionsOf(snapshotOf(rules)),
    );
  }
  function pieceOf(messages: readonly string[], rest: Partial<Piece> = {}): Piece {
    const body = Buffer.from(
      messages
        .map((message) => JSON.stringify({ hostname: 'r1', message, timestamp: '2024-05-01T12:00:00Z' }))
        .join(''),
    );
    let end = 0;
    const inputs = messages.map((message) => {
      const start = end;
      end += Buffer.byteLength(
        JSON.stringify({ hostname: 'r1', message, timestamp: '2024-05-01T12:00:00Z' }),
      );
      return { kind: RECORD_JSON, correlationId: 'c-1', body, start, end } as const;
    });
    const payload = encodeFrame(FRAME_ID, receivedAtMs, inputs);
    const { length: count } = messages;
    const entry = { partition: 2, lane: 'ingest', id: `${count}-${count}`, count, payload, storedAtMs: 42 };
    return { entry, lo: 0, hi: count, ...rest };
  }
  const batchOf = (...pieces: Piece[]): Batch => ({ partition: 2, lane: 'ingest', pieces });

  it('stores the decision, then says what follows: alerts, open groups and the books', async () => {
    const ignored = ruleOf({ id: 2, match_string: 'fan', prod_handling: 'Ignore' });
    const plan = await handlerOf([LINK, ignored]).handle(
      batchOf(pieceOf(['link down', 'fan broken', 'nothing'])),
    );
    expect(trace).to.deep.equal(['decided', 'insert']);
    expect([...rows.keys()]).to.deep.equal([`${FRAME_NAME}-0`, `${FRAME_NAME}-1`]);
    expect(plan.counters).to.deep.equal({ unmatched: 1, handled: 1, alerts: 1 });
    expect(plan.openGroups).to.deep.equal([{ id: `${FRAME_NAME}-0`, parts: 1 }]);
    const [output] = plan.outputs ?? [];
    expect(output?.lane).to.equal('alert:noc');
    expect(decodeStoredAlert(output?.payload as Buffer)).to.deep.include({
      attempts: 0,
      alert: rows.get(`${FRAME_NAME}-0`)?.alerts[0],
    });
  });

  it('opens one group of an event for all its alerts', async () => {
    const plan = await handlerOf([ruleOf({ id: 1, match_string: 'link', team_assignment: 'SYS' })]).handle(
      batchOf(pieceOf(['link down'])),
    );
    expect(plan.openGroups).to.deep.equal([{ id: `${FRAME_NAME}-0`, parts: 2 }]);
    expect(plan.outputs?.map(({ lane }) => lane)).to.deep.equal(['alert:noc', 'alert:b']);
  });

  it('handles only its part of a frame', async () => {
    await handlerOf().handle(
      batchOf(pieceOf(['link down 0', 'link down 1', 'link down 2'], { lo: 1, hi: 2 })),
    );
    expect([...rows.keys()]).to.deep.equal([`${FRAME_NAME}-1`]);
  });

  it('asks the store for nothing when nothing is to be kept', async () => {
    expect(await handlerOf().handle(batchOf(pieceOf(['nothing'])))).to.deep.include({
      counters: { unmatched: 1, handled: 0, alerts: 0 },
      outputs: [],
    });
    expect(inserts).to.equal(0);
  });

  for (const [policy, kept] of [
    ['none', 0],
    ['sample', 1],
    ['all', 3],
  ] as const) {
    it(`keeps unmatched events by the policy ${policy}, and counts every one of them once`, async () => {
      const handler = handlerOf([LINK], { auditUnmatched: () => policy });
      const plan = await handler.handle(batchOf(pieceOf(['fan 1', 'fan 2', 'fan 3'])));
      expect(rows.size).to.equal(kept);
      expect(plan.counters).to.deep.include({ unmatched: 3 });
      expect(plan.openGroups).to.deep.equal([]);
    });
  }

  it('lets the first decision stand when the rules have changed before the retry', async () => {
    const handler = handlerOf();
    const first = await handler.handle(batchOf(pieceOf(['link down'])));
    handler.apply(
      decisionsOf(snapshotOf([ruleOf({ id: 9, match_string: 'link', prod_handling: 'Ignore' })], 2)),
    );
    const second = await handler.handle(batchOf(pieceOf(['link down'])));
    expect(second).to.deep.equal(first);
    expect(rows.get(`${FRAME_NAME}-0`)?.ruleSetVersion).to.equal(1);
  });

  it('goes on with another policy from one event to the next', async () => {
    let policy: 'none' | 'all' = 'none';
    const handler = handlerOf([LINK], { auditUnmatched: () => policy });
    await handler.handle(batchOf(pieceOf(['fan 1'])));
    expect(rows.size).to.equal(0);
    policy = 'all';
    await handler.handle(batchOf(pieceOf(['fan 2'])));
    expect(rows.size).to.equal(1);
  });

  it('takes another list of development hosts with the image it has', async () => {
    const inForce = decisionsOf(snapshotOf([LINK]));
    const handler = handlerOf();
    handler.apply(inForce);
    // Looked at, it would be refused: it is no image.
    const image = new SharedArrayBuffer(64);
    handler.apply({ ...inForce, image, version: 8, developmentHosts: ['r1'] });
    expect(handler.version).to.equal(8);
    await handler.handle(batchOf(pieceOf(['link down'])));
    expect(rows.get(`${FRAME_NAME}-0`)).to.deep.include({ ruleSetVersion: 8, ruleId: 1, environment: 'dev' });
  });

  it('goes on as before when it is given what is no image', async () => {
    const handler = handlerOf();
    const damaged = { ...decisionsOf(snapshotOf([LINK], 2)), image: new SharedArrayBuffer(64) };
    expect(() => handler.apply(damaged))
      .to.throw()
      .with.property('code', 'E_RULE_SET_DAMAGED');
    await handler.handle(batchOf(pieceOf(['link down'])));
    expect(rows.get(`${FRAME_NAME}-0`)).to.deep.include({ ruleSetVersion: 1, ruleId: 1 });
  });

  it('lets others have the thread between two events that take long, and ends by what held when it began', async () => {
    // Random a's and b's: some 20 ms of an expression that counts them.
    const random = randomOf(5);
    const tosses = Array.from({ length: 64 * 1024 }, () => (random() < 0.5 ? 'a' : 'b')).join('');
    const dear = [1, 2, 3, 4, 5, 6].map((id) =>
      ruleOf({ id, match_type: 'regex', match_string: `a[ab]{${1_900 + id}}c`, continue: true }),
    );
    const last = ruleOf({ id: 9, match_type: 'regex', match_string: '[ab]$' });
    let pauses = 0;
    const handler = handlerOf([...dear, last], {
      pause: async () => {
        pauses += 1;
        await new Promise((resolve) => setImmediate(resolve));
        handler.apply(decisionsOf(snapshotOf([LINK], 2)));
      },
    });
    await handler.handle(batchOf(pieceOf([tosses, tosses, tosses])));
    expect(pauses).to.be.within(1, 3);
    const versions = [...rows.values()].map(({ ruleId, ruleSetVersion }) => [ruleId, ruleSetVersion]);
    expect(versions).to.deep.equal([1, 2, 3].map(() => [9, 1]));
    expect(handler.version).to.equal(2);
    await handler.handle(batchOf(pieceOf(['link down'])));
    expect(pauses).to.be.at.most(3);
  }).timeout(20_000);

  it('decides by the parts of one snapshot between any two swaps', async () => {
    const handler = handlerOf();
    for (const version of [2, 3, 4]) {
      const rule = ruleOf({ id: version, match_string: 'link' });
      handler.apply(decisionsOf({ ...snapshotOf([rule], version), developmentHosts: [`r${version - 1}`] }));
      rows.clear();
      await handler.handle(batchOf(pieceOf(['link down'])));
      const environment = version === 2 ? 'dev' : 'prod';
      expect(rows.get(`${FRAME_NAME}-0`)).to.deep.include({
        ruleSetVersion: version,
        ruleId: version,
        environment,
      });
    }
  });

  it('keeps the sampled row of an attempt that failed at the next one', async () => {
    const handler = handlerOf([LINK], { auditUnmatched: () => 'sample' });
    isAway = true;
    expect(await rejectionOfAny(handler.handle(batchOf(pieceOf(['fan 1']))))).to.have.property(
      'kind',
      'transient',
    );
    isAway = false;
    await handler.handle(batchOf(pieceOf(['fan 1'])));
    expect(rows.size).to.equal(1);
  });
  async function rejectionOfAny(promise: Promise<unknown>): Promise<unknown> {
    return promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  }

  it('names the event that breaks it', async () => {
    const piece = pieceOf(['fine', 'link down']);
    const broken = Buffer.from('not an event at all');
    const inputs = [
      {
        kind: RECORD_JSON,
        correlationId: 'c',
        body: Buffer.from('{"hostname":"r","message":"m","timestamp":1}'),
        start: 0,
        end: 44,
      },
      { kind: RECORD_JSON, correlationId: 'c', body: broken, start: 0, end: broken.length },
    ] as const;
    const payload = encodeFrame(FRAME_ID, receivedAtMs, inputs);
    const error = await rejectionOf(
      handlerOf().handle(batchOf({ ...piece, entry: { ...piece.entry, payload } })),
    );
    expect(error).to.deep.include({ code: 'E_EVENT_BREAKS_HANDLER', kind: 'defect', details: { index: 1 } });
    expect(inserts).to.equal(0);
  });

  it('fails on a frame that is damaged, or holds fewer records than it says', async () => {
    const piece = pieceOf(['a', 'b']);
    const damaged = Buffer.from(piece.entry.payload);
    damaged[50] = (damaged[50] ?? 0) ^ 1;
    for (const bad of [
      { ...piece, entry: { ...piece.entry, payload: damaged } },
      { ...piece, hi: 3 },
    ]) {
      expect((await rejectionOf(handlerOf().handle(batchOf(bad)))).code).to.equal('E_FRAME_DAMAGED');
    }
  });

  describe('setAside', () => {
    const history: StrikeRecord = {
      total: 3,
      ranges: {},
      latest: [
        { lo: 0, hi: 2, reason: 'E_HUNG', message: 'silent', atMs: receivedAtMs },
        { lo: 1, hi: 2, reason: 'E_EVENT_BREAKS_HANDLER', message: 'boom', atMs: receivedAtMs },
      ],
    };

    it('keeps the event with its own bytes, times and history', async () => {
      const { entry } = pieceOf(['a', 'b']);
      expect(await handlerOf().setAside({ entry, index: 1, history })).to.deep.equal({
        counters: { quarantined: 1 },
      });
      const [event] = quarantined;
      expect(JSON.parse(event?.body.toString() ?? '')).to.include({ message: 'b' });
      expect(event).to.deep.include({
        eventId: `${FRAME_NAME}-1`,
        receivedAtMs,
        partition: 2,
        attempts: 3,
        reason: 'E_EVENT_BREAKS_HANDLER',
      });
      expect(event?.history).to.deep.equal([
        '2024-05-01T12:00:00.000Z E_HUNG: silent',
        '2024-05-01T12:00:00.000Z E_EVENT_BREAKS_HANDLER: boom',
      ]);
    });

    it('keeps a damaged frame once, under the name of its entry, and counts every event of it', async () => {
      const { entry } = pieceOf(['a', 'b', 'c']);
      const payload = Buffer.from(entry.payload);
      payload[60] = (payload[60] ?? 0) ^ 0xff;
      const handler = handlerOf();
      for (const index of [2, 0, 1]) await handler.setAside({ entry: { ...entry, payload }, index, history });
      expect(
        quarantined.map(({ eventId, body, receivedAtMs: at }) => [eventId, body.length, at]),
      ).to.deep.equal([
        ['entry-3-3-2', 0, 42],
        ['entry-3-3-0', payload.length, 42],
        ['entry-3-3-1', 0, 42],
      ]);
      expect(counts.quarantined).to.equal(3);
    });
  });
});
