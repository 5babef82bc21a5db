import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { EventSet } from '../../../supervisors/torture/event-set.ts';
import { Column, EventTable, digestOf } from '../../../supervisors/torture/event-table.ts';
import {
  SEQUENCE_MAX,
  isAlertText,
  knownEventIn,
  knownText,
  nameOf,
} from '../../../supervisors/torture/known-event.ts';
import type { KnownEvent } from '../../../supervisors/torture/known-event.ts';

const events = fc.array(
  fc.record({ host: fc.constantFrom('a', 'b', 'c-1'), sequence: fc.integer({ min: 0, max: 5_000 }) }),
);

describe('A known event', () => {
  it('is found in its text, also in the midst of others', () => {
    const event = { host: 'torture-7.example', sequence: 1_234 };
    for (const isAlert of [true, false]) {
      const text = `<134>1 x ${knownText(event, isAlert)} and so on`;
      expect(knownEventIn(text)).to.deep.equal(event);
      expect(isAlertText(text)).to.equal(isAlert);
    }
  });

  it('is not found in a text of somebody else, or with a number that no event has', () => {
    for (const text of ['', 'known host= n=1;', 'known host=a n=;', 'unknown host=a n=1;'])
      expect(knownEventIn(text), text).to.equal(undefined);
    const text = (sequence: number): string => knownText({ host: 'a', sequence }, true);
    expect(knownEventIn(text(SEQUENCE_MAX))).to.deep.equal({ host: 'a', sequence: SEQUENCE_MAX });
    expect(knownEventIn(text(SEQUENCE_MAX + 1))).to.equal(undefined);
  });
});

describe('EventSet', () => {
  it('has what was added, once, and gives it back', () => {
    fc.assert(
      fc.property(events, (added) => {
        const set = new EventSet();
        const names = new Set<string>();
        for (const event of added) {
          expect(set.add(event)).to.equal(!names.has(nameOf(event)));
          names.add(nameOf(event));
        }
        expect(set.size).to.equal(names.size);
        expect([...set].map(nameOf).sort()).to.deep.equal([...names].sort());
        for (const host of ['a', 'd']) {
          for (let sequence = 0; sequence < 50; sequence++) {
            const event = { host, sequence };
            expect(set.has(event)).to.equal(names.has(nameOf(event)));
          }
        }
      }),
    );
  });

  it('refuses a number that no event has', () => {
    for (const sequence of [-1, 0.5, NaN, SEQUENCE_MAX + 1])
      expect(() => new EventSet().add({ host: 'a', sequence })).to.throw(RangeError);
  });

  it('holds a million events in a few hundred kilobytes', () => {
    const set = new EventSet();
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 1_000_000; n++) set.add({ host: `h${n % 40}`, sequence: Math.floor(n / 40) });
    expect(set.size).to.equal(1_000_000);
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1_000_000);
  });
});

describe('EventTable', () => {
  it('gives each event a row of its own', () => {
    fc.assert(
      fc.property(events, (added) => {
        const table = new EventTable();
        const rows = new Map<string, number>();
        const first = added.filter((event, index) => added.findIndex(isSame(event)) === index);
        for (const event of first) {
          expect(table.rowOf(event)).to.equal(undefined);
          rows.set(nameOf(event), table.add(event));
        }
        expect(table.size).to.equal(first.length);
        first.forEach((event, row) => {
          expect(table.rowOf(event)).to.equal(row);
          expect(table.at(row)).to.deep.equal(event);
        });
      }),
    );
  });
});

describe('Column', () => {
  it('names the rows whose value an earlier one has', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 600 }), (values) => {
        const column = new Column();
        values.forEach((value, row) => column.set(row, value));
        const expected = values.flatMap((value, row) => (values.indexOf(value) < row ? [row] : []));
        expect(column.repeated(values.length)).to.deep.equal(expected);
      }),
    );
  });

  it('holds digests as they are', () => {
    const column = new Column();
    const digests = Array.from({ length: 1_000 }, (_, n) => digestOf(`text ${n}`));
    digests.forEach((digest, row) => column.set(row, digest));
    expect(
      digests.every((digest, row) => Number.isSafeInteger(digest) && column.at(row) === digest),
    ).to.equal(true);
    expect(column.repeated(digests.length)).to.deep.equal([]);
  });
});

function isSame(a: KnownEvent): (b: KnownEvent) => boolean {
  return (b) => nameOf(a) === nameOf(b);
}
