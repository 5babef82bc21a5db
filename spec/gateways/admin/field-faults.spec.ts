import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { oneOf, orNull } from '../../../gateways/admin/documents.ts';
import { fieldFaults, unknownNames } from '../../../gateways/admin/field-faults.ts';
import { closed, textOf, wholeNumber } from '../../../gateways/admin/inputs.ts';
import { ruleInput } from '../../../gateways/admin/rule-documents.ts';
import { ruleSchema } from '../../../actors/match/rule.ts';

const schema = closed({
  name: textOf(5),
  size: Type.Optional(wholeNumber(1, 9)),
  kind: Type.Optional(oneOf(['small', 'large'])),
  note: Type.Optional(orNull(textOf(3))),
  inner: Type.Optional(orNull(closed({ depth: wholeNumber(0, 1) }))),
  list: Type.Optional(
    Type.Array(closed({ n: wholeNumber(0, 1) }), { maxItems: 2, description: 'a list of two' }),
  ),
});

describe('fieldFaults', () => {
  it('names every fault with its place, why and how to mend it', () => {
    const faults = fieldFaults(schema, {
      size: 10,
      kind: 'smal',
      nam: 'x',
      note: 'long',
      inner: { dept: 1 },
      list: [{ n: 5 }, 3],
    });
    expect(faults).to.deep.equal([
      { field: 'nam', why: 'is not known here', mend: 'Did you mean name?' },
      { field: 'name', why: 'is missing', mend: 'Give a text of 1 to 5 characters, not blank.' },
      {
        field: 'size',
        value: '10',
        why: 'must be a whole number from 1 to 9',
        mend: 'Give a whole number from 1 to 9.',
      },
      { field: 'kind', value: '"smal"', why: 'must be one of small, large', mend: 'Did you mean small?' },
      {
        field: 'note',
        value: '"long"',
        why: 'must be a text of 1 to 3 characters, not blank, or null',
        mend: 'Give a text of 1 to 3 characters, not blank, or null.',
      },
      { field: 'inner.dept', why: 'is not known here', mend: 'Did you mean depth?' },
      { field: 'inner.depth', why: 'is missing', mend: 'Give a whole number from 0 to 1.' },
      {
        field: 'list[0].n',
        value: '5',
        why: 'must be a whole number from 0 to 1',
        mend: 'Give a whole number from 0 to 1.',
      },
      { field: 'list[1]', value: '3', why: 'must be an object', mend: 'Send an object with n.' },
    ]);
  });

  it('finds a fault exactly where the schema does not hold', () => {
    const value = fc.record(
      {
        name: fc.oneof(fc.string(), fc.integer()),
        size: fc.oneof(fc.integer(), fc.double()),
        kind: fc.oneof(fc.constantFrom('small', 'large'), fc.string()),
        note: fc.oneof(fc.string(), fc.constant(null)),
        inner: fc.oneof(fc.constant(null), fc.record({ depth: fc.nat(3) }), fc.jsonValue()),
        list: fc.oneof(fc.array(fc.record({ n: fc.nat(2) }), { maxLength: 4 }), fc.jsonValue()),
        other: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(value, fc.jsonValue()), (given) => {
        expect(fieldFaults(schema, given).length === 0).to.equal(Value.Check(schema, given));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is bounded, in number and length', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`field${at}`, at]));
    expect(fieldFaults(schema, many)).to.have.length(50);
    expect(fieldFaults(schema, { name: 'x'.repeat(10_000) })[0]?.value).to.have.length.below(100);
    expect(unknownNames(['n'.repeat(10_000)], ['name'])[0]?.mend).to.equal('There are name.');
  });

  it('takes only own fields: a prototype gives nothing', () => {
    expect(fieldFaults(closed({ toString: textOf(5) }), {}).map(({ why }) => why)).to.deep.equal([
      'is missing',
    ]);
    const hostile = JSON.parse('{"name":"a","__proto__":{"size":1}}') as unknown;
    expect(fieldFaults(schema, hostile).map(({ field }) => field)).to.deep.equal(['__proto__']);
  });
});

describe('The rule in the OpenAPI document', () => {
  it('has the fields of the rule that is checked, and a name', () => {
    const documented = Object.keys(ruleInput.properties).filter((name) => name !== 'name');
    expect(documented.sort()).to.deep.equal(Object.keys(ruleSchema.properties).sort());
    expect([...(ruleInput.required as string[])].sort()).to.deep.equal(
      [...(ruleSchema.required as string[])].sort(),
    );
  });

  it('takes and refuses the same values for each field', () => {
    const samples = [
      '',
      ' ',
      'x',
      'x'.repeat(513),
      'Ignore',
      'regex',
      '>=',
      'err',
      -1,
      0,
      1,
      7,
      8,
      23,
      24,
      1.5,
      1e6,
      1e6 + 1,
      2 ** 31,
      true,
      null,
      [],
      [{}],
      [1],
      {},
    ];
    for (const [name, property] of Object.entries(ruleSchema.properties)) {
      const documented = (ruleInput.properties as Record<string, Type.TSchema>)[name];
      for (const sample of samples) {
        expect(
          Value.Check(documented ?? Type.Never(), sample),
          `${name} = ${JSON.stringify(sample)}`,
        ).to.equal(Value.Check(property, sample));
      }
    }
  });
});
