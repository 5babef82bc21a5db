/** What handlers and factories of other libraries may answer with: thenables that keep none of a promise's rules. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorInstance } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

type Settle = (value?: unknown) => void;
const PLANTED = new Error('planted');

/** Each makes a thenable, and says whether waiting for it goes well. */
const THENABLES: Record<string, { make: (value?: unknown) => Promise<never>; isWell: boolean }> = {
  'that settles inside then': { make: (value) => thenable((done) => done(value)), isWell: true },
  'that settles twice': {
    make: (value) =>
      thenable((done) => {
        done(value);
        done(value);
        setTimeout(done, 0);
      }),
    isWell: true,
  },
  'that settles and fails': {
    make: (value) =>
      thenable((done, failed) => {
        done(value);
        failed(PLANTED);
      }),
    isWell: true,
  },
  'that fails inside then': { make: () => thenable((_done, failed) => failed(PLANTED)), isWell: false },
  'whose then throws': {
    make: () =>
      thenable(() => {
        throw PLANTED;
      }),
    isWell: false,
  },
  'whose then cannot be looked at': {
    make: () =>
      Object.defineProperty({}, 'then', {
        get: () => {
          throw PLANTED;
        },
      }) as Promise<never>,
    isWell: false,
  },
};

function thenable(then: (done: Settle, failed: Settle) => void): Promise<never> {
  return { then } as unknown as Promise<never>;
}

function reasonsOf(ref: { onTerminated(listener: (reason: ExitReason) => void): () => void }): ExitReason[] {
  const reasons: ExitReason[] = [];
  ref.onTerminated((reason) => reasons.push(reason));
  return reasons;
}

describe('A thenable', () => {
  for (const [what, { make, isWell }] of Object.entries(THENABLES)) {
    const settles = isWell ? 'is waited for once' : 'is a failure';
    it(`${what} ${settles} when a handler answers with it [S-2] [S-16]`, async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: string[] = [];
      const gate = Promise.withResolvers<void>();
      const actor = system.spawn<string>(() => ({
        handle(message) {
          got.push(message);
          return message === 'last' ? gate.promise : make();
        },
      }));
      const reasons = reasonsOf(actor);
      for (const message of ['a', 'b', 'last', 'behind']) actor.tell(message);
      await settle();
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(got).to.deep.equal(isWell ? ['a', 'b', 'last'] : ['a']);
      expect(reasons.map(({ kind }) => kind)).to.deep.equal(isWell ? [] : ['failed']);
      if (!isWell) return;
      gate.resolve();
      await settle();
      expect(got.at(-1)).to.equal('behind');
    });

    it(`${what} ${settles} when a factory or terminate answers with it [S-16] [S-18]`, async () => {
      const system = new ActorSystem({ clock: new FakeClock() });
      const got: string[] = [];
      const instance: ActorInstance<string> = {
        handle: (message) => void got.push(message),
        terminate: () => make(),
      };
      const actor = system.spawn<string>(() => make(instance));
      const reasons = reasonsOf(actor);
      actor.tell('a');
      await settle();
      expect(got).to.deep.equal(isWell ? ['a'] : []);
      expect(reasons.map(({ kind }) => kind)).to.deep.equal(isWell ? [] : ['failed']);
      if (isWell) expect(await system.stopActor(actor)).to.deep.equal({ kind: 'shutdown' });
    });
  }
});
