/**
 * What an operator does to an actor inside a real thread.
 */
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import { codeOf } from '../../../runtime/errors.ts';
import type { RunningChild } from '../../../runtime/placement.ts';
import type { SupervisorView } from '../../../runtime/supervision/tree-view.ts';
import { ThreadPool } from '../../../runtime/thread/thread-pool.ts';
import { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import type { Answer } from '../../fixtures/faults/breakable-thread.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { until } from '../durable/store-under-test.ts';

const moduleUrl = new URL('../../fixtures/faults/breakable-thread.ts', import.meta.url).href;

describe('an actor inside a thread', function () {
  this.timeout(20_000);
  const pool = new ThreadPool({ spareThreads: 1, threadsMax: 2, heapMbMax: 48 });
  const running: RunningChild[] = [];
  let answers: number[] = [];
  const slotOf = (): ThreadSlot =>
    new ThreadSlot({
      id: 'slot',
      pool,
      moduleUrl,
      params: async () => ({}),
      counterLayout: [{ name: 'messages_total', kind: 'counter', help: 'Messages seen.' }],
      hangAfterMs: 10_000,
      startTimeoutMs: 15_000,
      onMessage: (payload) => answers.push((payload as Answer).n),
    });
  async function start(slot: ThreadSlot, epoch = 1): Promise<Required<RunningChild>> {
    const child = await slot.start({ epoch, previousExit: undefined });
    running.push(child);
    return child as Required<RunningChild>;
  }
  /** The thread sends its tree soon after something has happened in it. */
  const whenBreakerIs = (child: RunningChild, status: string): Promise<void> =>
    until(() => {
      const tree = child.describe?.()['tree'] as SupervisorView | undefined;
      return tree?.children[0]?.detail?.['status'] === status;
    }, 5_000);

  afterEach(async () => {
    answers = [];
    for (const child of running.splice(0)) {
      child.kill('the spec is over');
      await child.exited;
    }
  });
  after(() => pool.close());

  it('is suspended, inspected and resumed by its path; what it is told meanwhile waits [S-94]', async () => {
    const slot = slotOf();
    const child = await start(slot);
    await child.suspend(['breaker']);
    await whenBreakerIs(child, 'suspended');
    for (const n of [1, 2]) slot.post({ what: 'hello', n });
    // Asked after them on the same port, so they have arrived.
    expect(await child.inspect(['breaker'])).to.deep.include({
      status: 'suspended',
      waiting: 2,
      state: { actorEpoch: 1 },
    });
    expect(answers).to.deep.equal([]);
    await child.resume(['breaker']);
    await whenBreakerIs(child, 'running');
    await until(() => answers.length === 2, 5_000);
    expect(answers).to.deep.equal([1, 2]);
  });

  it('stays suspended over the death of its thread, until it is resumed [S-91]', async () => {
    const slot = slotOf();
    const child = await start(slot);
    await child.suspend(['breaker']);
    child.kill('the spec');
    await child.exited;
    const second = await start(slot, 2);
    slot.post({ what: 'hello', n: 1 });
    expect(await second.inspect(['breaker'])).to.include({ status: 'suspended', waiting: 1 });
    await second.resume(['breaker']);
    await until(() => answers.length === 1, 5_000);
    second.kill('the spec');
    await second.exited;
    const third = await start(slot, 3);
    expect(await third.inspect(['breaker'])).to.include({ status: 'running' });
    await third.suspend(['breaker']);
    slot.start.abandon?.({ kind: 'shutdown' });
    third.kill('the spec');
    await third.exited;
    expect(await (await start(slot, 4)).inspect(['breaker'])).to.include({ status: 'running' });
  });

  it('that is not there, or is the thread itself, is refused with a code [S-94]', async () => {
    const child = await start(slotOf());
    const codes = [];
    for (const path of [[], ['nobody'], ['breaker', 'deeper']])
      codes.push(codeOf(await rejectionOf(child.suspend(path))));
    expect(codes).to.deep.equal(['E_NOT_AN_ACTOR', 'E_CHILD_UNKNOWN', 'E_CHILD_UNKNOWN']);
  });

  it('whose thread dies, or is gone, leaves no question open [S-94]', async () => {
    const slot = slotOf();
    const child = await start(slot);
    slot.post({ what: 'loop' });
    const asked = rejectionOf(child.inspect(['breaker']));
    child.kill('the spec');
    expect(codeOf(await asked)).to.equal('E_CHILD_DOWN');
    await child.exited;
    expect(codeOf(await rejectionOf(child.suspend(['breaker'])))).to.equal('E_CHILD_DOWN');
    const next = await start(slot, 2);
    await next.suspend(['breaker']);
    // A handle kept too long touches nothing of the next incarnation.
    expect(codeOf(await rejectionOf(child.resume(['breaker'])))).to.equal('E_CHILD_DOWN');
    expect(await next.inspect(['breaker'])).to.include({ status: 'suspended' });
  });
});
