/**
 * What an operator may do to the parts of a running node.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';

describe('restarting a part of a node', function () {
  this.timeout(120_000);
  let node: NodeUnderTest;
  before(async () => {
    node = await NodeUnderTest.start();
  });
  after(() => node.close());

  const restart = (id: string): Promise<{ status: number; body: { code?: string; detail?: string } }> =>
    node.admin(`/api/v2/actors/${encodeURIComponent(id)}/restart`, {
      method: 'POST',
      body: { how: 'drain' },
    });

  it('names what there is, and does not repeat a name that is not', async () => {
    const { status, body } = await restart('<b>hunter2');
    expect(status).to.equal(404);
    expect(body).to.include({ code: 'E_ACTOR_UNKNOWN' });
    expect(body.detail).to.include('match-0').and.not.include('hunter2');
  });

  for (const id of ['gateway-0', 'ground']) {
    it(`${id}: it ends as asked, comes back, and what is sent then is decided`, async () => {
      const before = await node.actor(id);
      expect((await restart(id)).status).to.equal(200);
      await until(
        async () => {
          const { status, restarts } = await node.actor(id);
          return status === 'running' && restarts > before.restarts;
        },
        30_000,
        () => `${id} is not back`,
      );
      const { exits } = (await node.actor(id)) as { exits?: { reason: string }[] };
      expect(exits?.map(({ reason }) => reason)).to.deep.equal(['shutdown']);
      const { accepted } = await node.ledger();
      await until(
        async () => {
          const event = { hostname: 'fw-01', message: `after ${id}`, timestamp: new Date().toISOString() };
          return (await node.post(JSON.stringify(event))).status === 200;
        },
        30_000,
        () => 'nothing is taken',
      );
      expect((await node.settled()).accepted).to.be.greaterThan(accepted);
    });
  }
});
