/** What is left over when one side of a link ends, and must do no harm: between real threads. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import type { ReplyTo } from '../../../runtime/actor-ref.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { ExitReason } from '../../../runtime/exit-reason.ts';
import { orders } from '../../fixtures/remote/messages.ts';
import type { Order, Seen } from '../../fixtures/remote/messages.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { closePool, RemoteBed, until } from './remote-bed.ts';

const IN_TIME = { timeoutMs: 20_000 };
const SMALL_RING = { capacityBytes: 4_096, recordsMax: 16, recordBytesMax: 512 };

const order =
  (what: string, n: number) =>
  (replyTo: ReplyTo<Seen>): Order => ({ what, n, replyTo });

describe('What is left over at the end of a link', function () {
  this.timeout(60_000);
  const beds: RemoteBed[] = [];
  const newBed = (...args: ConstructorParameters<typeof RemoteBed>): RemoteBed => {
    const bed = new RemoteBed(...args);
    beds.push(bed);
    return bed;
  };
  afterEach(async () => {
    await Promise.all(beds.splice(0).map((bed) => bed.stop()));
  });
  after(closePool);

  it('writes nothing between what the next incarnation tells [S-105] [S-114]', async () => {
    const bed = newBed();
    const ref = bed.slot('one').ref('worker', orders);
    await bed.start();
    ref.tell({ what: 'linger', n: 1 });
    // Handled before the stop, or the next incarnation would have it.
    await ref.ask<Seen>(order('hello', 0), IN_TIME);
    await bed.supervisor?.restartChild('one');
    for (let n = 2; n < 22; n++) ref.tell({ what: 'hello', n });
    await until(() => bed.numbers().includes(21));
    // What the stopped incarnation has left behind tells in between.
    await delay(400);
    for (let n = 22; n < 42; n++) ref.tell({ what: 'hello', n });
    await until(() => bed.numbers().includes(41), 'what is told afterwards');
    expect(bed.numbers()).to.deep.equal([0, ...Array.from({ length: 40 }, (_, index) => index + 2)]);
    expect(bed.numbers('left behind')).to.deep.equal([]);
  });

  it('is no ref that seems to live: one asked for after the end has ended [S-113]', async () => {
    const bed = newBed();
    const slot = bed.slot('one');
    const ref = slot.ref('finishing', orders);
    await bed.start();
    ref.tell({ what: 'stop', n: 1 });
    await until(() => ref.isDead);
    const late = slot.ref('finishing', orders);
    const reasons: ExitReason[] = [];
    late.onTerminated((reason) => reasons.push(reason));
    expect(late.tell({ what: 'hello', n: 2 })).to.include({ refused: 'E_ACTOR_STOPPED' });
    await until(() => reasons.length === 1);
    expect(reasons).to.deep.equal([{ kind: 'normal' }]);
    // A later start of its thread has the actor again.
    await bed.supervisor?.restartChild('one');
    expect(await slot.ref('finishing', orders).ask<Seen>(order('hello', 3), IN_TIME)).to.include({ n: 3 });
  });

  it('is no charge for what was only put off when its thread died [S-96] [S-115]', async () => {
    const bed = newBed(undefined, 1);
    const slot = bed.slot('one');
    const ref = slot.ref('worker', orders);
    const second = slot.ref('second', orders);
    await bed.start();
    for (const n of [1, 2]) second.tell({ what: 'stash', n });
    await until(() => bed.numbers('second').length === 2);
    expect(codeOf(await rejectionOf(ref.ask<Seen>(order('exit', 3), IN_TIME)))).to.equal('E_QUARANTINED');
    const inQuarantine = bed.exchange.quarantine.list().map(({ payload }) => payload?.toString());
    expect(inQuarantine).to.deep.equal(['{"what":"exit","n":3}']);
    await until(() => bed.numbers('second').length === 4, 'the next incarnation has them');
    expect(bed.numbers('second')).to.deep.equal([1, 2, 1, 2]);
  });

  it('is no ask that a fraction of a millisecond breaks while it waits for room [S-107]', async () => {
    const bed = newBed(SMALL_RING);
    const ref = bed.slot('one').ref('worker', orders);
    while (ref.tell({ what: 'hello', n: 0 }) === 'accepted');
    const tooLate = rejectionOf(ref.ask<Seen>(order('hello', 1), { timeoutMs: 12.5 }));
    expect(codeOf(await tooLate)).to.equal('E_ASK_TIMEOUT');
  });
});
