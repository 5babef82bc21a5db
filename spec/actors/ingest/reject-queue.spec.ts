import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RejectQueue } from '../../../actors/ingest/reject-queue.ts';
import type { Reject } from '../../../actors/ports.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const MIB = 1024 * 1024;

describe('RejectQueue', () => {
  let clock: FakeClock;
  let writes: string[][];
  let isAway: boolean;
  let hold: Promise<void> | undefined;
  let dropped: number;
  let queue: RejectQueue;

  beforeEach(() => {
    clock = new FakeClock();
    writes = [];
    isAway = false;
    hold = undefined;
    dropped = 0;
    const park = async (rejects: readonly Reject[]): Promise<void> => {
      if (hold !== undefined) await hold;
      if (isAway) throw new Error('away');
      writes.push(rejects.map(({ id }) => id));
    };
    queue = new RejectQueue({ park }, clock, (count) => (dropped += count));
  });
  const reject = (id: number | string, bytes = 10): Reject => ({
    id: String(id),
    receivedAtMs: 0,
    keyName: 'relay',
    sender: 'rsyslog',
    correlationId: 'c',
    index: 0,
    code: 'E_JSON_MALFORMED',
    message: 'bad',
    body: Buffer.alloc(bytes),
  });
  const numbered = (count: number, bytes?: number): Reject[] =>
    Array.from({ length: count }, (_, n) => reject(n, bytes));
  /** Whether it has settled, and what it took on the clock. */
  async function isSettled(promise: Promise<void>): Promise<boolean> {
    let done = false;
    void promise.then(() => (done = true));
    await settle();
    return done;
  }

  it('writes what comes in one turn together, and is done when it is stored', async () => {
    await Promise.all([queue.park([reject(1)]), queue.park([reject(2), reject(3)])]);
    expect(writes).to.deep.equal([['1', '2', '3']]);
    expect(clock.pending, 'timers left').to.equal(0);
  });

  it('writes one batch at a time, and all that came meanwhile in the next', async () => {
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const first = queue.park([reject(1)]);
    await settle();
    const rest = [2, 3].map((id) => queue.park([reject(id)]));
    await settle();
    expect(writes).to.deep.equal([]);
    gate.resolve();
    await Promise.all([first, ...rest]);
    expect(writes).to.deep.equal([['1'], ['2', '3']]);
  });

  it('cuts a large number into writes of 500', async () => {
    await queue.park(numbered(1_200));
    expect(writes.map(({ length }) => length)).to.deep.equal([500, 500, 200]);
  });

  it('settles at once for nothing', async () => {
    await queue.park([]);
    expect(writes).to.deep.equal([]);
  });

  describe('while the store is away', () => {
    it('holds its caller up for two seconds and no longer, and stores it when the store is back', async () => {
      isAway = true;
      const parking = queue.park([reject(1)]);
      await clock.pass(1_999);
      expect(await isSettled(parking)).to.equal(false);
      await clock.pass(1);
      expect(await isSettled(parking)).to.equal(true);
      isAway = false;
      await clock.pass(1_000);
      expect(writes).to.deep.equal([['1']]);
      expect(dropped).to.equal(0);
    });

    it('keeps the newest up to its bound, in order, and counts what goes', async () => {
      isAway = true;
      const parking = Promise.all(numbered(20, MIB).map((each) => queue.park([each])));
      await clock.pass(2_500);
      await parking;
      isAway = false;
      await clock.pass(1_000);
      const stored = writes.flat().map(Number);
      expect(stored).to.deep.equal([13, 14, 15, 16, 17, 18, 19]);
      expect(dropped).to.equal(13);
    });

    it('bounds many small ones, too', async () => {
      isAway = true;
      const parking = queue.park(numbered(100_000, 1));
      await clock.pass(3_000);
      await parking;
      expect(dropped).to.be.greaterThan(80_000);
      isAway = false;
      await clock.pass(1_000);
      expect(writes.flat().length + dropped).to.equal(100_000);
      expect(writes.flat().at(-1)).to.equal('99999');
    });

    it('lets go at once of whoever parked what had to go', async () => {
      isAway = true;
      const early = queue.park([reject('early', 5 * MIB)]);
      await settle();
      void queue.park([reject('late', 5 * MIB)]);
      await settle();
      await clock.pass(1_000);
      expect(await isSettled(early)).to.equal(true);
      expect(dropped).to.equal(1);
    });
  });

  describe('close', () => {
    it('waits for what is being written', async () => {
      const parking = queue.park([reject(1)]);
      await queue.close();
      await parking;
      expect(writes).to.deep.equal([['1']]);
    });

    it('tries once more when the store is away, and counts what is lost', async () => {
      isAway = true;
      const parking = queue.park([reject(1), reject(2)]);
      await settle();
      const closing = queue.close();
      await clock.pass(1_000);
      await Promise.all([closing, parking]);
      expect(dropped).to.equal(2);
      expect(clock.pending).to.equal(0);
    });
  });
});
