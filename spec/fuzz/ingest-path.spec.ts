/** The whole way of a body under hostile bytes: nothing throws, hangs, grows or vanishes. spec/long runs it far longer. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RECORD_BYTES_MAX } from '../../actors/ingest/limits.ts';
import { heldBytes } from '../support/heap.ts';
import { hostileBody, wholeBodies } from './bodies.ts';
import { countReads, travel } from './ingest-path.ts';

const MIB = 1024 * 1024;

describe('The way of a body', function () {
  this.timeout(60_000);

  it('is travelled by what relays and devices send', () => {
    const sum = wholeBodies.map(travel).reduce((a, b) => ({
      accepted: a.accepted + b.accepted,
      rejected: a.rejected + b.rejected,
      repaired: a.repaired + b.repaired,
    }));
    expect(sum.accepted).to.be.above(90);
    expect(sum.rejected).to.be.above(30);
    expect(sum.repaired).to.be.above(2);
  });

  it('holds every promise for any bytes', () => {
    let accepted = 0;
    let rejected = 0;
    fc.assert(
      fc.property(hostileBody, (body) => {
        const travelled = travel(body);
        accepted += travelled.accepted;
        rejected += travelled.rejected;
      }),
      { numRuns: 1_000 },
    );
    // Mutants that are all refused at the door, or all let in, would test nothing.
    expect(accepted).to.be.above(300);
    expect(rejected).to.be.above(300);
  });

  it('looks at each byte a bounded number of times, whatever repeats', () => {
    // prettier-ignore
    const units = [
      '[', '{', '{"a":', '"', '\\', '{"a":\n', '{"a":\n{"b":1},\n', '{"a":[\n{},\n', '{"a":"\n', ',', '\n', ']', '{]\n', '{ \n',
      '{"\\', '{"a":[{},\n{}\n', '{\n', '{"a":1,\n\n', '[{"a":1', 'x\n', '<34>\n',
    ];
    for (const prefix of ['', '[', '{"a":[', '{"a":\n']) {
      for (const unit of units) countReads(Buffer.from(prefix + unit.repeat(30_000 / unit.length)));
    }
  });

  it('takes no more than moments for the largest record, whatever fills it', () => {
    const heads = [
      '<34>Jun 14 15:16:01 h ',
      '<34>1 - h - - - ',
      '<189>',
      '2024-06-14 ',
      '{"hostname":"h","timestamp":1,"message":"m","x":"',
      '{"hostname":"',
      '{"hostname":"h","message":"m","timestamp":1,"trap_oid":"',
      '{"hostname":"h","message":"m","timestamp":1,"pri":"',
    ];
    // prettier-ignore
    const units = ['[a x="', '[', ']', ' ', '.', ':', '%', '%A-1-B', '1.', '45: ', 'a[', '\\', '::', '*', '1w', 'a', '\xff', '\0', '(fail|down)1'];
    for (const head of heads) {
      for (const unit of units) {
        const room = RECORD_BYTES_MAX - head.length - 2;
        const tail = head.startsWith('{') ? '"}' : '';
        const body = Buffer.from(head + unit.repeat(Math.floor(room / unit.length)) + tail, 'latin1');
        const startedAt = process.cpuUsage();
        travel(body);
        const { user, system } = process.cpuUsage(startedAt);
        // What is quadratic takes seconds: 64 KiB squared is 4,000 million steps.
        expect((user + system) / 1000, `${head} then ${JSON.stringify(unit)}, ms`).to.be.below(500);
      }
    }
  });

  it('leaves nothing behind', () => {
    const bodies = fc.sample(hostileBody, { numRuns: 300, seed: 1 });
    const round = (): void => bodies.forEach((body) => void travel(body));
    // The first rounds fill what is filled once: compiled code, the templates of unmatched events.
    round();
    round();
    const before = heldBytes();
    for (let rounds = 0; rounds < 5; rounds++) round();
    expect(heldBytes() - before).to.be.below(4 * MIB);
  });
});
