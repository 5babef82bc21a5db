/**
 * Messages that break their handler, in every way a handler can break; time is a fake clock's.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorCell } from '../../runtime/actor-cell.ts';
import type { ActorContext } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { Envelope } from '../../runtime/envelope.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { POISON_IN_A_ROW_MAX } from '../../runtime/limits.ts';
import type { OverflowPolicy } from '../../runtime/mailbox.ts';
import { countsUnlessCharged } from '../../runtime/redelivery.ts';
import type { ChildSpec } from '../../runtime/supervision/child-spec.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import type { LocalChild, LocalChildOptions } from '../../runtime/supervision/local-placement.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { breakDown } from '../support/break-down.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

const HANDLER_TIMEOUT_MS = 500;

interface Bed {
  clock: FakeClock;
  system: ActorSystem;
  child: LocalChild<string>;
  supervisor: Supervisor;
  /** Every delivery: epoch and message. */
  got: string[];
}

/** An actor whose handler breaks on every message that is called after a way to break. */
async function bed(
  options: {
    spec?: Partial<ChildSpec>;
    child?: LocalChildOptions;
    restartsMax?: number;
    handle?: (message: string, context: ActorContext<string>) => void | Promise<void>;
  } = {},
): Promise<Bed> {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const got: string[] = [];
  const child = localChild<string>(
    system,
    'actor',
    (context) => ({
      handle(message) {
        got.push(`${context.epoch} ${message}`);
        if (options.handle !== undefined) return options.handle(message, context);
        const way = message.split(' ')[0];
        if (way === 'throw' || way === 'reject' || way === 'hang') return breakDown(way);
        return undefined;
      },
    }),
    { handlerTimeoutMs: HANDLER_TIMEOUT_MS, redelivery: { attemptsMax: 3 }, ...options.child },
  );
  const supervisor = new Supervisor(
    {
      id: 'root',
      strategy: 'oneForOne',
      intensity: { restartsMax: options.restartsMax ?? 1_000, windowMs: 60_000 },
      children: [
        { id: 'actor', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100, ...options.spec },
      ],
    },
    { clock, random: () => 0 },
  );
  await supervisor.start();
  return { clock, system, child, supervisor, got };
}

