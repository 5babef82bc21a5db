import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { CodedError } from '../../runtime/errors.ts';
import { Calls } from '../../runtime/calls.ts';
import type { CallHandlers, CallMessage } from '../../runtime/calls.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { rejectionOf } from '../support/rejection.ts';

describe('Calls', () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });
  /** Two ends; what is sent arrives as the given copy of it. */
  function pair(handlers: CallHandlers, copy: (message: CallMessage) => unknown = structuredClone): Calls {
    const answering: Calls = new Calls((message) => void asking.receive(copy(message)), clock, handlers);
    const asking: Calls = new Calls((message) => void answering.receive(copy(message)), clock);
    return asking;
  }

  it('brings the answer back, whatever order they come in', async () => {
    const gates = new Map<string, () => void>();
    const asking = pair({
      echo: (text: string) => new Promise((resolve) => gates.set(text, () => resolve(`${text}!`))),
    });
    const answers = ['a', 'b'].map((text) => asking.ask<string>('echo', text, 1_000));
    await settle();
    gates.get('b')?.();
    gates.get('a')?.();
    expect(await Promise.all(answers)).to.deep.equal(['a!', 'b!']);
    expect(clock.pending).to.equal(0);
  });

  for (const [channel, copy] of [
    ['a cloning channel', structuredClone],
    ['a channel of JSON', (message: CallMessage) => JSON.parse(JSON.stringify(message)) as unknown],
  ] as const) {
    it(`settles with nothing over ${channel}`, async () => {
      expect(await pair({ nothing: () => undefined }, copy).ask('nothing', undefined, 1_000)).to.equal(
        undefined,
      );
    });
  }

  it('brings the other side’s error back with its code, kind and mend', async () => {
    const asking = pair({
      fail: () => {
        throw new CodedError('E_ACTOR_UNKNOWN', 'no such actor', { mend: 'Look.', details: { id: 'x' } });
      },
    });
    expect(await rejectionOf(asking.ask('fail', 1, 1_000))).to.deep.include({
      code: 'E_ACTOR_UNKNOWN',
      kind: 'permanent',
      mend: 'Look.',
      details: { id: 'x' },
    });
  });

  it('gives up at the deadline, and takes a late answer for nothing', async () => {
    const gate = Promise.withResolvers<string>();
    const asking = pair({ slow: () => gate.promise });
    const call = rejectionOf(asking.ask('slow', 1, 500));
    await clock.pass(500);
    expect(await call).to.include({ code: 'E_CALL_TIMEOUT', kind: 'transient' });
    gate.resolve('late');
    await settle();
    expect(clock.pending).to.equal(0);
  });

  for (const name of ['unknown', 'constructor', 'toString', '__proto__']) {
    it(`says that nobody answers ${name}`, async () => {
      expect((await rejectionOf(pair({}).ask(name, 1, 1_000))).code).to.equal('E_CALL_UNKNOWN');
    });
  }

  for (const [title, send] of [
    ['says no', () => false],
    [
      'throws',
      (): never => {
        throw new Error('channel closed');
      },
    ],
  ] as [string, () => boolean][]) {
    it(`fails at once when the channel ${title}`, async () => {
      const asking = new Calls(send, clock);
      expect(await rejectionOf(asking.ask('any', 1, 1_000))).to.include({
        code: 'E_UNREACHABLE',
        kind: 'transient',
      });
      expect(clock.pending).to.equal(0);
    });
  }

  it('answers with an error when the value cannot be sent', async () => {
    const error = await rejectionOf(pair({ bad: () => () => 'a function' }).ask('bad', 1, 1_000));
    expect(error.message).to.match(/could not be cloned/);
  });

  it('outlives a channel that closes before the answer', async () => {
    const unhandled: unknown[] = [];
    const listener = (thrown: unknown): void => void unhandled.push(thrown);
    process.on('unhandledRejection', listener);
    const answering = new Calls(
      () => {
        throw new Error('channel closed');
      },
      clock,
      { any: () => 1 },
    );
    answering.receive({ call: 1, name: 'any', argument: 1 });
    await settle();
    process.off('unhandledRejection', listener);
    expect(unhandled).to.deep.equal([]);
  });

  it('fails everything open when the other side is gone', async () => {
    const asking = pair({ never: () => new Promise(() => undefined) });
    const calls = [1, 2].map((n) => rejectionOf(asking.ask('never', n, 1_000)));
    asking.close(new CodedError('E_CHILD_DOWN', 'gone', { kind: 'transient' }));
    for (const call of calls) expect(await call).to.include({ code: 'E_CHILD_DOWN', kind: 'transient' });
    expect((await rejectionOf(asking.ask('never', 3, 1_000))).code).to.equal('E_CHILD_DOWN');
    expect(clock.pending).to.equal(0);
  });

  it('leaves messages that are no calls to others', () => {
    const calls = new Calls(() => true, clock);
    expect(
      [undefined, null, 5, 'x', {}, { type: 'lost' }].map((message) => calls.receive(message)),
    ).to.deep.equal(Array(6).fill(false));
    expect(calls.receive({ answer: 99, value: 1 })).to.equal(true);
  });
});
