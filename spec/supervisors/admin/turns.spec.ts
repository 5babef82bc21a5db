/** Work in turn: one at a time, in order, bounded, and nobody keeps a place that they have left. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { codeOf } from '../../../runtime/errors.ts';
import { turns } from '../../../supervisors/admin/turns.ts';
import type { InTurn } from '../../../supervisors/admin/turns.ts';

const ALWAYS = new AbortController().signal;

interface Work {
  done: Promise<string>;
  end(): void;
}

describe('Turns', () => {
  let begun: string[];

  function ask(inTurn: InTurn, name: string, signal = ALWAYS): Work {
    const ended = Promise.withResolvers<void>();
    const done = inTurn(signal, async () => {
      begun.push(name);
      await ended.promise;
      return name;
    });
    done.catch(() => undefined);
    return { done, end: ended.resolve };
  }
  const codeFrom = (done: Promise<unknown>): Promise<string> => done.then(() => 'none', codeOf);
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('come one after the other, and no more wait than may', async () => {
    begun = [];
    const inTurn = turns(2);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ask(inTurn, name)) as [Work, Work, Work];
    expect(await codeFrom(ask(inTurn, 'd').done)).to.equal('E_RULE_TRIALS_BUSY');
    await settled();
    expect(begun).to.deep.equal(['a']);
    a.end();
    expect(await a.done).to.equal('a');
    await settled();
    expect(begun).to.deep.equal(['a', 'b']);
    for (const each of [b, c]) each.end();
    expect(await c.done).to.equal('c');
    expect(await Promise.all([b.done, c.done])).to.deep.equal(['b', 'c']);
  });

  it('are left at once, and whoever comes next still waits for the one before', async () => {
    begun = [];
    const inTurn = turns(1);
    const a = ask(inTurn, 'a');
    const leaving = new AbortController();
    const b = ask(inTurn, 'b', leaving.signal);
    await settled();
    leaving.abort();
    expect(await codeFrom(b.done)).to.equal('E_TASK_ABORTED');
    const c = ask(inTurn, 'c');
    await settled();
    expect(begun).to.deep.equal(['a']);
    a.end();
    c.end();
    expect(await c.done).to.equal('c');
    expect(begun).to.deep.equal(['a', 'c']);
    expect(await codeFrom(ask(inTurn, 'd', AbortSignal.abort()).done)).to.equal('E_TASK_ABORTED');
    const failing = inTurn(ALWAYS, async () => Promise.reject(new Error('no')));
    expect(
      await failing.then(
        () => 'done',
        () => 'failed',
      ),
    ).to.equal('failed');
    const last = ask(inTurn, 'e');
    last.end();
    expect(await last.done).to.equal('e');
  });
});
