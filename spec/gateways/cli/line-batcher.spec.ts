import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { splitRecords } from '../../../actors/ingest/split-records.ts';
import { halves, LineBatcher } from '../../../gateways/cli/line-batcher.ts';
import type { Batch } from '../../../gateways/cli/line-batcher.ts';

const object = fc.record({ hostname: fc.string(), n: fc.integer() }).map((value) => JSON.stringify(value));
const text = fc
  .string({ minLength: 1, unit: 'grapheme' })
  .map((value) => `x${value.replace(/[\r\n\u001e]/g, ' ')}`);
const almost = fc.constantFrom('{', '{broken', '[notice] up', '[1,', '{"a":1', '[{]}', '{"a"}', '"', '}');
const anyLine = fc.oneof(object, text, text, almost);

function batchesOf(lines: readonly string[], linesMax: number, bytesMax: number): Batch[] {
  const batcher = new LineBatcher({ linesMax, bytesMax });
  return [...lines.flatMap((line) => batcher.add(Buffer.from(line))), ...batcher.flush()];
}

describe('LineBatcher', () => {
  it('makes bodies that the server takes apart into exactly as many records, while one line is what it seems', () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (lines, linesMax) => {
        for (const batch of batchesOf(lines, linesMax, 1e6)) {
          const first = batch.body.toString('utf8').trimStart();
          // A body of nothing but broken lines is refused whole: nothing in it can be counted one by one.
          if (batch.kind === 'text' && /^[[{]/.test(first)) continue;
          const split = splitRecords(batch.body);
          expect(split.records.length + split.rejects.length, batch.body.toString()).to.equal(batch.events);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('loses no line, whatever the limits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(object, text), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 300 }),
        (lines, linesMax, bytesMax) => {
          const batches = batchesOf(lines, linesMax, bytesMax);
          const sent = batches.flatMap(({ body }) => body.toString('utf8').split('\n'));
          expect(sent.toSorted()).to.deep.equal(lines.toSorted());
          for (const { events, body } of batches) {
            expect(events).to.be.at.most(linesMax);
            expect(events === 1 || body.length <= bytesMax).to.equal(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps the order of lines of a kind', () => {
    const lines = Array.from({ length: 25 }, (_, n) => `line ${n}`);
    expect(
      batchesOf(lines, 7, 1e6)
        .map(({ body }) => body.toString())
        .join('\n'),
    ).to.equal(lines.join('\n'));
  });
});

describe('halves', () => {
  it('makes two batches of the same lines', () => {
    const [batch] = batchesOf(['a', 'b', 'c'], 10, 1e6);
    const parts = batch === undefined ? undefined : halves(batch);
    expect(parts?.map(({ body, events, kind }) => [body.toString(), events, kind])).to.deep.equal([
      ['a\nb', 2, 'text'],
      ['c', 1, 'text'],
    ]);
  });

  it('does not cut a single line or an array', () => {
    for (const line of ['one', '[{"a":1},{"b":2}]']) {
      const [batch] = batchesOf([line], 10, 1e6);
      expect(batch === undefined ? 'none' : halves(batch)).to.equal(undefined);
    }
  });
});
