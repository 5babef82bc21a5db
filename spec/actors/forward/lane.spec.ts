import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Alert } from '../../../actors/event.ts';
import { Lane } from '../../../actors/forward/lane.ts';
import type { LaneItem } from '../../../actors/forward/lane.ts';
import type { DeliveryOutcome } from '../../../actors/ports.ts';

const delivered: DeliveryOutcome = { kind: 'delivered', status: 200 };
const failed: DeliveryOutcome = { kind: 'retry', reason: 'server', error: '500', status: 500 };
const refused: DeliveryOutcome = { kind: 'refused', reason: 'rejected', error: '422', status: 422 };
const unauthorized: DeliveryOutcome = { kind: 'unauthorized', reason: 'auth', error: '401', status: 401 };

const item = (id: string, signature = id): LaneItem => ({ alert: { id, signature } as Alert, attempts: 0 });

function laneOf(options: { concurrency?: number; ratePerSecond?: number } = {}): Lane<LaneItem> {
  return new Lane(
    {
      concurrency: options.concurrency ?? 4,
      ratePerSecond: options.ratePerSecond ?? 1_000,
      backoffMs: (attempts) => attempts * 100,
      breakerMs: (failures) => failures * 1_000,
    },
    0,
  );
}

/** Fails whatever the lane gives until the breaker opens. */
function openBreaker(lane: Lane<LaneItem>): void {
  for (let nowMs = 0; lane.breaker === 'closed'; nowMs += 50) {
    const next = lane.next(nowMs);
    if (next !== undefined) lane.settle(next, failed, nowMs);
  }
}

