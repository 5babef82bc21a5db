import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { LogEntry } from '../../runtime/actor.ts';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { DeadLetters, messageTypeOf } from '../../runtime/dead-letters.ts';
import type { WireError } from '../../runtime/errors.ts';
import { DEAD_LETTERS_KEPT } from '../../runtime/limits.ts';
import { FakeClock } from '../support/fake-clock.ts';

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

  it('tell the end to every listener, whatever one of them throws, and the system ends and logs it [S-134]', async () => {
    const logged: LogEntry[] = [];
    const system = new ActorSystem({ clock: new FakeClock(), log: (entry) => logged.push(entry) });
    const heard: string[] = [];
    const throwing = {
      letter: () => undefined,
      ended() {
        throw new Error('planted');
      },
    };
    const listening = { letter: () => undefined, ended: () => void heard.push('ended') };
    for (const listener of [throwing, listening]) system.deadLetters.observe(listener);
    await system.stop();
    expect(system.hasEnded).to.equal(true);
    expect(heard).to.deep.equal(['ended']);
    system.deadLetters.observe(throwing);
    expect(logged.map(({ text, fields }) => [text, (fields?.['error'] as WireError).message])).to.deep.equal(
      Array(2).fill(['a dead-letter listener threw as the system ended', 'planted']),
    );
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
