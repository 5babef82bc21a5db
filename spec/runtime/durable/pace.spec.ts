/** The contract of the shared pace: what two who ask see of each other, in Redis and in memory. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { createMemoryPace } from '../../../runtime/durable/memory-pace.ts';
import type { PaceAnswer, PaceNews, PaceQuestion, SharedPace } from '../../../runtime/durable/pace.ts';
import { createRedisPace } from '../../../runtime/durable/redis-pace.ts';
import { specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import { connect, delay, freshPrefix, rejectionOf } from './store-under-test.ts';

interface Two {
  a: SharedPace;
  b: SharedPace;
  close: () => void;
}

const PACES: Record<string, () => Promise<Two>> = {
  RedisPace: async () => {
    const prefix = freshPrefix();
    const connections = await Promise.all([1, 2].map(async () => connect(await specRedisUrl())));
    const [a, b] = connections.map((connection) => createRedisPace({ connection, prefix }));
    return {
      a: a as SharedPace,
      b: b as SharedPace,
      close: () => connections.forEach((each) => each.disconnect()),
    };
  },
  MemoryPace: async () => {
    const pace = createMemoryPace();
    return { a: pace, b: pace, close: () => undefined };
  },
};

const FAILED: PaceNews = {
  hasSucceeded: false,
  failures: 1,
  mustOpen: false,
  openMs: 40,
  restMs: 0,
  why: 'it failed',
};
const TAKEN: PaceNews = { ...FAILED, hasSucceeded: true, failures: 0, openMs: 0, why: '' };

for (const [name, open] of Object.entries(PACES)) {
  describe(`${name}: shared pace`, () => {
    let two: Two;
    beforeEach(async () => {
      two = await open();
    });
    afterEach(() => two.close());

    const ask = (who: 'a' | 'b', question: Partial<PaceQuestion> = {}): Promise<PaceAnswer> =>
      two[who].ask({
        name: 'dest:noc',
        ratePerSecond: 1_000,
        burstMax: 100,
        wanted: 1,
        returned: 0,
        nonce: who,
        probeMs: 300,
        ...question,
      });
    const tell = (who: 'a' | 'b', news: Partial<PaceNews>): Promise<PaceAnswer> =>
      ask(who, { wanted: 0, news: { ...FAILED, ...news } });
    async function openBreaker(): Promise<void> {
      await tell('a', { failures: 3 });
      await tell('b', { failures: 2 });
    }
    /** Asks until it is given something. */
    async function granted(who: 'a' | 'b'): Promise<PaceAnswer> {
      for (;;) {
        const answer = await ask(who);
        if (answer.granted > 0) return answer;
        await delay(Math.min(answer.waitMs, 20));
      }
    }

    it('gives to both together no more than the rate lets grow', async () => {
      const began = performance.now();
      let sum = 0;
      const taking = async (who: 'a' | 'b'): Promise<void> => {
        while (performance.now() - began < 500) {
          const answer = await ask(who, { ratePerSecond: 100, burstMax: 10, wanted: 4 });
          sum += answer.granted;
          await delay(answer.granted > 0 ? 1 : answer.waitMs);
        }
      };
      await Promise.all([taking('a'), taking('b')]);
      const elapsedMs = performance.now() - began;
      expect(sum).to.be.at.most(11 + elapsedMs / 10);
      expect(sum).to.be.at.least(45);
    });

    it('says when the next token is there, and gives what is returned to the other', async () => {
      const slow = { ratePerSecond: 5, burstMax: 2, wanted: 2 };
      expect(await ask('a', slow)).to.include({ granted: 2, waitMs: 0 });
      const none = await ask('b', slow);
      expect(none.granted).to.equal(0);
      expect(none.waitMs).to.be.within(150, 200);
      await ask('a', { ...slow, wanted: 0, returned: 1 });
      expect((await ask('b', slow)).granted).to.equal(1);
    });

    it('opens at the fifth failure in a row, whoever has them, and says why to both', async () => {
      await tell('a', { failures: 3 });
      expect(await tell('b', { failures: 1 })).to.include({ isOpen: false, failures: 4 });
      const answer = await tell('b', { failures: 1, why: 'the fifth' });
      expect(answer).to.include({ isOpen: true, failures: 5, why: 'the fifth' });
      expect(Math.abs(answer.openSinceMs - Date.now())).to.be.lessThan(60_000);
      const other = await ask('a');
      expect(other).to.include({ granted: 0, isOpen: true, failures: 5, why: 'the fifth' });
      expect(other.waitMs).to.be.within(1, 40);
    });

    it('counts from the start again once something was taken', async () => {
      await tell('a', { failures: 4 });
      expect(await tell('b', TAKEN)).to.include({ failures: 0, why: '' });
      expect(await tell('a', { hasSucceeded: true, failures: 2 })).to.include({ isOpen: false, failures: 2 });
    });

    it('opens at once when that is said', async () => {
      expect(await tell('a', { mustOpen: true })).to.include({ isOpen: true, failures: 5 });
    });

    it('lets one probe at a time through, and all when it is taken', async () => {
      await openBreaker();
      await delay(45);
      const answers = await Promise.all([ask('a'), ask('b'), ask('a', { nonce: 'c' })]);
      expect(answers.map(({ granted: n }) => n)).to.deep.equal([1, 0, 0]);
      expect(answers[0]).to.include({ isProbe: true, isOpen: true });
      expect(answers[1]?.waitMs).to.be.within(1, 250);
      await tell('a', TAKEN);
      expect(await ask('b', { wanted: 3 })).to.include({ granted: 3, isOpen: false, isProbe: false });
    });

    it('waits again, from the probe that failed on, and then lets another probe', async () => {
      await openBreaker();
      await delay(45);
      await ask('a');
      expect(await tell('a', { openMs: 60 })).to.include({ isOpen: true, failures: 6 });
      expect((await ask('b')).granted).to.equal(0);
      await delay(65);
      expect(await ask('b')).to.include({ granted: 1, isProbe: true });
      expect((await ask('a')).granted).to.equal(0);
    });

    it('lets another probe when a prober says nothing more, not before its lease ends', async () => {
      await openBreaker();
      await delay(45);
      const began = performance.now();
      expect(await ask('a', { probeMs: 200 })).to.include({ isProbe: true });
      expect(await granted('b')).to.include({ isProbe: true });
      expect(performance.now() - began).to.be.within(190, 400);
      // Its late failure is not that of the present prober.
      expect(await tell('a', {})).to.include({ failures: 5 });
      expect((await ask('a')).granted).to.equal(0);
    });

    it('takes no notice of failures of what was begun before it opened', async () => {
      await openBreaker();
      expect(await tell('b', { failures: 7, openMs: 5_000 })).to.include({ failures: 5 });
      await delay(45);
      expect(await ask('a')).to.include({ isProbe: true });
    });

    it('rests for all as long as one was asked to', async () => {
      await tell('a', { restMs: 80 });
      const answer = await ask('b');
      expect(answer).to.include({ granted: 0, isOpen: false });
      expect(answer.restMs).to.be.within(60, 80);
      expect(answer.waitMs).to.equal(answer.restMs);
      await delay(85);
      expect((await ask('b')).granted).to.equal(1);
    });

    it('keeps places apart, and refuses what cannot be asked', async () => {
      await tell('a', { mustOpen: true, restMs: 1_000 });
      expect((await ask('a', { name: 'dest:other' })).granted).to.equal(1);
      for (const bad of [{ name: '{x}' }, { ratePerSecond: 0 }, { wanted: -1 }, { burstMax: 0.5 }]) {
        expect(await rejectionOf(ask('a', bad))).to.have.property('code', 'E_PACE_QUESTION');
      }
    });
  });
}

