import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { readEnvelope } from '../../../../gateways/ingest/socket/envelope.ts';

const read = (text: string): { seq: number | undefined; body: string } => {
  const message = Buffer.from(text);
  const { seq, start, end } = readEnvelope(message);
  return { seq, body: message.toString('utf8', start, end) };
};

describe('The envelope of a message', () => {
  for (const [text, seq, body] of [
    ['{"seq":1,"events":[]}', 1, '[]'],
    ['{"seq":12,"events":[{"a":1},{"b":"]}"}]}', 12, '[{"a":1},{"b":"]}"}]'],
    [' {\n "seq" : 7 ,\t"events" : [ 1 ] \n}\r\n', 7, '[ 1 ]'],
    ['{"events":[{"a":1}],"seq":3}', 3, '[{"a":1}]'],
    ['{"seq":4}\n{"a":1}\n{"a":2}\n', 4, '{"a":1}\n{"a":2}\n'],
    ['{"seq":5}\r\n<13>Oct 11 22:14:15 r1 x: y', 5, '<13>Oct 11 22:14:15 r1 x: y'],
    ['{"seq":6}\n', 6, ''],
  ] as const) {
    it(`is found: ${JSON.stringify(text)}`, () => {
      expect(read(text)).to.deep.equal({ seq, body });
    });
  }

  for (const text of [
    '',
    '{}',
    '{"a":1}',
    '[{"seq":1,"events":[]}]',
    '{"seq":0,"events":[]}',
    '{"seq":-1,"events":[]}',
    '{"seq":1.5,"events":[]}',
    '{"seq":"1","events":[]}',
    '{"seq":9999999999999999,"events":[]}',
    '{"seq":1,"events":{}}',
    '{"seq":1,"hostname":"r1"}',
    '{"seq":1,"events":[',
    '{"seq":1}',
    '{"seq":1} {"a":1}',
    '<13>Oct 11 22:14:15 r1 x: {"seq":1,"events":[]}',
  ]) {
    it(`is not seen in what is none, which stays as it is: ${JSON.stringify(text)}`, () => {
      expect(read(text)).to.deep.equal({ seq: undefined, body: text });
    });
  }

  it('gives back the number and the very bytes of the events, whatever they are', () => {
    const white = fc.constantFrom('', ' ', '\n', '\t ', '\r\n');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 999_999_999_999_999 }),
        fc.array(fc.jsonValue()),
        white,
        fc.boolean(),
        (seq, events, w, isSeqFirst) => {
          const body = JSON.stringify(events);
          const text = isSeqFirst
            ? `${w}{${w}"seq"${w}:${w}${seq}${w},${w}"events"${w}:${w}${body}${w}}${w}`
            : `${w}{${w}"events"${w}:${w}${body}${w},${w}"seq"${w}:${w}${seq}${w}}${w}`;
          expect(read(text)).to.deep.equal({ seq, body });
        },
      ),
    );
  });

  it('never throws and never points outside of the message, whatever the bytes', () => {
    const piece = fc.constantFrom(
      '{"seq":',
      '{"events":[',
      '1',
      ',"events":[',
      ']}',
      '],"seq":2}',
      '}\n',
      '"',
      ' ',
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((some) => Buffer.from(some)),
      fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join(''))),
    );
    fc.assert(
      fc.property(bytes, (message) => {
        const { seq, start, end } = readEnvelope(message);
        expect(start).to.be.within(0, message.length);
        expect(end).to.be.within(start, message.length);
        if (seq !== undefined) expect(seq).to.be.greaterThan(0);
        else expect([start, end]).to.deep.equal([0, message.length]);
      }),
    );
  });

  it('costs the same for a large message as for a small one', () => {
    const message = Buffer.from(`{"seq":1,"events":[${' '.repeat(200_000)}`);
    const startedMs = performance.now();
    for (let round = 0; round < 2_000; round++) readEnvelope(message);
    // Reading all of it once a round would take some 400 MB of looking.
    expect(performance.now() - startedMs).to.be.below(500);
  });
});
