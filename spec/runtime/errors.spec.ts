/** What crosses a thread must be plain, whatever an actor throws. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { CodedError, codeOf, fromWire, kindOf, messageOf, toWire } from '../../runtime/errors.ts';
import type { ExitReason } from '../../runtime/exit-reason.ts';
import { BlackBox, BlackBoxWriter } from '../../runtime/shared/black-box.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

const throws = (): never => {
  throw new Error('it throws when it is looked at');
};
const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const nullPrototype = (fields: object): unknown => Object.assign(Object.create(null) as object, fields);

const HOSTILE: Record<string, () => unknown> = {
  'an object without a prototype': () => nullPrototype({}),
  'a revoked proxy': revoked,
  'a getter that throws': () => Object.defineProperty(new Error('x'), 'code', { get: throws }),
  'an error whose stack throws': () => Object.defineProperty(new Error('x'), 'stack', { get: throws }),
  'an error whose message is a function': () => Object.assign(new Error('x'), { message: throws }),
  'details that have no text': () => ({ details: nullPrototype({ throws }) }),
  'details that are no object': () => Object.assign(new Error('x'), { details: 7 }),
  'a toString that throws': () => ({ toString: throws }),
  'a cause without a prototype': () => new Error('x', { cause: nullPrototype({}) }),
  'a symbol': () => Symbol('x'),
  nothing: () => undefined,
};

describe('What was thrown', () => {
  for (const [what, make] of Object.entries(HOSTILE)) {
    it(`ends its actor and nothing else, as plain data: ${what} [S-16]`, async () => {
      const wire = toWire(make());
      expect(structuredClone(wire)).to.deep.equal(wire);
      expect(messageOf(fromWire(wire)))
        .to.be.a('string')
        .and.not.equal('');
      const system = new ActorSystem({ clock: new FakeClock() });
      const thrower = system.spawn<string>(() => ({
        handle() {
          throw make();
        },
      }));
      const reasons: ExitReason[] = [];
      thrower.onTerminated((reason) => reasons.push(reason));
      const got: string[] = [];
      const other = system.spawn<string>(() => ({ handle: (message) => void got.push(message) }));
      thrower.tell('x');
      other.tell('y');
      await settle();
      expect(reasons.map(({ kind }) => kind)).to.deep.equal(['failed']);
      expect(got).to.deep.equal(['y']);
      expect(system.counts().deadLetters.failed).to.equal(1);
    });
  }

  it('is made plain, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (thrown) => {
        const wire = toWire(thrown);
        expect(structuredClone(wire)).to.deep.equal(wire);
      }),
    );
  });

  it('keeps its meaning over a boundary', () => {
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const error = new CodedError('E_AWAY', 'away', {
      kind: 'transient',
      details: { n: 1 },
      mend: 'Wait.',
      cause,
    });
    const back = fromWire(structuredClone(toWire(error)));
    expect([back.code, back.kind, back.message, back.mend]).to.deep.equal([
      'E_AWAY',
      'transient',
      'away',
      'Wait.',
    ]);
    expect([back.details, back.stack]).to.deep.equal([{ n: 1 }, error.stack]);
    expect([codeOf(back.cause), kindOf(back.cause)]).to.deep.equal(['ECONNREFUSED', 'defect']);
    expect(messageOf(new Error(''))).to.equal('E_UNKNOWN');
  });
});

describe('A message whose class has no name that is text', () => {
  it('is handled and recorded as an object [S-87]', async () => {
    const clock = new FakeClock();
    const box = new BlackBox();
    const system = new ActorSystem({ clock, blackBox: new BlackBoxWriter(box, clock) });
    const got: unknown[] = [];
    const actor = system.spawn<object>(() => ({ handle: (message) => void got.push(message) }), {
      name: 'actor',
    });
    const message = JSON.parse('{"constructor":{"name":7}}') as object;
    actor.tell(message);
    await settle();
    expect(got).to.deep.equal([message]);
    expect(box.tail()[0]?.last.at(-1)).to.include({ type: 'object', outcome: 'handled' });
  });
});
