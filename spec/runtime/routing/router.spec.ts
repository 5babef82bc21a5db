import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { ActorFactory } from '../../../runtime/actor.ts';
import type { ActorRef, ReplyTo } from '../../../runtime/actor-ref.ts';
import { ActorSystem } from '../../../runtime/actor-system.ts';
import { CodedError } from '../../../runtime/errors.ts';
import type { MailboxOptions } from '../../../runtime/mailbox.ts';
import { Group } from '../../../runtime/routing/group.ts';
import { byKey, leastBusy, roundRobin } from '../../../runtime/routing/routing-policy.ts';
import { router } from '../../../runtime/routing/router.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { rejectionOf } from '../../support/rejection.ts';

interface Task {
  key: string;
  replyTo?: ReplyTo<string>;
  fails?: boolean;
}

interface Bed {
  clock: FakeClock;
  system: ActorSystem;
  group: Group<Task>;
  members: ActorRef<Task>[];
  /** `<member> <key>`, in the order handled. */
  got: string[];
}

function bed(names: readonly string[], mailbox?: MailboxOptions): Bed {
  const clock = new FakeClock();
  const system = new ActorSystem({ clock });
  const group = new Group<Task>('workers');
  const got: string[] = [];
  const factory: ActorFactory<Task> = (context) => ({
    handle({ key, replyTo, fails }) {
      if (fails === true) throw new Error('planted');
      got.push(`${context.path.slice(1)} ${key}`);
      replyTo?.tell(`${context.path.slice(1)} has ${key}`);
    },
  });
  const members = names.map((name) =>
    system.spawn(factory, { name, ...(mailbox === undefined ? {} : { mailbox }) }),
  );
  for (const member of members) group.join(member);
  return { clock, system, group, members, got };
}

const ONE: MailboxOptions = { capacity: 1, overflow: 'refuse' };

