import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RejectQueue } from '../../../actors/ingest/reject-queue.ts';
import type { ParkedRejects, Reject } from '../../../actors/ports.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const MIB = 1024 * 1024;

describe('RejectQueue', () => {
  let clock: FakeClock;
  let writes: string[][];
  let isAway: boolean;
  let hold: Promise<void> | undefined;
  /** How long the store takes for one write. */
  let writeMs: number;
  let evicted: number;
  let parked: number;
  let dropped: { count: number; why: string; code: string | undefined }[];
  let queue: RejectQueue;

  beforeEach(() => {
    clock = new FakeClock();
    writes = [];
    isAway = false;
    hold = undefined;
    writeMs = 0;
    evicted = 0;
    parked = 0;
    dropped = [];
    const park = async (rejects: readonly Reject[]): Promise<ParkedRejects> => {
      if (hold !== undefined) await hold;
      if (writeMs > 0) await new Promise<void>((resolve) => clock.after(writeMs, resolve));
      if (isAway) throw new CodedError('E_DATABASE_AWAY', 'away');
      writes.push(rejects.map(({ id }) => id));
      return { parked: rejects.length, ofKey: 2, ofAll: 1 };
    };
    queue = new RejectQueue({
      store: { park },
      clock,
      onParked: (count, gone) => {
        parked += count;
        evicted += gone.ofKey + gone.ofAll;
      },
      onDropped: (count, why, code) => dropped.push({ count, why, code }),
    });
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
  const park = (rejects: readonly Reject[]): Promise<void> =>
    queue.park(rejects.length, (nth) => rejects[nth] as Reject);
  /** As a large request does: rejects `<name> 0`, `<name> 1` and so on, made when they are asked for. */
  let made = 0;
  const parkMany = (name: string, count: number, bytes?: number): Promise<void> =>
    queue.park(count, (nth) => {
      made += 1;
      return reject(`${name} ${nth}`, bytes);
    });
  const sum = (): number => dropped.reduce((total, { count }) => total + count, 0);
  async function isSettled(promise: Promise<void>): Promise<boolean> {
    let done = false;
    void promise.then(() => (done = true));
    await settle();
    return done;
  }

  it('writes what comes in one turn together, and is done when it is stored', async () => {
    await Promise.all([park([reject(1)]), park([reject(2), reject(3)])]);
    expect(writes).to.deep.equal([['1', '2', '3']]);
    expect({ parked, evicted }).to.deep.equal({ parked: 3, evicted: 3 });
    expect(clock.pending, 'timers left').to.equal(0);
  });

  it('writes one batch at a time, and all that came meanwhile in the next', async () => {
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const first = park([reject(1)]);
    await settle();
    const rest = [2, 3].map((id) => park([reject(id)]));
    await settle();
    expect(writes).to.deep.equal([]);
    gate.resolve();
    await Promise.all([first, ...rest]);
    expect(writes).to.deep.equal([['1'], ['2', '3']]);
  });

  it('cuts a large number into writes of 2,000, and of 4 MiB', async () => {
    const parking = parkMany('many', 5_000);
    await clock.pass(100);
    await parking;
    expect(writes.map(({ length }) => length).every((length) => length <= 2_000)).to.equal(true);
    expect(writes.flat()).to.have.length(5_000);
    writes = [];
    const large = park(Array.from({ length: 7 }, (_, nth) => reject(nth, MIB)));
    await clock.pass(100);
    await large;
    expect(writes.flat()).to.have.length(7);
    expect(Math.max(...writes.map(({ length }) => length))).to.equal(4);
  });

  it('settles at once for nothing', async () => {
    await park([]);
    expect(writes).to.deep.equal([]);
  });

  describe('requests with more rejects than there is room for', () => {
    it('wait for room, and lose none, in the order in which they came', async () => {
      writeMs = 20;
      const parking = ['a', 'b', 'c', 'd'].map((name) => parkMany(name, 100_001));
      await clock.pass(10_000);
      await Promise.all(parking);
      expect(dropped).to.deep.equal([]);
      expect(parked).to.equal(400_004);
      expect(new Set(writes.flat()).size).to.equal(400_004);
      const last = (name: string): number => writes.flat().lastIndexOf(`${name} 100000`);
      expect([last('a'), last('b'), last('c'), last('d')]).to.deep.equal(
        [last('a'), last('b'), last('c'), last('d')].sort((x, y) => x - y),
      );
    });

    it('have no more of them in memory than the queue holds', async () => {
      hold = new Promise(() => undefined);
      made = 0;
      void parkMany('large', 100_000, 1024);
      await clock.pass(1_000);
      expect(made * 1024).to.be.lessThan(9 * MIB);
      for (let n = 0; n < 50; n++) void parkMany(`more ${n}`, 100_000, 1024);
      await clock.pass(1_000);
      expect(made * 1024).to.be.lessThan(18 * MIB);
    });

    it('hold up nobody else: a request with a few is stored soon after it came', async () => {
      writeMs = 20;
      const large = ['a', 'b', 'c', 'd'].map((name) => parkMany(name, 100_000));
      await clock.pass(1_000);
      const few = park([reject('few')]);
      await clock.pass(300);
      expect(await isSettled(few)).to.equal(true);
      expect(writes.flat()).to.include('few');
      expect(await isSettled(large[3] as Promise<void>)).to.equal(false);
      await clock.pass(15_000);
      await Promise.all(large);
      expect(dropped).to.deep.equal([]);
    });

    it('give up what they could not hand over in 18 s, counted, and are answered', async () => {
      writeMs = 1_000;
      const parking = parkMany('large', 100_000);
      await clock.pass(17_900);
      expect(await isSettled(parking)).to.equal(false);
      expect(dropped).to.deep.equal([]);
      await clock.pass(2_200);
      expect(await isSettled(parking)).to.equal(true);
      expect(dropped).to.have.length(1);
      expect(dropped[0]).to.include({ why: 'too many at once', code: undefined });
      await clock.pass(60_000);
      expect(parked + sum()).to.equal(100_000);
    });
  });

  describe('while the store is away', () => {
    it('holds its caller up for two seconds and no longer, and stores it when the store is back', async () => {
      isAway = true;
      const parking = park([reject(1)]);
      await clock.pass(1_999);
      expect(await isSettled(parking)).to.equal(false);
      await clock.pass(1);
      expect(await isSettled(parking)).to.equal(true);
      isAway = false;
      await clock.pass(1_000);
      expect(writes).to.deep.equal([['1']]);
      expect(dropped).to.deep.equal([]);
    });

    it('lasts through a short absence without a loss', async () => {
      isAway = true;
      const parking = parkMany('large', 100_000);
      await clock.pass(4_000);
      expect(dropped).to.deep.equal([]);
      isAway = false;
      await clock.pass(5_000);
      await parking;
      expect(parked).to.equal(100_000);
      expect(dropped).to.deep.equal([]);
    });

    for (const how of ['fails', 'is silent'] as const) {
      it(`keeps what the queue holds when it ${how}, and drops the rest, counted, without a wait`, async () => {
        const gate = Promise.withResolvers<void>();
        isAway = how === 'fails';
        if (how === 'is silent') hold = gate.promise;
        const early = parkMany('early', 100_000);
        await clock.pass(7_500);
        expect(await isSettled(early)).to.equal(true);
        expect(dropped).to.have.length(1);
        expect(dropped[0]?.why).to.equal('store away');
        expect(dropped[0]?.code).to.equal(how === 'fails' ? 'E_DATABASE_AWAY' : undefined);
        const late = parkMany('late', 100_000);
        await clock.pass(2_000);
        expect(await isSettled(late)).to.equal(true);
        expect(parked).to.equal(0);
        isAway = false;
        gate.resolve();
        await clock.pass(1_000);
        expect(parked + sum()).to.equal(200_000);
        expect(parked).to.be.greaterThan(15_000).and.lessThan(35_000);
      });
    }
  });

  describe('close', () => {
    it('waits for what is being written', async () => {
      const parking = park([reject(1)]);
      await queue.close();
      await parking;
      expect(writes).to.deep.equal([['1']]);
    });

    it('tries once more when the store is away, and counts what is lost', async () => {
      isAway = true;
      const parking = park([reject(1), reject(2)]);
      await settle();
      const closing = queue.close();
      await clock.pass(1_000);
      await Promise.all([closing, parking]);
      expect(dropped).to.deep.equal([{ count: 2, why: 'stopping', code: 'E_DATABASE_AWAY' }]);
      expect(clock.pending).to.equal(0);
    });

    it('counts what still waits for room', async () => {
      isAway = true;
      const parking = parkMany('large', 100_000);
      await settle();
      const closing = queue.close();
      await clock.pass(4_000);
      await Promise.all([closing, parking]);
      expect(sum()).to.equal(100_000);
    });
  });
});
