import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { useFakeTimers } from 'sinon';
import type { SinonFakeTimers } from 'sinon';
import { sleep, systemClock } from '../../runtime/clock.ts';

// The one clock that is made of real timers: everything else is given one, and its specs give it a FakeClock.
describe('systemClock', () => {
  let timers: SinonFakeTimers;
  beforeEach(() => {
    timers = useFakeTimers({ now: 1_795_256_979_255 });
  });
  afterEach(() => timers.restore());

  it('tells wall time, and monotonic time that does not follow it', () => {
    expect(systemClock.wallMs()).to.equal(1_795_256_979_255);
    const before = systemClock.monotonicMs();
    timers.setSystemTime(0);
    expect(systemClock.wallMs()).to.equal(0);
    expect(systemClock.monotonicMs()).to.equal(before);
  });

  it('calls a task once after its delay, and not before', () => {
    let calls = 0;
    systemClock.after(100, () => (calls += 1));
    timers.tick(99);
    expect(calls).to.equal(0);
    timers.tick(1_000);
    expect(calls).to.equal(1);
  });

  it('does not call a task that was cancelled', () => {
    let calls = 0;
    const cancel = systemClock.after(100, () => (calls += 1));
    cancel();
    cancel();
    timers.tick(1_000);
    expect(calls).to.equal(0);
  });

  describe('sleep', () => {
    it('ends after its time', async () => {
      let isOver = false;
      void sleep(systemClock, 100).then(() => (isOver = true));
      await timers.tickAsync(99);
      expect(isOver).to.equal(false);
      await timers.tickAsync(1);
      expect(isOver).to.equal(true);
    });

    it('ends at once when its signal is aborted, before or during, and leaves no timer', async () => {
      const during = new AbortController();
      const sleeping = sleep(systemClock, 60_000, during.signal);
      during.abort();
      await sleeping;
      await sleep(systemClock, 60_000, during.signal);
      expect(timers.countTimers()).to.equal(0);
    });
  });
});

describe('an unreferenced task of systemClock', () => {
  it('does not keep its process alive', async () => {
    const clock = JSON.stringify(new URL('../../runtime/clock.ts', import.meta.url).href);
    const script = `import { systemClock } from ${clock}; systemClock.after(60_000, () => {}, { ref: false });`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 15_000 });
  }).timeout(20_000);
});
