import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ActorFactory } from '../../../runtime/actor.ts';
import { CodedError } from '../../../runtime/errors.ts';
import { KeyedPool } from '../../../runtime/routing/keyed-pool.ts';
import { localMembers } from '../../../runtime/routing/pool-member.ts';
import type { PoolMember } from '../../../runtime/routing/pool-member.ts';
import { settle } from '../../support/fake-clock.ts';
import { rejectionOf, thrownBy } from '../../support/rejection.ts';
import { KEYS, keysByMember, memberOf, movingKey, poolBed, task, typeOf } from './pool-bed.ts';
import type { Task } from './pool-bed.ts';

describe('KeyedPool', () => {
  it('sends every key to one member, in the step of its sender, and shares the keys out [S-155]', async () => {
    const bed = await poolBed();
    expect(await bed.pool.resize(4)).to.deep.equal({ members: 4, shardsMoved: 0, shardsStayed: 0 });
    const members = await keysByMember(bed);
    expect(members.size).to.equal(KEYS.length);
    expect(new Set(members.values()).size).to.equal(4);
    expect(await keysByMember(bed)).to.deep.equal(members);
    const shards = bed.pool.describe().members.map((member) => member.shards);
    expect(shards.reduce((sum, count) => sum + count)).to.equal(1_024);
  });

  it('has no member before its first size, and says so [S-152]', async () => {
    const { pool } = await poolBed();
    expect(pool.tell(task('a', 1))).to.have.property('refused', 'E_NO_MEMBER');
    expect(await pool.tellWhenAccepted(task('a', 1))).to.have.property('refused', 'E_NO_MEMBER');
    expect(await rejectionOf(pool.ask(() => task('a', 1), { timeoutMs: 10 }))).to.have.property(
      'code',
      'E_NO_MEMBER',
    );
    expect(pool.credit).to.equal(0);
  });

  it('refuses a size, a deadline and a hold that cannot be', async () => {
    const { pool, system } = await poolBed();
    for (const size of [0, -1, 1.5, 65, NaN]) {
      expect(await rejectionOf(pool.resize(size))).to.have.property('code', 'E_OPTIONS_INVALID');
    }
    for (const wrong of [
      { drainDeadlineMs: 0 },
      { held: { capacity: 0, overflow: 'refuse' as const } },
      { name: 'a/b' },
    ]) {
      const made = (): unknown =>
        new KeyedPool<Task>({
          name: 'p',
          keyOf: ({ key }) => key,
          start: () => Promise.reject(new Error('never')),
          deadLetters: system.deadLetters,
          ...wrong,
        });
      expect(thrownBy(made)).to.have.property('code', 'E_OPTIONS_INVALID');
    }
  });

  describe('growing', () => {
    it('holds what is told to a shard that moves until its old member has handled the rest [S-156]', async () => {
      const bed = await poolBed();
      const { pool, clock, got } = bed;
      const key = await movingKey(bed, 1, 2);
      pool.tell(task(key, 1, { tookMs: 50 }));
      pool.tell(task(key, 2));
      const resized = pool.resize(2);
      await clock.pass(0);
      for (const number of [3, 4]) expect(pool.tell(task(key, number))).to.equal('accepted');
      expect(pool.describe()).to.deep.include({ held: 2, target: 2 });
      await clock.pass(49);
      expect(got).to.deep.equal([]);
      await clock.pass(1);
      expect(got).to.deep.equal([`pool-0 ${key}.1`, `pool-0 ${key}.2`, `pool-1 ${key}.3`, `pool-1 ${key}.4`]);
      const outcome = await resized;
      expect(outcome).to.deep.include({ members: 2, shardsStayed: 0 });
      expect(outcome.shardsMoved).to.be.within(300, 700);
      expect(pool.describe()).to.deep.include({ shardsMoving: 0, held: 0 });
    });

    it('lets the keys that stay go on meanwhile [S-156]', async () => {
      const bed = await poolBed();
      const { pool, clock, got } = bed;
      const moving = await movingKey(bed, 1, 2);
      await pool.resize(2);
      const owners = await keysByMember(bed);
      await pool.resize(1);
      const staying = KEYS.find((key) => owners.get(key) === 'pool-0') as string;
      pool.tell(task(moving, 1, { tookMs: 50 }));
      const resized = pool.resize(2);
      await clock.pass(0);
      pool.tell(task(staying, 1));
      pool.tell(task(moving, 2));
      await clock.pass(50);
      expect(got).to.deep.equal([`pool-0 ${moving}.1`, `pool-0 ${staying}.1`, `pool-1 ${moving}.2`]);
      await resized;
    });

    it('gives up, and keeps the shards where they are, when the old member does not drain in time [S-158]', async () => {
      const bed = await poolBed({ pool: { drainDeadlineMs: 200 } });
      const { pool, clock, got } = bed;
      const key = await movingKey(bed, 1, 2);
      pool.tell(task(key, 1, { tookMs: 300 }));
      const resized = pool.resize(2);
      await clock.pass(0);
      pool.tell(task(key, 2));
      await clock.pass(200);
      const outcome = await resized;
      expect(outcome).to.deep.include({ members: 2, shardsMoved: 0 });
      expect(outcome.shardsStayed).to.be.above(300);
      pool.tell(task(key, 3));
      await clock.pass(100);
      expect(got).to.deep.equal([1, 2, 3].map((number) => `pool-0 ${key}.${number}`));
      expect((await pool.resize(2)).shardsMoved).to.equal(outcome.shardsStayed);
      pool.tell(task(key, 4));
      await clock.pass(0);
      expect(got.at(-1)).to.equal(`pool-1 ${key}.4`);
    });

    it('shares the keys among those that run when one cannot start, and says which [S-159]', async () => {
      const bed = await poolBed();
      const { system, supervisor } = bed;
      const factory: ActorFactory<Task> = (context) => {
        if (context.path === '/p-2') throw new CodedError('E_PLANTED', 'planted');
        return { handle: () => undefined };
      };
      const pool = new KeyedPool<Task>({
        name: 'p',
        keyOf: ({ key }) => key,
        start: localMembers({ system, supervisor, factory }),
        deadLetters: system.deadLetters,
      });
      const failure = await rejectionOf(pool.resize(4));
      expect(failure).to.deep.include({ code: 'E_START_FAILED', details: { id: 'p-2' } });
      expect(failure.cause).to.have.property('code', 'E_CHILD_START_FAILED');
      const { members } = pool.describe();
      expect(members.map(({ id }) => id)).to.deep.equal(['p-0', 'p-1']);
      expect(members.every(({ shards }) => shards > 300)).to.equal(true);
      expect(system.names()).to.not.include('p-2');
    });
  });

  describe('shrinking', () => {
    it('stops a member only after it has handled everything, the last first [S-157]', async () => {
      const bed = await poolBed();
      const { pool, clock, got, system } = bed;
      await pool.resize(3);
      for (const key of KEYS) pool.tell(task(key, 1, { tookMs: 1 }));
      const resized = pool.resize(1);
      await clock.pass(0);
      for (const key of KEYS) expect(pool.tell(task(key, 2))).to.equal('accepted');
      await clock.pass(KEYS.length);
      expect(await resized).to.deep.include({ members: 1, shardsStayed: 0 });
      expect(got).to.have.length(KEYS.length * 2);
      for (const key of KEYS) {
        const mine = got.filter((line) => typeOf(line).startsWith(`${key}.`));
        expect(mine.map(typeOf)).to.deep.equal([`${key}.1`, `${key}.2`]);
        expect(memberOf(mine[1])).to.equal('pool-0');
      }
      expect(system.names()).to.deep.equal(['pool-0']);
      expect(bed.letters).to.deep.equal([]);
    });

    it('ends a member that does not drain in time: what it had is dead letters, what was held goes on [S-158]', async () => {
      const bed = await poolBed({ pool: { drainDeadlineMs: 200 } });
      const { pool, clock, got, letters } = bed;
      const key = await movingKey(bed, 2, 1);
      pool.tell(task(key, 1, { tookMs: 1_000_000 }));
      pool.tell(task(key, 2));
      const resized = pool.resize(1);
      await clock.pass(0);
      pool.tell(task(key, 3));
      await clock.pass(299);
      expect(letters).to.deep.equal([]);
      await clock.pass(1);
      expect(await resized).to.deep.include({ members: 1, shardsStayed: 0 });
      expect(got).to.deep.equal([`pool-0 ${key}.3`]);
      const named = letters.filter(({ messageType }) => messageType.startsWith(key));
      expect(named.map(({ messageType, reason }) => `${messageType} ${reason}`)).to.deep.equal([
        `${key}.1 killed`,
        `${key}.2 left`,
      ]);
    });
  });

  it('takes the newest of several sizes at once, and settles them together [S-157]', async () => {
    const bed = await poolBed();
    const { pool, clock, got } = bed;
    await pool.resize(2);
    for (const key of KEYS) pool.tell(task(key, 1, { tookMs: 5 }));
    const sizes = [pool.resize(1), pool.resize(6)];
    await clock.pass(1);
    sizes.push(pool.resize(4));
    for (const key of KEYS) pool.tell(task(key, 2));
    await clock.pass(1);
    sizes.push(pool.resize(3));
    for (const key of KEYS) pool.tell(task(key, 3));
    await clock.pass(500);
    const outcomes = await Promise.all(sizes);
    for (const outcome of outcomes) expect(outcome).to.deep.include({ members: 3 });
    expect(bed.overlaps).to.deep.equal([]);
    for (const key of KEYS) {
      const mine = got.filter((line) => typeOf(line).startsWith(`${key}.`)).map(typeOf);
      expect(mine).to.deep.equal([1, 2, 3].map((number) => `${key}.${number}`));
    }
    expect(bed.system.names().sort()).to.deep.equal(['pool-0', 'pool-1', 'pool-2']);
  });

  describe('a member that fails in the midst of a move', () => {
    it('goes on after its restart, and then the shard moves: only the failing message is lost [S-160]', async () => {
      const bed = await poolBed();
      const { pool, clock, got, letters, system } = bed;
      const key = await movingKey(bed, 1, 2);
      pool.tell(task(key, 1, { tookMs: 10, fails: true }));
      pool.tell(task(key, 2, { tookMs: 10 }));
      const resized = pool.resize(2);
      await clock.pass(0);
      pool.tell(task(key, 3));
      await clock.pass(20);
      await resized;
      expect(got).to.deep.equal([`pool-0 ${key}.2`, `pool-1 ${key}.3`]);
      expect(letters.map(({ messageType, reason }) => `${messageType} ${reason}`)).to.deep.equal([
        `${key}.1 failed`,
      ]);
      expect(system.counts().restarted).to.equal(1);
    });

    it('gives its shards up at once when it is dead for good [S-160]', async () => {
      const bed = await poolBed({ members: { child: { restart: 'temporary', shutdownDeadlineMs: 100 } } });
      const { pool, clock, got, letters } = bed;
      const key = await movingKey(bed, 1, 2);
      pool.tell(task(key, 1, { tookMs: 10, fails: true }));
      pool.tell(task(key, 2));
      const resized = pool.resize(2);
      await clock.pass(0);
      pool.tell(task(key, 3));
      await clock.pass(10);
      expect(await resized).to.deep.include({ members: 1 });
      expect(got).to.deep.equal([`pool-1 ${key}.3`]);
      expect(letters.map(({ messageType, reason }) => `${messageType} ${reason}`)).to.deep.equal([
        `${key}.1 failed`,
        `${key}.2 left`,
      ]);
      await pool.resize(2);
      expect(pool.describe().members.map(({ id }) => id)).to.have.members(['pool-0', 'pool-1']);
    });
  });

  it('gives the shards of a dead member to the others, and has none when all are dead [S-160]', async () => {
    const bed = await poolBed({ restartsMax: 0, members: { child: { restart: 'temporary' } } });
    const { pool, clock } = bed;
    await pool.resize(3);
    const owners = await keysByMember(bed);
    pool.tell(task(KEYS[0] as string, 1, { fails: true }));
    await clock.pass(0);
    const dead = owners.get(KEYS[0] as string);
    for (const [key, member] of await keysByMember(bed)) {
      if (owners.get(key) === dead) expect(member).to.not.equal(dead);
      else expect(member).to.equal(owners.get(key));
    }
    for (let index = 0; index < 2; index++) {
      pool.tell(task(KEYS[0] as string, 1, { fails: true }));
      await clock.pass(0);
    }
    expect(pool.tell(task('a', 1))).to.have.property('refused', 'E_NO_MEMBER');
    expect(await pool.resize(2)).to.deep.include({ members: 2 });
    expect((await keysByMember(bed)).size).to.equal(KEYS.length);
  });

  describe('asked', () => {
    it('answers, and so does an ask that had to be held [S-153]', async () => {
      const bed = await poolBed();
      const { pool, clock } = bed;
      const key = await movingKey(bed, 1, 2);
      const ask = (number: number, timeoutMs: number): Promise<string> =>
        pool.ask<string>((replyTo) => task(key, number, { replyTo }), { timeoutMs });
      expect(await ask(1, 10)).to.equal(`pool-0 has ${key}.1`);
      pool.tell(task(key, 2, { tookMs: 50 }));
      const resized = pool.resize(2);
      await clock.pass(0);
      const [late, held] = [rejectionOf(ask(3, 40)), ask(4, 100)];
      await clock.pass(40);
      expect(await late).to.have.property('code', 'E_ASK_TIMEOUT');
      await clock.pass(10);
      expect(await held).to.equal(`pool-1 has ${key}.4`);
      await resized;
      expect(bed.got.map(typeOf)).to.not.include(`${key}.3`);
      expect(clock.pending, 'no timer is left').to.equal(0);
    });

    it('gives an ask no more time for having been held [S-153]', async () => {
      const bed = await poolBed();
      const { pool, clock } = bed;
      const key = await movingKey(bed, 1, 2);
      pool.tell(task(key, 1, { tookMs: 50 }));
      void pool.resize(2);
      await clock.pass(0);
      let code = '';
      pool
        .ask<string>((replyTo) => task(key, 2, { tookMs: 1_000, replyTo }), { timeoutMs: 80 })
        .catch((thrown: CodedError) => (code = thrown.code));
      await clock.pass(79);
      expect(code).to.equal('');
      await clock.pass(1);
      expect(code).to.equal('E_ASK_TIMEOUT');
    });
  });

  it('asks again when a full member takes no barrier [S-156]', async () => {
    const bed = await poolBed({ mailbox: { capacity: 1, overflow: 'refuse' } });
    const { pool, clock, got } = bed;
    await pool.resize(1);
    pool.tell(task('a', 1, { tookMs: 35 }));
    await clock.pass(0);
    pool.tell(task('a', 2));
    const resized = pool.resize(2);
    await clock.pass(100);
    expect(await resized).to.deep.include({ members: 2, shardsStayed: 0 });
    expect(got.map(typeOf)).to.deep.equal(['a.1', 'a.2']);
  });

  it('ends its members, and gives back or notes what nobody will handle, when it is stopped [S-162]', async () => {
    const bed = await poolBed({ pool: { held: { capacity: 2, overflow: 'block' } } });
    const { pool, clock, letters, system } = bed;
    const key = await movingKey(bed, 1, 2);
    pool.tell(task(key, 1, { tookMs: 10_000 }));
    const resized = rejectionOf(pool.resize(2));
    await clock.pass(0);
    pool.tell(task(key, 2));
    const asked = rejectionOf(pool.ask<string>((replyTo) => task(key, 3, { replyTo }), { timeoutMs: 9_000 }));
    const waiting = pool.tellWhenAccepted(task(key, 4));
    const ends: string[] = [];
    pool.onTerminated((reason) => ends.push(reason.kind));
    const stopped = pool.stop();
    expect(pool.stop()).to.equal(stopped);
    await clock.pass(100);
    await stopped;
    expect(await resized).to.have.property('code', 'E_ACTOR_STOPPED');
    expect(await asked).to.have.property('code', 'E_ACTOR_STOPPED');
    expect(await waiting).to.have.property('refused', 'E_ACTOR_STOPPED');
    expect(letters.map(({ messageType, reason }) => `${messageType} ${reason}`).sort()).to.deep.equal([
      `${key}.1 killed`,
      `${key}.2 left`,
      `${key}.3 left`,
    ]);
    pool.onTerminated((reason) => ends.push(`later ${reason.kind}`));
    await settle();
    expect(ends).to.deep.equal(['shutdown', 'later shutdown']);
    expect(pool.tell(task(key, 5))).to.have.property('refused', 'E_ACTOR_STOPPED');
    expect(await rejectionOf(pool.resize(1))).to.have.property('code', 'E_ACTOR_STOPPED');
    expect(system.names()).to.deep.equal([]);
    // The handler that was killed has a timer of its own.
    expect(clock.pending).to.equal(1);
  });

  it('ends although a listener for its end throws, before or after it, and logs that [S-162]', async () => {
    const logged: string[] = [];
    const { pool, clock } = await poolBed({
      pool: { log: ({ path, text }) => logged.push(`${path} ${text}`) },
    });
    await pool.resize(1);
    const ends: string[] = [];
    const planted = (): never => {
      throw new Error('planted');
    };
    pool.onTerminated(planted);
    pool.onTerminated(({ kind }) => ends.push(kind));
    const stopped = pool.stop();
    await clock.pass(100);
    await stopped;
    pool.onTerminated(planted);
    await settle();
    expect(ends).to.deep.equal(['shutdown']);
    expect(logged).to.deep.equal(Array(2).fill('/$pool a termination listener threw'));
  });

  it('refuses a key that is none, and an ask without a sound deadline [S-152]', async () => {
    let key: unknown;
    const { pool } = await poolBed({ pool: { keyOf: () => key as string } });
    await pool.resize(1);
    for (key of [undefined, null, NaN, Infinity, {}, [], true, Symbol('key'), () => 'key']) {
      expect(pool.tell(task('a', 1)), String(key)).to.have.property('refused', 'E_ROUTE_KEY');
    }
    for (key of ['', 'a', 0, -1.5, 7n]) expect(pool.tell(task('a', 1)), String(key)).to.equal('accepted');
    const error = await rejectionOf(pool.ask(() => task('a', 1), { timeoutMs: 0 }));
    expect(error.code).to.equal('E_OPTIONS_INVALID');
  });

  it('gives back what has no readable key', async () => {
    const { pool } = await poolBed({
      pool: {
        keyOf: () => {
          throw new Error('planted');
        },
      },
    });
    await pool.resize(1);
    expect(pool.tell(task('a', 1))).to.have.property('refused', 'E_ROUTE_KEY');
    expect(await pool.tellWhenAccepted(task('a', 1))).to.have.property('refused', 'E_ROUTE_KEY');
    expect(await rejectionOf(pool.ask(() => task('a', 1), { timeoutMs: 10 }))).to.have.property(
      'code',
      'E_ROUTE_KEY',
    );
  });

  it('takes members of any kind, which say themselves that they have handled all, and asks again [S-156]', async () => {
    const { system, clock } = await poolBed();
    const drained: string[] = [];
    let asked = 0;
    const start = async (id: string): Promise<PoolMember<Task>> => {
      const ref = system.spawn<Task>(() => ({ handle: () => undefined }), { name: id });
      return {
        ref,
        handledAll: async () => {
          asked++;
          if (asked === 1) throw new CodedError('E_MAILBOX_FULL', 'planted');
          drained.push(id);
        },
        stop: async () => void (await system.stopActor(ref)),
      };
    };
    const pool = new KeyedPool<Task>({
      name: 'p',
      keyOf: ({ key }) => key,
      start,
      deadLetters: system.deadLetters,
      clock,
    });
    await pool.resize(2);
    const shrunk = pool.resize(1);
    await clock.pass(100);
    await shrunk;
    expect(drained).to.deep.equal(['p-1']);
    expect(asked).to.equal(2);
    expect(pool.guarantee).to.deep.include({ order: 'perKey', survives: 'actorRestart' });
    expect(JSON.stringify({ pool })).to.equal('{"pool":"/$p"}');
  });
});
