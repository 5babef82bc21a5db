/**
 * One ref over three transports: here the second, between real threads that are really killed.
 */
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import type { ReplyTo } from '../../../runtime/actor-ref.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { RING_GUARANTEE } from '../../../runtime/guarantee.ts';
import { bytesCodec } from '../../../runtime/remote/codec.ts';
import { PARCEL_BYTES_MAX } from '../../../runtime/remote/outbox.ts';
import { BURST } from '../../fixtures/remote/remote-thread.ts';
import { lyingOrders, orders, otherOrders } from '../../fixtures/remote/messages.ts';
import type { Order, Seen } from '../../fixtures/remote/messages.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { closePool, RemoteBed, until } from './remote-bed.ts';

const IN_TIME = { timeoutMs: 20_000 };
const SMALL_RING = { capacityBytes: 4_096, recordsMax: 16, recordBytesMax: 512 };

const order =
  (what: string, n: number, text?: string) =>
  (replyTo: ReplyTo<Seen>): Order => ({ what, n, replyTo, ...(text === undefined ? {} : { text }) });

describe('ThreadRef', function () {
  this.timeout(60_000);
  const beds: RemoteBed[] = [];
  const newBed = (...args: ConstructorParameters<typeof RemoteBed>): RemoteBed => {
    const bed = new RemoteBed(...args);
    beds.push(bed);
    return bed;
  };
  afterEach(async () => {
    await Promise.all(beds.splice(0).map((bed) => bed.stop()));
  });
  after(closePool);

  describe('in quiet times', () => {
    it('tells in order and asks, both ways, also what was told before the thread began [S-106] [S-107]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      for (let n = 0; n < 300; n++) expect(ref.tell({ what: 'hello', n })).to.equal('accepted');
      expect(bed.seen).to.deep.equal([]);
      await bed.start();
      await ref.ready;
      for (let n = 300; n < 600; n++) ref.tell({ what: 'hello', n });
      const answers = await Promise.all([600, 601].map((n) => ref.ask<Seen>(order('hello', n), IN_TIME)));
      expect(answers).to.deep.equal([600, 601].map((n) => ({ n, epoch: 1, by: 'worker' })));
      // What a thread tells the supervising side comes the same way.
      await until(() => bed.seen.length === 602);
      expect(bed.numbers()).to.deep.equal(Array.from({ length: 602 }, (_, n) => n));
      expect(ref.guarantee).to.equal(RING_GUARANTEE);
      expect([String(ref), JSON.stringify({ ref })]).to.deep.equal(['/one/worker', '{"ref":"/one/worker"}']);
    });

    it('talks between two threads without the supervising side [S-106] [S-107]', async () => {
      const bed = newBed();
      const first = bed.slot('first', { passTo: 'other' }).ref('worker', orders);
      bed.slot('other');
      bed.exchange.connect('first', 'other');
      bed.exchange.connect('other', 'first');
      await bed.start();
      for (let n = 0; n < 200; n++) first.tell({ what: 'pass', n });
      const answer = await first.ask<Seen>(order('pass ask', 200), IN_TIME);
      expect(answer).to.deep.equal({ n: 200, epoch: 2, by: 'worker' });
      await until(() => bed.seen.filter(({ epoch }) => epoch === 2).length === 201);
      expect(bed.seen.filter(({ epoch }) => epoch === 2).map(({ n }) => n)).to.deep.equal(
        Array.from({ length: 201 }, (_, n) => n),
      );
    });

    it('gives bytes without a copy, as a view that ends with its handler [S-112]', async () => {
      const bed = newBed();
      const raw = bed.slot('one').ref('raw', bytesCodec);
      await bed.start();
      const ask = (bytes: Uint8Array): Promise<Buffer> => raw.ask<Buffer>(() => bytes, IN_TIME);
      expect((await ask(Buffer.from('abc'))).toString()).to.equal('3:97:99');
      expect((await ask(Buffer.alloc(0))).toString()).to.equal('0:undefined:undefined');
      const failed = await rejectionOf(ask(Buffer.from('use the last one')));
      expect(codeOf(failed)).to.equal('E_ASK_FAILED');
      expect(codeOf((failed as Error).cause)).to.equal('E_VIEW_OVER');
    });

    it('takes what is too large for the ring beside it, in order, up to a bound [S-111]', async () => {
      const bed = newBed(SMALL_RING);
      const slot = bed.slot('one');
      const ref = slot.ref('worker', orders);
      const raw = slot.ref('raw', bytesCodec);
      await bed.start();
      ref.tell({ what: 'hello', n: 1 });
      expect(ref.tell({ what: 'hello', n: 2, text: 'ü'.repeat(100_000) })).to.equal('accepted');
      ref.tell({ what: 'hello', n: 3 });
      await ref.ask<Seen>(order('hello', 4, 'x'.repeat(100_000)), IN_TIME);
      expect(bed.numbers()).to.deep.equal([1, 2, 3, 4]);
      const large = Buffer.alloc(1_000_000, 1);
      expect((await raw.ask<Buffer>(() => large, IN_TIME)).toString()).to.equal('1000000:1:1');
      const result = raw.tell(Buffer.alloc(PARCEL_BYTES_MAX + 1));
      expect(result).to.include({ refused: 'E_MESSAGE_TOO_LARGE' });
      const tooLarge = raw.ask(() => Buffer.alloc(PARCEL_BYTES_MAX + 1), IN_TIME);
      expect(codeOf(await rejectionOf(tooLarge))).to.equal('E_MESSAGE_TOO_LARGE');
    });
  });

  describe('credit', () => {
    it('is what may be told before one is refused; nothing refused is lost [S-108]', async () => {
      const bed = newBed(SMALL_RING);
      const ref = bed.slot('one').ref('worker', orders);
      const expected: number[] = [];
      let n = 0;
      const tellAll = (): void => {
        for (;;) {
          const { credit } = ref;
          const result = ref.tell({ what: 'hello', n: 100 + n });
          expect(credit > 0, `credit ${credit} at ${n}`).to.equal(result === 'accepted');
          if (result !== 'accepted') {
            expect(result).to.deep.equal({
              refused: 'E_MAILBOX_FULL',
              message: { what: 'hello', n: 100 + n },
            });
            return;
          }
          expected.push(100 + n++);
        }
      };
      tellAll();
      expect(n).to.equal(16);
      const aborted = new AbortController();
      const gone = ref.tellWhenAccepted({ what: 'hello', n: -1 }, aborted.signal);
      const waiting = Array.from({ length: 40 }, (_, more) => {
        expected.push(500 + more);
        return ref.tellWhenAccepted({ what: 'hello', n: 500 + more });
      });
      expect(ref.tell({ what: 'hello', n: -2 }), 'it must not overtake').to.include({
        refused: 'E_MAILBOX_FULL',
      });
      expect(ref.credit).to.equal(0);
      aborted.abort();
      expect(await gone).to.include({ refused: 'E_SEND_ABORTED' });
      await bed.start();
      expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['accepted']));
      await until(() => bed.seen.length === 56);
      expect(bed.numbers()).to.deep.equal(expected);
      await until(() => ref.credit === 16);
    });

    it('lets an ask wait for room within its own deadline [S-107]', async () => {
      const bed = newBed(SMALL_RING);
      const ref = bed.slot('one').ref('worker', orders);
      while (ref.tell({ what: 'hello', n: 0 }) === 'accepted');
      const tooLate = rejectionOf(ref.ask<Seen>(order('hello', 1), { timeoutMs: 30 }));
      const inTime = ref.ask<Seen>(order('hello', 2), IN_TIME);
      expect(codeOf(await tooLate)).to.equal('E_ASK_TIMEOUT');
      await bed.start();
      expect(await inTime).to.include({ n: 2 });
      expect(bed.numbers()).to.not.include(1);
    });
  });

  describe('what is wrong', () => {
    it('is told to the sender when it cannot be sent [S-110]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      const circle: Record<string, unknown> = { what: 'hello', n: 1 };
      circle['n'] = circle;
      for (const bad of [
        circle,
        { what: 'hello', n: 1.5 },
        { what: 'hello', n: 1, more: 1 },
        { what: 'hello', n: 7n },
        { what: () => 1, n: 1 },
        { what: 'hello', n: 1, replyTo: ref },
        undefined,
        null,
        'hello',
      ] as unknown as Order[]) {
        const result = ref.tell(bad);
        expect(result).to.include({ refused: 'E_MESSAGE_UNSENDABLE', message: bad });
        expect(typeof result === 'object' && result.error?.mend).to.be.a('string');
        expect(await ref.tellWhenAccepted(bad)).to.include({ refused: 'E_MESSAGE_UNSENDABLE' });
      }
      const asked = ref.ask(() => ({ what: 'hello' }) as Order, IN_TIME);
      const error = (await rejectionOf(asked)) as Error;
      expect(codeOf(error)).to.equal('E_MESSAGE_UNSENDABLE');
      expect(error.message).to.match(/orders: .*\bn\b/);
    });

    it('is a dead letter at the receiver when it cannot be read, and harms nobody [S-110]', async () => {
      const bed = newBed();
      const slot = bed.slot('one');
      const liar = slot.ref('worker', lyingOrders);
      await bed.start();
      expect(liar.tell({ what: 'hello', n: 1 })).to.equal('accepted');
      expect(codeOf(await rejectionOf(liar.ask<Seen>(order('hello', 1), IN_TIME)))).to.equal(
        'E_MESSAGE_UNREADABLE',
      );
      const { n, epoch } = await slot.ref('second', orders).ask<Seen>(order('letters invalid', 2), IN_TIME);
      expect({ n, epoch }).to.deep.equal({ n: 2, epoch: 1 });
      expect(bed.numbers()).to.deep.equal([]);
    });

    it('is an answer that is not what its schema says, or that comes late [S-107] [S-110]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      const bad = rejectionOf(ref.ask<Seen>(order('answer badly', 1), IN_TIME));
      expect(codeOf(await bad)).to.equal('E_MESSAGE_UNSENDABLE');
      const late = rejectionOf(ref.ask<Seen>(order('slow', 2), { timeoutMs: 20 }));
      expect(codeOf(await late)).to.equal('E_ASK_TIMEOUT');
      expect(await ref.ask<Seen>(order('letters late', 3), IN_TIME), 'it was not even sent').to.include({
        n: 1,
      });
    });

    it('is a schema that the other side does not have: both are named [S-109]', async () => {
      const bed = newBed();
      const slot = bed.slot('one');
      const early = slot.ref('worker', otherOrders);
      const waiting = rejectionOf(early.ask(() => ({ what: 'hello' }), IN_TIME));
      await bed.start();
      const error = (await rejectionOf(early.ready)) as Error & { details: Record<string, unknown> };
      expect(codeOf(error)).to.equal('E_SCHEMA_MISMATCH');
      expect(error.message).to.match(/orders v1 \(\w{16}\).*orders v1 \(\w{16}\)/);
      expect(['E_SCHEMA_MISMATCH', 'E_MESSAGE_UNSENDABLE']).to.include(codeOf(await waiting));
      expect(early.tell({ what: 'hello' })).to.include({ refused: 'E_SCHEMA_MISMATCH' });
      expect(early.credit).to.equal(0);
    });

    it('is an actor that is not there, or a thread that is not linked', async () => {
      const bed = newBed();
      const slot = bed.slot('one');
      await bed.start();
      const nobody = slot.ref('nobody', orders);
      const failed = rejectionOf(nobody.ask<Seen>(order('hello', 1), IN_TIME));
      expect(codeOf(await failed)).to.equal('E_ACTOR_STOPPED');
      expect(nobody.tell({ what: 'hello', n: 2 })).to.include({ refused: 'E_ACTOR_STOPPED' });
      expect(() => bed.exchange.endpoint.ref('two', 'worker', orders)).to.throw(/no link to two/);
      expect(() => bed.exchange.connect('one', 'two')).to.throw(/two takes no part/);
      expect(() => bed.slot('one')).to.throw(/takes part in this exchange already/);
      expect(() => bed.exchange.endpoint.expose('far', nobody, orders)).to.throw(
        /not an actor of this thread/,
      );
    });

    it('is a handler that fails: the ask ends at once, with the cause [S-107]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      const error = (await rejectionOf(ref.ask<Seen>(order('throw', 1), IN_TIME))) as Error;
      expect(codeOf(error)).to.equal('E_ASK_FAILED');
      expect(codeOf(error.cause)).to.equal('E_TOLD_TO');
      expect(await ref.ask<Seen>(order('hello', 2), IN_TIME)).to.include({ n: 2, epoch: 1 });
    });

    it('is an actor that has ended for good: senders are given their messages back [S-113]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('finishing', orders);
      const reasons: ExitReason[] = [];
      ref.onTerminated((reason) => reasons.push(reason));
      ref.onTerminated(() => reasons.push({ kind: 'normal' }))();
      await bed.start();
      ref.tell({ what: 'stop', n: 1 });
      const behind = rejectionOf(ref.ask<Seen>(order('hello', 2), IN_TIME));
      expect(codeOf(await behind)).to.equal('E_ACTOR_STOPPED');
      await until(() => reasons.length === 1);
      expect(reasons).to.deep.equal([{ kind: 'normal' }]);
      expect(ref.tell({ what: 'hello', n: 3 })).to.include({ refused: 'E_ACTOR_STOPPED' });
      expect(ref.credit).to.equal(0);
      let isTold = false;
      ref.onTerminated(() => (isTold = true));
      expect(isTold).to.equal(false);
      await until(() => isTold);
    });
  });

  describe('a thread that dies under traffic', () => {
    for (const what of ['exit', 'loop', 'memory']) {
      it(`loses nothing and keeps the order (${what}); only what was in hand comes twice [S-114]`, async () => {
        const bed = newBed({ capacityBytes: 65_536, recordsMax: 256, recordBytesMax: 4_096 });
        const ref = bed.slot('one').ref('worker', orders);
        await bed.start();
        const total = 1_500;
        for (let n = 0; n < total; n++) {
          const result = await ref.tellWhenAccepted({ what: n === 700 ? `first ${what}` : 'hello', n });
          expect(result).to.equal('accepted');
        }
        await until(() => bed.numbers().includes(total - 1));
        const second = bed.seen.filter(({ epoch }) => epoch === 2).map(({ n }) => n);
        expect(bed.running.get('one')?.epoch).to.equal(2);
        const first = bed.seen.filter(({ epoch }) => epoch === 1).map(({ n }) => n);
        expect(first).to.deep.equal(Array.from({ length: 701 }, (_, n) => n));
        expect(second[0], 'the one in hand').to.equal(700);
        expect(second).to.deep.equal(Array.from({ length: total - 700 }, (_, n) => 700 + n));
      });
    }

    it('loses nothing when it is terminated from outside, again and again [S-114]', async () => {
      const bed = newBed({ capacityBytes: 65_536, recordsMax: 256, recordBytesMax: 4_096 });
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      const total = 2_600;
      for (let n = 0; n < total; n++) {
        await ref.tellWhenAccepted({ what: 'hello', n });
        if (n % 1_000 === 999 && n < 2_500) {
          const { running } = bed;
          const dying = running.get('one');
          dying?.kill('the spec');
          await dying?.exited;
        }
      }
      await until(() => bed.numbers().includes(total - 1));
      const byEpoch = Map.groupBy(bed.seen, ({ epoch }) => epoch);
      expect([...byEpoch.keys()]).to.deep.equal([1, 2, 3]);
      let last = -1;
      for (const [, seen] of byEpoch) {
        const numbers = seen.map(({ n }) => n);
        const [begin = 0] = numbers;
        expect(begin, 'at most the one in hand comes twice').to.be.within(last, last + 1);
        expect(numbers).to.deep.equal(numbers.map((_, index) => begin + index));
        last = numbers.at(-1) ?? last;
      }
      expect(bed.exchange.quarantine.total, 'a kill charges nothing').to.equal(0);
    });

    for (const restart of ['permanent', 'temporary'] as const) {
      it(`has told what it was about to say when it dies itself in the same breath (${restart}) [S-114]`, async () => {
        const bed = newBed(undefined, 2);
        const ref = bed.slot('first', { passTo: 'other' }).ref('worker', orders);
        bed.slot('other');
        bed.exchange.connect('first', 'other');
        await bed.start(restart);
        ref.tell({ what: 'burst and exit', n: 100 });
        // It dies of it twice, if it comes back; then the message is quarantined.
        const lives = restart === 'permanent' ? 2 : 1;
        const heard = (n: number): number => bed.numbers().filter((number) => number === n).length;
        const numbers = Array.from({ length: BURST }, (_, more) => 101 + more);
        // Each comes from the dying thread, and once more from the one that it told.
        await until(() => numbers.every((n) => heard(n) === 2 * lives), 'all of every burst');
      });
    }

    it('keeps what is too large for the ring over the death of the receiver [S-111] [S-114]', async () => {
      const bed = newBed(SMALL_RING);
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      ref.tell({ what: 'first exit', n: 1 });
      ref.tell({ what: 'hello', n: 2, text: 'x'.repeat(10_000) });
      expect(await ref.ask<Seen>(order('hello', 3), IN_TIME)).to.include({ epoch: 2 });
      expect(bed.numbers()).to.deep.equal([1, 1, 2, 3]);
    });

    it('says that it is lost with its sender when that dies first [S-111]', async () => {
      const bed = newBed(SMALL_RING);
      const [first, other] = [bed.slot('first', { passTo: 'other' }), bed.slot('other')];
      bed.exchange.connect('first', 'other');
      const sender = await first.start({ epoch: 1, previousExit: undefined });
      const pass = order('pass', 1, 'x'.repeat(10_000));
      await first.ref('worker', orders).ask<Seen>(pass, IN_TIME);
      sender.kill('the spec');
      await sender.exited;
      const receiver = await other.start({ epoch: 2, previousExit: undefined });
      const next = await first.start({ epoch: 3, previousExit: undefined });
      const left = async (): Promise<number> =>
        (await other.ref('worker', orders).ask<Seen>(order('letters left', 2), IN_TIME)).n;
      const deadline = performance.now() + IN_TIME.timeoutMs;
      while ((await left()) !== 1) expect(performance.now()).to.be.lessThan(deadline);
      await Promise.all([receiver.stop(2_000), next.stop(2_000)]);
    });

    it('answers the questions of before its death [S-114] [S-107]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      const answers = Promise.all(
        [1, 2, 3].map((n) => ref.ask<Seen>(order(n === 2 ? 'first exit' : 'hello', n), IN_TIME)),
      );
      expect((await answers).map(({ n, epoch }) => [n, epoch])).to.deep.equal([
        [1, 1],
        [2, 2],
        [3, 2],
      ]);
    });

    it('loses nothing between two threads, whichever of them dies [S-114]', async () => {
      const bed = newBed({ capacityBytes: 16_384, recordsMax: 64, recordBytesMax: 1_024 });
      const first = bed.slot('first', { passTo: 'other' }).ref('worker', orders);
      const other = bed.slot('other').ref('worker', orders);
      bed.exchange.connect('first', 'other');
      await bed.start();
      const total = 600;
      for (let n = 0; n < total; n++) {
        await first.tellWhenAccepted({ what: 'pass', n });
        if (n === 200) bed.running.get('other')?.kill('the spec');
        if (n === 400) bed.running.get('first')?.kill('the spec');
      }
      const passed = (): Seen[] => bed.seen.filter(({ epoch }) => isOther(epoch));
      const isOther = (epoch: number): boolean => [2, 3].includes(epoch);
      // Epochs are the supervisor's: 1 and 4 are the first slot's, 2 and 3 the other's.
      await until(() => new Set(passed().map(({ n }) => n)).size === total, 'all passed on');
      const numbers = passed().map(({ n }) => n);
      const doubled = numbers.filter((n, at) => numbers.indexOf(n) !== at);
      expect(doubled.length, `doubled: ${doubled.join()}`).to.be.at.most(2);
      const firsts = numbers.filter((n, at) => numbers.indexOf(n) === at);
      expect(firsts).to.deep.equal(Array.from({ length: total }, (_, n) => n));
      expect(await other.ask<Seen>(order('hello', 1), IN_TIME)).to.include({ epoch: 3 });
    });

    it('quarantines what kills it again and again, with its history, and nothing else [S-115]', async () => {
      const bed = newBed();
      const slot = bed.slot('one');
      const ref = slot.ref('worker', orders);
      const second = slot.ref('second', orders);
      await bed.start();
      // In hand beside the killer, and innocent.
      second.tell({ what: 'slow', n: 10 });
      await until(() => bed.numbers('second').includes(10));
      const killer = rejectionOf(ref.ask<Seen>(order('exit', 1), IN_TIME));
      ref.tell({ what: 'hello', n: 2 });
      expect(codeOf(await killer)).to.equal('E_QUARANTINED');
      expect(await ref.ask<Seen>(order('hello', 3), IN_TIME)).to.include({ n: 3 });
      await until(() => bed.numbers().includes(2));
      const [record, ...more] = bed.exchange.quarantine.list();
      expect(more).to.deep.equal([]);
      expect(record).to.include({ from: 'supervisor', to: 'one', isAsk: true });
      expect(JSON.parse(record?.payload?.toString() ?? '')).to.deep.equal({ what: 'exit', n: 1 });
      expect(record?.history.map(({ reason }) => reason)).to.deep.equal(
        [1, 2, 3].map(() => 'exited with code 7'),
      );
      expect(bed.numbers('second').length, 'once before its thread died, once after').to.equal(2);
      // Released, it does again what it did.
      expect(bed.exchange.release(record?.id ?? 0)).to.equal(true);
      await until(() => bed.exchange.quarantine.total === 2);
      expect(bed.exchange.release(99)).to.equal(false);
    });

    it('is followed by none: what waits becomes dead letters, senders are told [S-113]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start('temporary');
      const reasons: ExitReason[] = [];
      ref.onTerminated((reason) => reasons.push(reason));
      ref.tell({ what: 'exit', n: 1 });
      const behind = rejectionOf(ref.ask<Seen>(order('hello', 2), IN_TIME));
      expect(codeOf(await behind)).to.equal('E_ACTOR_STOPPED');
      expect(reasons.map(({ kind }) => kind)).to.deep.equal(['exited']);
      expect(ref.tell({ what: 'hello', n: 3 })).to.include({ refused: 'E_ACTOR_STOPPED' });
      expect(bed.system.deadLetters.counts()).to.include({ left: 2, stopped: 1 });
    });

    it('keeps over a clean stop what waits, for the next start [S-114]', async () => {
      const bed = newBed();
      const ref = bed.slot('one').ref('worker', orders);
      await bed.start();
      ref.tell({ what: 'slow', n: 1 });
      for (let n = 2; n <= 50; n++) ref.tell({ what: 'hello', n });
      await until(() => bed.seen.length === 1);
      await bed.supervisor?.restartChild('one');
      await until(() => bed.numbers().includes(50));
      expect(bed.numbers()).to.deep.equal(Array.from({ length: 50 }, (_, index) => index + 1));
      expect(new Set(bed.seen.map(({ epoch }) => epoch)).size).to.equal(2);
    });
  });
});
