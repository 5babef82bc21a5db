import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HeldAlerts } from '../../../actors/forward/held-alerts.ts';

describe('HeldAlerts', () => {
  it('refuses what has left only as long as a reading that may hold it is under way', () => {
    const held = new HeldAlerts();
    held.begin('followers');
    held.take('noc', 'a');
    held.leave('noc', 'a');
    expect(held.isNew('noc', 'a', 'followers')).to.equal(false);
    expect(held.isNew('noc', 'a', 'due')).to.equal(true);
    held.end('followers');
    expect(held.isNew('noc', 'a', 'followers')).to.equal(true);
  });

  it('notes nothing of what leaves while nothing is read, however long that is', () => {
    const held = new HeldAlerts();
    for (const id of ['a', 'b']) {
      held.take('noc', id);
      held.leave('noc', id);
      for (const reading of ['lanes', 'due', 'followers'] as const)
        expect(held.isNew('noc', id, reading), reading).to.equal(true);
    }
  });
});
