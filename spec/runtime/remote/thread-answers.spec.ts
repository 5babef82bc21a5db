/** Asks and waiting sends across real threads that cannot end well: what is said, how soon, and to whom. */
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import { bytesCodec } from '../../../runtime/remote/codec.ts';
import type { ReplyTo } from '../../../runtime/actor-ref.ts';
import { orders } from '../../fixtures/remote/messages.ts';
import type { Order, Seen } from '../../fixtures/remote/messages.ts';
import { rejectionOf } from '../../support/rejection.ts';
import { closePool, RemoteBed, until } from './remote-bed.ts';

const IN_TIME = { timeoutMs: 20_000 };
const SMALL_RING = { capacityBytes: 4_096, recordsMax: 16, recordBytesMax: 512 };

describe('ThreadRef, asked in vain', function () {
  this.timeout(60_000);
  let bed: RemoteBed;
  afterEach(() => bed.stop());
  after(closePool);

  for (const { what, code, statement } of [
    { what: 'answer hugely', code: 'E_MESSAGE_TOO_LARGE', statement: 'S-111' },
    { what: 'answer with a promise', code: 'E_REPLY_PROMISED', statement: 'S-181' },
  ]) {
    it(`ends the ask at once with ${code}, and tells who answers [${statement}]`, async () => {
      bed = new RemoteBed();
      const raw = bed.slot('one').ref('raw', bytesCodec);
      await bed.start();
      const error = await rejectionOf(raw.ask(() => Buffer.from(what), IN_TIME));
      expect(error.code).to.equal(code);
      await until(() => bed.seen.length === 1);
      expect(bed.seen[0]?.by).to.equal(code);
      const answer = await raw.ask<Buffer>(() => Buffer.from('abc'), IN_TIME);
      expect(answer.toString(), 'the actor goes on').to.equal('3:97:99');
    });
  }

  it('refuses a promise that is told while the message is built, and a deadline that is none [S-181] [S-13]', async () => {
    bed = new RemoteBed();
    const ref = bed.slot('one').ref('worker', orders);
    await bed.start();
    const build = (replyTo: ReplyTo<Seen>): Order => {
      replyTo.tell(Promise.resolve() as unknown as Seen);
      return { what: 'hello', n: 1 };
    };
    expect((await rejectionOf(ref.ask<Seen>(build, IN_TIME))).code).to.equal('E_REPLY_PROMISED');
    for (const timeoutMs of [0, NaN, 2 ** 31]) {
      const asked = ref.ask<Seen>((replyTo) => ({ what: 'hello', n: 1, replyTo }), { timeoutMs });
      expect((await rejectionOf(asked)).code).to.equal('E_OPTIONS_INVALID');
    }
  });

  it('encodes a message that waits for room once, so a wait never rejects [S-108] [S-110]', async () => {
    bed = new RemoteBed(SMALL_RING);
    const encodings = new Map<number, number>();
    const once = {
      ...orders,
      encode(order: Order, isAsk: boolean) {
        const times = (encodings.get(order.n) ?? 0) + 1;
        encodings.set(order.n, times);
        if (times > 1) throw new Error('planted');
        return orders.encode(order, isAsk);
      },
    };
    const ref = bed.slot('one').ref('worker', once);
    let n = 0;
    while (ref.tell({ what: 'hello', n: n++ }) === 'accepted');
    const waiting = ref.tellWhenAccepted({ what: 'hello', n: 1_000 });
    await bed.start();
    expect(await waiting).to.equal('accepted');
    await until(() => bed.numbers().includes(1_000));
    expect(encodings.get(1_000)).to.equal(1);
  });
});
