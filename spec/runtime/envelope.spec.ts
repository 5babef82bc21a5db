import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorCell } from '../../runtime/actor-cell.ts';
import type { ActorInstance, SpawnOptions } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { Envelope } from '../../runtime/envelope.ts';
import type { Outcome } from '../../runtime/envelope.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

class Probe extends Envelope {
  readonly message: string;
  readonly trace: string[] = [];
  private readonly isWanted: boolean;

  constructor(message: string, isWanted = true) {
    super();
    this.message = message;
    this.isWanted = isWanted;
  }

  override open(): boolean {
    this.trace.push('opened');
    return this.isWanted;
  }

  override settled(outcome: Outcome): void {
    this.trace.push(outcome);
  }
}

function spawn(
  system: ActorSystem,
  handle: ActorInstance<string>['handle'],
  options?: SpawnOptions,
): ActorCell<string> {
  const ref = system.spawn<string>(() => ({ handle }), options);
  if (!(ref instanceof ActorCell)) throw new Error('a local ref is a cell');
  return ref as ActorCell<string>;
}

describe('Envelope', () => {
  it('is opened as its turn comes, and hears when its message has been handled, later by an async handler', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const got: string[] = [];
    let finish: () => void = () => undefined;
    const cell = spawn(system, (message) => {
      got.push(message);
      if (message === 'slow') return new Promise<void>((resolve) => (finish = resolve));
      return undefined;
    });
    const [quick, slow] = [new Probe('quick'), new Probe('slow')];
    expect(cell.deliver(quick)).to.equal(true);
    cell.deliver(slow);
    expect(quick.trace).to.deep.equal([]);
    await settle();
    expect(got).to.deep.equal(['quick', 'slow']);
    expect(quick.trace).to.deep.equal(['opened', 'handled']);
    expect(slow.trace).to.deep.equal(['opened']);
    finish();
    await settle();
    expect(slow.trace).to.deep.equal(['opened', 'handled']);
  });

  it('is forgotten when its message is not wanted any more', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const got: string[] = [];
    const cell = spawn(system, (message) => void got.push(message));
    const unwanted = new Probe('unwanted', false);
    cell.deliver(unwanted);
    cell.tell('next');
    await settle();
    expect(got).to.deep.equal(['next']);
    expect(unwanted.trace).to.deep.equal(['opened']);
    expect(system.deadLetters.list()).to.deep.equal([]);
  });

  for (const way of ['throw', 'reject'] as const) {
    it(`hears of a handler that fails by ${way}, and those behind it that they are lost`, async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const cell = spawn(system, () => {
        if (way === 'throw') throw new Error('planted');
        return Promise.reject(new Error('planted'));
      });
      const [failing, waiting] = [new Probe('failing'), new Probe('waiting')];
      cell.deliver(failing);
      cell.deliver(waiting);
      await settle();
      expect(failing.trace).to.deep.equal(['opened', 'failed']);
      expect(waiting.trace).to.deep.equal(['opened', 'lost']);
      const late = new Probe('late');
      expect(cell.deliver(late)).to.equal(false);
      expect(late.trace, 'what was not taken is not settled').to.deep.equal([]);
      expect(system.deadLetters.list().map(({ messageType, reason }) => [messageType, reason])).to.deep.equal(
        [
          ['string', 'failed'],
          ['string', 'left'],
        ],
      );
    });
  }

  it('hears that it is lost when its actor is killed, and when another message takes its room', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const cell = spawn(system, () => new Promise<void>(() => undefined), {
      mailbox: { capacity: 1, overflow: 'dropOldest' },
    });
    const [inHand, displaced] = [new Probe('in hand'), new Probe('displaced')];
    cell.deliver(inHand);
    await settle();
    cell.deliver(displaced);
    cell.tell('newer');
    expect(displaced.trace).to.deep.equal(['opened', 'lost']);
    system.killActor(cell, 'a spec');
    expect(inHand.trace).to.deep.equal(['opened', 'lost']);
    expect(system.counts().deadLetters).to.include({ dropped: 1, killed: 1, left: 1 });
  });

  it('is never taken for a message, nor a message for one, whatever traps that has [S-4]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const trapped = new Proxy(new Probe('inside'), {
      getPrototypeOf() {
        throw new Error('planted');
      },
    });
    const lookalike = Object.create(Envelope.prototype) as object;
    const hostile: unknown[] = [revoked, trapped, lookalike];
    expect(hostile.map((one) => Envelope.isOne(one))).to.deep.equal([false, false, false]);
    const dropping = system.spawn<unknown>(() => ({ handle: () => undefined }), {
      mailbox: { capacity: 1, overflow: 'dropOldest' },
    });
    for (const one of [...hostile, 'last']) expect(dropping.tell(one)).to.equal('accepted');
    expect(system.counts().deadLetters.dropped).to.equal(3);
    const got: unknown[] = [];
    const annexed = system.spawn<unknown>((context) => {
      context.startTimer('later', 0, { delayMs: 1_000 });
      return { handle: (message) => void got.push(message) };
    });
    await settle();
    for (const one of hostile) annexed.tell(one);
    await settle();
    expect(got.length).to.equal(3);
    expect(got.every((one, index) => one === hostile[index])).to.equal(true);
    await system.stop();
  });
});