describe('Lane', () => {
  it('sends up to its concurrency at once and no more', () => {
    const lane = laneOf({ concurrency: 2 });
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    expect([lane.next(0)?.alert.id, lane.next(0)?.alert.id, lane.next(0)]).to.deep.equal([
      'a',
      'b',
      undefined,
    ]);
  });

  it('keeps alerts of one signature in order, one at a time', () => {
    const lane = laneOf();
    const [down, up] = [item('down', 'link'), item('up', 'link')];
    lane.offer(down);
    lane.offer(up);
    lane.offer(item('other'));
    expect(lane.next(0)).to.equal(down);
    expect(lane.next(0)?.alert.id).to.equal('other');
    expect(lane.next(0)).to.equal(undefined);
    lane.settle(down, failed, 0);
    expect(lane.next(50)).to.equal(undefined);
    expect(lane.next(100)).to.equal(down);
    lane.settle(down, delivered, 100);
    expect(lane.next(100)).to.equal(up);
  });

  it('holds its rate and says how long to wait', () => {
    const lane = laneOf({ ratePerSecond: 2, concurrency: 100 });
    for (let index = 0; index < 10; index++) lane.offer(item(String(index)));
    expect([lane.next(0), lane.next(0), lane.next(0)].filter(Boolean)).to.have.length(2);
    expect(lane.waitMs(0)).to.equal(500);
    expect(lane.next(499)).to.equal(undefined);
    expect(lane.next(500)).to.not.equal(undefined);
  });

  it('waits for nothing but the alert in flight, or the one set back, when the others share its signature', () => {
    const lane = laneOf();
    const first = item('first', 'link');
    [first, item('second', 'link'), item('third', 'link')].forEach((each) => lane.offer(each));
    expect(lane.next(0)).to.equal(first);
    expect(lane.waitMs(0)).to.equal(undefined);
    lane.settle(first, failed, 0);
    expect(lane.waitMs(0)).to.equal(100);
    lane.offer(item('other'));
    expect(lane.waitMs(0)).to.equal(1);
  });

  it('opens after five failures in a row and charges no attempt from then on', () => {
    const lane = laneOf({ concurrency: 10 });
    const items = Array.from({ length: 6 }, (_, index) => item(String(index)));
    items.forEach((each) => lane.offer(each));
    openBreaker(lane);
    const before = items.map(({ attempts }) => attempts);
    expect(lane.next(500)).to.equal(undefined);
    for (let probe = 1, nowMs = 10_000; probe < 5; probe++, nowMs += 100_000) {
      const next = lane.next(nowMs) as LaneItem;
      expect(lane.next(nowMs), 'a second probe').to.equal(undefined);
      expect(lane.settle(next, failed, nowMs).kind).to.equal('kept');
    }
    expect(items.map(({ attempts }) => attempts)).to.deep.equal(before);
  });

  it('closes with the first success and lets everything go on', () => {
    const lane = laneOf();
    ['a', 'b', 'c'].forEach((id) => lane.offer(item(id)));
    openBreaker(lane);
    lane.settle(lane.next(60_000) as LaneItem, delivered, 60_000);
    expect(lane.breaker).to.equal('closed');
    expect(lane.next(60_000)).to.not.equal(undefined);
  });

  it('probes with another alert when one has failed as a probe', () => {
    const lane = laneOf();
    lane.offer(item('poison'));
    lane.offer(item('good'));
    openBreaker(lane);
    const seen = new Set<string>();
    for (let nowMs = 60_000; seen.size < 2; nowMs += 60_000) {
      const probe = lane.next(nowMs) as LaneItem;
      seen.add(probe.alert.id);
      lane.settle(probe, failed, nowMs);
    }
    expect([...seen]).to.have.members(['poison', 'good']);
  });

  it('stores an alert away that keeps failing while others get through', () => {
    const lane = laneOf();
    lane.offer(item('poison'));
    for (let index = 0; index < 20; index++) lane.offer(item(`good ${index}`));
    const kinds: string[] = [];
    for (let nowMs = 0; nowMs < 5_000 && !kinds.includes('delay'); nowMs += 20) {
      const next = lane.next(nowMs);
      if (next === undefined) continue;
      const action = lane.settle(next, next.alert.id === 'poison' ? failed : delivered, nowMs);
      if (next.alert.id === 'poison') kinds.push(action.kind);
    }
    expect(kinds).to.deep.equal(['kept', 'kept', 'delay']);
  });

  it('gives up at once what the destination refuses for good', () => {
    const lane = laneOf();
    lane.offer(item('a'));
    expect(lane.settle(lane.next(0) as LaneItem, refused, 0).kind).to.equal('dead');
    expect(lane.breaker).to.equal('closed');
    expect(lane.size).to.equal(0);
  });

  it('pauses as a whole on a rejected credential, without blaming the alert', () => {
    const lane = laneOf();
    const [a, b] = [item('a'), item('b')];
    lane.offer(a);
    lane.offer(b);
    lane.settle(lane.next(0) as LaneItem, unauthorized, 0);
    expect([lane.breaker, lane.next(999), a.attempts, b.attempts]).to.deep.equal(['open', undefined, 0, 0]);
    expect(lane.next(1_000)).to.equal(a);
  });

  it('waits as long as the destination asks', () => {
    const lane = laneOf();
    lane.offer(item('a'));
    lane.offer(item('b'));
    lane.settle(
      lane.next(0) as LaneItem,
      { kind: 'retry', reason: 'throttled', error: '429', retryAfterMs: 30_000 },
      0,
    );
    expect(lane.next(29_999)).to.equal(undefined);
    expect(lane.next(30_000)?.alert.id).to.equal('a');
  });

  it('loses nothing and keeps every signature in order, whatever the outcomes', () => {
    const outcome = fc.constantFrom(delivered, failed, refused, unauthorized);
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { maxLength: 30 }),
        fc.array(outcome, { minLength: 1, maxLength: 50 }),
        (signatures, outcomes) => {
          const lane = laneOf({ concurrency: 3 });
          const items = signatures.map((signature, index) => item(String(index), String(signature)));
          items.forEach((each) => lane.offer(each));
          const left: LaneItem[] = [];
          const inFlight: LaneItem[] = [];
          for (let step = 0; left.length < items.length; step++) {
            if (step > 20_000) throw new Error('the lane does not come to an end');
            const nowMs = step * 250;
            const next = lane.next(nowMs);
            if (next !== undefined) inFlight.push(next);
            expect(new Set(inFlight.map(({ alert }) => alert.signature)).size).to.equal(inFlight.length);
            if (next !== undefined && step % 2 === 0) continue;
            const settling = inFlight.shift();
            if (settling === undefined) continue;
            const result = step > 2_000 ? delivered : (outcomes[step % outcomes.length] as DeliveryOutcome);
            if (lane.settle(settling, result, nowMs).kind !== 'kept') left.push(settling);
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
