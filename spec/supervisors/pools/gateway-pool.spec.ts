/**
 * The gateway processes of a node, under a real supervisor; what runs in the slots is scripted, so that it can refuse to
 * start.
 */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { systemClock } from '../../../runtime/clock.ts';
import type { ProcessSlot } from '../../../runtime/process/process-slot.ts';
import { Supervisor } from '../../../runtime/supervision/supervisor.ts';
import { GatewayPool } from '../../../supervisors/pools/gateway-pool.ts';
import { LiveGroup } from '../../../supervisors/pools/live-group.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { ScriptedChild } from '../../support/scripted-child.ts';

const INTENSITY = { restartsMax: 5, windowMs: 10_000 };

describe('GatewayPool', () => {
  let canStart: boolean;
  let closed: string[];
  let pool: GatewayPool;
  let supervisor: Supervisor;

  beforeEach(async () => {
    canStart = true;
    closed = [];
    const group = new LiveGroup({ id: 'gateways', strategy: 'oneForOne', intensity: INTENSITY });
    pool = new GatewayPool({
      group,
      openSlot: (id) => {
        const child = new ScriptedChild(id, [], systemClock);
        const start: ProcessSlot['start'] = async (request) => {
          if (!canStart) throw new Error('planted');
          return child.start(request);
        };
        return { id, start } as ProcessSlot;
      },
      closeSlot: ({ id }) => closed.push(id),
      child: (id, start) => ({ id, start, restart: 'permanent', shutdownDeadlineMs: 1_000 }),
    });
    supervisor = new Supervisor({
      id: 'node',
      strategy: 'oneForOne',
      intensity: INTENSITY,
      children: [{ id: 'gateways', start: group.start, restart: 'permanent', shutdownDeadlineMs: 2_000 }],
    });
    await pool.open(1);
    await supervisor.start();
  });
  afterEach(() => supervisor.stop(5_000));

  it('goes up and down one by one, and closes those that leave', async () => {
    await pool.approach(2);
    expect(pool.slots.map(({ id }) => id)).to.deep.equal(['gateway-0', 'gateway-1']);
    await pool.approach(1);
    expect([pool.size, closed]).to.deep.equal([1, ['gateway-1']]);
  });

  it('forgets one that could not start: nobody waits for it', async () => {
    canStart = false;
    expect((await rejectionOf(pool.approach(2))).code).to.equal('E_CHILD_START_FAILED');
    expect([pool.size, closed]).to.deep.equal([1, ['gateway-1']]);
    canStart = true;
    await pool.approach(2);
    expect(pool.isAt(2)).to.equal(true);
  });
});