describe('RedisPace, broken for real', () => {
  it('goes on when its scripts are flushed, and at maxmemory', async () => {
    const server = await startOwnRedis();
    const connection = await connect(server.url);
    try {
      const pace = createRedisPace({ connection, prefix: freshPrefix() });
      const question = {
        name: 'dest:noc',
        ratePerSecond: 1_000,
        burstMax: 100,
        wanted: 1,
        returned: 0,
        nonce: 'a',
        probeMs: 100,
      };
      expect((await pace.ask(question)).granted).to.equal(1);
      await connection.script('FLUSH');
      expect((await pace.ask(question)).granted).to.equal(1);
      await connection.config('SET', 'maxmemory', 1_000_000);
      expect(await rejectionOf(connection.set('other', 'x')))
        .to.have.property('message')
        .that.includes('OOM');
      expect((await pace.ask(question)).granted).to.equal(1);
      await server.stop();
      expect(await rejectionOf(pace.ask(question))).to.have.property('kind', 'transient');
    } finally {
      connection.disconnect();
      await server.stop();
    }
  });

  it('treats a server that hangs as away', async () => {
    const server = await startOwnRedis();
    const connection = await connect(server.url);
    try {
      const pace = createRedisPace({ connection, prefix: freshPrefix(), replyTimeoutMs: 100 });
      server.kill('SIGSTOP');
      const question = {
        name: 'x',
        ratePerSecond: 1,
        burstMax: 1,
        wanted: 1,
        returned: 0,
        nonce: 'a',
        probeMs: 1,
      };
      expect(await rejectionOf(pace.ask(question))).to.include({
        code: 'E_STORE_TIMEOUT',
        kind: 'transient',
      });
    } finally {
      server.kill('SIGCONT');
      connection.disconnect();
      await server.stop();
    }
  });
});
