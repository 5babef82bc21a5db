import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readAhead } from '../../../gateways/cli/read-ahead.ts';
import { until } from '../ingest/ingest-under-test.ts';

const CHUNK = 1_000;

describe('Reading ahead', () => {
  it('reads before anybody takes, up to the bound, and goes on when some was taken', async () => {
    let given = 0;
    let full = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (; given < 500; given++) yield Buffer.alloc(CHUNK, given % 256);
    }
    const ahead = readAhead(source(), { bytesMax: 50 * CHUNK, onFull: () => (full += 1) });
    await until(() => full === 1);
    await sleep(20);
    expect(given).to.be.within(30, 50);
    let taken = 0;
    for await (const chunk of ahead) {
      for (let at = 0; at < chunk.length; at += CHUNK) {
        expect(chunk[at]).to.equal(taken % 256);
        taken += 1;
      }
    }
    expect(taken).to.equal(500);
  });

  it('gives what came before a failure, then the failure', async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.from('a');
      throw new Error('the pipe is broken');
    }
    let text = '';
    let failure: unknown;
    try {
      for await (const chunk of readAhead(source(), { bytesMax: 100, onFull: () => undefined }))
        text += String(chunk);
    } catch (thrown) {
      failure = thrown;
    }
    expect(text).to.equal('a');
    expect(failure).to.have.property('message', 'the pipe is broken');
  });

  it('lets its source go when nobody takes any more', async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield Buffer.alloc(CHUNK);
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of readAhead(source(), { bytesMax: 10 * CHUNK, onFull: () => undefined })) break;
    await until(() => isClosed);
  });
});
