/**
 * What an operator may do to the parts of a running node.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NodeUnderTest, until } from '../support/node-under-test.ts';

describe('the parts of a node', function () {
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

  for (const role of ['match', 'forward']) {
    it(`${role}: suspended it begins nothing and says so; resumed it loses nothing [S-95]`, async () => {
      const { children: threads = [] } = await node.actor(role);
      const each = async (operation: string): Promise<void> => {
        for (const { id } of threads) {
          const path = encodeURIComponent(`${id}/${role}`);
          const { status, body } = await node.admin(`/api/v2/actors/${path}/${operation}`, {
            method: 'POST',
          });
          expect(status, JSON.stringify(body)).to.equal(200);
        }
      };
      const before = await node.settled();
      const forwarded = (await node.ledger()).alerts?.delivered ?? 0;
      await each('suspend');
      for (const thread of (await node.actor(role)).children ?? []) {
        const [actor] = thread.children ?? [];
        expect(actor).to.include({ id: role, status: 'suspended' });
        expect(Date.now() - Date.parse(actor?.since ?? '')).to.be.within(-1_000, 60_000);
      }
      const events = Array.from({ length: 20 }, (_, n) => ({
        hostname: `core-rtr-${n}`,
        message: `%LINK-3-UPDOWN: Interface Gi0/${n}, changed state to down`,
        timestamp: new Date().toISOString(),
      }));
      expect((await node.post(JSON.stringify(events))).status).to.equal(200);
      await new Promise((resolve) => setTimeout(resolve, 700));
      const held = await node.ledger();
      expect(held.accepted).to.equal(before.accepted + 20);
      expect(held.in_flight).to.equal(20);
      expect(held.alerts?.delivered ?? 0).to.equal(forwarded);
      await each('resume');
      const after = await node.settled();
      expect(after).to.include({ accepted: before.accepted + 20, lost: 0, balanced: true });
    });
  }

  it('says of a process, a thread and a group that they cannot be suspended', async () => {
    for (const id of ['gateway-0', 'match-0', 'gateways']) {
      const { status, body } = await node.admin<{ code?: string }>(`/api/v2/actors/${id}/suspend`, {
        method: 'POST',
      });
      expect([status, body.code], id).to.deep.equal([409, 'E_NOT_AN_ACTOR']);
    }
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
