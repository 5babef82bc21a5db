/** How a body is cut into records: forms, limits, resynchronisation, and the bounds that hold for any bytes at all. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { RECORD_BYTES_MAX, RECORDS_PER_REQUEST_MAX } from '../../../actors/ingest/limits.ts';
import { RECORD_JSON, RECORD_LINE, splitRecords } from '../../../actors/ingest/split-records.ts';

const texts = (body: string): string[] => {
  const bytes = Buffer.from(body);
  return splitRecords(bytes).records.map(({ start, end }) => bytes.toString('utf8', start, end));
};
const codes = (body: string): string[] => splitRecords(Buffer.from(body)).rejects.map(({ code }) => code);

/** JSON objects as relays send them, nested a little, with every sort of text in them. */
const jsonObject = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 });

describe('splitRecords', () => {
  describe('with well-formed bodies', () => {
    it('gives back each element of an array, whatever blanks stand between', () => {
      fc.assert(
        fc.property(fc.array(jsonObject), fc.constantFrom(',', ' , ', ',\n', '\r\n,\t'), (values, comma) => {
          const elements = values.map((value) => JSON.stringify(value));
          expect(texts(`[${elements.join(comma)}]`)).to.deep.equal(elements);
          expect(codes(`[${elements.join(comma)}]`)).to.deep.equal([]);
        }),
      );
    });

    it('gives back each line of NDJSON, and each of concatenated objects', () => {
      fc.assert(
        fc.property(
          fc.array(jsonObject, { minLength: 1 }),
          fc.constantFrom('\n', '\r\n', '\n\n', '', ' '),
          (values, separator) => {
            const lines = values.map((value) => JSON.stringify(value));
            expect(texts(lines.join(separator))).to.deep.equal(lines);
          },
        ),
      );
    });

    it('gives back objects that are printed over several lines', () => {
      fc.assert(
        fc.property(fc.array(jsonObject, { minLength: 1 }), (values) => {
          const printed = values.map((value) => JSON.stringify(value, null, 2));
          expect(texts(printed.join('\n'))).to.deep.equal(printed);
          expect(
            texts(JSON.stringify(values, null, 2)).map((text) => JSON.parse(text) as unknown),
          ).to.deep.equal(JSON.parse(JSON.stringify(values)));
        }),
      );
    });

    it('numbers records and rejects together, in the order of the body of an array', () => {
      const { records, rejects } = splitRecords(
        Buffer.from(`[{"a":1},{"b":${'['.repeat(40)}${']'.repeat(40)}},{}]`),
      );
      expect(records.map(({ index }) => index)).to.deep.equal([0, 2]);
      expect(rejects.map(({ index }) => index)).to.deep.equal([1]);
    });

    it('takes text as lines, without their line ends', () => {
      expect(texts('<1>a b\r\n\r\n  <2>c d  \n<3>e')).to.deep.equal(['<1>a b', '<2>c d', '<3>e']);
      const { form, records } = splitRecords(Buffer.from('<1>a b'));
      expect(form).to.equal('lines');
      expect(records[0]?.kind).to.equal(RECORD_LINE);
    });

    it('keeps a comma that begins a line of text', () => {
      expect(texts('first\n,second')).to.deep.equal(['first', ',second']);
    });

    it('skips a byte order mark', () => {
      expect(texts('\uFEFF{"a":1}')).to.deep.equal(['{"a":1}']);
    });
  });

  describe('with limits', () => {
    const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

    it('takes 32 levels and refuses 33, and goes on behind them', () => {
      expect(codes(nested(32))).to.deep.equal([]);
      expect(codes(`${nested(33)}\n{}`)).to.deep.equal(['E_TOO_DEEP']);
      expect(texts(`${nested(33)}\n{}`)).to.deep.equal(['{}']);
    });

    it('takes a record of 64 KiB and refuses one byte more, and goes on behind it', () => {
      const sized = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 8)}"}`;
      expect(codes(sized(RECORD_BYTES_MAX))).to.deep.equal([]);
      expect(codes(`[${sized(RECORD_BYTES_MAX + 1)},{}]`)).to.deep.equal(['E_RECORD_TOO_LARGE']);
      expect(texts(`[${sized(RECORD_BYTES_MAX + 1)},{}]`)).to.deep.equal(['{}']);
      expect(splitRecords(Buffer.from(sized(RECORD_BYTES_MAX + 1))).unreadable).to.equal(undefined);
    });

    it('refuses what follows the last record that a request may hold, as one reject', () => {
      for (const [first, separator, last] of [['[', ',', ']'] as const, ['', '\n', ''] as const]) {
        const full = Array.from({ length: RECORDS_PER_REQUEST_MAX }, () => '{}').join(separator);
        expect(codes(first + full + last)).to.deep.equal([]);
        const over = splitRecords(Buffer.from(`${first}${full}${separator}{}${separator}{}${last}`));
        expect(over.records).to.have.length(RECORDS_PER_REQUEST_MAX);
        expect(over.rejects.map(({ code }) => code)).to.deep.equal(['E_TOO_MANY_RECORDS']);
      }
    });
  });

  describe('when a record is broken', () => {
    const good = '{"hostname":"h"}';

    it('goes on at the next line that begins with a brace, wherever the line before was cut', () => {
      fc.assert(
        fc.property(jsonObject, fc.nat(), (value, cut) => {
          const whole = JSON.stringify(value);
          const broken = whole.slice(0, 1 + (cut % Math.max(1, whole.length - 1)));
          const found = texts(`${good}\n${broken}\n${good}\n${good}`);
          expect(found.filter((text) => text === good)).to.have.length(3);
        }),
      );
    });

    it('keeps the elements before the break of an array, and the rest is one reject', () => {
      const body = Buffer.from(`[${good},${good},{"a":"cut`);
      const { records, rejects } = splitRecords(body);
      expect(records).to.have.length(2);
      expect(rejects.map(({ start, end }) => body.toString('utf8', start, end))).to.deep.equal(['{"a":"cut']);
    });

    it('goes on behind an element whose text holds a raw line end', () => {
      expect(texts(`[{"a":"one\ntwo"},${good}]`)).to.include(good);
    });
  });

  describe('with any bytes', () => {
    const structural = fc
      .array(
        fc.constantFrom(
          '{',
          '}',
          '[',
          ']',
          '"',
          ',',
          ':',
          '\\',
          '\n',
          '\r\n',
          ' ',
          'a',
          '1',
          '<1>',
          '{"a":',
          '\n{',
        ),
      )
      .map((parts) => Buffer.from(parts.join('')));
    const anyBytes = fc.oneof(
      structural,
      fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    );

    it('never throws, and cuts ordered slices that do not overlap and lie inside the body', () => {
      fc.assert(
        fc.property(anyBytes, (body) => {
          const { records, rejects } = splitRecords(body);
          const slices = [...records, ...rejects].sort((a, b) => a.index - b.index);
          let last = 0;
          slices.forEach(({ index, start, end }, position) => {
            expect(index).to.equal(position);
            expect(start).to.be.at.least(last);
            expect(end).to.be.above(start);
            last = end;
          });
          expect(last).to.be.at.most(body.length);
        }),
        { numRuns: 2000 },
      );
    });

    it('leaves no byte out but separators, brackets of the outer array and a byte order mark', () => {
      fc.assert(
        fc.property(anyBytes, (body) => {
          const { records, rejects } = splitRecords(body);
          const left = Buffer.from(body);
          for (const { start, end } of [...records, ...rejects]) left.fill(0x20, start, end);
          expect(left.toString('latin1')).to.match(/^(?:\u00ef\u00bb\u00bf)?[\s,[\]\x1e]*$/);
        }),
        { numRuns: 2000 },
      );
    });

    it('takes time in proportion to the length of hostile bodies', () => {
      const megabyte = 1_000_000;
      const hostile = [
        '[',
        '{',
        '{"a":',
        '"',
        '\\',
        '{"a":\n',
        '{"a":[\n{},\n',
        '{"a":"\n',
        '[[',
        '{"a":\n{"b":1},\n',
        ',',
        '\n',
        ' ',
        ']',
        '{"a":[{},\n{}\n',
        'x\n',
        '{]\n',
        '{"\\',
        '[{"a":1',
        '{ \n',
        '{"a":1,\n\n',
      ];
      for (const unit of hostile) {
        for (const prefix of ['', '[', '{"a":[']) {
          const body = Buffer.from(prefix + unit.repeat(megabyte / unit.length));
          const startedAt = process.cpuUsage();
          splitRecords(body);
          const { user } = process.cpuUsage(startedAt);
          expect(user / 1000, `${prefix} then ${JSON.stringify(unit)}, ms`).to.be.below(400);
        }
      }
    }).timeout(20_000);
  });

  describe('when nothing can be read', () => {
    it('says so for an empty body and for one without a single record', () => {
      expect(splitRecords(Buffer.from('')).unreadable?.code).to.equal('E_BODY_EMPTY');
      expect(splitRecords(Buffer.from('\uFEFF \n')).unreadable?.code).to.equal('E_BODY_EMPTY');
      expect(splitRecords(Buffer.from('[{"a":')).unreadable?.code).to.equal('E_BODY_UNREADABLE');
      expect(splitRecords(Buffer.from('[]')).unreadable).to.equal(undefined);
      expect(splitRecords(Buffer.from('{}')).records[0]?.kind).to.equal(RECORD_JSON);
    });
  });
});