describe('redelivery', () => {
  for (const way of ['throw', 'reject', 'hang'] as const) {
    it(`gives a message that makes its handler ${way} to the next incarnation first, and quarantines it in the end [S-80] [S-82]`, async () => {
      const { child, clock, system, got } = await bed();
      for (const message of ['a', `${way} poison`, 'b', 'c']) child.ref.tell(message);
      await clock.pass(3 * HANDLER_TIMEOUT_MS);
      expect(got).to.deep.equal([
        '1 a',
        `1 ${way} poison`,
        `2 ${way} poison`,
        `3 ${way} poison`,
        '4 b',
        '4 c',
      ]);
      const [quarantined, ...others] = system.quarantine.list();
      expect(others).to.deep.equal([]);
      expect(quarantined).to.include({ to: '/actor', messageType: 'string', message: `${way} poison` });
      expect(quarantined?.history.map(({ epoch, reason }) => [epoch, reason.kind])).to.deep.equal(
        [1, 2, 3].map((epoch) => [epoch, way === 'hang' ? 'hung' : 'failed']),
      );
      const times = quarantined?.history.map(({ atMs }) => atMs) ?? [];
      expect(times).to.deep.equal(times.toSorted((a, b) => a - b));
      expect(quarantined?.atMs).to.equal(times[2]);
      expect(system.counts()).to.deep.include({ failed: 3, restarted: 3, redelivered: 2 });
      const { deadLetters } = system.counts();
      expect(Object.values(deadLetters).reduce((sum, count) => sum + count)).to.equal(0);
    });
  }

  for (const isAsync of [false, true]) {
    it(`charges each message alone: one that is handled in the end${isAsync ? ', later,' : ''} leaves nothing behind [S-81]`, async () => {
      const failures = new Map([
        ['a', 2],
        ['b', 2],
      ]);
      const { child, system, got } = await bed({
        handle: (message) => {
          const left = failures.get(message) ?? 0;
          failures.set(message, left - 1);
          if (left > 0) throw new Error('not yet');
          return isAsync ? settle() : undefined;
        },
      });
      for (const message of ['a', 'b', 'a']) child.ref.tell(message);
      for (let turn = 0; turn < 10; turn++) await settle();
      expect(got).to.deep.equal(['1 a', '2 a', '3 a', '3 b', '4 b', '5 b', '5 a']);
      expect(system.quarantine.list()).to.deep.equal([]);
    });
  }

  it('charges nothing for kills and stops: the message comes again as often as it takes [S-80] [S-81]', async () => {
    const { child, clock, supervisor, system, got } = await bed({
      child: { redelivery: { attemptsMax: 1 }, handlerTimeoutMs: 60_000 },
      handle: (message) => (message === 'slow' && got.length < 5 ? breakDown('hang') : undefined),
    });
    for (const message of ['slow', 'next']) child.ref.tell(message);
    await settle();
    system.killActor(child.ref, 'a spec');
    await settle();
    // The supervisor's stop finds it in its handler, and kills it at the deadline.
    for (let restart = 0; restart < 2; restart++) {
      const restarted = supervisor.restartChild('actor');
      await clock.pass(100);
      await restarted;
      await settle();
    }
    system.killActor(child.ref, 'a spec');
    await settle();
    expect(got).to.deep.equal(['1 slow', '2 slow', '3 slow', '4 slow', '5 slow', '5 next']);
    expect(system.quarantine.counts().quarantined).to.equal(0);
    expect(system.counts()).to.deep.include({ redelivered: 4 });
  });

  it('lets a message that killed its own actor from inside be handled, since its handler returned [S-80]', async () => {
    const { child, system, got } = await bed({
      handle: (message, context) => {
        if (message === 'kill') system.killActor(context.self, 'itself');
      },
    });
    for (const message of ['kill', 'next']) child.ref.tell(message);
    await settle();
    expect(got).to.deep.equal(['1 kill', '2 next']);
  });

  it('makes it and all behind it wait for its back-off, and hears a stop meanwhile [S-80]', async () => {
    const backoff = { initialMs: 200, maxMs: 400, jitter: 'none' as const, resetAfterMs: 60_000 };
    const { child, clock, supervisor, got } = await bed({
      child: { redelivery: { attemptsMax: 4, backoff } },
    });
    for (const message of ['throw', 'next']) child.ref.tell(message);
    await clock.pass(199);
    child.ref.tell('later');
    await settle();
    expect(got).to.deep.equal(['1 throw']);
    await clock.pass(1);
    expect(got).to.deep.equal(['1 throw', '2 throw']);
    await clock.pass(399);
    expect(got.length).to.equal(2);
    await supervisor.restartChild('actor');
    await clock.pass(0);
    expect(got.length, 'the time does not begin anew with a restart that is not its fault').to.equal(2);
    await clock.pass(1);
    expect(got).to.deep.equal(['1 throw', '2 throw', '4 throw']);
    await clock.pass(400);
    expect(got.slice(3)).to.deep.equal(['5 throw', '6 next', '6 later']);
    await supervisor.stop(1_000);
    expect(clock.pending).to.equal(0);
  });

  it('is drained with the rest: what fails meanwhile is first in the next incarnation [S-80]', async () => {
    let isBroken = true;
    const { child, clock, supervisor, got } = await bed({
      child: { drainAtStop: true, redelivery: { attemptsMax: 3 } },
      spec: { shutdownDeadlineMs: 5_000 },
      handle: async (message) => {
        await settle();
        if (message !== 'b' || !isBroken) return;
        isBroken = false;
        throw new Error('planted');
      },
    });
    for (const message of ['a', 'b', 'c']) child.ref.tell(message);
    await new Promise(setImmediate);
    await supervisor.restartChild('actor');
    for (let turn = 0; turn < 4; turn++) await settle();
    expect(got).to.deep.equal(['1 a', '1 b', '2 b', '2 c']);
    child.ref.tell('d');
    await clock.pass(0);
    await supervisor.stop(5_000);
    expect(got.at(-1)).to.equal('2 d');
  });

  it('drains a message that waits for its back-off only when its time has come [S-80]', async () => {
    const backoff = { initialMs: 200, maxMs: 200, jitter: 'none' as const, resetAfterMs: 60_000 };
    const { child, clock, supervisor, got } = await bed({
      child: { drainAtStop: true, redelivery: { attemptsMax: 2, backoff } },
      spec: { shutdownDeadlineMs: 5_000 },
      handle: () => (got.length === 1 ? breakDown('throw') : undefined),
    });
    for (const message of ['a', 'b']) child.ref.tell(message);
    await settle();
    const stopped = supervisor.stop(5_000);
    await clock.pass(199);
    expect(got).to.deep.equal(['1 a']);
    await clock.pass(1);
    await stopped;
    expect(got).to.deep.equal(['1 a', '2 a', '2 b']);
  });

  it('keeps an ask waiting over the attempts, and fails it only when its message is quarantined [S-82]', async () => {
    const { child, clock } = await bed({
      spec: { backoff: { initialMs: 100, maxMs: 100, jitter: 'none', resetAfterMs: 60_000 } },
    });
    const asked = rejectionOf(child.ref.ask((_replyTo) => 'throw', { timeoutMs: 10_000 }));
    let code = 'pending';
    void asked.then((error) => (code = error.code));
    await clock.pass(199);
    expect(code).to.equal('pending');
    await clock.pass(1);
    const error = await asked;
    expect(error.code).to.equal('E_QUARANTINED');
    expect(error.cause).to.include({ code: 'E_PLANTED' });
  });

  it('answers an ask whose message is handled at the second attempt [S-82]', async () => {
    const { system, clock } = await bed();
    let attempts = 0;
    const child = localChild<{ replyTo: { tell(reply: string): unknown } }>(
      system,
      'answering',
      () => ({
        handle({ replyTo }) {
          if (++attempts === 1) throw new Error('planted');
          replyTo.tell('answer');
        },
      }),
      { redelivery: { attemptsMax: 2 } },
    );
    const supervisor = new Supervisor(
      {
        id: 'second',
        strategy: 'oneForOne',
        intensity: { restartsMax: 5, windowMs: 1_000 },
        children: [{ id: 'answering', start: child.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
      },
      { clock },
    );
    await supervisor.start();
    expect(await child.ref.ask<string>((replyTo) => ({ replyTo }), { timeoutMs: 1_000 })).to.equal('answer');
  });

  describe('of a full mailbox', () => {
    const outcomes: Record<OverflowPolicy, unknown> = {
      refuse: { refused: 'E_MAILBOX_FULL', message: 'new' },
      block: { refused: 'E_MAILBOX_FULL', message: 'new' },
      dropNewest: 'dropped',
      dropOldest: 'accepted',
    };
    for (const overflow of Object.keys(outcomes) as OverflowPolicy[]) {
      it(`never loses the message in hand or held, and takes no room for it (${overflow}) [S-83]`, async () => {
        let isBroken = true;
        const { child, clock, got } = await bed({
          child: { mailbox: { capacity: 1, overflow }, redelivery: { attemptsMax: 9 } },
          spec: { backoff: { initialMs: 100, maxMs: 100, jitter: 'none', resetAfterMs: 60_000 } },
          handle: (message) => (message === 'first' && isBroken ? breakDown('hang') : undefined),
        });
        child.ref.tell('first');
        await settle();
        // In hand, there is room for one; then the actor is down, and the room is the same.
        expect(child.ref.tell('old')).to.equal('accepted');
        expect(child.ref.tell('new')).to.deep.equal(outcomes[overflow]);
        await clock.pass(HANDLER_TIMEOUT_MS);
        expect(child.ref.tell('new')).to.deep.equal(outcomes[overflow]);
        isBroken = false;
        await clock.pass(100);
        expect(got).to.deep.equal(['1 first', '2 first', overflow === 'dropOldest' ? '2 new' : '2 old']);
      });
    }
  });

  describe('and supervision', () => {
    it('says at the exit what it is charged to; such a crash need not count towards the intensity [S-86]', async () => {
      const { child, clock, supervisor, system, got } = await bed({
        restartsMax: 0,
        spec: { countsTowardsIntensity: countsUnlessCharged },
      });
      const exits: ExitReason[] = [];
      supervisor.observe((event) => {
        if (event.type === 'childExited') exits.push(event.reason);
      });
      for (const message of ['throw', 'a', 'hang', 'b']) child.ref.tell(message);
      await clock.pass(60_000);
      expect(got.filter((entry) => /[ab]$/.test(entry))).to.deep.equal(['4 a', '7 b']);
      expect(exits.map((exit) => 'chargedTo' in exit && exit.chargedTo)).to.deep.equal(
        new Array(6).fill('string'),
      );
      expect(system.quarantine.counts().held).to.equal(2);
      system.killActor(child.ref, 'a spec');
      await clock.pass(0);
      expect(await supervisor.exited).to.deep.include({ kind: 'failed' });
    });

    it('does not call the message to blame when every message is poison: then the actor is broken [S-86]', async () => {
      const { child, clock, supervisor, system } = await bed({
        restartsMax: 2,
        spec: { countsTowardsIntensity: countsUnlessCharged },
        child: { redelivery: { attemptsMax: 1 } },
      });
      for (let message = 0; message < 100; message++) child.ref.tell(`throw ${message}`);
      await clock.pass(120_000);
      expect(await supervisor.exited).to.deep.include({ kind: 'failed' });
      expect(system.quarantine.counts().held).to.equal(POISON_IN_A_ROW_MAX + 3);
      expect(system.counts().deadLetters.left).to.equal(100 - POISON_IN_A_ROW_MAX - 3);
    });

    it('is not for timers and signals: they end with their incarnation [S-80]', async () => {
      const { child, clock, system, got } = await bed({
        handle: (message, context) => {
          if (message === 'start') {
            context.startTimer('tick', 'tick', { delayMs: 10 });
            return undefined;
          }
          return message === 'tick' ? breakDown('throw') : undefined;
        },
      });
      child.ref.tell('start');
      await clock.pass(10);
      child.ref.tell('next');
      await settle();
      expect(got).to.deep.equal(['1 start', '1 tick', '2 next']);
      expect(system.counts().deadLetters.failed).to.equal(1);
    });

    it('makes it a dead letter when no incarnation will follow [S-84]', async () => {
      const { child, supervisor, system, clock } = await bed({
        spec: { backoff: { initialMs: 500, maxMs: 500, jitter: 'none', resetAfterMs: 60_000 } },
      });
      for (const message of ['throw', 'next']) child.ref.tell(message);
      const asked = rejectionOf(child.ref.ask((_replyTo) => 'asked', { timeoutMs: 10_000 }));
      await settle();
      await supervisor.stop(1_000);
      expect((await asked).code).to.equal('E_ACTOR_STOPPED');
      expect(system.counts().deadLetters.left).to.equal(3);
      expect(clock.pending).to.equal(0);
    });

    it('makes the message in hand a dead letter when it fails as the whole system ends [S-84]', async () => {
      let fail: () => void = () => undefined;
      const { child, system } = await bed({
        handle: () => new Promise((_resolve, reject) => (fail = () => reject(new Error('planted')))),
      });
      child.ref.tell('last');
      await settle();
      const stopped = system.stop(1_000);
      fail();
      await stopped;
      expect(system.counts().deadLetters.failed).to.equal(1);
      expect(system.quarantine.counts().quarantined).to.equal(0);
    });

    it('is refused for an actor that nobody restarts, and with bounds that contradict themselves', () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const factory = () => ({ handle: () => undefined });
      const faults = (run: () => unknown): unknown => thrownBy(run).details['faults'];
      expect(faults(() => system.spawn(factory, { redelivery: { attemptsMax: 3 } }))).to.deep.equal([
        'redelivery: nobody starts this actor again; supervise it with localChild, or leave redelivery out',
      ]);
      const backoff = { initialMs: 50, maxMs: 10, resetAfterMs: 1_000 };
      expect(
        faults(() => localChild(system, 'x', factory, { redelivery: { attemptsMax: 0, backoff } })),
      ).to.deep.equal([
        'redelivery.attemptsMax 0: use a whole number from 1 to 100',
        'redelivery.backoff.maxMs 10: Use at least initialMs, which is 50.',
      ]);
    });
  });

  it('opens an envelope at each attempt and settles it once, when it is quarantined [S-82]', async () => {
    const { child, system } = await bed();
    const trace: string[] = [];
    class Probe extends Envelope {
      readonly message = 'throw';
      override open(): boolean {
        trace.push('opened');
        return true;
      }
      override settled(outcome: string): void {
        trace.push(outcome);
      }
    }
    const { ref } = child;
    if (!(ref instanceof ActorCell)) throw new Error('a local ref is a cell');
    ref.deliver(new Probe());
    await settle();
    expect(trace).to.deep.equal(['opened', 'opened', 'opened', 'quarantined']);
    expect(system.quarantine.list()[0]?.message).to.equal('throw');
  });
});
