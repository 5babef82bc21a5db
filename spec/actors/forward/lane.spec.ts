import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { Lane } from '../../../actors/forward/lane.ts';
import type { LaneAction, LaneItem, LaneOptions } from '../../../actors/forward/lane.ts';
import { burstOf } from '../../../actors/forward/token-purse.ts';
import type { DeliveryOutcome } from '../../../actors/ports.ts';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';

const delivered: DeliveryOutcome = { kind: 'delivered', status: 200 };
const failed: DeliveryOutcome = { kind: 'retry', reason: 'server', error: '500', status: 500 };
const refused: DeliveryOutcome = { kind: 'refused', reason: 'rejected', error: '422', status: 422 };
const unauthorized: DeliveryOutcome = { kind: 'unauthorized', reason: 'auth', error: '401', status: 401 };

const item = (id: string, signature = id): LaneItem => ({
  alert: { id, signature, count: 1 } as Alert,
  partition: 0,
  attempts: 0,
});

/** A lane that asks for its pace whenever it wants to, alone. */
class PacedLane {
  readonly #lane: Lane<LaneItem>;
  readonly #ratePerSecond: number;
  #nowMs = 0;
  #settledAtMs = 0;
  readonly #pace = createMemoryPace({
    clock: { wallMs: () => 1_000_000 + this.#nowMs, monotonicMs: () => this.#nowMs, after: () => () => {} },
  });

  constructor(options: LaneOptions) {
    this.#lane = new Lane(options);
    this.#ratePerSecond = options.ratePerSecond;
  }

  async next(nowMs: number): Promise<LaneItem | undefined> {
    // What came of the last one was told when it was settled.
    await this.#ask(this.#settledAtMs);
    await this.#ask(nowMs);
    return this.#lane.next(nowMs);
  }
  async #ask(nowMs: number): Promise<void> {
    this.#nowMs = nowMs;
    const wish = this.#lane.wish(nowMs);
    if (wish === undefined) return;
    const ratePerSecond = this.#ratePerSecond;
    const rest = { name: 'noc', nonce: 'n', probeMs: 1_000, ratePerSecond, burstMax: burstOf(ratePerSecond) };
    this.#lane.allow(await this.#pace.ask({ ...wish, ...rest }), nowMs);
  }
  settle(item: LaneItem, outcome: DeliveryOutcome, nowMs: number): LaneAction<LaneItem> {
    this.#settledAtMs = nowMs;
    return this.#lane.settle(item, outcome, nowMs);
  }
  waitMs(nowMs: number): number | undefined {
    return this.#lane.waitMs(nowMs);
  }
  offer(each: LaneItem): void {
    this.#lane.offer(each, this.#nowMs);
  }
  ended(each: LaneItem): void {
    this.#lane.ended(each);
  }
  withdraw(signature: string, partition: number): LaneItem[] {
    return this.#lane.withdraw(signature, partition);
  }
  get breaker() {
    return this.#lane.breaker;
  }
  get failuresInRow() {
    return this.#lane.failuresInRow;
  }
  get size() {
    return this.#lane.size;
  }
}

function laneOf({
  retryAgeMaxMs,
  wallMs = () => 0,
  ...options
}: {
  concurrency?: number;
  ratePerSecond?: number;
  retryAgeMaxMs?: number;
  wallMs?: () => number;
} = {}): PacedLane {
  return new PacedLane({
    concurrency: options.concurrency ?? 4,
    ratePerSecond: options.ratePerSecond ?? 1_000,
    backoffMs: (attempts) => attempts * 100,
    breakerMs: (failures) => failures * 1_000,
    staleAfterMs: null,
    collapse: false,
    wallMs,
    ...(retryAgeMaxMs === undefined ? {} : { retryAgeMaxMs: () => retryAgeMaxMs }),
  });
}

/** Fails whatever the lane gives until the breaker opens. */
async function openBreaker(lane: PacedLane): Promise<void> {
  for (let nowMs = 0; lane.breaker === 'closed'; nowMs += 50) {
    const next = await lane.next(nowMs);
    if (next !== undefined) lane.settle(next, failed, nowMs);
  }
}

