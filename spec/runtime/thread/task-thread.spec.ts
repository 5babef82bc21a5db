import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { TaskThread } from '../../../runtime/thread/task-thread.ts';
import type { Told } from '../../fixtures/tasks/task.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { until } from '../durable/store-under-test.ts';

const moduleUrl = new URL('../../fixtures/tasks/task.ts', import.meta.url).href;

describe('TaskThread', function () {
  this.timeout(30_000);
  let thread: TaskThread;
  const open = (options: Partial<{ heapMbMax: number; taskMsMax: number; idleMs: number }> = {}): void => {
    thread = new TaskThread({ moduleUrl, heapMbMax: 64, taskMsMax: 20_000, idleMs: 10_000, ...options });
  };
  afterEach(() => thread.close());
  const run = (told: Told, value?: unknown): Promise<unknown> => thread.run({ do: told, value });

  it('starts its thread for the first task, shares memory with it, and lets it go when there is no more', async () => {
    open({ idleMs: 50 });
    expect(thread.isThere).to.equal(false);
    const memory = new SharedArrayBuffer(8);
    const given = (await run('answer', memory)) as SharedArrayBuffer;
    new Uint8Array(memory)[0] = 7;
    expect(new Uint8Array(given)[0]).to.equal(7);
    await until(() => !thread.isThere);
    expect(await run('answer', 1)).to.equal(1);
  });

  for (const [told, code, text] of [
    ['throw', 'E_TASK_FAILED', 'as it was told'],
    ['exit', 'E_TASK_FAILED', 'exited with code: 3'],
    ['exhaust', 'E_TASK_MEMORY', '64 MiB'],
    ['hang', 'E_TASK_TIMEOUT', '1500 ms'],
  ] as const) {
    it(`goes on with another thread after a task that would ${told}`, async () => {
      open(told === 'hang' ? { taskMsMax: 1_500 } : {});
      const error = await rejectionOf(run(told));
      expect(error).to.include({ code, kind: 'transient' });
      expect(error.message).to.include(text);
      expect(await run('answer', 'well')).to.equal('well');
    });
  }

  it('says so when its module does not load', async () => {
    const broken = 'file:///nowhere/there-is-none.ts';
    thread = new TaskThread({ moduleUrl: broken, heapMbMax: 64, taskMsMax: 20_000, idleMs: 10_000 });
    expect(await rejectionOf(run('answer'))).to.include({ code: 'E_TASK_FAILED' });
  });

  it('ends what it does when it is closed, and takes nothing more', async () => {
    open();
    const hanging = rejectionOf(run('hang'));
    await until(() => thread.isThere);
    await thread.close();
    expect(await hanging).to.include({ code: 'E_TASK_FAILED' });
    expect(await rejectionOf(run('answer'))).to.include({ code: 'E_POOL_CLOSED' });
  });

  it('refuses bounds that are none', () => {
    expect(() => open({ heapMbMax: 1 }))
      .to.throw()
      .with.property('code', 'E_OPTIONS_INVALID');
    open();
  });
});
