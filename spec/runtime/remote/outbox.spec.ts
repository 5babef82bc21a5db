/** The sending half of a link over a ring that nobody reads, or that is read step by step. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Outbox, PARCEL_BYTES_MAX, SEND_STOPPED } from '../../../runtime/remote/outbox.ts';
import type { WaitingSend } from '../../../runtime/remote/outbox.ts';
import { createRing } from '../../../runtime/ring/ring-layout.ts';
import { RingReader } from '../../../runtime/ring/ring-reader.ts';
import { RECORD_TOO_LARGE, RingWriter } from '../../../runtime/ring/ring-writer.ts';

const HEAD = { kind: 1, flags: 0, target: 7, reference: 0, deadlineAtMs: 0 };
const RING = { capacityBytes: 4_096, recordsMax: 64, recordBytesMax: 512 };

function bed(ring = RING): { outbox: Outbox; memory: SharedArrayBuffer } {
  const memory = createRing(ring);
  return { outbox: new Outbox(memory, { wakePeer: () => undefined, postParcel: () => undefined }), memory };
}

/** How many are taken until one is not. */
function taken(outbox: Outbox, bytes: number): number {
  let count = 0;
  while (outbox.send(HEAD, Buffer.alloc(bytes)) >= 0) count += 1;
  return count;
}

function waiting(bytes: number, target = HEAD.target): WaitingSend & { result: number | undefined } {
  const send = {
    head: { ...HEAD, target },
    payload: Buffer.alloc(bytes),
    result: undefined as number | undefined,
    done: (result: number) => void (send.result = result),
  };
  return send;
}

describe('Outbox', () => {
  it('counts its credit in messages, whatever is answered in between [S-108]', () => {
    const { outbox } = bed();
    outbox.send(HEAD, Buffer.alloc(400));
    outbox.reply(HEAD, Buffer.alloc(0));
    const { credit } = outbox;
    expect(taken(outbox, 400)).to.equal(credit);
    expect(outbox.credit).to.equal(0);
  });

  it('counts in its credit what may be on its way beside the ring [S-108] [S-111]', () => {
    const { outbox } = bed();
    outbox.send(HEAD, Buffer.alloc(PARCEL_BYTES_MAX));
    expect(outbox.send(HEAD, Buffer.alloc(PARCEL_BYTES_MAX + 1))).to.equal(RECORD_TOO_LARGE);
    expect(outbox.credit, '64 MiB less the first').to.equal(3);
    expect(taken(outbox, PARCEL_BYTES_MAX)).to.equal(3);
    expect(outbox.credit).to.equal(0);
  });

  it('lets what fits go when a larger one before it is not sent any more', () => {
    for (const end of ['leave', 'giveBack'] as const) {
      const { outbox, memory } = bed({ capacityBytes: 1_024, recordsMax: 64, recordBytesMax: 256 });
      expect(taken(outbox, 100)).to.equal(7);
      expect(new RingWriter(memory).creditFor(10)).to.equal(1);
      const [large, small] = [waiting(250, 8), waiting(10)];
      outbox.wait(large);
      outbox.wait(small);
      expect(small.result, 'nothing overtakes').to.equal(undefined);
      if (end === 'leave') outbox.leave(large);
      else outbox.giveBack(8, SEND_STOPPED);
      expect(small.result).to.equal(7);
    }
  });

  it('writes nothing after its close, and tells who waits', () => {
    const { outbox, memory } = bed();
    const sent = taken(outbox, 400);
    const late = waiting(400);
    outbox.wait(late);
    outbox.reply(HEAD, Buffer.alloc(400));
    outbox.close();
    expect(late.result).to.equal(SEND_STOPPED);
    const reader = new RingReader(memory);
    let read = 0;
    for (; reader.next(); read++) reader.settle(reader.position);
    expect(read).to.equal(sent);
    outbox.pump();
    expect(outbox.send(HEAD, 'more')).to.equal(SEND_STOPPED);
    expect(outbox.reply(HEAD, 'more')).to.equal(SEND_STOPPED);
    expect(outbox.credit).to.equal(0);
    expect(reader.next()).to.equal(false);
  });

  it('says at once that an answer is too large, also while others wait before it [S-111]', () => {
    const { outbox } = bed();
    const tooLarge = Buffer.alloc(PARCEL_BYTES_MAX + 1);
    expect(outbox.reply(HEAD, tooLarge)).to.equal(RECORD_TOO_LARGE);
    while (outbox.credit > 0) outbox.reply(HEAD, 'x');
    expect(outbox.reply(HEAD, 'y'), 'it waits').to.equal(0);
    expect(outbox.reply(HEAD, tooLarge)).to.equal(RECORD_TOO_LARGE);
    outbox.close();
  });
});
