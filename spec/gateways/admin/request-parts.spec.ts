/** Bodies, cursors and preconditions: what a request is made of, before any endpoint sees it. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Type } from 'typebox';
import { decodeCursor, encodeCursor, readPage } from '../../../gateways/admin/cursor.ts';
import { JSON_DEPTH_MAX, isStorable, parseJsonBody } from '../../../gateways/admin/json-body.ts';
import { isFresh, preconditionOf } from '../../../gateways/admin/preconditions.ts';
import { codeOf } from '../../../runtime/errors.ts';

function codeThrownBy(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return codeOf(thrown);
  }
  return 'nothing';
}

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text));
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('parseJsonBody', () => {
  it('gives what JSON.parse gives, for whatever can be stored', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        const isFine = isStorable(JSON.parse(`"${'x'}"`) as string) && !/\\u(0000|d[89a-f])/i.test(text);
        if (isFine) expect(JSON.stringify(parse(text))).to.equal(text);
      }),
    );
  });

  it('counts the depth of brackets, not of text', () => {
    expect(parse(nested(JSON_DEPTH_MAX))).to.be.an('array');
    expect(codeThrownBy(() => parse(nested(JSON_DEPTH_MAX + 1)))).to.equal('E_BODY_INVALID');
    expect(parse(JSON.stringify({ a: `${nested(500)}\\"[[[` }))).to.be.an('object');
    expect(codeThrownBy(() => parse('['.repeat(4_000_000)))).to.equal('E_BODY_INVALID');
  });

  for (const text of ['', ' ', '{', '{"a":}', "{'a':1}", 'NaN', '{"a":1}x', '\ufeff{}x', '\u0000{}']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(codeThrownBy(() => parse(text))).to.equal('E_JSON_MALFORMED');
    });
  }

  it('refuses bytes that are no UTF-8 instead of changing them', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ]) {
      expect(codeThrownBy(() => parseJsonBody(Uint8Array.from(bytes)))).to.equal('E_JSON_MALFORMED');
    }
  });

  it('names the place of text that cannot be stored, in values and in names', () => {
    for (const [text, field] of [
      ['"\\u0000"', ''],
      ['{"a":{"b":["x","\\ud800"]}}', 'a.b[1]'],
      ['{"a":{"\\udfff":1}}', 'a'],
    ] as const) {
      try {
        parse(text);
        expect.fail('it was taken');
      } catch (thrown) {
        expect(codeOf(thrown)).to.equal('E_BODY_INVALID');
        expect((thrown as { details: { faults: { field: string }[] } }).details.faults[0]?.field).to.equal(
          field,
        );
      }
    }
  });
});

describe('cursors', () => {
  const position = Type.Object(
    { priority: Type.Integer(), id: Type.Integer() },
    { additionalProperties: false },
  );

  it('come back as they were, whatever the position', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }).filter(isStorable), (name) => {
        expect(decodeCursor(Type.String(), encodeCursor(name))).to.equal(name);
      }),
    );
    expect(encodeCursor({ priority: 1, id: 2 })).to.match(/^[A-Za-z0-9_-]+$/);
  });

  it('of another list, or made up, are refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.jsonValue().map(encodeCursor)), (text) => {
        let isPosition = false;
        try {
          const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
          isPosition =
            Object.keys(value as object)
              .sort()
              .join() === 'id,priority';
        } catch {
          isPosition = false;
        }
        if (!isPosition)
          expect(codeThrownBy(() => decodeCursor(position, text))).to.equal('E_CURSOR_INVALID');
      }),
    );
  });

  it('lead from page to page', async () => {
    const read = async ({ limit, after = -1 }: { limit: number; after?: number }) => {
      const items = Array.from({ length: 7 }, (_, n) => n).filter((n) => n > after);
      return { items: items.slice(0, limit), next: items.length > limit ? (items[limit - 1] ?? null) : null };
    };
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: number[]; next: string | null } = await readPage(
        { limit: 3, ...(cursor === null ? {} : { cursor }) },
        Type.Integer(),
        read,
      );
      seen.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    expect(seen).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('preconditions', () => {
  it('say which version a change is meant for', () => {
    const table: [
      rule: 'required' | 'update' | 'optional' | undefined,
      match: string,
      none: string,
      expected: unknown,
    ][] = [
      [undefined, '"3"', '', undefined],
      ['required', '"3"', '', 3],
      ['required', '*', '', undefined],
      ['required', '"0"', '', null],
      ['required', '', '', 'E_IF_MATCH_REQUIRED'],
      ['required', '', '*', 'E_IF_MATCH_REQUIRED'],
      ['update', '', '', null],
      ['update', '', '*', null],
      ['update', '"12"', '', 12],
      ['update', '', '"1"', 'E_IF_MATCH_INVALID'],
      ['optional', '', '', undefined],
      ['optional', '"5"', '', 5],
      ...['3', 'W/"3"', '"3", "4"', '"x"', '"-3"', '"1.0"', '"99999999999999999999"', '**'].map(
        (tag): ['required', string, string, string] => ['required', tag, '', 'E_IF_MATCH_INVALID'],
      ),
    ];
    for (const [rule, match, none, expected] of table) {
      const what = `${rule} ${match} ${none}`;
      if (typeof expected === 'string')
        expect(
          codeThrownBy(() => preconditionOf(rule, match, none)),
          what,
        ).to.equal(expected);
      else expect(preconditionOf(rule, match, none).expectedVersion, what).to.equal(expected);
    }
  });

  it('know what a reader has already, weak or strong, one of several', () => {
    expect(isFresh('"3"', '3')).to.equal(true);
    expect(isFresh('W/"3"', '3')).to.equal(true);
    expect(isFresh('"1", "3"', '3')).to.equal(true);
    expect(isFresh('*', '3')).to.equal(true);
    for (const tag of ['', '"33"', '3', '"4"', ',,,', '"']) expect(isFresh(tag, '3'), tag).to.equal(false);
  });
});
