import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryStore } from '../../../runtime/durable/memory-store.ts';
import { openWitness } from '../../../runtime/durable/witness.ts';
import { appendOne, freshWriterId, ManualClock, rejectionOf, until } from './store-under-test.ts';

describe('Witness', () => {
  let dir: string;
  let file: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'witness-'));
    file = join(dir, 'witness.json');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('begins with nothing and keeps the highest of each partition', async () => {
    const witness = await openWitness({ file });
    expect(witness.highest(0)).to.equal(0);
    witness.note(0, 5);
    witness.note(0, 3);
    witness.note(10, 7);
    await witness.stop();
    const again = await openWitness({ file });
    expect([again.highest(0), again.highest(10)]).to.deep.equal([5, 7]);
  });

  it('writes at most once per interval, and nothing when nothing changed', async () => {
    const clock = new ManualClock();
    const written: number[] = [];
    const witness = await openWitness({
      file,
      clock,
      onWritten: (highest) => written.push(highest.get(0) ?? 0),
    });
    for (let accepted = 1; accepted <= 50; accepted += 1) witness.note(0, accepted);
    expect(existsSync(file)).to.equal(false);
    await clock.advance(200);
    await until(() => written.length === 1);
    await clock.advance(1_000);
    witness.note(0, 40);
    await witness.stop();
    expect(written).to.deep.equal([50]);
  });

  it('tells once which numbers a store that came back older has lost [S-70]', async () => {
    const store = createMemoryStore();
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, count: 4 });
    const one = await openWitness({ file });
    const other = await openWitness({ file: `${file}.2` });
    one.note(0, 10);
    other.note(0, 12);
    expect(await one.reconcile(store, [0, 1])).to.deep.equal([{ partition: 0, from: 5, to: 10 }]);
    expect(await other.reconcile(store, [0, 1])).to.deep.equal([{ partition: 0, from: 11, to: 12 }]);
    expect(await one.reconcile(store, [0, 1])).to.deep.equal([]);
    expect(one.highest(0)).to.equal(12);
  });

  it('learns from a store that knows more', async () => {
    const store = createMemoryStore();
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, count: 4 });
    const witness = await openWitness({ file });
    expect(await witness.reconcile(store, [0])).to.deep.equal([]);
    expect(witness.highest(0)).to.equal(4);
  });

  it('keeps to what was acknowledged when the store may take the rest back [S-79]', async () => {
    const store = createMemoryStore();
    await appendOne(store, { writerId: freshWriterId(), sequence: 1, count: 4 });
    const witness = await openWitness({ file, learns: false });
    witness.note(0, 3);
    expect(await witness.reconcile(store, [0])).to.deep.equal([]);
    expect(witness.highest(0)).to.equal(3);
    const promoted = createMemoryStore();
    await appendOne(promoted, { writerId: freshWriterId(), sequence: 1, count: 3 });
    expect(await witness.reconcile(promoted, [0])).to.deep.equal([]);
  });

  for (const [what, text] of Object.entries({
    'that is empty': '',
    'that is cut': '{"format":1,"high',
    'that is something else': '[1,2]',
    'that is null': 'null',
    'whose numbers were changed': '{"format":1,"highest":{"0":9},"sha256":"00"}',
  })) {
    it(`refuses a file ${what}, by its name [S-71]`, async () => {
      writeFileSync(file, text);
      const error = await rejectionOf(openWitness({ file }));
      expect(error).to.include({ code: 'E_WITNESS_DAMAGED' });
      expect(error).to.have.property('message').that.includes(file);
      expect(readFileSync(file, 'utf8')).to.equal(text);
    });
  }

  it('refuses a file of a newer version', async () => {
    writeFileSync(file, '{"format":2,"highest":{},"sha256":""}');
    expect(await rejectionOf(openWitness({ file }))).to.include({ code: 'E_WITNESS_NEWER' });
  });

  it('writes by itself what a full disk kept it from writing, without another change', async () => {
    const clock = new ManualClock();
    const troubles: string[] = [];
    const witness = await openWitness({ file, clock, onTrouble: ({ message }) => troubles.push(message) });
    symlinkSync('/dev/full', `${file}.new`);
    witness.note(0, 7);
    await clock.advance(200);
    await until(() => troubles.length === 1);
    expect(troubles[0]).to.contain('ENOSPC');
    rmSync(`${file}.new`);
    await clock.advance(2_000);
    await until(() => existsSync(file));
    expect((await openWitness({ file })).highest(0)).to.equal(7);
    await witness.stop();
  });

  it('says when it cannot write, and writes later', async () => {
    const troubles: string[] = [];
    const witness = await openWitness({
      file: join(dir, 'missing', 'witness.json'),
      onTrouble: ({ code }) => troubles.push(code),
    });
    witness.note(0, 1);
    await witness.flush();
    expect(troubles).to.deep.equal(['E_WITNESS_WRITE']);
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(dir, 'missing'));
    await witness.stop();
    expect((await openWitness({ file: join(dir, 'missing', 'witness.json') })).highest(0)).to.equal(1);
  });
});