describe('Lane', function () {
  // A property is played many times.
  this.timeout(60_000);

  it('sends up to its concurrency at once and no more', async () => {
    const lane = laneOf({ concurrency: 2 });
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    expect([
      (await lane.next(0))?.alert.id,
      (await lane.next(0))?.alert.id,
      await lane.next(0),
    ]).to.deep.equal(['a', 'b', undefined]);
  });

  it('keeps alerts of one signature in order, one at a time', async () => {
    const lane = laneOf();
    const [down, up] = [item('down', 'link'), item('up', 'link')];
    lane.offer(down);
    lane.offer(up);
    lane.offer(item('other'));
    expect(await lane.next(0)).to.equal(down);
    expect((await lane.next(0))?.alert.id).to.equal('other');
    expect(await lane.next(0)).to.equal(undefined);
    lane.settle(down, failed, 0);
    expect(await lane.next(50)).to.equal(undefined);
    expect(await lane.next(100)).to.equal(down);
    lane.settle(down, delivered, 100);
    expect(await lane.next(100)).to.equal(up);
  });

  it('holds its rate and says how long to wait', async () => {
    const lane = laneOf({ ratePerSecond: 2, concurrency: 100 });
    for (let index = 0; index < 10; index++) lane.offer(item(String(index)));
    expect([await lane.next(0), await lane.next(0)].filter(Boolean)).to.have.length(1);
    expect(lane.waitMs(0)).to.equal(500);
    expect(await lane.next(499)).to.equal(undefined);
    expect(await lane.next(500)).to.not.equal(undefined);
  });

  it('waits for nothing but the alert in flight, or the one set back, when the others share its signature', async () => {
    const lane = laneOf();
    const first = item('first', 'link');
    [first, item('second', 'link'), item('third', 'link')].forEach((each) => lane.offer(each));
    expect(await lane.next(0)).to.equal(first);
    expect(lane.waitMs(0)).to.equal(undefined);
    lane.settle(first, failed, 0);
    expect(lane.waitMs(0)).to.equal(100);
    lane.offer(item('other'));
    expect(lane.waitMs(0)).to.equal(1);
  });

  it('opens after five failures in a row and charges no attempt from then on', async () => {
    const lane = laneOf({ concurrency: 10 });
    const items = Array.from({ length: 6 }, (_, index) => item(String(index)));
    items.forEach((each) => lane.offer(each));
    await openBreaker(lane);
    const before = items.map(({ attempts }) => attempts);
    expect(await lane.next(500)).to.equal(undefined);
    for (let probe = 1, nowMs = 10_000; probe < 5; probe++, nowMs += 100_000) {
      const next = (await lane.next(nowMs)) as LaneItem;
      expect(await lane.next(nowMs), 'a second probe').to.equal(undefined);
      expect(lane.settle(next, failed, nowMs).kind).to.equal('kept');
    }
    expect(items.map(({ attempts }) => attempts)).to.deep.equal(before);
  });

  it('closes with the first success and lets everything go on', async () => {
    const lane = laneOf();
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    await openBreaker(lane);
    lane.settle((await lane.next(60_000)) as LaneItem, delivered, 60_000);
    expect(lane.breaker).to.equal('closed');
    expect(await lane.next(60_000)).to.not.equal(undefined);
  });

  it('probes with another alert when one has failed as a probe', async () => {
    const lane = laneOf();
    lane.offer(item('poison'));
    lane.offer(item('good'));
    await openBreaker(lane);
    const seen = new Set<string>();
    for (let nowMs = 60_000; seen.size < 2; nowMs += 60_000) {
      const probe = (await lane.next(nowMs)) as LaneItem;
      seen.add(probe.alert.id);
      lane.settle(probe, failed, nowMs);
    }
    expect([...seen]).to.have.members(['poison', 'good']);
  });

  it('stores an alert away that keeps failing while others get through', async () => {
    const lane = laneOf();
    lane.offer(item('poison'));
    for (let index = 0; index < 20; index++) lane.offer(item(`good ${index}`));
    const kinds: string[] = [];
    for (let nowMs = 0; nowMs < 5_000 && !kinds.includes('delay'); nowMs += 20) {
      const next = await lane.next(nowMs);
      if (next === undefined) continue;
      const action = lane.settle(next, next.alert.id === 'poison' ? failed : delivered, nowMs);
      if (next.alert.id === 'poison') kinds.push(action.kind);
    }
    expect(kinds).to.deep.equal(['kept', 'kept', 'delay']);
  });

  it('gives up one that has been tried for long enough while others got through, and often enough', async () => {
    const retryAgeMaxMs = 60_000;
    const lane = laneOf({ retryAgeMaxMs, wallMs: () => wallMs });
    let wallMs = 1_000;
    const bad = item('bad');
    const tryOnce = async (nowMs: number): Promise<string> => {
      lane.offer(item(`well ${nowMs}`));
      lane.offer(bad);
      let kind = '';
      for (let next = await lane.next(nowMs); next !== undefined; next = await lane.next(nowMs)) {
        const action = lane.settle(next, next === bad ? failed : delivered, nowMs);
        if (next === bad) kind = action.kind;
        if (action.kind === 'kept') lane.withdraw('bad', 0);
      }
      return kind;
    };
    const kinds: string[] = [];
    // Old enough from the second time on.
    for (let n = 0; n < 8; n += 1, wallMs += retryAgeMaxMs) kinds.push(await tryOnce(n * 1_000));
    expect(kinds).to.deep.equal(['kept', 'kept', 'delay', 'delay', 'delay', 'delay', 'delay', 'dead']);
    expect(bad.triedSinceMs).to.equal(1_000);

    // Often enough, and not old enough.
    const young = { ...item('bad'), attempts: 20, triedSinceMs: wallMs - retryAgeMaxMs + 1 };
    lane.offer(young);
    lane.offer(item('well'));
    const kindOf = async (wanted: LaneItem): Promise<string> => {
      for (let next = await lane.next(20_000); next !== undefined; next = await lane.next(20_000)) {
        const { kind } = lane.settle(next, next === wanted ? failed : delivered, 20_000);
        if (next === wanted) return kind;
      }
      return 'not sent';
    };
    lane.ended(bad);
    expect(await kindOf(young)).to.equal('delay');

    // Whoever replays one waits longer than a lane does.
    const replayed = { ...item('replayed'), attempts: 2, isReplay: true };
    lane.offer(replayed);
    expect(await kindOf(replayed)).to.equal('dead');
  });

  it('gives up at once what the destination refuses for good', async () => {
    const lane = laneOf();
    lane.offer(item('a'));
    expect(lane.settle((await lane.next(0)) as LaneItem, refused, 0).kind).to.equal('dead');
    expect(lane.breaker).to.equal('closed');
    expect(lane.size).to.equal(0);
  });

  it('pauses as a whole on a rejected credential, without blaming the alert', async () => {
    const lane = laneOf();
    const [a, b] = [item('a'), item('b')];
    lane.offer(a);
    lane.offer(b);
    lane.settle((await lane.next(0)) as LaneItem, unauthorized, 0);
    expect([lane.breaker, await lane.next(999), a.attempts, b.attempts]).to.deep.equal([
      'open',
      undefined,
      0,
      0,
    ]);
    expect(await lane.next(1_000)).to.equal(a);
  });

  it('goes on with the others when only one is refused as unauthorized, and sets that one aside', async () => {
    const lane = laneOf();
    const guarded = item('guarded');
    lane.offer(guarded);
    const others = Array.from({ length: 8 }, (_, n) => item(`other ${n}`));
    others.forEach((each) => lane.offer(each));
    const kinds: string[] = [];
    const taken: LaneItem[] = [];
    for (let nowMs = 0; nowMs < 60_000 && !kinds.includes('delay'); nowMs += 50) {
      const next = await lane.next(nowMs);
      if (next === undefined) continue;
      if (next !== guarded) taken.push(next);
      const { kind } = lane.settle(next, next === guarded ? unauthorized : delivered, nowMs);
      if (next === guarded) kinds.push(kind);
    }
    expect(kinds).to.deep.equal(['kept', 'kept', 'kept', 'kept', 'delay']);
    expect(guarded.attempts).to.equal(3);
    expect(taken.length).to.be.greaterThan(2);
    expect(lane.breaker).to.equal('closed');
  });

  it('learns nothing of a destination from an alert of which its template makes nothing', async () => {
    const lane = laneOf();
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    await openBreaker(lane);
    const unmade: DeliveryOutcome = {
      kind: 'refused',
      reason: 'template',
      error: 'E_TEMPLATE_FAILED: no JSON',
    };
    expect(lane.settle((await lane.next(60_000)) as LaneItem, unmade, 60_000).kind).to.equal('dead');
    expect([lane.breaker, lane.failuresInRow]).to.deep.equal(['open', 5]);
    // The lease to probe is this one's still.
    const probe = (await lane.next(60_001)) as LaneItem;
    expect(await lane.next(60_001)).to.equal(undefined);
    lane.settle(probe, delivered, 60_001);
    expect(lane.breaker).to.equal('closed');
  });

  it('waits all the same when the destination asks for no wait at all', async () => {
    const lane = laneOf();
    lane.offer(item('a'));
    const atOnce: DeliveryOutcome = { kind: 'retry', reason: 'server', error: '503', retryAfterMs: 0 };
    lane.settle((await lane.next(0)) as LaneItem, atOnce, 0);
    expect(await lane.next(99)).to.equal(undefined);
    expect((await lane.next(100))?.alert.id).to.equal('a');
  });

  it('waits as long as the destination asks', async () => {
    const lane = laneOf();
    lane.offer(item('a'));
    lane.offer(item('b'));
    lane.settle(
      (await lane.next(0)) as LaneItem,
      { kind: 'retry', reason: 'throttled', error: '429', retryAfterMs: 30_000 },
      0,
    );
    expect(await lane.next(29_999)).to.equal(undefined);
    expect((await lane.next(30_000))?.alert.id).to.equal('a');
  });

  it('holds itself back for a trouble of this node, and tells nobody: the destination is well', async () => {
    const lane = laneOf({ concurrency: 2 });
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    const unreadable: DeliveryOutcome = { kind: 'retry', reason: 'auth', error: 'E_SECRET_UNAVAILABLE: x' };
    const began = [(await lane.next(0)) as LaneItem, (await lane.next(0)) as LaneItem];
    for (const each of began) expect(lane.settle(each, unreadable, 0).kind).to.equal('kept');
    expect([lane.breaker, began[0]?.attempts]).to.deep.equal(['closed', 0]);
    expect(await lane.next(999)).to.equal(undefined);
    expect(lane.waitMs(0)).to.equal(1_000);
    for (let n = 2; n <= 9; n += 1) {
      const next = (await lane.next(n * 100_000)) as LaneItem;
      lane.settle(next, unreadable, n * 100_000);
      // Longer each time.
      expect(lane.waitMs(n * 100_000)).to.equal(n * 1_000);
      expect(lane.breaker).to.equal('closed');
    }
    expect(lane.failuresInRow).to.equal(0);
    for (let left = 3; left > 0; left -= 1) {
      const next = (await lane.next(2_000_000)) as LaneItem;
      expect(lane.settle(next, delivered, 2_000_000).kind).to.equal('delivered');
    }
  });

  it('sends nothing of a signature behind a dead letter that is not committed', async () => {
    const lane = laneOf({ concurrency: 3 });
    lane.offer(item('a', 's'));
    lane.offer(item('b', 's'));
    lane.offer(item('c', 'other'));
    const first = (await lane.next(0)) as LaneItem;
    expect(lane.settle(first, refused, 0).kind).to.equal('dead');
    expect((await lane.next(0))?.alert.id).to.equal('c');
    expect(await lane.next(0)).to.equal(undefined);
    lane.ended(first);
    expect((await lane.next(0))?.alert.id).to.equal('b');
  });

  it('gives back what waits of one signature and partition, and keeps the rest', () => {
    const lane = laneOf({});
    const items = [item('a', 's'), item('b', 'other'), item('c', 's')];
    items.forEach((each) => lane.offer(each));
    const elsewhere = { ...item('d', 's'), partition: 9 };
    lane.offer(elsewhere);
    expect(lane.withdraw('s', items[0]?.partition ?? 0).map(({ alert }) => alert.id)).to.deep.equal([
      'a',
      'c',
    ]);
    expect(lane.size).to.equal(2);
  });

  it('loses nothing and keeps every signature in order, whatever the outcomes', async () => {
    const outcome = fc.constantFrom(delivered, failed, refused, unauthorized);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(4), { maxLength: 30 }),
        fc.array(outcome, { minLength: 1, maxLength: 50 }),
        async (signatures, outcomes) => {
          const lane = laneOf({ concurrency: 3 });
          const items = signatures.map((signature, index) => item(String(index), String(signature)));
          items.forEach((each) => lane.offer(each));
          const left: LaneItem[] = [];
          const inFlight: LaneItem[] = [];
          for (let step = 0; left.length < items.length; step++) {
            if (step > 20_000) throw new Error('the lane does not come to an end');
            const nowMs = step * 250;
            const next = await lane.next(nowMs);
            if (next !== undefined) inFlight.push(next);
            expect(new Set(inFlight.map(({ alert }) => alert.signature)).size).to.equal(inFlight.length);
            if (next !== undefined && step % 2 === 0) continue;
            const settling = inFlight.shift();
            if (settling === undefined) continue;
            const result = step > 2_000 ? delivered : (outcomes[step % outcomes.length] as DeliveryOutcome);
            const { kind } = lane.settle(settling, result, nowMs);
            if (kind !== 'kept') left.push(settling);
            // As its caller does when the commit is done.
            if (kind === 'dead') lane.ended(settling);
          }
          expect(lane.size).to.equal(0);
          expect(new Set(left).size).to.equal(items.length);
          // An alert that was stored away may be passed by later ones; all others keep the order of their signature.
          for (const signature of new Set(signatures)) {
            const order = left.filter(
              ({ alert, attempts }) => alert.signature === String(signature) && attempts < 3,
            );
            const ids = order.map(({ alert }) => Number(alert.id));
            expect(ids).to.deep.equal([...ids].sort((a, b) => a - b));
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
