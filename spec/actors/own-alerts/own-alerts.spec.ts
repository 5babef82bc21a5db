import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Finding } from '../../../actors/own-alerts/conditions.ts';
import { OPEN_MAX, OwnAlerts } from '../../../actors/own-alerts/own-alerts.ts';
import type { OwnAlertClaims, ToldAlert } from '../../../actors/own-alerts/own-alerts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const RESOLVE_AFTER_MS = 10_000;
const OWN: Finding = {
  signature: 'mutt::redis_away::n1',
  condition: 'redis_away',
  description: 'away',
  isShared: false,
};
const SHARED: Finding = { ...OWN, signature: 'mutt::destination_down::a', destination: 'a', isShared: true };

/** As PostgreSQL is it: who sees what. */
class Claims {
  readonly #seenBy = new Map<string, Set<string>>();
  isAway = false;
  hangs = false;

  of(node: string): OwnAlertClaims {
    const ask = (answer: () => boolean): Promise<boolean> => {
      if (this.isAway) return Promise.reject(new Error('E_DATABASE_AWAY'));
      return this.hangs ? new Promise(() => undefined) : Promise.resolve(answer());
    };
    const seers = (signature: string): Set<string> => {
      const seen = this.#seenBy.get(signature) ?? new Set();
      this.#seenBy.set(signature, seen);
      return seen;
    };
    return {
      observe: (signature) =>
        ask(() => {
          const isFirst = seers(signature).size === 0;
          seers(signature).add(node);
          return isFirst;
        }),
      withdraw: (signature) =>
        ask(() => {
          seers(signature).delete(node);
          return seers(signature).size === 0;
        }),
    };
  }
}

describe('Own alerts', () => {
  let clock: FakeClock;
  let claims: Claims;
  let hasRoom: boolean;
  let told: string[];
  let forgotten: string[];
  beforeEach(() => {
    clock = new FakeClock();
    claims = new Claims();
    hasRoom = true;
    told = [];
    forgotten = [];
  });

  function node(name: string): { look: (found: Finding[], ms?: number) => Promise<void>; alerts: OwnAlerts } {
    const alerts = new OwnAlerts({
      clock,
      claims: claims.of(name),
      post: {
        offer: ({ signature, status }: ToldAlert) => {
          if (hasRoom) told.push(`${name} ${status} ${signature.split('::')[1]}`);
          return hasRoom;
        },
        forget: (signature) => void forgotten.push(`${name} ${signature.split('::')[1]}`),
      },
      resolveAfterMs: () => RESOLVE_AFTER_MS,
      onChange: () => undefined,
    });
    return {
      alerts,
      look: async (found, ms = 1_000) => {
        await clock.pass(ms);
        alerts.look(found);
        await clock.pass(0);
      },
    };
  }

  it('are raised once, and resolved once after the trouble was over for a while', async () => {
    const { look, alerts } = node('n1');
    for (let n = 0; n < 5; n++) await look([OWN]);
    expect(alerts.open.map(({ signature }) => signature)).to.deep.equal([OWN.signature]);
    await look([], 5_000);
    await look([OWN]);
    await look([], RESOLVE_AFTER_MS - 1_000);
    expect(told).to.deep.equal(['n1 firing redis_away']);
    await look([], 2_000);
    await look([], 60_000);
    expect(told).to.deep.equal(['n1 firing redis_away', 'n1 resolved redis_away']);
    expect(alerts.open).to.deep.equal([]);
  });

  it('of what two nodes see come from one of them, and are over when the last sees it no more', async () => {
    const [one, two] = [node('n1'), node('n2')];
    await one.look([SHARED]);
    await two.look([SHARED]);
    expect(told).to.deep.equal(['n1 firing destination_down']);
    expect(two.alerts.open[0]?.told_here).to.equal(false);
    await one.look([]);
    await one.look([], RESOLVE_AFTER_MS);
    await two.look([SHARED]);
    expect(told).to.deep.equal(['n1 firing destination_down']);
    await two.look([], RESOLVE_AFTER_MS + 1_000);
    expect(told).to.deep.equal(['n1 firing destination_down', 'n2 resolved destination_down']);
    expect(forgotten).to.deep.equal(['n1 destination_down']);
  });

  it('that were told before a restart are not told again, and are resolved when they are over', async () => {
    const records = [OWN, SHARED].map((finding) => ({ ...finding, raisedAtMs: 1_000, toldTo: ['a'] }));
    const { look, alerts } = node('n1');
    alerts.restore([...records, { ...records[0]!, signature: 'mutt::of a later version::n1' }]);
    expect(alerts.open.map(({ since }) => since)).to.deep.equal([
      '1970-01-01T00:00:01.000Z',
      '1970-01-01T00:00:01.000Z',
    ]);
    await look([SHARED]);
    await look([SHARED], RESOLVE_AFTER_MS);
    expect(told).to.deep.equal(['n1 resolved redis_away']);
    await look([], RESOLVE_AFTER_MS + 1_000);
    expect(told).to.deep.equal(['n1 resolved redis_away', 'n1 resolved destination_down']);
  });

  for (const how of ['isAway', 'hangs'] as const) {
    it(`come from each node while nobody can be asked (${how})`, async () => {
      claims[how] = true;
      const [one, two] = [node('n1'), node('n2')];
      await one.look([SHARED]);
      await two.look([SHARED]);
      await clock.pass(3_000);
      expect(told).to.deep.equal(['n1 firing destination_down', 'n2 firing destination_down']);
      await one.look([], RESOLVE_AFTER_MS + 1_000);
      await clock.pass(3_000);
      expect(told).to.deep.equal([
        'n1 firing destination_down',
        'n2 firing destination_down',
        'n1 resolved destination_down',
      ]);
    });
  }

  it('wait where they are while there is no room for them, and are then told', async () => {
    hasRoom = false;
    const { look } = node('n1');
    await look([OWN]);
    await look([OWN]);
    expect(told).to.deep.equal([]);
    hasRoom = true;
    await look([OWN]);
    expect(told).to.deep.equal(['n1 firing redis_away']);
    hasRoom = false;
    await look([], RESOLVE_AFTER_MS + 1_000);
    hasRoom = true;
    await look([]);
    expect(told).to.deep.equal(['n1 firing redis_away', 'n1 resolved redis_away']);
  });

  it('are never more than so many', async () => {
    const { look, alerts } = node('n1');
    await look(Array.from({ length: OPEN_MAX + 50 }, (_, n) => ({ ...OWN, signature: `mutt::x::${n}` })));
    expect(alerts.open.length).to.equal(OPEN_MAX);
    expect(told.length).to.equal(OPEN_MAX);
  });
});
