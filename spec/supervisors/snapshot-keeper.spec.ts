import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Snapshot } from '../../actors/ports.ts';
import { SnapshotKeeper } from '../../supervisors/snapshot-keeper.ts';
import { delay, until } from '../runtime/durable/store-under-test.ts';
import { rejectionOf } from '../support/rejection.ts';
import { specDirectory } from '../support/servers.ts';
import { CodedError } from '../../runtime/errors.ts';

const snapshotOf = (version: number): Snapshot => ({
  version,
  rules: [],
  developmentHosts: [],
  teams: {},
  destinations: [],
  settings: {},
  keys: [],
});

describe('SnapshotKeeper', () => {
  let file: string;
  let present: Snapshot;
  let isAway: boolean;
  /** Before PostgreSQL answers a look, and before what it loads is here. */
  let onLook: () => Promise<void>;
  let onLoad: () => Promise<void>;
  let loads: number;
  let renewals: number;
  let logged: string[];
  let keepers: SnapshotKeeper[];

  beforeEach(() => {
    file = join(specDirectory('snapshot'), 'rules.json');
    present = snapshotOf(1);
    isAway = false;
    onLook = () => Promise.resolve();
    onLoad = () => Promise.resolve();
    loads = 0;
    renewals = 0;
    logged = [];
    keepers = [];
  });
  afterEach(() => Promise.all(keepers.map((keeper) => keeper.stop())));

  function open(): { keeper: SnapshotKeeper; seen: number[] } {
    const answer = <T>(value: T): T => {
      if (isAway) throw new CodedError('E_DATABASE_AWAY', 'away', { kind: 'transient' });
      return value;
    };
    const source = {
      currentVersion: async () => {
        await onLook();
        return answer(present.version);
      },
      load: async () => {
        loads += 1;
        const loaded = answer(present);
        await onLoad();
        return loaded;
      },
      renew: () => void (renewals += 1),
    };
    const log = (_fields: unknown, text?: string): void => void logged.push(text ?? String(_fields));
    const keeper = new SnapshotKeeper(source, file, { info: log, warn: log } as never);
    keepers.push(keeper);
    const seen: number[] = [];
    keeper.changes.subscribe(({ version }) => seen.push(version));
    return { keeper, seen };
  }
  const kept = (): Snapshot => JSON.parse(readFileSync(file, 'utf8')) as Snapshot;

  it('tells the present set first and then every change, and loads nothing that has not changed', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    await keeper.refresh();
    expect(loads).to.equal(1);
    present = snapshotOf(2);
    await keeper.refresh();
    const late: number[] = [];
    keeper.changes.subscribe(({ version }) => late.push(version));
    expect([seen, late]).to.deep.equal([[1, 2], [2]]);
    expect(kept()).to.deep.equal(snapshotOf(2));
  });

  it('finds a change by itself', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    present = snapshotOf(2);
    await until(() => seen.length === 2, 1_500);
  });

  it('finds a change behind looks that are never answered', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    let lost = 3;
    onLook = () => (lost-- > 0 ? new Promise(() => undefined) : Promise.resolve());
    present = snapshotOf(2);
    await until(() => seen.length === 2, 5_000);
    expect([seen, renewals]).to.deep.equal([[1, 2], 3]);
  });

  it('finds a change behind a load that does not end, and no longer takes what that brings when it does', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    const late = Promise.withResolvers<void>();
    onLoad = () => late.promise;
    present = snapshotOf(2);
    await until(() => loads === 2, 1_500);
    onLoad = () => Promise.resolve();
    present = snapshotOf(3);
    await until(() => seen.length === 2, 5_000);
    late.resolve();
    await delay(100);
    expect(seen).to.deep.equal([1, 3]);
  });

  it('takes looks that are answered late for what they are, and loads once for all of them', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    const late = Promise.withResolvers<void>();
    let looks = 0;
    onLook = () => {
      looks += 1;
      return late.promise;
    };
    present = snapshotOf(2);
    await until(() => looks === 3, 5_000);
    const before = loads;
    late.resolve();
    await until(() => seen.length === 2, 1_500);
    expect([seen, loads]).to.deep.equal([[1, 2], before + 1]);
  });

  it('follows PostgreSQL back when it was restored to an earlier version', async () => {
    present = snapshotOf(9);
    const { keeper } = open();
    await keeper.start();
    present = snapshotOf(5);
    await keeper.refresh();
    expect(keeper.current?.version).to.equal(5);
  });

  it('keeps the last set while PostgreSQL is away, says so once, and goes on', async () => {
    const { keeper } = open();
    await keeper.start();
    isAway = true;
    const before = logged.length;
    for (let n = 0; n < 3; n++) await keeper.refresh();
    expect(keeper.current?.version).to.equal(1);
    expect(logged.slice(before)).to.have.length(1);
    isAway = false;
    present = snapshotOf(2);
    await keeper.refresh();
    expect(keeper.current?.version).to.equal(2);
  });

  it('starts with the set on disk when PostgreSQL is away', async () => {
    writeFileSync(file, JSON.stringify(snapshotOf(7)));
    isAway = true;
    const { keeper, seen } = open();
    await keeper.start();
    expect(seen).to.deep.equal([7]);
    isAway = false;
    present = snapshotOf(8);
    await until(() => seen.length === 2, 1_500);
  });

  for (const [title, text] of [
    ['none', undefined],
    ['a torn one', JSON.stringify(snapshotOf(7)).slice(0, 20)],
    ['half a one', '{"version":7,"rules":[]}'],
    ['something else', 'null'],
    ['a list', '[]'],
    ['one of a version that is none', JSON.stringify({ ...snapshotOf(7), version: '7' })],
  ] as const) {
    it(`does not start when PostgreSQL is away and ${title} is on disk`, async () => {
      if (text !== undefined) writeFileSync(file, text);
      isAway = true;
      const { keeper } = open();
      expect((await rejectionOf(keeper.start())).code).to.equal('E_DATABASE_AWAY');
    });
  }

  it('takes what an older program left on disk, without settings and keys', async () => {
    const { settings: _settings, keys: _keys, ...older } = snapshotOf(7);
    writeFileSync(file, JSON.stringify(older));
    isAway = true;
    const { keeper } = open();
    await keeper.start();
    expect(keeper.current).to.deep.equal(snapshotOf(7));
  });

  it('finds a change behind a version that is the same, once PostgreSQL was out of sight', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    isAway = true;
    await keeper.refresh();
    isAway = false;
    await keeper.refresh();
    expect(seen).to.deep.equal([1]);
    isAway = true;
    await keeper.refresh();
    present = { ...snapshotOf(1), developmentHosts: ['lab'] };
    isAway = false;
    await keeper.refresh();
    expect(keeper.current?.developmentHosts).to.deep.equal(['lab']);
    expect(kept()).to.deep.equal(present);
  });

  it('keeps the file for its owner alone', async () => {
    const { keeper } = open();
    await keeper.start();
    expect(statSync(file).mode & 0o777).to.equal(0o600);
  });

  it('serves on when the set cannot be kept on disk', async () => {
    file = join(file, 'no', 'such', 'directory');
    const { keeper, seen } = open();
    await keeper.start();
    expect(seen).to.deep.equal([1]);
    expect(logged.join()).to.include('cannot be kept');
  });

  it('is quiet after its stop', async () => {
    const { keeper, seen } = open();
    await keeper.start();
    await keeper.stop();
    present = snapshotOf(2);
    const before = loads;
    await delay(600);
    expect([seen, loads]).to.deep.equal([[1], before]);
  });
});
