import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { codeOf } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import type { RunningChild } from '../../../runtime/placement.ts';
import { ProcessSlot } from '../../../runtime/process/process-slot.ts';
import { CounterCollector } from '../../../runtime/shared/counters.ts';
import type { TreeEvent } from '../../../runtime/supervision/tree-event.ts';

const entry = fileURLToPath(new URL('../../fixtures/runtime/process-child.ts', import.meta.url));

describe('ProcessSlot', function () {
  this.timeout(15_000);
  const running: RunningChild[] = [];
  const collector = new CounterCollector();
  const received: { echo: string; epoch: number; pid: number }[] = [];

  function slotOf(
    params: unknown,
    limits: { hangAfterMs?: number; startTimeoutMs?: number } = {},
  ): ProcessSlot {
    return new ProcessSlot({
      id: 'child',
      entry,
      params: () => params,
      collector,
      hangAfterMs: limits.hangAfterMs ?? 1_500,
      startTimeoutMs: limits.startTimeoutMs ?? 8_000,
      onMessage: (payload) => received.push(payload as never),
    });
  }

  async function start(slot: ProcessSlot, epoch = 1): Promise<RunningChild> {
    const child = await slot.start({ epoch, previousExit: undefined });
    running.push(child);
    return child;
  }

  async function echo(slot: ProcessSlot, what: string): Promise<{ epoch: number; pid: number }> {
    received.length = 0;
    slot.post({ what });
    while (received.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    return received[0] as never;
  }

  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill('the spec is over');
      await child.exited;
    }
  });

  it('tells tree events from inside with the path of their place [S-173]', async () => {
    const slot = slotOf({});
    const events: TreeEvent[] = [];
    const tree = { path: 'root/child', emit: (event: TreeEvent): void => void events.push(event) };
    running.push(await slot.start({ epoch: 1, previousExit: undefined, tree }));
    await echo(slot, 'supervise');
    await echo(slot, 'hello');
    expect(events.map(({ type, supervisor }) => `${supervisor} ${type}`)).to.deep.equal([
      'root/child supervisorStarted',
    ]);
  });

  it('passes messages both ways and stops cleanly [S-50]', async () => {
    const slot = slotOf({});
    const child = await start(slot, 4);
    expect(await echo(slot, 'hello')).to.include({ epoch: 4 });
    expect(await child.stop(5_000)).to.deep.equal({ kind: 'shutdown' });
    expect(slot.post({ what: 'late' })).to.equal(false);
  });

  it('runs the child in a process group of its own [S-51]', async () => {
    const slot = slotOf({});
    await start(slot);
    const { pid } = await echo(slot, 'hello');
    const { readFileSync } = await import('node:fs');
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ');
    expect(Number(fields?.[2])).to.equal(pid);
  });

  const endings: [string, (slot: ProcessSlot, pid: number) => void, (reason: ExitReason) => void][] = [
    [
      'SIGKILL',
      (_, pid) => process.kill(pid, 'SIGKILL'),
      (r) => expect(r).to.deep.equal({ kind: 'exited', signal: 'SIGKILL' }),
    ],
    [
      'an abort',
      (slot) => slot.post({ what: 'abort' }),
      (r) => expect(r).to.deep.equal({ kind: 'exited', signal: 'SIGABRT' }),
    ],
    [
      'process.exit',
      (slot) => slot.post({ what: 'exit' }),
      (r) => expect(r).to.deep.equal({ kind: 'exited', code: 3 }),
    ],
    [
      'an uncaught error',
      (slot) => slot.post({ what: 'throw' }),
      (r) => {
        expect(r.kind).to.equal('failed');
        expect(r.kind === 'failed' && JSON.stringify(r.error.details)).to.contain('a handler threw');
      },
    ],
    [
      'an endless loop',
      (slot) => slot.post({ what: 'loop' }),
      (r) => expect(r).to.include({ kind: 'hung', doing: 'loop' }),
    ],
    ['SIGSTOP', (_, pid) => process.kill(pid, 'SIGSTOP'), (r) => expect(r.kind).to.equal('hung')],
  ];
  for (const [name, breakIt, check] of endings) {
    it(`tells ${name} as the exit reason and starts again with the next epoch [S-52]`, async () => {
      const slot = slotOf({});
      const child = await start(slot);
      const { pid } = await echo(slot, 'hello');
      breakIt(slot, pid);
      check(await child.exited);
      await start(slot, 2);
      expect(await echo(slot, 'again')).to.include({ epoch: 2 });
    });
  }

  it('rejects a start that throws, with the code that was thrown [S-53]', async () => {
    const failure: unknown = await slotOf({ start: 'throw' })
      .start({ epoch: 1, previousExit: undefined })
      .catch((thrown: unknown) => thrown);
    expect(codeOf(failure)).to.equal('E_START_FAILED');
    expect(codeOf((failure as Error).cause)).to.equal('E_DOOR');
  });

  const unstartable: [string, () => unknown, string][] = [
    [
      'cannot be made',
      () => {
        throw Object.assign(new Error('no secret yet'), { code: 'E_PLANTED' });
      },
      'E_PLANTED',
    ],
    ['cannot be sent', () => ({ start: () => undefined }), 'E_START_FAILED'],
  ];
  for (const [how, params, code] of unstartable) {
    it(`leaves nothing behind when its parameters ${how}, and can be started again [S-53]`, async () => {
      let isMended = false;
      const slot = new ProcessSlot({
        id: 'child',
        entry,
        params: () => (isMended ? {} : params()),
        collector,
        hangAfterMs: 1_500,
        startTimeoutMs: 8_000,
        onMessage: (payload) => received.push(payload as never),
      });
      const failure: unknown = await slot
        .start({ epoch: 1, previousExit: undefined })
        .catch((thrown: unknown) => thrown);
      expect(codeOf(failure)).to.equal(code);
      expect(slot.pid).to.equal(undefined);
      isMended = true;
      await start(slot, 2);
      expect(await echo(slot, 'again')).to.include({ epoch: 2 });
    });
  }

  it('rejects a start without a free descriptor, and can be started again [S-53]', async () => {
    const starved = fileURLToPath(
      new URL('../../fixtures/runtime/process-slot-without-descriptors.ts', import.meta.url),
    );
    const command = `ulimit -n 128; exec "${process.execPath}" "${starved}"`;
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command]);
    expect(JSON.parse(stdout)).to.deep.equal(['E_START_FAILED', 'started']);
  });

  it('kills a start that never gets ready [S-53]', async () => {
    const failure: unknown = await slotOf({ start: 'never' }, { startTimeoutMs: 1_000 })
      .start({ epoch: 1, previousExit: undefined })
      .catch((thrown: unknown) => thrown);
    expect(codeOf(failure)).to.equal('E_START_FAILED');
  });

  it('kills a child that does not stop within its deadline [S-54]', async () => {
    const child = await start(slotOf({ start: 'deaf' }));
    expect((await child.stop(300)).kind).to.equal('killed');
  });

  it('keeps the counters of dead incarnations in every later scrape [S-55]', async () => {
    const own = new CounterCollector();
    const slot = new ProcessSlot({
      id: 'counted',
      entry,
      params: () => ({}),
      collector: own,
      hangAfterMs: 2_000,
      startTimeoutMs: 8_000,
      onMessage: (payload) => received.push(payload as never),
    });
    const total = (): number =>
      own.collect().find(({ name }) => name === 'child_messages_total')?.values[0]?.value ?? 0;
    const first = await start(slot);
    await echo(slot, 'one');
    await echo(slot, 'two');
    while (total() < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    first.kill('the spec wants it');
    await first.exited;
    expect(total()).to.equal(2);
    await start(slot, 2);
    await echo(slot, 'three');
    while (total() < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(total()).to.equal(3);
  });
});
