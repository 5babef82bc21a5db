/** The decoding threads of a gateway as their pool keeps them, under a real supervisor; the threads are scripted. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { systemClock } from '../../../runtime/clock.ts';
import type { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { IngestPool } from '../../../supervisors/gateway/ingest-pool.ts';
import { IngestThreads } from '../../../supervisors/gateway/ingest-threads.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

describe('IngestPool', () => {
  let canStart: boolean;
  let left: string[];
  let pool: IngestPool;

  beforeEach(async () => {
    canStart = true;
    left = [];
    pool = new IngestPool({
      gateway: 'gateway-0',
      size: 1,
      threads: new IngestThreads(systemClock),
      openSlot: (id) => {
        const child = new ScriptedChild(id, [], systemClock);
        const start: ThreadSlot['start'] = async (request) => {
          if (!canStart) throw new Error('planted');
          return child.start(request);
        };
        return { id, start, post: () => true } as unknown as ThreadSlot;
      },
      onLeft: (id) => left.push(id),
    });
    await pool.supervisor.start();
  });
  afterEach(() => pool.supervisor.stop(5_000));

  it('grows and shrinks one by one, and says who has left', async () => {
    await pool.approach(2);
    expect(pool.slots.map(({ id }) => id)).to.deep.equal(['gateway-0-ingest-0', 'gateway-0-ingest-1']);
    await pool.approach(1);
    expect([pool.size, left]).to.deep.equal([1, ['gateway-0-ingest-1']]);
  });

  it('says so too of one that could not start: nobody is to wait for it', async () => {
    canStart = false;
    expect((await rejectionOf(pool.approach(2))).code).to.equal('E_CHILD_START_FAILED');
    expect([pool.size, left]).to.deep.equal([1, ['gateway-0-ingest-1']]);
    canStart = true;
    await pool.approach(2);
    expect(pool.isAt(2)).to.equal(true);
  });
});
