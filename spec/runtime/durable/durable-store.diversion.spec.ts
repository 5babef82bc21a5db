/** The part of the store contract about keys that are diverted from an express lane to an overflow lane. */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { AppendRequest, AppendResult, DurableStore } from '../../../runtime/durable/durable-store.ts';
import { DIVERTED_KEYS_MAX } from '../../../runtime/durable/store-names.ts';
import { describeEveryStore } from './every-store.ts';
import { appendOne, commitOf, freshWriterId, inputOf, own, readAll, WIDE } from './store-under-test.ts';

const QUESTION = { terminal: ['done'], inputLanes: ['in', 'over'] };
const FAIR = 100;
const FLOOD = 7;
const QUIET = -9;

type Keys = [key: number, messages: number][];

describeEveryStore('diversion', (under) => {
  let sequences: Map<string, number>;

  beforeEach(() => {
    sequences = new Map();
  });

  /** One append of `under.writerId`; its sequence moves on only when it is stored. */
  const append = async (
    lane: string,
    keys: Keys,
    diversion: AppendRequest['diversion'],
    rest: Partial<AppendRequest> = {},
  ): Promise<AppendResult> => {
    const sequence = (sequences.get(lane) ?? 0) + 1;
    const count = keys.reduce((sum, [, messages]) => sum + messages, 0);
    const request = { lane, writerId: under.writerId, sequence, count, diversion, ...rest };
    const result = await appendOne(under.store, request as Parameters<typeof appendOne>[1]);
    if (result.status === 'stored') sequences.set(lane, sequence);
    return result;
  };
  const express = (version: number, keys: Keys, rest: Partial<AppendRequest> = {}): Promise<AppendResult> =>
    append('in', keys, { version, fairMessages: FAIR, keys: new Map(keys) }, rest);
  const overflow = (keys: Keys, rest: Partial<AppendRequest> = {}): Promise<AppendResult> =>
    append('over', keys, { expressLane: 'in', keys: new Map(keys) }, rest);
  const ledger = (): ReturnType<DurableStore['ledger']> => under.store.ledger(0, QUESTION);
  /** Handles the first entries of a lane. */
  const handle = async (lane: string, entries = Infinity): Promise<void> => {
    const taken = (await readAll(under.store, lane)).slice(0, entries);
    const inputs = taken.map(({ overflow: note, ...entry }) =>
      note === undefined
        ? inputOf(entry)
        : { ...inputOf(entry), keys: note.keys, bytes: entry.payload.length + note.keys.length },
    );
    const done = taken.reduce((sum, { count }) => sum + count, 0);
    const result = await under.store.commit(
      commitOf(await own(under.store, 0, 'owner'), { inputs, counters: { done } }),
    );
    expect(result).to.deep.equal({ status: 'committed' });
    expect((await ledger()).problems).to.deep.equal([]);
  };
  /** Leaves the lane crowded by the flood, and the flood diverted: version 1. */
  const flood = async (): Promise<void> => {
    expect(await express(0, [[FLOOD, FAIR]])).to.include({ status: 'stored', waiting: FAIR });
    expect(await express(0, [[FLOOD, 50]])).to.deep.equal({ status: 'rerouted', version: 1, keys: [FLOOD] });
  };

  it('says how many messages an express lane holds, and diverts nobody before it is crowded', async () => {
    expect(await express(0, [[FLOOD, 60]])).to.include({ status: 'stored', waiting: 60 });
    expect(await express(0, [[FLOOD, 40]])).to.include({ status: 'stored', waiting: 100 });
    expect((await ledger()).measured.divertedKeys).to.equal(0);
  });

  it('diverts the key that floods a crowded lane, and writes nothing of what it brought', async () => {
    await flood();
    expect((await readAll(under.store)).map(({ count }) => count)).to.deep.equal([FAIR]);
    expect(await ledger()).to.deep.include({ accepted: FAIR, balanced: true });
    expect((await ledger()).measured.divertedKeys).to.equal(1);
  });

  it('lets quiet keys into the crowded lane, beside one that floods and beside several', async () => {
    await express(0, [[FLOOD, FAIR]]);
    const mixed = await express(0, [
      [FLOOD, 60],
      [FLOOD + 1, 50],
      [QUIET, 2],
    ]);
    expect(mixed).to.deep.equal({ status: 'rerouted', version: 1, keys: [FLOOD, FLOOD + 1] });
    expect(await express(1, [[QUIET, 2]])).to.include({ status: 'stored', waiting: FAIR + 2 });
  });

  it('does not take a key for a flood that brings little, though it is all that comes', async () => {
    await express(0, [[FLOOD, FAIR]]);
    for (let nth = 0; nth < 6; nth += 1) {
      expect((await express(0, [[QUIET, 1]])).status).to.equal('stored');
    }
  });

  it('finds a key that floods through many small appends of several writers', async () => {
    await express(0, [[FLOOD, FAIR]]);
    const seen: string[] = [];
    for (let nth = 0; nth < 8; nth += 1) {
      const writerId = freshWriterId();
      const diversion = { version: 0, fairMessages: FAIR, keys: new Map([[FLOOD, 1]]) };
      seen.push((await appendOne(under.store, { writerId, sequence: 1, diversion })).status);
    }
    expect(seen.indexOf('rerouted')).to.equal(6);
  });

  it('forgets what came long ago, counted in messages', async () => {
    await express(0, [[FLOOD, FAIR]]);
    // Each key brings less than would divert it, until as much has come as says nothing of who floods now.
    for (let key = 1_000; key < 1_000 + 330; key += 1) {
      expect((await express(0, [[key, 5]])).status, String(key)).to.equal('stored');
    }
    expect((await express(0, [[1_000, 5]])).status).to.equal('stored');
  });

  it('never diverts for a writer that tells no keys, or under a fair number of 0', async () => {
    await express(0, [[FLOOD, FAIR]]);
    expect(await append('in', [[FLOOD, 500]], { version: 0, fairMessages: FAIR })).to.include({
      waiting: FAIR + 500,
    });
    const off = { version: 0, fairMessages: 0, keys: new Map([[FLOOD, 500]]) };
    expect(await append('in', [[FLOOD, 500]], off)).to.include({ status: 'stored' });
  });

  it('takes an append to the express lane only from a writer that knows the diverted keys', async () => {
    await flood();
    expect(await express(0, [[QUIET, 1]])).to.deep.equal({ status: 'rerouted', version: 1, keys: [FLOOD] });
    expect(await express(2, [[QUIET, 1]])).to.include({ status: 'rerouted', version: 1 });
    expect(await express(1, [[QUIET, 1]])).to.include({ status: 'stored' });
  });

  it('knows a repeat of what it stored before the keys changed [S-61]', async () => {
    await express(0, [[FLOOD, FAIR]]);
    await express(0, [[FLOOD, 50]]);
    const again = { version: 0, fairMessages: FAIR, keys: new Map([[FLOOD, FAIR]]) };
    const request = { writerId: under.writerId, sequence: 1, count: FAIR, diversion: again };
    expect((await appendOne(under.store, request)).status).to.equal('repeat');
  });

  it('keeps with an overflow entry its keys, and how far the express lane was', async () => {
    await flood();
    await express(1, [[QUIET, 3]]);
    await overflow([
      [FLOOD, 20],
      [QUIET, 1],
    ]);
    const [entry] = await readAll(under.store, 'over');
    expect(entry?.overflow).to.deep.equal({ keys: `${FLOOD} 20 ${QUIET} 1 `, after: FAIR + 3 });
    expect((await readAll(under.store)).map((each) => 'overflow' in each)).to.deep.equal([false, false]);
  });

  it('diverts a key that a writer brings to the overflow lane by itself, for all', async () => {
    await overflow([[QUIET, 1]]);
    expect(await express(0, [[FLOOD, 1]])).to.deep.equal({ status: 'rerouted', version: 1, keys: [QUIET] });
    await overflow([[QUIET, 1]]);
    expect((await express(1, [[FLOOD, 1]])).status).to.equal('stored');
  });

  it('takes a key back when its last message has left the overflow lane', async () => {
    await flood();
    await overflow([[FLOOD, 20]]);
    await overflow([
      [FLOOD, 5],
      [QUIET, 5],
    ]);
    await overflow([[QUIET, 5]]);
    expect(await express(2, [[3, 1]])).to.include({ status: 'stored' });
    await handle('over', 1);
    expect(await express(2, [[3, 1]]), 'nothing changed').to.include({ status: 'stored' });
    await handle('over', 1);
    expect(await express(2, [[3, 1]])).to.deep.equal({ status: 'rerouted', version: 3, keys: [QUIET] });
    await handle('over');
    expect(await express(3, [[3, 1]])).to.deep.equal({ status: 'rerouted', version: 4, keys: [] });
    await handle('in');
    const after = await ledger();
    expect(after).to.deep.include({ accepted: FAIR + 37, inFlight: 0, balanced: true });
    expect(after.measured.lanes['over']).to.deep.equal({ entries: 0, messages: 0, bytes: 0 });
  });

  it('takes back with the last entry also a key of which nothing ever came', async () => {
    await flood();
    await overflow([[QUIET, 5]]);
    await handle('over');
    expect((await ledger()).measured.divertedKeys).to.equal(0);
  });

  it('counts the keys to the bytes of an overflow entry, in and out [S-63]', async () => {
    const bounds = { ...WIDE, bytesMax: 10 };
    await overflow([[7, 1]], { payload: Buffer.alloc(5) });
    expect((await ledger()).measured.lanes['over']?.bytes).to.equal(5 + '7 1 '.length);
    expect(await overflow([[7, 1]], { payload: Buffer.alloc(1), bounds })).to.deep.equal({
      status: 'full',
      reason: 'bytes',
    });
    await handle('over');
    expect((await ledger()).measured.lanes['over']?.bytes).to.equal(0);
  });

  it('diverts no more keys than its bound', async () => {
    const many: Keys = Array.from({ length: DIVERTED_KEYS_MAX - 1 }, (_, key) => [key, 1]);
    await overflow(many);
    await express(1, [[-1, FAIR]]);
    const more = await express(1, [
      [-1, 50],
      [-2, 50],
    ]);
    expect(more.status).to.equal('rerouted');
    expect((await ledger()).measured.divertedKeys).to.equal(DIVERTED_KEYS_MAX);
    expect((await express(2, [[-2, 500]])).status, 'stays where it is').to.equal('stored');
  });

  for (const [what, diversion] of Object.entries({
    'keys that do not sum up to its messages': { expressLane: 'in', keys: new Map([[1, 2]]) },
    'a key that is no integer': { expressLane: 'in', keys: new Map([[0.5, 1]]) },
    'a negative version': { version: -1, fairMessages: 1 },
    'an express lane whose name is taken': { expressLane: 'diverted', keys: new Map([[1, 1]]) },
  })) {
    it(`refuses ${what}`, async () => {
      const result = await appendOne(under.store, { writerId: under.writerId, sequence: 1, diversion });
      expect(result).to.have.nested.property('error.code', 'E_STORE_REQUEST');
    });
  }

  describe('after it came back older', () => {
    it('takes nothing from a writer that knows who was diverted before', async () => {
      await flood();
      expect((await express(1, [[QUIET, 1]])).status).to.equal('stored');
      await under.store.raiseSequence(0, 5_000);
      const result = await express(1, [[QUIET, 1]]);
      expect(result).to.deep.include({ status: 'rerouted', keys: [FLOOD] });
      expect(result).to.have.property('version').that.is.above(1_000_000);
    });

    it('goes on with ids that an overflow entry can still be told by', async () => {
      await express(0, [[QUIET, 3]]);
      await under.store.raiseSequence(0, 5_000);
      await overflow([[FLOOD, 1]]);
      const [entry] = await readAll(under.store, 'over');
      expect(entry?.overflow?.after).to.be.at.least(3);
      expect((await ledger()).problems).to.deep.equal([]);
    });
  });
});