describe('A router', () => {
  it('takes turns [S-149]', async () => {
    const { group, got } = bed(['a', 'b', 'c']);
    const ref = router(group, roundRobin());
    for (const key of ['1', '2', '3', '4']) expect(ref.tell({ key })).to.equal('accepted');
    await settle();
    expect(got).to.deep.equal(['a 1', 'a 4', 'b 2', 'c 3']);
  });

  it('tells in the step of its sender: what it accepts waits in the member already [S-149]', () => {
    const { group, members } = bed(['a'], ONE);
    const ref = router(group, roundRobin());
    expect(ref.tell({ key: '1' })).to.equal('accepted');
    expect(members[0]?.credit).to.equal(0);
  });

  it('takes the member with the most credit, and turns among equals [S-150]', async () => {
    const { group, members, got } = bed(['a', 'b', 'c']);
    const ref = router(group, leastBusy());
    members[0]?.tell({ key: 'x' });
    members[0]?.tell({ key: 'y' });
    members[1]?.tell({ key: 'z' });
    for (const key of ['1', '2', '3', '4']) ref.tell({ key });
    await settle();
    expect(got.filter((line) => !/[xyz]/.test(line)).sort()).to.deep.equal(['a 4', 'b 2', 'c 1', 'c 3']);
  });

  for (const policy of [roundRobin, leastBusy]) {
    it(`passes full members over, and gives back what none has room for: ${policy.name} [S-151]`, () => {
      const { group, members } = bed(['a', 'b', 'c'], ONE);
      const ref = router(group, policy<Task>());
      members[1]?.tell({ key: 'x' });
      expect(ref.credit).to.equal(2);
      expect([ref.tell({ key: '1' }), ref.tell({ key: '2' })]).to.deep.equal(['accepted', 'accepted']);
      const message = { key: '3' };
      expect(ref.tell(message)).to.deep.equal({ refused: 'E_MAILBOX_FULL', message });
      expect(ref.credit).to.equal(0);
    });
  }

  it('leaves a full member to its own policy when it is told so [S-151]', () => {
    const { group, members } = bed(['a', 'b'], ONE);
    const ref = router(group, roundRobin<Task>({ whenFull: 'ownPolicy' }));
    members[0]?.tell({ key: 'x' });
    expect(ref.credit).to.equal(0);
    expect(ref.tell({ key: '1' })).to.have.property('refused', 'E_MAILBOX_FULL');
    expect(ref.tell({ key: '2' })).to.equal('accepted');
  });

  it('lets the policy of the chosen one decide when all are full [S-151]', async () => {
    const { group, got } = bed(['a', 'b'], { capacity: 1, overflow: 'dropOldest' });
    const ref = router(group, roundRobin());
    for (const key of ['1', '2', '3']) expect(ref.tell({ key })).to.equal('accepted');
    await settle();
    expect(got).to.deep.equal(['a 3', 'b 2']);
  });

  it('waits for room when the mailboxes block, and hears of an abort [S-151]', async () => {
    const { group, got } = bed(['a', 'b'], { capacity: 1, overflow: 'block' });
    const ref = router(group, roundRobin());
    const results = ['1', '2', '3'].map((key) => ref.tellWhenAccepted({ key }));
    const abort = new AbortController();
    const aborted = ref.tellWhenAccepted({ key: '4' }, abort.signal);
    abort.abort();
    expect(await Promise.all(results)).to.deep.equal(['accepted', 'accepted', 'accepted']);
    expect(await aborted).to.have.property('refused', 'E_SEND_ABORTED');
    await settle();
    expect(got.map((line) => line.slice(2)).sort()).to.deep.equal(['1', '2', '3']);
  });

  it('passes over who is stopping and has not left yet [S-151]', async () => {
    const system = new ActorSystem({ clock: new FakeClock() });
    const group = new Group<Task>('workers');
    let finish = (): void => undefined;
    const stopping = system.spawn<Task>((context) => ({
      handle: () => context.stop(),
      terminate: () => new Promise<void>((resolve) => (finish = resolve)),
    }));
    const got: string[] = [];
    group.join(stopping);
    group.join(system.spawn<Task>(() => ({ handle: ({ key }) => void got.push(key) })));
    stopping.tell({ key: 'end' });
    await settle();
    const ref = router(group, roundRobin());
    for (const key of ['1', '2']) expect(ref.tell({ key })).to.equal('accepted');
    finish();
    await settle();
    expect(got).to.deep.equal(['1', '2']);
    expect(system.counts().deadLetters.stopped).to.equal(0);
  });

  it('gives back what nobody can take: an empty group, a closed one [S-152]', async () => {
    const { group, members, system } = bed(['a']);
    const ref = router(group, roundRobin());
    await system.stopActor(members[0] as ActorRef<Task>);
    const message = { key: '1' };
    expect(ref.tell(message)).to.deep.equal({ refused: 'E_NO_MEMBER', message });
    expect(await ref.tellWhenAccepted(message)).to.deep.equal({ refused: 'E_NO_MEMBER', message });
    const failure = await rejectionOf(ref.ask(() => message, { timeoutMs: 10 }));
    expect(failure).to.deep.include({ code: 'E_NO_MEMBER', kind: 'transient' });
    expect(failure).to.have.property('mend');
    group.close();
    expect(ref.tell(message)).to.have.property('refused', 'E_ACTOR_STOPPED');
    expect(await rejectionOf(ref.ask(() => message, { timeoutMs: 10 }))).to.have.property(
      'code',
      'E_ACTOR_STOPPED',
    );
  });

  describe('by key', () => {
    it('sends a key to one member, whatever else is sent, in order [S-148]', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(9), { maxLength: 200 }), async (keys) => {
          const { group, got } = bed(['a', 'b', 'c', 'd']);
          const ref = router(
            group,
            byKey<Task>(({ key }) => key.split('.')[0] as string),
          );
          for (const [index, key] of keys.entries()) ref.tell({ key: `${key}.${index}` });
          await settle();
          for (const key of new Set(keys)) {
            const mine = got.filter((line) => line.split(/[ .]/)[1] === String(key));
            expect(new Set(mine.map((line) => line[0])).size).to.equal(1);
            expect(mine.map((line) => Number(line.split('.')[1]))).to.deep.equal(
              keys.flatMap((other, index) => (other === key ? [index] : [])),
            );
          }
        }),
        { numRuns: 20 },
      );
    });

    it('never passes a full member over: it refuses, or waits [S-151]', async () => {
      const { group, got } = bed(['a', 'b'], { capacity: 1, overflow: 'block' });
      const ref = router(
        group,
        byKey<Task>(() => 'same'),
      );
      ref.tell({ key: '1' });
      expect(ref.tell({ key: 'x' })).to.have.property('refused', 'E_MAILBOX_FULL');
      expect(await ref.tellWhenAccepted({ key: '2' })).to.equal('accepted');
      await settle();
      expect(got.map((line) => line.slice(2))).to.deep.equal(['1', '2']);
      expect(new Set(got.map((line) => line[0])).size).to.equal(1);
    });

    it('keeps the keys of those that stay when a member dies [S-148]', async () => {
      const { group, members, system, got } = bed(['a', 'b', 'c']);
      const ref = router(
        group,
        byKey<Task>(({ key }) => key),
      );
      const keys = Array.from({ length: 60 }, (_, index) => `k${index}`);
      for (const key of keys) ref.tell({ key });
      await settle();
      const before = new Map(got.splice(0).map((line) => line.split(' ').reverse() as [string, string]));
      await system.stopActor(members[1] as ActorRef<Task>);
      for (const key of keys) ref.tell({ key });
      await settle();
      expect(got).to.have.length(60);
      for (const line of got) {
        const [member, key = ''] = line.split(' ');
        if (before.get(key) !== 'b') expect(member).to.equal(before.get(key));
      }
    });

    it('gives back what has no readable key, with a code, and never throws [S-152]', async () => {
      const { group } = bed(['a']);
      const ref = router(
        group,
        byKey<Task>((task) => (task as unknown as { deep: { key: string } }).deep.key),
      );
      expect(ref.tell({ key: '1' })).to.have.property('refused', 'E_ROUTE_KEY');
      expect(await rejectionOf(ref.ask(() => ({ key: '1' }), { timeoutMs: 10 }))).to.have.property(
        'code',
        'E_ROUTE_KEY',
      );
    });
  });

  describe('asked', () => {
    for (const policy of [roundRobin<Task>(), leastBusy<Task>(), byKey<Task>(({ key }) => key)]) {
      it(`answers, by ${policy.name} [S-153]`, async () => {
        const { group } = bed(['a', 'b']);
        const ref = router(group, policy);
        const answers = ['1', '2'].map((key) =>
          ref.ask<string>((replyTo) => ({ key, replyTo }), { timeoutMs: 10 }),
        );
        expect((await Promise.all(answers)).map((answer) => answer.slice(2))).to.deep.equal([
          'has 1',
          'has 2',
        ]);
      });
    }

    it('asks one with room, and ends as an ask to that one does [S-153]', async () => {
      const { group, members, clock } = bed(['a', 'b'], ONE);
      const ref = router(group, roundRobin());
      members[0]?.tell({ key: 'x' });
      const failure = await rejectionOf(ref.ask(() => ({ key: '1', fails: true }), { timeoutMs: 10 }));
      expect(failure).to.have.property('code', 'E_ASK_FAILED');
      const silent = rejectionOf(ref.ask(() => ({ key: '2' }), { timeoutMs: 10 }));
      await clock.pass(10);
      expect(await silent).to.have.property('code', 'E_ASK_TIMEOUT');
      const planted = (): never => {
        throw new CodedError('E_PLANTED', 'planted');
      };
      expect(await rejectionOf(ref.ask(planted, { timeoutMs: 10 }))).to.have.property('code', 'E_PLANTED');
    });
  });

  it('has the weakest guarantee of its members, and the order of its policy [S-154]', () => {
    const { group } = bed(['a', 'b']);
    expect(router(group, roundRobin()).guarantee).to.deep.include({ order: 'none', told: 'inMemory' });
    const stored = {
      guarantee: {
        delivery: 'atLeastOnce',
        order: 'perSender',
        told: 'inMemory',
        accepted: 'stored',
        survives: 'processDeath',
      },
      path: '/stored',
      onTerminated: () => () => undefined,
    } as unknown as ActorRef<Task>;
    const other = new Group<Task>('other');
    const keyed = router(
      other,
      byKey<Task>(({ key }) => key),
    );
    other.join(stored);
    expect(keyed.guarantee).to.deep.equal({ ...stored.guarantee, order: 'perKey' });
    for (const member of group.members) other.join(member);
    expect(keyed.guarantee).to.deep.equal({
      delivery: 'atMostOnce',
      order: 'perKey',
      told: 'inMemory',
      accepted: 'inMemory',
      survives: 'actorRestart',
    });
  });

  it('names itself after its group and its policy, and ends with its group', async () => {
    const { group } = bed(['a']);
    const ref = router(group, leastBusy());
    expect(`${ref.path} ${JSON.stringify({ ref })}`).to.equal(
      '/$workers:leastBusy {"ref":"/$workers:leastBusy"}',
    );
    let end = '';
    ref.onTerminated((reason) => (end = reason.kind));
    group.close();
    expect(end).to.equal('shutdown');
  });
});
