import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BatchWriter, LARGE_BODY_BYTES } from '../../../gateways/ingest/batch-writer.ts';
import type { BatchLease, RowHead } from '../../../gateways/ingest/batch-writer.ts';
import { FLAG_SOCKET, readRow } from '../../../gateways/ingest/ingest-port.ts';
import { ARENA_ROWS } from '../../../gateways/ingest/shared-arenas.ts';

function headOf(request: number, keyName = 'a'): RowHead {
  const correlationId = `c${request}`;
  return {
    request,
    encoding: 1,
    dialect: 0,
    flags: 0,
    keyName,
    sender: 3,
    correlationId,
    idempotencyKey: '',
    hint: '',
    address: Uint8Array.of(192, 0, 2, 7),
  };
}

describe('BatchWriter', () => {
  it('gives every row back as it was put in', () => {
    const writer = new BatchWriter();
    writer.addCopy(headOf(7), Buffer.from('seven'));
    const head = {
      ...headOf(8, 'b'),
      flags: 1 | FLAG_SOCKET,
      address: new Uint8Array(0),
      idempotencyKey: 'once',
      dialect: 4,
      hint: 'r\xe9seau',
    };
    writer.addCopy(head, Buffer.from(''));
    const large = writer.takeLarge(LARGE_BODY_BYTES + 1);
    new Uint8Array(large).fill(65);
    writer.addLarge(headOf(9), large, LARGE_BODY_BYTES + 1);
    const batch = writer.take();
    const rows = Array.from({ length: batch.count }, (_, at) => readRow(batch, at));
    expect(
      rows.map(({ request, keyName, correlationId }) => [request, keyName, correlationId]),
    ).to.deep.equal([
      [7, 'a', 'c7'],
      [8, 'b', 'c8'],
      [9, 'a', 'c9'],
    ]);
    expect(batch.keyNames).to.deep.equal(['a', 'b']);
    expect(Buffer.from(rows[0]?.body ?? []).toString()).to.equal('seven');
    expect(rows[1]).to.include({
      isStrict: true,
      idempotencyKey: 'once',
      dialect: 'hec_raw',
      hint: 'r\xe9seau',
      encoding: 'gzip',
      sender: 'syslog-ng',
    });
    expect(rows[2]).to.include({ dialect: 'native', hint: '', isSocket: false });
    expect(rows[1]?.isSocket).to.equal(true);
    expect(rows.map(({ address }) => [...address])).to.deep.equal([[192, 0, 2, 7], [], [192, 0, 2, 7]]);
    expect(rows[1]?.body).to.have.length(0);
    expect(rows[2]?.body).to.have.length(LARGE_BODY_BYTES + 1);
    expect(rows[2]?.body.every((byte) => byte === 65)).to.equal(true);
    expect(writer.count).to.equal(0);
  });

  it('is full by rows and by bytes', () => {
    const writer = new BatchWriter();
    for (let row = 0; row < ARENA_ROWS; row++) {
      expect(writer.hasRoom(0)).to.equal(true);
      writer.addCopy(headOf(row), Buffer.from('x'));
    }
    expect(writer.hasRoom(0)).to.equal(false);
    writer.take();
    writer.addCopy(headOf(1), Buffer.alloc(LARGE_BODY_BYTES));
    expect(writer.hasRoom(LARGE_BODY_BYTES)).to.equal(false);
    expect(writer.hasRoom(1_000)).to.equal(true);
  });

  it('uses memory again only when the last row of its batch is settled', () => {
    const writer = new BatchWriter();
    const fill = (): { lease: BatchLease; memory: SharedArrayBuffer[] } => {
      writer.addCopy(headOf(1), Buffer.from('one'));
      const lease = writer.addLarge(headOf(2), writer.takeLarge(1_000_000), 1_000_000);
      const batch = writer.take();
      return { lease, memory: [batch.table, ...batch.bodies] };
    };
    const first = fill();
    writer.settle(first.lease);
    const second = fill();
    for (const buffer of second.memory) expect(first.memory).not.to.include(buffer);
    writer.settle(first.lease);
    const third = fill();
    expect(third.memory).to.deep.equal(first.memory);
    expect(third.memory.every((buffer, at) => buffer === first.memory[at])).to.equal(true);
  });
});
