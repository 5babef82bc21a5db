import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { WAITING_SENDERS_MAX } from '../../runtime/limits.ts';
import { Mailbox } from '../../runtime/mailbox.ts';
import type { OverflowPolicy } from '../../runtime/mailbox.ts';
import type { AnyRef } from '../../runtime/actor-ref.ts';
import { settle } from '../support/fake-clock.ts';

const STOP = { reason: { kind: 'shutdown' as const }, drain: false };
const REF: AnyRef = { path: '/watched', onTerminated: () => () => undefined };
const SIGNAL = { type: 'terminated' as const, ref: REF, reason: { kind: 'normal' as const } };

function offer(mailbox: Mailbox<number>, message: number): string {
  if (mailbox.put(message)) return 'accepted';
  if (mailbox.closed) return 'closed';
  return mailbox.putOverflowing(message).outcome;
}

describe('Mailbox', () => {
  describe('lanes', () => {
    it('gives out signal before stop before supervision, and counts them as urgent [S-5]', () => {
      const mailbox = new Mailbox<number>({ capacity: 4, overflow: 'refuse' });
      mailbox.put(1);
      mailbox.raiseSignal(SIGNAL);
      mailbox.raiseStop(STOP);
      mailbox.raiseKill('a test');
      expect(mailbox.urgent).to.equal(3);
      const lanes = [mailbox.takeUrgent(), mailbox.takeUrgent(), mailbox.takeUrgent()].map(
        (entry) => entry?.lane,
      );
      expect(lanes).to.deep.equal(['signal', 'stop', 'supervision']);
      expect(mailbox.takeUrgent()).to.equal(undefined);
      expect(mailbox.urgent).to.equal(0);
      expect(mailbox.take()).to.equal(1);
    });

    it('keeps one kill and one stop, and lets a plain stop override a draining one', () => {
      const mailbox = new Mailbox<number>({ capacity: 4, overflow: 'refuse' });
      mailbox.raiseStop({ ...STOP, drain: true });
      mailbox.raiseStop(STOP);
      mailbox.raiseStop({ ...STOP, drain: true });
      mailbox.raiseKill('first');
      mailbox.raiseKill('second');
      expect(mailbox.urgent).to.equal(2);
      expect(mailbox.takeUrgent()).to.deep.equal({ lane: 'signal', by: 'first' });
      expect(mailbox.takeUrgent()).to.deep.equal({ lane: 'stop', request: STOP });
    });

    it('takes a kill alone, leaving the rest', () => {
      const mailbox = new Mailbox<number>({ capacity: 4, overflow: 'refuse' });
      mailbox.raiseStop(STOP);
      expect(mailbox.takeKill()).to.equal(undefined);
      mailbox.raiseKill('a test');
      expect(mailbox.takeKill()).to.equal('a test');
      expect(mailbox.urgent).to.equal(1);
    });
  });

  describe('against a naive model', () => {
    const policies = fc.constantFrom<OverflowPolicy>('refuse', 'dropOldest', 'dropNewest', 'block');
    const calls = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.record({ put: fc.nat(1_000) }) },
        { weight: 3, arbitrary: fc.constant('take' as const) },
        { weight: 1, arbitrary: fc.constant('release' as const) },
        { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'stop' as const, 'signal' as const) },
        { weight: 2, arbitrary: fc.constant('urgent' as const) },
        { weight: 2, arbitrary: fc.constantFrom('hold' as const, 'let go' as const, 'clear' as const) },
        { weight: 1, arbitrary: fc.record({ putBack: fc.array(fc.nat(1_000), { maxLength: 3 }) }) },
        { weight: 1, arbitrary: fc.constantFrom('close' as const, 'reopen' as const) },
      ),
      { maxLength: 150 },
    );

    it('keeps every policy and the order of all lanes, whatever the order of calls', () => {
      fc.assert(
        fc.property(policies, fc.integer({ min: 1, max: 9 }), calls, (overflow, capacity, script) => {
          const mailbox = new Mailbox<number>({ capacity, overflow });
          const model = { messages: [] as number[], kill: false, stop: false, signals: 0, closed: false };
          const hold = { isHeld: false, isTold: false };
          for (const call of script) {
            if (typeof call === 'object' && 'putBack' in call) {
              mailbox.putBack(call.putBack);
              model.messages.unshift(...call.putBack);
            } else if (typeof call === 'object') {
              let expected = 'accepted';
              if (model.closed) expected = 'closed';
              else if (model.messages.length < capacity) model.messages.push(call.put);
              else if (overflow === 'dropOldest') {
                expected = 'displaced';
                model.messages.shift();
                model.messages.push(call.put);
              } else expected = overflow === 'dropNewest' ? 'dropped' : 'refused';
              expect(offer(mailbox, call.put)).to.equal(expected);
            } else if (call === 'take') {
              if (model.messages.length > 0) expect(mailbox.take()).to.equal(model.messages.shift());
            } else if (call === 'release') mailbox.release();
            else if (call === 'kill') {
              mailbox.raiseKill('x');
              model.kill = true;
            } else if (call === 'stop') {
              mailbox.raiseStop(STOP);
              model.stop = true;
            } else if (call === 'signal') {
              mailbox.raiseSignal(SIGNAL);
              model.signals++;
            } else if (call === 'urgent') {
              const lane = mailbox.takeUrgent()?.lane;
              if (model.kill) {
                expect(lane).to.equal('signal');
                model.kill = false;
              } else if (model.stop) {
                expect(lane).to.equal('stop');
                model.stop = false;
              } else if (hold.isHeld !== hold.isTold) {
                expect(lane).to.equal('hold');
                hold.isTold = hold.isHeld;
              } else if (model.signals > 0) {
                expect(lane).to.equal('supervision');
                model.signals--;
              } else expect(lane).to.equal(hold.isHeld ? 'held' : undefined);
            } else if (call === 'hold' || call === 'let go') {
              hold.isHeld = call === 'hold';
              mailbox.hold(hold.isHeld);
            } else if (call === 'clear') {
              mailbox.clearUrgent();
              Object.assign(model, { kill: false, stop: false, signals: 0 });
              hold.isTold = false;
            } else if (call === 'close') {
              mailbox.close();
              model.closed = true;
            } else {
              mailbox.reopen();
              model.closed = false;
            }
            expect(mailbox.length).to.equal(model.messages.length);
            const holding = Number(hold.isHeld || hold.isTold);
            expect(mailbox.urgent).to.equal(
              Number(model.kill) + Number(model.stop) + model.signals + holding,
            );
            expect(mailbox.isHoldUntold).to.equal(hold.isHeld !== hold.isTold);
          }
          while (mailbox.length > 0) expect(mailbox.take()).to.equal(model.messages.shift());
          expect(model.messages).to.deep.equal([]);
        }),
      );
    });
  });

  describe('waiting for room', () => {
    function full(): Mailbox<number> {
      const mailbox = new Mailbox<number>({ capacity: 1, overflow: 'block' });
      mailbox.put(0);
      return mailbox;
    }

    it('admits waiting senders in order of arrival, before anyone who comes later [S-11]', async () => {
      const mailbox = full();
      const results: unknown[] = [];
      for (const message of [1, 2]) {
        void mailbox.waitForRoom(message, undefined).then((result) => results.push([message, result]));
      }
      expect(mailbox.take()).to.equal(0);
      expect(mailbox.put(9)).to.equal(false);
      expect(mailbox.take()).to.equal(1);
      expect(mailbox.take()).to.equal(2);
      await settle();
      expect(results).to.deep.equal([
        [1, 'accepted'],
        [2, 'accepted'],
      ]);
    });

    it('gives the message back when the sender aborts, and never delivers it [S-11]', async () => {
      const mailbox = full();
      const abort = new AbortController();
      const result = mailbox.waitForRoom(1, abort.signal);
      abort.abort();
      expect(await result).to.deep.equal({ refused: 'E_SEND_ABORTED', message: 1 });
      mailbox.take();
      expect(mailbox.length).to.equal(0);
      expect(await mailbox.waitForRoom(2, abort.signal)).to.deep.equal({
        refused: 'E_SEND_ABORTED',
        message: 2,
      });
    });

    it('gives the messages back when it closes', async () => {
      const mailbox = full();
      const result = mailbox.waitForRoom(1, undefined);
      mailbox.close();
      expect(await result).to.deep.equal({ refused: 'E_ACTOR_STOPPED', message: 1 });
    });

    it('bounds the waiting senders as well [S-11]', async () => {
      const mailbox = full();
      for (let sender = 0; sender < WAITING_SENDERS_MAX; sender++)
        void mailbox.waitForRoom(sender, undefined);
      expect(mailbox.waitingSenders).to.equal(WAITING_SENDERS_MAX);
      expect(await mailbox.waitForRoom(-1, undefined)).to.deep.equal({
        refused: 'E_MAILBOX_FULL',
        message: -1,
      });
    });
  });
});
