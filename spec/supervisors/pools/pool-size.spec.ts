import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { CodedError } from '../../../runtime/errors.ts';
import { PoolSize } from '../../../supervisors/pools/pool-size.ts';
import type { ResizablePool } from '../../../supervisors/pools/pool-size.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** A pool whose steps the spec lets happen. */
class HandPool implements ResizablePool {
  size = 1;
  readonly targets: number[] = [];
  atOnce = 0;
  atOnceMax = 0;
  stepsToFail = 0;
  #step: PromiseWithResolvers<void> | undefined;

  isAt(target: number): boolean {
    return this.size === target;
  }

  async approach(target: number): Promise<void> {
    this.targets.push(target);
    this.atOnce += 1;
    this.atOnceMax = Math.max(this.atOnceMax, this.atOnce);
    this.#step = Promise.withResolvers();
    await this.#step.promise;
    this.atOnce -= 1;
    if (this.stepsToFail > 0) {
      this.stepsToFail -= 1;
      throw new CodedError('E_PLANTED', 'no room for another thread');
    }
    this.size += Math.sign(target - this.size);
  }

  async letStep(): Promise<void> {
    this.#step?.resolve();
    await settle();
  }
}

describe('PoolSize', () => {
  let pool: HandPool;
  let clock: FakeClock;
  let errors: unknown[];
  let size: PoolSize;

  beforeEach(() => {
    pool = new HandPool();
    clock = new FakeClock();
    errors = [];
    const log = { info: () => undefined, error: (fields: unknown) => errors.push(fields) };
    size = new PoolSize('match', pool, clock, log as never);
  });

  it('brings the pool to its target step by step', async () => {
    size.aimAt(3);
    await pool.letStep();
    await pool.letStep();
    expect(pool.targets).to.deep.equal([3, 3]);
    expect(size.view).to.deep.equal({ pool: 'match', size: 3, target: 3, problem: null });
    await size.stop();
  });

  it('makes one change at a time, and the newest target wins', async () => {
    size.aimAt(3);
    size.aimAt(5);
    size.aimAt(2);
    await pool.letStep();
    expect(pool.targets).to.deep.equal([3]);
    expect(size.view).to.include({ size: 2, target: 2 });
    size.aimAt(1);
    await pool.letStep();
    expect(pool.targets).to.deep.equal([3, 1]);
    expect(pool.atOnceMax).to.equal(1);
  });

  it('does nothing about a target that is reached', async () => {
    size.aimAt(1);
    await settle();
    expect(pool.targets).to.deep.equal([]);
  });

  it('reports what cannot be done, and goes on trying', async () => {
    pool.stepsToFail = 2;
    size.aimAt(2);
    await pool.letStep();
    expect(size.view).to.deep.equal({
      pool: 'match',
      size: 1,
      target: 2,
      problem: 'no room for another thread',
    });
    expect(errors).to.have.length(1);
    expect(errors[0]).to.include({ code: 'E_PLANTED', pool: 'match', target: 2 });
    await clock.pass(500);
    await pool.letStep();
    await clock.pass(1_000);
    await pool.letStep();
    expect(size.view).to.include({ size: 2, problem: null });
  });

  it('does not let a wait hold up a newer target', async () => {
    pool.stepsToFail = 1;
    size.aimAt(2);
    await pool.letStep();
    size.aimAt(3);
    await settle();
    expect(pool.targets).to.deep.equal([2, 3]);
    await pool.letStep();
    await pool.letStep();
    expect(size.view).to.include({ size: 3, target: 3 });
  });

  it('gives up a target it cannot reach when the old size is wanted again', async () => {
    pool.stepsToFail = 1;
    size.aimAt(2);
    await pool.letStep();
    size.aimAt(1);
    await settle();
    expect(size.view).to.deep.equal({ pool: 'match', size: 1, target: 1, problem: null });
    expect(clock.pending).to.equal(0);
  });

  it('stops after what is under way, and in a wait at once', async () => {
    size.aimAt(3);
    const stopped = size.stop();
    await pool.letStep();
    await stopped;
    expect(pool.size).to.equal(2);
    size.aimAt(9);
    await settle();
    expect(pool.targets).to.deep.equal([3]);
  });
});
