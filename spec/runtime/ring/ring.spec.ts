/**
 * The ring against a plain queue, step by step in one thread, and between two real threads.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { codeOf } from '../../../runtime/errors.ts';
import { BytesView } from '../../../runtime/ring/bytes-view.ts';
import { createRing, HEADER_BYTES } from '../../../runtime/ring/ring-layout.ts';
import { RingReader } from '../../../runtime/ring/ring-reader.ts';
import { publishDrafts, RECORD_TOO_LARGE, RING_FULL, RingWriter } from '../../../runtime/ring/ring-writer.ts';
import type { RingThreadData, RingThreadReport } from '../../fixtures/ring/ring-thread.ts';

const SMALL = { capacityBytes: 1_024, recordsMax: 8, recordBytesMax: 256 };
const writerUrl = new URL('../../../runtime/ring/ring-writer.ts', import.meta.url).href;
const HEAD = { kind: 1, flags: 0, target: 7, reference: 0, deadlineAtMs: 0 };

function payloadOf(reader: RingReader): Buffer {
  const start = reader.payloadAt(reader.position);
  return Buffer.from(reader.bytes.subarray(start, start + reader.payloadBytes));
}

describe('The ring in shared memory', () => {
  it('carries a record whole: kind, flags, target, reference, deadline, bytes or text', () => {
    const memory = createRing(SMALL);
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory);
    expect(
      writer.write(
        { kind: 255, flags: 0xff_ff_ff, target: -3, reference: 0xff_ff_ff_ff, deadlineAtMs: 12.5 },
        'grüß',
      ),
    ).to.equal(0);
    expect(reader.next(), 'what is not published is not seen').to.equal(false);
    writer.publish();
    expect(reader.next()).to.equal(true);
    const { kind, flags, target, reference, deadlineAtMs, sequence, crashes } = reader;
    expect({ kind, flags, target, reference, deadlineAtMs, sequence, crashes }).to.deep.equal({
      kind: 255,
      flags: 0xff_ff_ff,
      target: -3,
      reference: 0xff_ff_ff_ff,
      deadlineAtMs: 12.5,
      sequence: 0,
      crashes: 0,
    });
    expect(payloadOf(reader).toString()).to.equal('grüß');
  });

  it('refuses what is too large, and what has no room, and writes nothing of it', () => {
    const memory = createRing(SMALL);
    const writer = new RingWriter(memory);
    expect(writer.write(HEAD, Buffer.alloc(257))).to.equal(RECORD_TOO_LARGE);
    expect(writer.write(HEAD, 'x'.repeat(257))).to.equal(RECORD_TOO_LARGE);
    let taken = 0;
    while (writer.write(HEAD, Buffer.alloc(200)) !== RING_FULL) taken += 1;
    expect(taken).to.equal(4);
    expect(writer.creditFor(200)).to.equal(0);
    writer.publish();
    const reader = new RingReader(memory);
    let seen = 0;
    while (reader.next()) seen += 1;
    expect(seen).to.equal(4);
  });

  it('names every fault of its options', () => {
    expect(() => createRing({ capacityBytes: 1_000, recordsMax: 0, recordBytesMax: 600 })).to.throw(
      /capacityBytes 1000: use a power of two.*recordsMax 0.*recordBytesMax 600/,
    );
    expect(() => createRing({ ...SMALL, recordBytesMax: 512 - HEADER_BYTES })).to.not.throw();
    expect(() => createRing({ ...SMALL, recordBytesMax: 513 - HEADER_BYTES })).to.throw(/recordBytesMax/);
  });

  it('tells a sleeping reader once, and a waiting writer when there is room', () => {
    const memory = createRing(SMALL);
    let roomCame = 0;
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory, () => (roomCame += 1));
    expect(reader.sleep()).to.equal(true);
    writer.write(HEAD, 'a');
    expect(writer.publish(), 'it sleeps').to.equal(true);
    writer.write(HEAD, 'b');
    expect(writer.publish(), 'it was woken already').to.equal(false);
    expect(reader.next()).to.equal(true);
    expect(reader.sleep(), 'there is one more').to.equal(false);
    while (writer.write(HEAD, 'c') !== RING_FULL);
    writer.publish();
    expect(writer.wantRoom(1)).to.equal(true);
    expect(roomCame).to.equal(0);
    reader.settle(reader.position);
    for (let more = 0; more < 3; more++) {
      expect(roomCame, 'half must be free first').to.equal(0);
      reader.next();
      reader.settle(reader.position);
    }
    expect(roomCame).to.equal(1);
    expect(writer.wantRoom(1), 'there is room').to.equal(false);
  });

  it('moves its tail only by settling, in any order, and a new reader gets the rest in order', () => {
    const memory = createRing(SMALL);
    const writer = new RingWriter(memory);
    for (const text of ['a', 'b', 'c', 'd']) writer.write(HEAD, text);
    writer.publish();
    const first = new RingReader(memory);
    const positions: number[] = [];
    while (first.next()) positions.push(first.position);
    first.begin(positions[1] as number);
    first.settle(positions[2] as number);
    expect(writer.isSettled(2), 'its elders are not').to.equal(false);
    expect(first.isInHand(positions[1] as number)).to.equal(true);
    expect(first.addCrash(positions[1] as number)).to.equal(1);
    const second = new RingReader(memory);
    const seen: [string, number][] = [];
    while (second.next()) {
      seen.push([payloadOf(second).toString(), second.crashes]);
      second.settle(second.position);
    }
    expect(seen).to.deep.equal([
      ['a', 0],
      ['b', 1],
      ['d', 0],
    ]);
    expect(writer.isSettled(3)).to.equal(true);
    expect(new RingReader(memory).next()).to.equal(false);
  });

  it('ends a view with its handler', () => {
    const view = new BytesView(Buffer.from('..abc..'), 2, 3);
    expect(view.text()).to.equal('abc');
    expect(view.at(1)).to.equal(98);
    expect(view.at(3)).to.equal(undefined);
    const kept = view.copy();
    view.end();
    for (const use of [() => view.text(), () => view.at(0), () => view.copy(), () => view.read(() => 0)]) {
      try {
        use();
        expect.fail('it should have thrown');
      } catch (thrown) {
        expect(codeOf(thrown)).to.equal('E_VIEW_OVER');
      }
    }
    expect(kept.toString()).to.equal('abc');
    expect(view.length).to.equal(3);
  });

  it('does what a plain queue does, over thousands of random steps', () => {
    type Step =
      | { do: 'write'; bytes: number }
      | { do: 'publish' | 'read' | 'readerDies' }
      | { do: 'writerDies'; isPublished: boolean }
      | { do: 'settle'; which: number };
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), bytes: fc.nat(260) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('publish' as const) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('readerDies' as const) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('writerDies' as const), isPublished: fc.boolean() }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const memory = createRing(SMALL);
        let writer = new RingWriter(memory);
        let reader = new RingReader(memory);
        /** Everything that is written and not settled; `position` while this reader has it. */
        const model: {
          sequence: number;
          payload: Buffer;
          isPublished: boolean;
          isSettled: boolean;
          position?: number;
        }[] = [];
        let sequence = 0;
        for (const one of steps) {
          switch (one.do) {
            case 'write': {
              const payload = Buffer.alloc(one.bytes, sequence);
              const credit = writer.creditFor(one.bytes);
              const result = writer.write(HEAD, payload);
              if (one.bytes > SMALL.recordBytesMax) expect(result).to.equal(RECORD_TOO_LARGE);
              else expect(result).to.equal(credit > 0 ? sequence : RING_FULL);
              if (result < 0) break;
              model.push({ sequence: sequence++, payload, isPublished: false, isSettled: false });
              break;
            }
            case 'publish':
              writer.publish();
              for (const record of model) record.isPublished = true;
              break;
            case 'read': {
              const expected = model.find((r) => r.isPublished && !r.isSettled && r.position === undefined);
              expect(reader.next()).to.equal(expected !== undefined);
              if (expected === undefined) break;
              expect(reader.sequence).to.equal(expected.sequence);
              expect(payloadOf(reader).equals(expected.payload)).to.equal(true);
              expected.position = reader.position;
              break;
            }
            case 'settle': {
              const held = model.filter((r) => !r.isSettled && r.position !== undefined);
              const record = held[one.which % Math.max(1, held.length)];
              if (record?.position === undefined) break;
              reader.settle(record.position);
              record.isSettled = true;
              while (model[0]?.isSettled === true) model.shift();
              break;
            }
            case 'readerDies':
              reader = new RingReader(memory);
              for (const record of model) delete record.position;
              break;
            case 'writerDies':
              // What it had not published is seen when somebody does it for it, or its successor publishes.
              if (one.isPublished) {
                publishDrafts(memory);
                for (const record of model) record.isPublished = true;
              }
              writer = new RingWriter(memory);
              expect(writer.nextSequence).to.equal(sequence);
              expect(writer.unpublished).to.equal(model.filter(({ isPublished }) => !isPublished).length);
              break;
          }
          const oldest = model[0]?.sequence ?? sequence;
          if (oldest > 0) expect(writer.isSettled(oldest - 1)).to.equal(true);
          expect(writer.isSettled(oldest)).to.equal(false);
        }
        if (model.length === 0) expect(writer.creditFor(SMALL.recordBytesMax)).to.be.greaterThan(0);
      }),
      { numRuns: 150 },
    );
  });

  it('has heads of one shape, with and without a deadline, or V8 gives up the optimised writer', () => {
    // In a process of its own: shapes become one for good where both kinds have been before.
    const program = `import { recordHead } from ${JSON.stringify(writerUrl)};
      const [head, ask] = [recordHead(1, 2, 3), recordHead(1, 2, 3, 12.5)];
      console.log(%HaveSameMap(head, ask), %HaveSameMap(head, { ...head, more: 1 }));`;
    const args = ['--allow-natives-syntax', '--input-type=module', '--eval', program];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).to.equal('true false\n');
  });

  it('carries 100,000 records between two threads, whole and in order [S-105]', async function () {
    this.timeout(30_000);
    const records = 100_000;
    const memory = createRing({ capacityBytes: 65_536, recordsMax: 512, recordBytesMax: 4_096 });
    const writer = new RingWriter(memory);
    const worker = new Worker(new URL('../../fixtures/ring/ring-thread.ts', import.meta.url), {
      workerData: { memory, records } satisfies RingThreadData,
    });
    // From the beginning: its last message may come in the same turn as its end.
    const exited = once(worker, 'exit');
    let checksum = 0;
    let written = 0;
    let refused = 0;
    const bytes = Buffer.alloc(400);
    const send = (): void => {
      while (written < records) {
        const length = (written * 7) % 400;
        bytes.writeUInt32LE(written);
        if (writer.write(HEAD, bytes.subarray(0, length)) === RING_FULL) {
          refused += 1;
          if (writer.publish()) worker.postMessage('look');
          if (writer.wantRoom(length)) return;
          continue;
        }
        for (let at = 0; at < length; at++) checksum = (checksum * 31 + (bytes[at] as number)) | 0;
        written += 1;
        if (written % 16 === 0 && writer.publish()) worker.postMessage('look');
      }
      if (writer.publish()) worker.postMessage('look');
    };
    const reported = new Promise<RingThreadReport>((resolve) => {
      worker.on('message', (message: 'room' | RingThreadReport) => {
        if (message === 'room') send();
        else resolve(message);
      });
    });
    send();
    expect(await reported).to.deep.equal({ checksum, outOfOrder: 0 });
    expect(refused, 'it was full now and then').to.be.greaterThan(0);
    expect(writer.creditFor(1)).to.equal(512);
    await exited;
  });
});
