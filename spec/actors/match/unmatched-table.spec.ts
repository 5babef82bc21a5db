import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { NormalizedEvent } from '../../../actors/event.ts';
import { TemplateMask } from '../../../actors/match/template.ts';
import { fingerprintOf, seedOf, UnmatchedTable } from '../../../actors/match/unmatched-table.ts';
import type { UnmatchedEntry } from '../../../actors/match/unmatched-table.ts';
import { eventOf, receivedAtMs } from './fixtures.ts';

const HOUR_MS = 3_600_000;
const mask = new TemplateMask();

function countIn(table: UnmatchedTable, event: NormalizedEvent, windowMs = HOUR_MS): UnmatchedEntry {
  mask.mask(event.message, seedOf(event.program, event.trapOid));
  return table.count(event, 0, mask, windowMs);
}
/** No digits, so each is a template of its own. */
const word = (n: number): string => n.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);

describe('UnmatchedTable', () => {
  it('counts by host, program, trap and template', () => {
    const table = new UnmatchedTable();
    for (let port = 0; port < 5; port++) countIn(table, eventOf({ message: `port ${port} down` }));
    const others = [
      { hostname: 'other' },
      { program: 'ifmgr' },
      { trapOid: '1.3.6' },
      { message: 'fan out' },
    ];
    for (const other of others) countIn(table, eventOf({ message: 'port 1 down', ...other }));
    expect(table.entries().map(({ windowCount }) => windowCount)).to.deep.equal([5, 1, 1, 1, 1]);
    expect(new Set(table.entries().map(fingerprintOf)).size).to.equal(4);
    expect(table.entries()[0]).to.include({ template: 'port # down', sample: 'port 0 down' });
  });

  it('begins a window with an event, and another with the first one after its end', () => {
    const table = new UnmatchedTable();
    const at = (ms: number): UnmatchedEntry => countIn(table, eventOf({ receivedAtMs: receivedAtMs + ms }));
    at(0);
    expect(at(HOUR_MS)).to.include({ windowCount: 2, windowStartMs: receivedAtMs });
    expect(at(HOUR_MS + 1)).to.include({ windowCount: 1, windowStartMs: receivedAtMs + HOUR_MS + 1 });
  });

  it('is latched until it was quiet for a whole window', () => {
    const table = new UnmatchedTable();
    const at = (ms: number): UnmatchedEntry => countIn(table, eventOf({ receivedAtMs: receivedAtMs + ms }));
    at(0).isLatched = true;
    for (let hours = 1; hours < 10; hours++) expect(at(hours * HOUR_MS).isLatched).to.equal(true);
    expect(at(10 * HOUR_MS + 1)).to.include({ isLatched: false, windowCount: 1 });
  });

  it('keeps what comes often in a flood of a million templates that come once, in the same memory', () => {
    const table = new UnmatchedTable({ entriesMax: 2_000, bytesMax: 4 * 1024 ** 2 });
    let heavy = countIn(table, eventOf({ message: 'fan failed' }));
    let bytesMax = 0;
    for (let n = 1; n <= 1_000_000; n++) {
      countIn(table, eventOf({ message: word(n) }));
      if (n % 1_900 === 0) heavy = countIn(table, eventOf({ message: `fan   failed` }));
      if (table.bytes > bytesMax) bytesMax = table.bytes;
    }
    expect(heavy.windowCount).to.equal(1 + Math.floor(1_000_000 / 1_900));
    expect(table.size).to.equal(2_000);
    expect(bytesMax).to.be.at.most(4 * 1024 ** 2);
    expect(table.evicted).to.be.within(990_000, 1_000_000);
  }).timeout(120_000);

  it('holds no more bytes than it may, and keeps nothing of a message but its beginning', () => {
    const bytesMax = 64 * 1024;
    const table = new UnmatchedTable({ entriesMax: 10_000, bytesMax });
    for (let n = 0; n < 3_000; n++) {
      countIn(table, eventOf({ message: `${word(n)} ${'x'.repeat(n % 3_000)}`, hostname: word(n % 7) }));
      expect(table.bytes).to.be.at.most(bytesMax);
    }
    const held = table.entries();
    expect(new Set(held).size).to.equal(table.size);
    for (const { host, template, sample } of held) {
      // Each is still found: it is counted, not added.
      const before = table.size;
      const entry = countIn(table, eventOf({ message: sample, hostname: host }));
      expect(entry.template).to.equal(template);
      expect(entry.windowCount).to.equal(2);
      expect(table.size).to.equal(before);
    }
  });

  it('takes over what was known, and adds it to what was counted since', () => {
    const known = { ...countIn(new UnmatchedTable(), eventOf({ message: 'port 1 down' })), windowCount: 40 };
    const table = new UnmatchedTable();
    countIn(table, eventOf({ message: 'port 7 down', receivedAtMs: receivedAtMs + 5 }));
    table.know({ ...known, isLatched: true }, mask, HOUR_MS);
    expect(table.size).to.equal(1);
    expect(table.entries()[0]).to.include({ windowCount: 41, windowStartMs: receivedAtMs, isLatched: true });
  });
});
