/** Marks in a real Redis: under races, kills, memory pressure, and in what they cost. */
import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, it } from 'mocha';
import type { DurableStore } from '../../../runtime/durable/durable-store.ts';
import { MARK_BYTES_MAX } from '../../../runtime/durable/durable-store.ts';
import type { Writer } from '../../../runtime/durable/writer.ts';
import { createWriter } from '../../../runtime/durable/writer.ts';
import { specDirectory, specRedisUrl, startOwnRedis } from '../../support/servers.ts';
import {
  appendOne,
  freshPrefix,
  freshWriterId,
  markOf,
  openRedisStore,
  readAll,
  until,
  WIDE,
  WINDOW,
} from './store-under-test.ts';
import type { OpenedStore } from './store-under-test.ts';

const QUESTION = { terminal: [], inputLanes: ['in'] };

describe('Marks, broken for real', function () {
  this.timeout(30_000);
  const clean: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const step of clean.splice(0).reverse()) await step();
  });

  const openStore = async (url: string, prefix: string): Promise<OpenedStore> => {
    const opened = await openRedisStore(url, { prefix });
    clean.push(() => opened.close());
    return opened;
  };
  const openWriter = (store: DurableStore, deadlineMs = 5_000): Writer<Buffer, undefined> => {
    const writer = createWriter<Buffer, undefined>({
      store,
      bounds: () => WIDE,
      cut: (submissions) => ({ payload: Buffer.concat(submissions.map(({ part }) => part)), tag: undefined }),
      onStoreOlder: () => Promise.reject(new Error('the store came back older')),
      markWindow: () => ({ ...WINDOW, keysMax: 100_000 }),
      deadlineMs,
    });
    clean.push(() => writer.close());
    return writer;
  };
  const submit = (writer: Writer<Buffer, undefined>, name: string) =>
    writer.submit(0, 'in', 1, Buffer.from(`<${name}>`), [{ ...markOf(name), first: 0, count: 1 }]);
  const stored = async (store: DurableStore): Promise<string[]> =>
    (await readAll(store)).flatMap(({ payload }) => payload.toString().match(/<\w+>/g) ?? []);

  it('stores what two writers bring at the same time once [S-186]', async () => {
    const prefix = freshPrefix();
    const stores = await Promise.all([1, 2].map(async () => openStore(await specRedisUrl(), prefix)));
    const writers = stores.map(({ store }) => openWriter(store));
    const names = Array.from({ length: 300 }, (_, number) => `n${number}`);
    const receipts = await Promise.all(
      names.flatMap((name, at) =>
        // Each begins with the other's half, so that some come first here and some there.
        writers.map((writer, which) => submit(writer, which === 0 ? name : (names.at(150 - at) ?? name))),
      ),
    );
    const found = await stored(stores[0]!.store);
    expect(found.toSorted()).to.deep.equal(names.map((name) => `<${name}>`).toSorted());
    expect(receipts.filter(({ duplicates }) => duplicates === 1)).to.have.length(300);
  });

  it('finds everything once when it is sent until it is answered, though Redis is killed again and again', async () => {
    const dir = specDirectory('marks-killed');
    let server = await startOwnRedis({ dir });
    clean.push(() => server.stop());
    const prefix = freshPrefix();
    const answered: string[] = [];
    let resends = 0;
    let isOn = true;
    const { store } = await openStore(server.url, prefix);
    const other = await openStore(server.url, prefix);
    // They give up while Redis is away: what they sent then is in nobody's hands but the sender's.
    const writers = [openWriter(store, 50), openWriter(other.store, 50)];
    const send = async (lane: number): Promise<void> => {
      for (let number = 0; isOn; number += 1) {
        const name = `l${lane}n${number}`;
        // Through another writer each time, and once more though it was answered.
        for (let attempt = 0, isAnswered = false; !isAnswered; attempt += 1) {
          isAnswered = await submit(writers[attempt % 2]!, name).then(
            () => true,
            () => false,
          );
          if (!isAnswered) resends += 1;
        }
        answered.push(`<${name}>`);
        if (number % 7 === 0) await submit(writers[1]!, name).catch(() => undefined);
      }
    };
    const lanes = Array.from({ length: 20 }, (_, lane) => send(lane));
    for (let round = 0; round < 3; round += 1) {
      const before = answered.length;
      await until(() => answered.length > before + 200);
      server.kill('SIGKILL');
      await server.exited;
      server = await startOwnRedis({ dir, port: server.port });
    }
    const before = answered.length;
    await until(() => answered.length > before + 200);
    isOn = false;
    await Promise.all(lanes);
    expect(resends).to.be.greaterThan(0);
    expect((await stored(store)).toSorted()).to.deep.equal(answered.toSorted());
    expect((await store.ledger(0, QUESTION)).problems).to.deep.equal([]);
  });

  it('writes neither the message nor its mark at maxmemory, and still knows what it has', async () => {
    const server = await startOwnRedis({ maxMemoryBytes: 24 * 1024 ** 2 });
    clean.push(() => server.stop());
    const { store, connection } = await openStore(server.url, freshPrefix());
    const append = (name: string, payload = Buffer.alloc(100_000, 1)) =>
      appendOne(store, {
        writerId: freshWriterId(),
        sequence: 1,
        payload,
        marks: [markOf(name)],
        markWindow: WINDOW,
      });
    let held = 0;
    for (;;) {
      const result = await append(`n${held}`);
      if (result.status === 'error') {
        expect(result.error).to.include({ code: 'E_STORE_MEMORY' });
        break;
      }
      held += 1;
    }
    const [, used = '0'] = /used_memory:(\d+)/.exec(await connection.info('memory')) ?? [];
    await connection.config('SET', 'maxmemory', Number(used) - 2 * 1024 ** 2);
    expect(await append('small', Buffer.from('x'))).to.have.property('status', 'error');
    expect(await append('n0')).to.include({ status: 'duplicate' });
    const ledger = await store.ledger(0, QUESTION);
    expect(ledger.measured.marks).to.equal(held);
    expect(ledger.measured.lanes['in']?.entries).to.equal(held);
    await connection.config('SET', 'maxmemory', Number(used) * 2);
    expect(await append('small', Buffer.from('x'))).to.include({ status: 'stored' });
  });

  it('costs no more memory than is reckoned with', async () => {
    const prefix = freshPrefix();
    const { store, connection } = await openStore(await specRedisUrl(), prefix);
    const keysMax = 30_000;
    // As many as can be held, each with as many contents as are known of one.
    for (let from = 0; from < 2 * keysMax; from += 2_500) {
      const keys = Array.from({ length: 2_500 }, () => randomBytes(16));
      for (let content = 0; content < 4; content += 1) {
        const marks = keys.map((key) => ({ key, content: randomBytes(8) }));
        const writerId = freshWriterId();
        const markWindow = { keysMax, ageMsMax: 60_000 };
        await appendOne(store, { writerId, sequence: 1, count: marks.length, marks, markWindow });
      }
    }
    const { marks } = (await store.ledger(0, QUESTION)).measured;
    expect(marks).to.be.within(keysMax, 2 * keysMax);
    let bytes = 0;
    for (const name of ['marks', 'marks:old']) {
      bytes += (await connection.memory('USAGE', `${prefix}:{0}:${name}`, 'SAMPLES', 0)) ?? 0;
    }
    expect(bytes / marks).to.be.within(MARK_BYTES_MAX / 2, MARK_BYTES_MAX);
  });
});
