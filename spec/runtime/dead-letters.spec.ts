import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DeadLetters, messageTypeOf } from '../../runtime/dead-letters.ts';
import { DEAD_LETTERS_KEPT } from '../../runtime/limits.ts';

describe('DeadLetters', () => {
  it('keep the last ones and exact totals [S-39]', () => {
    const letters = new DeadLetters();
    for (let index = 0; index < DEAD_LETTERS_KEPT + 10; index++) {
      letters.add({ to: `/${index}`, messageType: 'x', reason: 'left', atMs: index });
    }
    expect(letters.list().length).to.equal(DEAD_LETTERS_KEPT);
    expect(letters.list()[0]?.to).to.equal('/10');
    expect(letters.counts().left).to.equal(DEAD_LETTERS_KEPT + 10);
  });

  it('name the type of a message and never its content [S-39]', () => {
    class Secret {
      readonly password = 'hunter2';
    }
    const hostile = new Proxy(
      {},
      {
        has() {
          throw new Error('planted');
        },
      },
    );
    const messages = [
      { type: 'rules.replaced', secret: 1 },
      new Secret(),
      'hunter2',
      7,
      null,
      undefined,
      [],
      hostile,
    ];
    expect(messages.map(messageTypeOf)).to.deep.equal([
      'rules.replaced',
      'Secret',
      'string',
      'number',
      'object',
      'undefined',
      'Array',
      'object',
    ]);
  });
});
